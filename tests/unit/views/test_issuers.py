"""One issuer, one spelling: metadata, the resource's list and `iss` agree to the letter, whichever address a client used.

RFC 8414 §3.3, RFC 9728 §3.3, RFC 9207 §2.4: all compare as strings.
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import FormerSlug, McpRoute
from tests.unit.conftest import ORIGIN, Party, Person, sent_to_client

ROUTE, FORMER = "/mcp/demo", "/mcp/old"
FORMS = ["/.well-known/{kind}{path}", "{path}/.well-known/{kind}"]
KINDS = ["oauth-authorization-server", "openid-configuration"]


@pytest.fixture
def renamed(demo: McpRoute, demo_admin: McpRoute) -> McpRoute:
    """The route `demo`, which was called `old` once; a second route keeps it from being the only one."""
    FormerSlug.objects.create(slug="old", route=demo)
    return demo


def metadata(http: Browser, path: str) -> dict[str, Any]:
    return dict(http.get(f"/.well-known/oauth-authorization-server{path}").json())


@pytest.mark.parametrize("path", ["", ROUTE, FORMER])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_issuer_is_the_address_without_its_well_known_part(
    http: Browser, renamed: McpRoute, form: str, kind: str, path: str, slash: str
) -> None:
    answer = http.get(form.format(kind=kind, path=path) + slash)
    assert answer.json()["issuer"] == ORIGIN + path


@pytest.mark.parametrize("path", [ROUTE, FORMER])
def test_the_resource_names_that_issuer_and_itself(http: Browser, renamed: McpRoute, path: str) -> None:
    found = http.get(f"/.well-known/oauth-protected-resource{path}").json()
    assert [found["resource"]] == found["authorization_servers"] == [ORIGIN + path]
    assert metadata(http, path)["issuer"] == found["authorization_servers"][0]


@pytest.mark.parametrize("path", ["", ROUTE, FORMER])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("decision", ["approve", "cancel"])
def test_iss_is_the_issuer_whose_endpoint_was_used(
    http: Browser, renamed: McpRoute, alice: Person, editor: Party, path: str, slash: str, decision: str
) -> None:
    found = metadata(http, path)
    assert found["authorization_endpoint"] == f"{ORIGIN}/oauth/authorize{path}"
    answer = alice.decide(alice.open(editor.client, path + slash, resource=ORIGIN + (path or ROUTE)), decision)
    assert sent_to_client(answer)["iss"] == found["issuer"]


def test_the_default_endpoint_of_2025_03_26_is_the_origins(http: Browser, renamed: McpRoute, alice: Person, website: Party) -> None:
    """What a client without metadata knows as its issuer is the origin it built the address from."""
    website.client.approved_at = timezone.now()
    website.client.save()
    request = {"client_id": website.client.client_id, "response_type": "code", "redirect_uri": website.client.redirect_uris}
    answer = alice.browser.get("/authorize", request)
    told = parse_qs(urlsplit(answer["Location"]).query)
    assert (told["error"], told["iss"]) == (["invalid_request"], [metadata(http, "")["issuer"]])


@pytest.mark.parametrize("path", ["", ROUTE, FORMER])
def test_a_refusal_names_it_too(http: Browser, renamed: McpRoute, alice: Person, website: Party, path: str) -> None:
    website.client.approved_at = timezone.now()
    website.client.save()
    answer = alice.open(website.client, path, redirect_uri=website.client.redirect_uris, response_type="token")
    assert parse_qs(urlsplit(answer["Location"]).query)["iss"] == [metadata(http, path)["issuer"]]

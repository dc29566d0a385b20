"""Twins: which registrations are taken for one program."""

from collections.abc import Callable
from typing import Any

import pytest

from mcp_routes.models import McpRoute
from oauthgw.clients import fingerprint, metadata
from oauthgw.models import Client
from tests.unit.conftest import Person

Register = Callable[..., dict[str, Any]]
PROGRAM = {"client_name": "Editor", "software_id": "5d1c", "redirect_uris": ["http://127.0.0.1:1/cb", "cursor://anysphere.cursor-mcp/cb"]}


def of(**changed: Any) -> str:
    return fingerprint.of(metadata.read({**PROGRAM, **changed}))


@pytest.mark.parametrize(
    "same",
    [
        {"redirect_uris": ["http://127.0.0.1:2/cb", "cursor://anysphere.cursor-mcp/cb"]},
        {"redirect_uris": ["cursor://anysphere.cursor-mcp/cb", "http://127.0.0.1/cb"]},
        {"redirect_uris": ["http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", "cursor://anysphere.cursor-mcp/cb"]},
        {"software_version": "2.0"},
        {"scope": "offline_access"},
        {"unheard_of": 1},
    ],
    ids=["another port", "another order", "several ports", "another version", "another scope", "an unknown member"],
)
def test_what_differs_from_one_start_to_the_next_makes_no_other_program(same: dict[str, Any]) -> None:
    assert of(**same) == of()


@pytest.mark.parametrize(
    "other",
    [
        {"client_name": "Another editor"},
        {"software_id": "77aa"},
        {"redirect_uris": ["http://127.0.0.1:1/other", "cursor://anysphere.cursor-mcp/cb"]},
        {"redirect_uris": ["http://127.0.0.1:1/cb"]},
        {"redirect_uris": ["http://[::1]:1/cb", "cursor://anysphere.cursor-mcp/cb"]},
        {"redirect_uris": ["https://a.example:8443/cb"]},
        {"token_endpoint_auth_method": "client_secret_post"},
    ],
    ids=["name", "software", "path", "fewer redirects", "host", "https", "authentication"],
)
def test_what_makes_a_program_itself_tells_it_apart(other: dict[str, Any]) -> None:
    assert of(**other) != of()


def test_an_https_port_is_part_of_the_address() -> None:
    assert of(redirect_uris=["https://a.example:8443/cb"]) != of(redirect_uris=["https://a.example/cb"])


def test_one_program_that_registers_at_three_issuers_is_three_twins(
    http: Any, demo: McpRoute, demo_admin: McpRoute, alice: Person, register: Register
) -> None:
    """As clients do that keep a registration for each issuer: discover, register there, and listen on a free port."""
    for number, issuer in enumerate(("", "/mcp/demo", "/mcp/demo-admin")):
        endpoint = http.get(f"/.well-known/oauth-authorization-server{issuer}").json()["registration_endpoint"]
        body = {"client_name": "Editor", "redirect_uris": [f"http://127.0.0.1:{40_000 + number}/cb"]}
        assert http.post(endpoint, body, content_type="application/json").status_code == 201
    register(client_name="Somebody else", redirect_uris=["http://127.0.0.1/cb"])
    editors = Client.objects.filter(name="Editor")
    assert editors.count() == 3 and len(set(editors.values_list("fingerprint", flat=True))) == 1
    assert Client.objects.filter(fingerprint=editors[0].fingerprint).count() == 3


def test_a_change_moves_a_registration_to_its_new_twins(http: Any, register: Register) -> None:
    first, second = (register(client_name="Editor", redirect_uris=["http://127.0.0.1/cb"]) for _ in range(2))
    path = second["registration_client_uri"].removeprefix("http://localhost:9000")
    body = {"client_id": second["client_id"], "client_name": "Editor 2", "redirect_uris": ["http://127.0.0.1/cb"]}
    headers = {"Authorization": f"Bearer {second['registration_access_token']}"}
    assert http.put(path, body, content_type="application/json", headers=headers).status_code == 200
    fingerprints = dict(Client.objects.values_list("client_id", "fingerprint"))
    assert fingerprints[first["client_id"]] != fingerprints[second["client_id"]] == fingerprint.of(metadata.read(body))

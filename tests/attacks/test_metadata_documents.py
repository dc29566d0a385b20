"""What a client ID metadata document may say, and what a client can make of it (draft-ietf-oauth-client-id-metadata-document-01 §4, §6)."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.clients import decisions
from oauthgw.models import Client
from tests.attacks.conftest import refused
from tests.support.documents import Documents
from tests.support.signing import Signer
from tests.unit.conftest import LOOPBACK, WEB, Party, Person, sent_to_client, signed_value

BY_KEY = {"token_endpoint_auth_method": "private_key_jwt"}


def test_a_document_speaks_for_no_address_but_its_own(visitor: Person, documents: Documents) -> None:
    """draft §4.1, §6.1: compared as a string."""
    document = {"client_name": "App", "redirect_uris": [LOOPBACK]}
    for named in (f"{documents.url}/other.json", f"{documents.url}/client.json/", "https://claude.ai/oauth/claude-code-client-metadata"):
        url = documents.publish("/client.json", {**document, "client_id": named})
        assert "to the letter" in refused(visitor.open(Client(client_id=url)))
    url = documents.publish("/client.json", {**document, "client_id": f"{documents.url}/client.json"})
    assert visitor.open(Client(client_id=url)).status_code == 302  # to sign in


def test_a_document_that_is_too_large_is_refused(visitor: Person, documents: Documents) -> None:
    """draft §6.6."""
    url = f"{documents.url}/client.json"
    document = {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK], "padding": ""}
    documents.publish("/client.json", {**document, "padding": "x" * 65_536})
    assert "more than 64 kB" in refused(visitor.open(Client(client_id=url)))
    documents.publish("/client.json", {**document, "padding": "x" * 60_000})
    assert visitor.open(Client(client_id=url)).status_code == 302


def test_a_client_of_a_document_cannot_pass_for_another(
    visitor: Person, demo: McpRoute, alice: Person, http: Browser, documents: Documents
) -> None:
    """The code of one app is not good for another, whoever publishes it."""
    programs = []
    for name in ("one", "two"):
        url = f"{documents.url}/{name}.json"
        documents.publish(f"/{name}.json", {"client_id": url, "client_name": name, "redirect_uris": [LOOPBACK]})
        programs.append(Party(http, Client(client_id=url)))
    one, two = programs
    code = sent_to_client(alice.decide(alice.open(one.client)))["code"]
    alice.open(two.client)
    assert two.redeem(code).json()["error"] == "invalid_grant"
    assert one.redeem(code).status_code == 200


@pytest.mark.parametrize("secret", ["", "client_secret", "x"])
def test_a_client_that_signs_cannot_be_had_by_a_secret(
    visitor: Person, alice: Person, http: Browser, documents: Documents, secret: str
) -> None:
    """draft §4.1; RFC 9700 §2.5."""
    url = f"{documents.url}/client.json"
    document = {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "private_key_jwt"}
    documents.publish("/client.json", {**document, "jwks_uri": f"{documents.url}/keys"})
    program = Party(http, Client(client_id=url), secret)
    code = sent_to_client(alice.decide(alice.open(program.client)))["code"]
    assert program.redeem(code).json()["error"] == "invalid_client"


class TestWhatADocumentMayBe:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"null",
            b"[]",
            b'"text"',
            b"{",
            b'{"client_id":' * 9_000,
            b"[" * 60_000,
            b'{"x": ' + b"9" * 5_000 + b"}",
            b'{"client_id": "\xff"}',
            b"<!doctype html><script>alert(1)</script>",
            json.dumps({"client_id": "x"}).encode("utf-16"),
            gzip.compress(b"{" + b" " * 10_000_000 + b"}"),
        ],
        ids=lambda content: repr(content[:16]),
    )
    def test_what_is_no_json_object_is_a_page(self, visitor: Person, documents: Documents, content: bytes) -> None:
        """draft §4, RFC 8259; CWE-674, CWE-400, CWE-409."""
        url = documents.serve("/client.json", content)
        assert "<script>" not in refused(visitor.open(Client(client_id=url)))

    @pytest.mark.parametrize(
        "members",
        [
            {"client_secret": "x"},  # draft §4.1
            {"client_secret_expires_at": 0},
            {"token_endpoint_auth_method": "client_secret_basic"},
            {"token_endpoint_auth_method": "client_secret_jwt"},
            {"token_endpoint_auth_method": "private_key_jwt"},  # without a key anybody could be it
            {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://169.254.169.254/"},
            {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
            {"redirect_uris": []},
            {"redirect_uris": ["javascript:alert(1)"]},
            {"redirect_uris": ["https://app.example.com/*"]},
            {"redirect_uris": [WEB, "http://evil.example/cb"]},
            {"redirect_uris": "https://app.example.com/cb"},
            {"redirect_uris": {"0": WEB}},
            {"client_name": "\u2800\u3164\U0001d159"},
            {"client_name": ["Claude"]},
            {"client_id": ["{url}"]},
            {"client_id": "{url}#"},
            {"client_id": "{url} "},
            {"client_id": "{url}\u200b"},
            {"client_id": None},
        ],
        ids=str,
    )
    def test_a_member_that_would_weaken_it_refuses_the_whole(self, visitor: Person, documents: Documents, members: dict[str, Any]) -> None:
        """draft §4.1; RFC 7591 §5."""
        url = f"{documents.url}/client.json"
        good = {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK, WEB]}
        bad = json.loads(json.dumps(good | members).replace("{url}", url))
        documents.publish("/client.json", bad)
        refused(visitor.open(Client(client_id=url)))
        documents.publish("/client.json", good)
        assert visitor.open(Client(client_id=url)).status_code == 302

    def test_it_cannot_give_itself_what_operators_give(self, publish: Callable[..., Client]) -> None:
        """CWE-915."""
        client = publish(approved_at="2026-01-01", may_introspect=True, skip_authorization=True, registration_source="manual", user=1)
        assert not client.is_vouched_for and not client.may_introspect and not client.skip_authorization and client.is_of_document

    def test_its_lifetime_cannot_be_made_for_ever(self, documents: Documents, visitor: Person) -> None:
        """draft §4.4: a key or redirect that was taken out must stop counting."""
        url = f"{documents.url}/client.json"
        document = {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK]}
        documents.publish("/client.json", document, Cache_Control="max-age=99999999, immutable")
        visitor.open(Client(client_id=url))
        client = Client.objects.get()
        assert client.cimd_expires_at is not None and client.document_fetched_at is not None
        assert (client.cimd_expires_at - client.document_fetched_at).days <= 1


class TestImpersonation:
    def test_a_good_domain_does_not_vouch_for_a_program_on_this_computer(
        self, demo: McpRoute, alice: Person, publish: Callable[..., Client]
    ) -> None:
        """draft §6.1, MCP "Localhost Redirect URI Risks": anybody can present the document's URL and listen on a port; so the page says
        that, and is never skipped."""
        client = publish()
        for _ in range(2):
            page = alice.open(client)
            assert "cannot tell which" in page.content.decode() and sent_to_client(alice.decide(page))["code"]
        assert signed_value(alice.open(client))

    def test_a_name_that_is_taken_stands_beside_the_domain_that_chose_it(
        self, demo: McpRoute, alice: Person, publish: Callable[..., Client]
    ) -> None:
        """draft §6.4 (phishing by name)."""
        client = publish(client_name="Claude (verified by Anthropic)", client_uri="https://claude.ai/")
        page = alice.open(client).content.decode()
        assert "published by" in page and client.client_id.split("/")[2] in page and "as its website" not in page and "vouches" not in page

    def test_a_document_that_changed_is_asked_about_again(self, demo: McpRoute, alice: Person, publish: Callable[..., Client]) -> None:
        """draft §6.1: a domain that was sold publishes another app under the same URL."""
        alice.decide(alice.open(publish(), redirect_uri=WEB))
        for changed in (
            {"client_name": "Another"},
            {"redirect_uris": [WEB, "https://evil.example/cb"]},
            {"client_uri": "https://evil.example/"},
        ):
            assert signed_value(alice.open(publish(**changed), redirect_uri=WEB))

    def test_a_redirect_that_left_the_document_gets_nothing(self, demo: McpRoute, alice: Person, publish: Callable[..., Client]) -> None:
        """RFC 9700 §4.1: also from a page that was open meanwhile."""
        page = alice.open(publish(), redirect_uri=WEB)
        client = publish(redirect_uris=[LOOPBACK])
        assert alice.decide(page).status_code == 400 and alice.open(client, redirect_uri=WEB).status_code == 400


class TestWhatAnOperatorAllowed:
    def test_ends_when_the_document_becomes_another_ones(self, publish: Callable[..., Client], operator: User) -> None:
        """draft §6.1; CWE-672."""
        row = Client.objects.filter(pk=publish(**BY_KEY, jwks=Signer().key_set).pk)
        decisions.allow_introspection(row, operator, lambda _: True)
        assert row.get().may_introspect
        assert not publish(client_name="Another", **BY_KEY, jwks=Signer().key_set).may_introspect

    def test_stays_when_only_the_logo_changes(self, publish: Callable[..., Client], operator: User) -> None:
        """The other side of the same rule: else operators stop reading."""
        keys = {**BY_KEY, "jwks": Signer().key_set}
        row = Client.objects.filter(pk=publish(**keys).pk)
        decisions.approve(row, operator, lambda _: True)
        decisions.allow_introspection(row, operator, lambda _: True)
        changed = publish(**keys, logo_uri="https://app.example.com/other.png")
        assert changed.may_introspect and changed.is_vouched_for


@pytest.mark.parametrize("method", ["client_secret_\n2026 INFO forged\x1b[2J", "client_secret_\ud800"], ids=ascii)
def test_what_a_document_asks_for_forges_no_line_and_breaks_no_page(
    documents: Documents, demo: McpRoute, alice: Person, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """CWE-117, CWE-150."""
    url = f"{documents.url}/client.json"
    documents.publish(
        "/client.json", {"client_id": url, "client_name": "App", "redirect_uris": [WEB], "token_endpoint_auth_method": method}
    )
    assert alice.open(Client(client_id=url)).status_code == 400
    assert not [record for record in caplog.records if set("\n\x1b\ud800") & set(record.getMessage())]

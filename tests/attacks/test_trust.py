"""Trust ends with what it was given to: approvals, rights, keys and credentials of clients that change (RFC 7592 §5, RFC 9700 §4.15)."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.clients import decisions, management
from oauthgw.clients.documents import fetch_if_due
from oauthgw.guard.secret import Secret
from oauthgw.models import Client, Consent
from tests.support.documents import Documents
from tests.support.signing import Signer
from tests.unit.conftest import LOOPBACK, ORIGIN, WEB, Party, Person, SigningParty

BY_KEY = {"token_endpoint_auth_method": "private_key_jwt"}
EITHER = {**BY_KEY, "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"]}

pytestmark = pytest.mark.django_db


@pytest.fixture
def publish(documents: Documents) -> Callable[..., Client]:
    """Publishes the app's document with these members, and has it fetched although the last one is still fresh."""

    def call(**members: Any) -> Client:
        url = f"{documents.url}/client.json"
        documents.publish("/client.json", {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK, WEB], **members})
        long_ago = timezone.now() - timedelta(days=2)
        Client.objects.filter(client_id=url).update(document_fetched_at=long_ago, cimd_expires_at=long_ago)
        fetch_if_due(url)
        found: Client = Client.objects.get(client_id=url)
        return found

    return call


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create(username="root", is_staff=True, is_superuser=True)


class TestWhatAnOperatorAllowed:
    def test_ends_when_the_document_becomes_another_ones(self, publish: Callable[..., Client], operator: User) -> None:
        row = Client.objects.filter(pk=publish(**BY_KEY, jwks=Signer().key_set).pk)
        decisions.allow_introspection(row, operator, lambda _: True)
        assert row.get().may_introspect
        assert not publish(client_name="Another", **BY_KEY, jwks=Signer().key_set).may_introspect

    def test_stays_when_only_the_logo_changes(self, publish: Callable[..., Client], operator: User) -> None:
        keys = {**BY_KEY, "jwks": Signer().key_set}
        row = Client.objects.filter(pk=publish(**keys).pk)
        decisions.approve(row, operator, lambda _: True)
        decisions.allow_introspection(row, operator, lambda _: True)
        changed = publish(**keys, logo_uri="https://app.example.com/other.png")
        assert changed.may_introspect and changed.is_vouched_for

    def test_ends_when_the_registration_is_replaced(self, http: Browser, register: Callable[..., dict[str, Any]], operator: User) -> None:
        registered = register(client_name="App", redirect_uris=[WEB], token_endpoint_auth_method="client_secret_basic")
        row = Client.objects.filter(client_id=registered["client_id"])
        decisions.allow_introspection(row, operator, lambda _: True)
        document = {"client_id": registered["client_id"], "client_name": "Another", "redirect_uris": [WEB]}
        assert put(http, registered, document, token_endpoint_auth_method="client_secret_basic").status_code == 200
        assert not row.get().may_introspect

    def test_a_new_secret_shuts_out_whoever_managed_the_registration(
        self, http: Browser, register: Callable[..., dict[str, Any]], operator: User
    ) -> None:
        registered = register(client_name="App", redirect_uris=[WEB], token_endpoint_auth_method="client_secret_basic")
        decisions.replace_secret(Client.objects.get(client_id=registered["client_id"]), operator)
        assert put(http, registered, {"client_id": registered["client_id"], "redirect_uris": [WEB]}).status_code == 401


class TestARegistration:
    def test_that_went_or_was_switched_off_meanwhile_is_not_replaced(self, register: Callable[..., dict[str, Any]], operator: User) -> None:
        """Between finding the client and its lock."""
        registered = register(client_name="App", redirect_uris=[WEB])
        client, token = Client.objects.get(client_id=registered["client_id"]), Secret(registered["registration_access_token"])
        document = {"client_id": client.client_id, "client_name": "Another", "redirect_uris": [WEB]}
        decisions.disable(Client.objects.filter(pk=client.pk), operator)
        with pytest.raises(management.NotManageable):
            management.replace(client, document, token)
        Client.objects.filter(pk=client.pk).delete()
        with pytest.raises(management.NotManageable):
            management.replace(client, document, token)

    def test_cannot_be_replaced_once_registration_is_closed(
        self, http: Browser, register: Callable[..., dict[str, Any]], settings: Any
    ) -> None:
        registered = register(client_name="App", redirect_uris=[WEB])
        settings.GATEWAY = replace(settings.GATEWAY, client_registration="closed")
        document = {"client_id": registered["client_id"], "client_name": "Another", "redirect_uris": ["https://evil.example/cb"]}
        assert put(http, registered, document).status_code == 403
        assert managed(http, registered).status_code == 200


class TestAKey:
    def test_that_left_the_document_proves_nothing_any_more(
        self, publish: Callable[..., Client], http: Browser, demo: McpRoute, alice: Person
    ) -> None:
        old, new = Signer(), Signer()
        client = publish(**BY_KEY, jwks=old.key_set)
        before = SigningParty(http, client, signer=old)
        refresh = before.redeem(alice.code(client)).json()["refresh_token"]
        publish(**BY_KEY, jwks=new.key_set)
        assert before.refresh(refresh).json()["error"] == "invalid_client"
        assert SigningParty(http, client, signer=new).refresh(refresh).status_code == 200

    def test_once_used_is_needed_to_refresh(self, publish: Callable[..., Client], http: Browser, demo: McpRoute, alice: Person) -> None:
        signer = Signer()
        client = publish(**EITHER, jwks=signer.key_set)
        signing, leaked = SigningParty(http, client, signer=signer), Party(http, client)
        refresh = signing.redeem(alice.code(client)).json()["refresh_token"]
        refused = leaked.refresh(refresh)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert signing.refresh(refresh).status_code == 200, "the refused one consumed nothing"

    def test_never_used_is_not_needed(self, publish: Callable[..., Client], http: Browser, demo: McpRoute, alice: Person) -> None:
        client = publish(**EITHER, jwks=Signer().key_set)
        party = Party(http, client)
        assert party.refresh(party.redeem(alice.code(client)).json()["refresh_token"]).status_code == 200

    def test_given_up_is_asked_about_again(self, publish: Callable[..., Client], demo: McpRoute, alice: Person) -> None:
        """A remembered consent was for an app that proves itself."""
        keys = Signer().key_set
        client = publish(**BY_KEY, jwks=keys)
        alice.decide(alice.open(client, redirect_uri=WEB))
        Client.objects.update(token_endpoint_auth_method="none")
        assert 'name="decision"' in alice.open(client, redirect_uri=WEB).content.decode()
        assert Consent.objects.count() == 1


@pytest.mark.parametrize("claims", [{"sub": "\ud800", "iss": "\ud800"}, {"sub": "ü", "iss": "ü"}, {"jti": "\ud800"}], ids=ascii)
def test_text_that_no_client_is_called_is_a_refusal_and_no_crash(chatbot: SigningParty, demo: McpRoute, claims: dict[str, Any]) -> None:
    assertion = chatbot.signer.sign(chatbot.client.client_id, ORIGIN, **claims)
    form = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": assertion}
    answer = chatbot.post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": "x", **form})
    assert answer.status_code in (400, 401)


@pytest.mark.parametrize("method", ["client_secret_\n2026 INFO forged\x1b[2J", "client_secret_\ud800"], ids=ascii)
def test_what_a_document_asks_for_forges_no_line_and_breaks_no_page(
    documents: Documents, demo: McpRoute, alice: Person, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    url = f"{documents.url}/client.json"
    documents.publish(
        "/client.json", {"client_id": url, "client_name": "App", "redirect_uris": [WEB], "token_endpoint_auth_method": method}
    )
    assert alice.open(Client(client_id=url)).status_code == 400
    assert not [record for record in caplog.records if set("\n\x1b\ud800") & set(record.getMessage())]


def put(http: Browser, registered: dict[str, Any], document: dict[str, Any], **members: Any) -> Any:
    return http.put(
        f"/oauth/register/{registered['client_id']}",
        json.dumps(document | members),
        content_type="application/json",
        headers={"Authorization": f"Bearer {registered['registration_access_token']}"},
    )


def managed(http: Browser, registered: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {registered['registration_access_token']}"}
    return http.get(f"/oauth/register/{registered['client_id']}", headers=headers)

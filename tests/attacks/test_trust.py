"""Trust ends with what it was given to: approvals, rights, keys and credentials of clients that change (RFC 7592 §5, RFC 9700 §4.15)."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.models import Client, Consent
from tests.support.signing import Signer
from tests.unit.conftest import ORIGIN, WEB, Party, Person, SigningParty

BY_KEY = {"token_endpoint_auth_method": "private_key_jwt"}
EITHER = {**BY_KEY, "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"]}

pytestmark = pytest.mark.django_db


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

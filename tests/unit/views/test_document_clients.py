"""A client that is a metadata document, at the authorization and token endpoints: what people see, and when it is fetched."""

import html
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.models import Client, Consent
from tests.support.documents import Documents
from tests.support.signing import Signer
from tests.unit.conftest import LOOPBACK, Party, Person, SigningParty, sent_to_client

WEB = "https://app.example.com/cb"
METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture
def publish(documents: Documents) -> Callable[..., Client]:
    """Publishes the app's document; the app as one that is not known here yet."""

    def call(**members: Any) -> Client:
        url = f"{documents.url}/client.json"
        document = {"client_id": url, "client_name": "Weather", "redirect_uris": ["http://127.0.0.1/callback", WEB], **members}
        documents.publish("/client.json", document)
        return Client(client_id=url)

    return call


def text(answer: Any) -> str:
    """A page as a person reads it."""
    return " ".join(html.unescape(answer.content.decode()).split())


class TestTheConsentPage:
    def test_names_the_domain_as_the_one_who_vouches(
        self, demo: McpRoute, alice: Person, publish: Callable[..., Client], documents: Documents
    ) -> None:
        page = alice.open(publish(client_uri="https://famous.example"))
        assert page.status_code == 200
        shown = text(page)
        assert ">verified domain</span> It is published by <strong>" in shown and ">unverified<" not in shown
        assert documents.authority in shown and "famous.example" not in shown

    def test_says_what_a_domain_cannot_vouch_for(self, demo: McpRoute, alice: Person, publish: Callable[..., Client]) -> None:
        client = publish()
        assert "cannot tell which" in text(alice.open(client))
        assert "cannot tell which" not in text(alice.open(client, redirect_uri=WEB))

    def test_says_so_when_an_operator_vouches_too(
        self, demo: McpRoute, alice: Person, publish: Callable[..., Client], documents: Documents
    ) -> None:
        client = publish()
        alice.open(client)
        Client.objects.update(approved_at=timezone.now())
        shown = text(alice.open(client))
        assert "The operator of this gateway vouches for it." in shown and documents.authority in shown

    def test_still_says_unverified_of_a_registration(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        assert ">unverified<" in text(alice.open(editor.client)) and "published by" not in text(alice.open(editor.client))

    def test_comes_again_when_the_document_changed(self, demo: McpRoute, alice: Person, publish: Callable[..., Client]) -> None:
        client = publish()
        alice.decide(alice.open(client, redirect_uri=WEB))
        assert "code" in sent_to_client(alice.open(client, redirect_uri=WEB)), "the consent stands"
        publish(client_name="Weather Two")
        Client.objects.update(cimd_expires_at=timezone.now())
        assert "Weather Two" in text(alice.open(client, redirect_uri=WEB))
        assert Consent.objects.count() == 1


class TestAnUnusableDocument:
    """Two different pages, both 400, both without a way to the client."""

    def test_that_could_not_be_fetched_gets_a_page_that_says_why(self, demo: McpRoute, http: Browser, documents: Documents) -> None:
        client = Client(client_id=documents.serve("/client.json", b"", status=302, Location="https://app.example.com/"))
        answer = Person(None, http).open(client)  # type: ignore[arg-type]
        assert answer.status_code == 400 and "Location" not in answer and "no-store" in answer["Cache-Control"]
        shown = text(answer)
        assert "This app's description could not be fetched" in shown
        assert documents.authority in shown and "redirect (302), and none is followed" in shown
        assert "connect again in a moment" in shown and LOOPBACK not in shown

    def test_that_is_not_valid_gets_another(self, demo: McpRoute, http: Browser, publish: Callable[..., Client]) -> None:
        answer = Person(None, http).open(publish(client_secret="x"))  # type: ignore[arg-type]
        assert answer.status_code == 400 and "Location" not in answer and "no-store" in answer["Cache-Control"]
        shown = text(answer)
        assert "This app's description is not valid" in shown
        assert "has the member client_secret" in shown and "client_name and redirect_uris" in shown
        assert LOOPBACK not in shown

    def test_that_is_not_accepted_gets_a_third(self, demo: McpRoute, http: Browser, publish: Callable[..., Client], settings: Any) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, cimd_allowed_hosts=("app.example.com",))
        answer = Person(None, http).open(publish())  # type: ignore[arg-type]
        assert answer.status_code == 400
        assert "This app is not accepted here" in text(answer) and "not among them" in text(answer)

    def test_cannot_write_markup_on_the_page(self, demo: McpRoute, http: Browser, publish: Callable[..., Client]) -> None:
        answer = Person(None, http).open(publish(client_id="<script>alert(1)</script>"))  # type: ignore[arg-type]
        assert b"<script>alert" not in answer.content and "alert(1)" in text(answer)

    def test_is_asked_for_once_it_is_mended(self, demo: McpRoute, http: Browser, publish: Callable[..., Client]) -> None:
        visitor = Person(None, http)  # type: ignore[arg-type]
        assert visitor.open(publish(client_name="")).status_code == 400
        assert visitor.open(publish()).status_code == 302  # to sign in

    def test_is_not_the_page_of_an_address_that_it_does_not_list(
        self, demo: McpRoute, alice: Person, publish: Callable[..., Client]
    ) -> None:
        answer = alice.open(publish(), redirect_uri="https://elsewhere.example/cb")
        assert answer.status_code == 400 and "Location" not in answer
        assert "must list this address in redirect_uris" in text(answer)

    def test_waits_for_approval_where_that_is_asked(
        self, demo: McpRoute, alice: Person, publish: Callable[..., Client], settings: Any
    ) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, client_registration="approval")
        client = publish()
        answer = alice.open(client)
        assert answer.status_code == 400 and "waits for approval" in text(answer)
        Client.objects.update(approved_at=timezone.now())
        assert alice.open(client).status_code == 200


class TestTheTokenEndpoint:
    def test_takes_the_row_as_it_stands(
        self, demo: McpRoute, alice: Person, http: Browser, publish: Callable[..., Client], documents: Documents
    ) -> None:
        program = Party(http, publish())
        code = alice.code(program.client)
        Client.objects.update(cimd_expires_at=timezone.now() - timedelta(days=30))
        documents.asked.clear()
        tokens = program.redeem(code).json()
        assert principals.resolve_now(tokens["access_token"], demo.pk) is not None
        assert program.refresh(tokens["refresh_token"]).status_code == 200
        assert not documents.asked

    @pytest.mark.parametrize("by_reference", [True, False], ids=["jwks_uri", "jwks"])
    def test_wants_the_key_that_a_document_names(
        self, demo: McpRoute, alice: Person, http: Browser, publish: Callable[..., Client], documents: Documents, by_reference: bool
    ) -> None:
        signer = Signer()
        keys = {"jwks_uri": documents.publish("/keys", signer.key_set)} if by_reference else {"jwks": signer.key_set}
        program = SigningParty(http, publish(token_endpoint_auth_method="private_key_jwt", **keys), signer=signer)
        code = alice.code(program.client)
        assert Party(http, program.client).redeem(code).json()["error"] == "invalid_client"
        assert program.redeem(code).status_code == 200

    def test_takes_either_from_a_client_that_can_do_without_a_key(
        self, demo: McpRoute, alice: Person, http: Browser, publish: Callable[..., Client], documents: Documents
    ) -> None:
        """As ChatGPT's, which signs for servers that announce private_key_jwt, and else does not."""
        signer = Signer()
        keys = documents.publish("/keys", signer.key_set)
        client = publish(
            token_endpoint_auth_method="private_key_jwt", token_endpoint_auth_methods_supported=["none", "private_key_jwt"], jwks_uri=keys
        )
        assert Party(http, client).redeem(alice.code(client)).status_code == 200
        assert SigningParty(http, client, signer=signer).redeem(alice.code(client)).status_code == 200
        impostor = SigningParty(http, client)
        assert impostor.redeem(alice.code(client)).json()["error"] == "invalid_client"

    def test_takes_no_signature_from_a_client_whose_document_names_no_key(
        self, demo: McpRoute, alice: Person, http: Browser, publish: Callable[..., Client]
    ) -> None:
        program = SigningParty(http, publish())
        answer = program.redeem(alice.code(program.client)).json()
        assert (answer["error"], "registered for none" in answer["error_description"]) == ("invalid_client", True)

    def test_does_not_fetch_a_stranger(self, demo: McpRoute, http: Browser, publish: Callable[..., Client], documents: Documents) -> None:
        answer = Party(http, publish()).redeem("x")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert not documents.asked


@pytest.mark.parametrize(
    "path", [METADATA, f"{METADATA}/mcp/demo", "/.well-known/openid-configuration", "/mcp/demo/.well-known/openid-configuration"]
)
def test_metadata_announces_documents_unless_registration_is_closed(http: Browser, demo: McpRoute, settings: Any, path: str) -> None:
    announced = http.get(path).json()
    assert announced["client_id_metadata_document_supported"] is True
    assert "none" in announced["token_endpoint_auth_methods_supported"], "without it clients do not even try"
    settings.GATEWAY = replace(settings.GATEWAY, client_registration="closed")
    assert "client_id_metadata_document_supported" not in http.get(path).json()

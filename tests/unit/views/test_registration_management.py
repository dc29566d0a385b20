"""A client reads, replaces and removes its own registration (RFC 7592), and nobody else's."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals, tokens
from oauthgw.journal.models import Event
from oauthgw.models import AccessToken, Client, Consent, Grant
from tests.unit.conftest import LOOPBACK, ORIGIN, Party, Person

SECRET_METHODS = ["client_secret_post", "client_secret_basic"]
OURS = {"registration_access_token", "registration_client_uri", "client_id_issued_at", "client_secret_expires_at"}

Register = Callable[..., dict[str, Any]]


class Registration:
    """A registration, and the means to manage it."""

    def __init__(self, http: Browser, answer: dict[str, Any]) -> None:
        self.http, self.answer = http, answer
        self.token: str = answer["registration_access_token"]
        self.path: str = answer["registration_client_uri"].removeprefix(ORIGIN)

    @property
    def row(self) -> Client:
        found: Client = Client.objects.get(client_id=self.answer["client_id"])
        return found

    @property
    def metadata(self) -> dict[str, Any]:
        """What a client may send again."""
        return {name: value for name, value in self.answer.items() if name not in OURS}

    def ask(self, method: str, document: Any = None, token: str | None = None, path: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return self.http.generic(
            method, path or self.path, "" if document is None else json.dumps(document), "application/json", headers=headers
        )

    def put(self, status: int = 200, **changed: Any) -> dict[str, Any]:
        """Sends the registration with changes; None leaves a member out."""
        document = {name: value for name, value in {**self.metadata, **changed}.items() if value is not None}
        answer = self.ask("PUT", document)
        assert answer.status_code == status, answer.content
        return dict(answer.json())


@pytest.fixture
def registered(http: Browser, register: Register) -> Callable[..., Registration]:
    def make(**metadata: Any) -> Registration:
        return Registration(http, register(**{"redirect_uris": [LOOPBACK], "client_name": "Editor", **metadata}))

    return make


@pytest.fixture
def editor_registration(registered: Callable[..., Registration]) -> Registration:
    return registered(client_uri="https://editor.example", software_id="5d1c", unheard_of=1)


@pytest.fixture(params=SECRET_METHODS)
def website_registration(registered: Callable[..., Registration], request: pytest.FixtureRequest) -> Registration:
    return registered(redirect_uris=["https://app.example.com/cb"], token_endpoint_auth_method=request.param)


def test_a_registration_is_answered_with_its_address_and_a_token_of_its_own(editor_registration: Registration) -> None:
    answer = editor_registration.answer
    assert answer["registration_client_uri"] == f"{ORIGIN}/oauth/register/{answer['client_id']}"
    assert answer["registration_access_token"].startswith("mcprg_") and len(answer["registration_access_token"]) == 6 + 43


def test_only_the_tokens_digest_is_stored(editor_registration: Registration) -> None:
    assert editor_registration.token not in str(Client.objects.values().get())
    assert len(editor_registration.row.registration_token_digest) == 64


class TestReading:
    def test_everything_registered_is_answered_with_the_token_that_was_presented(self, editor_registration: Registration) -> None:
        answer = editor_registration.ask("GET")
        assert (answer.status_code, answer.json()) == (200, editor_registration.answer)
        assert answer["Cache-Control"] == "no-store" and answer["Access-Control-Allow-Origin"] == "*"

    def test_a_secret_is_not_answered_again_because_nobody_here_knows_it(self, website_registration: Registration) -> None:
        read = website_registration.ask("GET").json()
        assert website_registration.answer.keys() - read.keys() == {"client_secret", "client_secret_expires_at"}


class TestWhoMay:
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    @pytest.mark.parametrize("token", ["", "mcprg_wrong", "mcprg_" + "a" * 43, "ä", "a b"])
    def test_without_the_right_token_there_is_a_401_with_a_challenge_and_nothing_happens(
        self, editor_registration: Registration, method: str, token: str
    ) -> None:
        answer = editor_registration.ask(method, {"client_id": "x"}, token=token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer["WWW-Authenticate"].startswith("Bearer ") and answer["Access-Control-Allow-Origin"] == "*"
        assert ("error=" in answer["WWW-Authenticate"]) is bool(token)
        assert Client.objects.exists()

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_the_token_of_one_registration_opens_no_other(self, registered: Callable[..., Registration], method: str) -> None:
        mine, other = registered(), registered()
        assert mine.ask(method, {}, path=other.path).status_code == 401
        assert Client.objects.count() == 2

    @pytest.mark.parametrize("client_id", ["unknown", "%00", "%ff", "x" * 3000, "https:%2F%2Fapp.example%2Fclient.json"])
    def test_a_client_that_is_not_there_is_a_401_too(self, editor_registration: Registration, client_id: str) -> None:
        answer = editor_registration.ask("GET", path=f"/oauth/register/{client_id}")
        assert answer.status_code in (401, 404) and answer.json()["error"]

    def test_a_row_without_a_token_is_managed_by_nobody(self, http: Browser, editor_registration: Registration) -> None:
        Client.objects.update(registration_token_digest="")
        assert editor_registration.ask("GET", token="").status_code == 401
        assert editor_registration.ask("GET").status_code == 401

    def test_a_client_switched_off_by_an_operator_changes_nothing(self, editor_registration: Registration) -> None:
        Client.objects.update(disabled_at=timezone.now())
        for method in ("GET", "PUT", "DELETE"):
            assert editor_registration.ask(method, editor_registration.metadata).status_code == 403
        assert Client.objects.exists()

    def test_a_browsers_preflight_names_the_methods(self, http: Browser, editor_registration: Registration) -> None:
        answer = http.options(editor_registration.path, HTTP_ORIGIN="https://inspector.example")
        assert answer["Access-Control-Allow-Methods"] == "GET, PUT, DELETE, OPTIONS"

    def test_another_method_is_a_405(self, editor_registration: Registration) -> None:
        assert editor_registration.ask("POST", {}).status_code == 405

    def test_an_access_token_manages_nothing_and_a_registration_token_opens_no_route(
        self, demo: McpRoute, alice: Person, http: Browser, editor_registration: Registration
    ) -> None:
        party = Party(http, editor_registration.row)
        issued = party.redeem(alice.code(party.client)).json()
        for token in (issued["access_token"], issued["refresh_token"]):
            assert editor_registration.ask("GET", token=token).status_code == 401
        assert principals.resolve_now(issued["access_token"], demo.pk) is not None
        assert not tokens.looks_like_access_token(editor_registration.token)
        assert principals.resolve_now(editor_registration.token, demo.pk) is None
        assert party.refresh(editor_registration.token).json()["error"] == "invalid_grant"
        assert party.revoke(editor_registration.token).status_code == 200 and Grant.objects.live().exists()
        assert not AccessToken.objects.filter(token_checksum=editor_registration.row.registration_token_digest).exists()


class TestReplacing:
    def test_every_member_is_replaced_and_one_left_out_is_gone(self, editor_registration: Registration) -> None:
        answer = editor_registration.put(client_name="Editor 2", redirect_uris=["http://localhost/cb"], client_uri=None)
        assert answer["client_name"] == "Editor 2" and answer["redirect_uris"] == ["http://localhost/cb"]
        assert "client_uri" not in answer and answer["software_id"] == "5d1c"
        assert editor_registration.ask("GET").json() == answer

    def test_the_address_and_the_token_stay(self, editor_registration: Registration) -> None:
        answer = editor_registration.put(client_name="Editor 2")
        assert {name: answer[name] for name in ("client_id", "registration_access_token", "registration_client_uri")} == {
            name: editor_registration.answer[name] for name in ("client_id", "registration_access_token", "registration_client_uri")
        }

    @pytest.mark.parametrize("name", sorted(OURS))
    def test_what_the_gateway_decides_must_not_be_sent(self, editor_registration: Registration, name: str) -> None:
        answer = editor_registration.put(400, **{name: editor_registration.answer.get(name, 0)})
        assert answer["error"] == "invalid_client_metadata" and name in answer["error_description"]

    @pytest.mark.parametrize("client_id", ["another", None, 7])
    def test_the_client_id_must_be_sent_and_its_own(self, editor_registration: Registration, client_id: Any) -> None:
        assert "client_id" in editor_registration.put(400, client_id=client_id)["error_description"]

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"redirect_uris": None}, "invalid_redirect_uri"),
            ({"redirect_uris": ["http://evil.example/cb"]}, "invalid_redirect_uri"),
            ({"token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata"),
            ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
            ({"client_secret": "chosen by the client"}, "invalid_client_metadata"),
        ],
    )
    def test_the_rules_are_those_of_a_registration(self, editor_registration: Registration, changed: dict[str, Any], error: str) -> None:
        assert editor_registration.put(400, **changed)["error"] == error
        assert editor_registration.ask("GET").json() == editor_registration.answer

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
    def test_a_body_that_is_no_json_object_is_a_400(self, http: Browser, editor_registration: Registration, body: bytes) -> None:
        headers = {"Authorization": f"Bearer {editor_registration.token}"}
        assert http.put(editor_registration.path, body, content_type="application/json", headers=headers).status_code == 400

    def test_the_current_secret_may_be_sent_and_is_answered(self, website_registration: Registration) -> None:
        answer = website_registration.put(client_name="Website 2")
        assert answer["client_secret"] == website_registration.answer["client_secret"] and answer["client_secret_expires_at"] == 0

    def test_another_secret_is_refused(self, website_registration: Registration) -> None:
        assert "client_secret" in website_registration.put(400, client_secret="x" * 128)["error_description"]

    def test_the_other_way_to_send_a_secret_keeps_it(self, website_registration: Registration) -> None:
        before = website_registration.row.client_secret
        for method in SECRET_METHODS:
            website_registration.put(token_endpoint_auth_method=method)
        assert website_registration.row.client_secret == before

    def test_a_client_that_becomes_confidential_gets_a_secret_that_works(
        self, demo: McpRoute, alice: Person, http: Browser, editor_registration: Registration
    ) -> None:
        answer = editor_registration.put(token_endpoint_auth_method="client_secret_post")
        assert len(answer["client_secret"]) == 128 and answer["client_secret_expires_at"] == 0
        client = editor_registration.row
        code = alice.code(client)
        assert Party(http, client).redeem(code).status_code == 401
        assert Party(http, client, answer["client_secret"]).redeem(code).status_code == 200

    def test_a_client_that_becomes_public_has_no_secret_any_more(
        self, demo: McpRoute, alice: Person, http: Browser, website_registration: Registration
    ) -> None:
        old = website_registration.answer["client_secret"]
        assert "client_secret" not in website_registration.put(token_endpoint_auth_method="none", redirect_uris=[LOOPBACK])
        client = website_registration.row
        assert client.client_type == "public"
        assert Party(http, client, old).redeem(alice.code(client)).status_code == 401
        assert Party(http, client).redeem(alice.code(client)).status_code == 200

    def test_a_change_is_journalled_and_takes_back_what_an_operator_vouched_for(self, editor_registration: Registration) -> None:
        Client.objects.update(approved_at=timezone.now())
        editor_registration.put(client_name="Editor 2", redirect_uris=["https://evil.example/cb"])
        event = Event.objects.get(kind=Event.Kind.CLIENT_CHANGED)
        assert event.client_id == editor_registration.answer["client_id"]
        assert "client_name" in event.reason and "redirect_uris" in event.reason
        assert Event.objects.filter(kind=Event.Kind.CLIENT_APPROVAL_WITHDRAWN, client_id=event.client_id).exists()
        assert editor_registration.row.approved_at is None

    def test_sending_the_same_again_changes_nothing(self, editor_registration: Registration) -> None:
        Client.objects.update(approved_at=timezone.now())
        editor_registration.put()
        assert editor_registration.row.approved_at is not None
        assert not Event.objects.filter(kind=Event.Kind.CLIENT_CHANGED).exists()


class TestRemoving:
    def test_the_row_its_connections_and_consents_go_and_the_journal_says_so(
        self, demo: McpRoute, alice: Person, http: Browser, editor_registration: Registration
    ) -> None:
        party = Party(http, editor_registration.row)
        issued = party.redeem(alice.code(party.client)).json()
        answer = editor_registration.ask("DELETE")
        assert (answer.status_code, answer.content) == (204, b"") and answer["Access-Control-Allow-Origin"] == "*"
        assert principals.resolve_now(issued["access_token"], demo.pk) is None
        assert party.refresh(issued["refresh_token"]).json()["error"] == "invalid_client"
        assert not Client.objects.exists() and not Grant.objects.exists() and not Consent.objects.exists()
        kinds = list(Event.objects.filter(client_id=party.client.client_id).order_by("pk").values_list("kind", "reason"))[-3:]
        reason = "The client removed its registration."
        assert kinds[:2] == [("consent_withdrawn", reason), ("grant_revoked", reason)]
        assert kinds[2][0] == "client_removed" and "Editor" in kinds[2][1]

    def test_afterwards_the_token_is_good_for_nothing(self, editor_registration: Registration) -> None:
        assert editor_registration.ask("DELETE").status_code == 204
        for method in ("GET", "PUT", "DELETE"):
            assert editor_registration.ask(method, {}).status_code == 401

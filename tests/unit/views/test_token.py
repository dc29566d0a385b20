"""The token and revocation endpoints: who may redeem what, and what a refusal looks like."""

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.models import AuthorizationCode, Client, Grant
from tests.unit.conftest import LOOPBACK, ORIGIN, VERIFIER, Party, Person
from tests.unit.posting import FORM, basic, post

WEB = "https://app.example.com/cb"


def served(token: str, slug: str = "demo") -> bool:
    return principals.resolve_now(token, McpRoute.objects.get(slug=slug).pk) is not None


@pytest.fixture
def code(demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> str:
    return alice.code(editor.client)


def test_a_code_becomes_tokens_for_its_route_only(editor: Party, code: str) -> None:
    answer = editor.redeem(code)
    body = answer.json()
    assert (answer.status_code, body["token_type"], body["expires_in"], body["scope"]) == (200, "Bearer", 900, "mcp:tools")
    assert answer["Cache-Control"] == "no-store" and answer["Access-Control-Allow-Origin"] == "*"
    assert served(body["access_token"])
    assert not served(body["access_token"], "demo-admin")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": "ä" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:1/callback"}, "invalid_grant"),
        ({"resource": f"{ORIGIN}/mcp/demo-admin"}, "invalid_target"),
        ({"resource": "https://evil.example/mcp/demo"}, "invalid_target"),
        ({"code": "unknown"}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
        ({"client_id": "unknown"}, "invalid_client"),
    ],
)
def test_a_wrong_part_is_refused_and_does_not_consume_the_code(editor: Party, code: str, changed: dict[str, str], error: str) -> None:
    answer = editor.redeem(code, **changed)
    assert (answer.status_code, answer.json()["error"]) == (401 if error == "invalid_client" else 400, error)
    assert answer.json()["error_description"]
    assert editor.redeem(code).status_code == 200


def test_another_clients_code_is_refused_and_stays_good(editor: Party, code: str, register: Callable[..., dict[str, Any]]) -> None:
    stranger = register(redirect_uris=[LOOPBACK])
    assert editor.redeem(code, client_id=stranger["client_id"]).json()["error"] == "invalid_grant"
    assert editor.redeem(code).status_code == 200


def test_the_redirect_uri_may_be_left_out_because_pkce_binds_the_code(editor: Party, code: str) -> None:
    assert editor.token(grant_type="authorization_code", code=code, code_verifier=VERIFIER).status_code == 200


def test_an_expired_code_is_refused(editor: Party, code: str) -> None:
    AuthorizationCode.objects.update(expires=timezone.now())
    assert editor.redeem(code).json()["error"] == "invalid_grant"


def test_a_replay_by_the_right_client_with_the_right_verifier_ends_what_the_first_use_gave(editor: Party, code: str) -> None:
    token = editor.redeem(code).json()["access_token"]
    assert served(token)
    assert editor.redeem(code).json()["error"] == "invalid_grant"
    assert not served(token)
    assert "code was used again" in Grant.objects.get().revoked_reason


def test_a_replay_with_a_wrong_verifier_ends_nothing(editor: Party, code: str) -> None:
    token = editor.redeem(code).json()["access_token"]
    assert editor.redeem(code, code_verifier="w" * 43).json()["error"] == "invalid_grant"
    assert served(token)


def test_codes_are_stored_as_digests(code: str) -> None:
    row = AuthorizationCode.objects.get()
    assert code not in str(AuthorizationCode.objects.values().get()) and len(row.code) == 64


class TestClientAuthentication:
    @pytest.fixture
    def redeemable(self, demo: McpRoute, alice: Person, website: Party) -> dict[str, str]:
        code = alice.code(website.client, redirect_uri=WEB)
        return {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": WEB}

    def test_a_secret_in_the_body_or_in_the_header_is_accepted(self, http: Browser, website: Party, redeemable: dict[str, str]) -> None:
        assert post(http, redeemable, Authorization=basic(f"{website.client.client_id}:{website.secret}")).status_code == 200

    @pytest.mark.parametrize("registered", ["client_secret_basic", "client_secret_post"])
    @pytest.mark.parametrize("used", ["header", "body"])
    def test_either_way_of_sending_a_secret_will_do_whichever_is_registered(
        self, http: Browser, website: Party, redeemable: dict[str, str], registered: str, used: str
    ) -> None:
        Client.objects.update(token_endpoint_auth_method=registered)
        body = {"client_id": website.client.client_id, "client_secret": website.secret}
        headers = {"Authorization": basic(f"{website.client.client_id}:{website.secret}")} if used == "header" else {}
        assert post(http, redeemable | ({} if headers else body), **headers).status_code == 200

    def test_a_public_client_has_no_secret_to_prove_itself_by(self, demo: McpRoute, alice: Person, http: Browser, editor: Party) -> None:
        code = alice.code(editor.client)
        assert editor.redeem(code, client_secret="a secret of its own").status_code == 401
        assert editor.redeem(code).status_code == 200

    def test_a_public_client_may_name_itself_in_the_header_without_a_secret(
        self, demo: McpRoute, alice: Person, http: Browser, editor: Party
    ) -> None:
        """As Go's OAuth library does before it tries the body (RFC 6749 §2.3.1: an empty secret may be left out)."""
        form = {"grant_type": "authorization_code", "code": alice.code(editor.client), "code_verifier": VERIFIER}
        assert post(http, form, Authorization=basic(f"{editor.client.client_id}:x")).status_code == 401
        assert post(http, form, Authorization=basic(f"{editor.client.client_id}:")).status_code == 200

    def test_its_digest_is_moved_to_a_new_key_once_and_then_left_alone(
        self, http: Browser, website: Party, redeemable: dict[str, str], add_encryption_key: Callable[[], None]
    ) -> None:
        """Every token request of a popular client would else wait for its row."""
        body = {**redeemable, "client_id": website.client.client_id, "client_secret": website.secret}
        add_encryption_key()
        with CaptureQueriesContext(connection) as moving:
            first = post(http, body).json()
        with CaptureQueriesContext(connection) as following:
            assert website.refresh(first["refresh_token"]).status_code == 200
        written = [[query["sql"] for query in queries if '"client_secret" = ' in query["sql"]] for queries in (moving, following)]
        assert [len(statements) for statements in written] == [1, 0]

    def test_a_wrong_secret_is_a_401_with_the_basic_scheme(self, http: Browser, website: Party, redeemable: dict[str, str]) -> None:
        answer = post(http, redeemable, Authorization=basic(f"{website.client.client_id}:wrong"))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer["WWW-Authenticate"].startswith("Basic")
        assert post(http, redeemable, Authorization=basic(f"{website.client.client_id}:{website.secret}")).status_code == 200

    def test_no_secret_at_all_is_refused(self, http: Browser, website: Party, redeemable: dict[str, str]) -> None:
        assert post(http, {**redeemable, "client_id": website.client.client_id}).status_code == 401

    def test_a_secret_given_twice_is_refused(self, http: Browser, website: Party, redeemable: dict[str, str]) -> None:
        answer = post(
            http, {**redeemable, "client_secret": website.secret}, Authorization=basic(f"{website.client.client_id}:{website.secret}")
        )
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")

    def test_a_header_of_one_client_with_the_id_of_another_is_refused(
        self, http: Browser, website: Party, editor: Party, redeemable: dict[str, str]
    ) -> None:
        form = {**redeemable, "client_id": editor.client.client_id}
        assert post(http, form, Authorization=basic(f"{website.client.client_id}:{website.secret}")).status_code == 401

    @pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic " + b64encode(b"\xff\xfe").decode(), "Basic bm9jb2xvbg==", "Bearer x"])
    def test_an_unreadable_header_is_a_refusal_and_no_crash(
        self, http: Browser, website: Party, redeemable: dict[str, str], header: str
    ) -> None:
        answer = post(http, redeemable, Authorization=header)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    def test_a_client_switched_off_is_unknown(self, http: Browser, website: Party, redeemable: dict[str, str]) -> None:
        Client.objects.update(disabled_at=timezone.now())
        assert (
            post(http, redeemable, Authorization=basic(f"{website.client.client_id}:{website.secret}")).json()["error"] == "invalid_client"
        )


@pytest.mark.parametrize(
    ("body", "content_type", "error"),
    [
        ("", FORM, "invalid_request"),
        ("grant_type=password&username=a&password=b", FORM, "unsupported_grant_type"),
        ("grant_type=client_credentials", FORM, "unsupported_grant_type"),
        ("grant_type=implicit", FORM, "unsupported_grant_type"),
        ("grant_type=refresh_token&grant_type=refresh_token", FORM, "invalid_request"),
        ("grant_type=refresh_token", FORM, "invalid_request"),
        ("grant_type=refresh_token&refresh_token=x", FORM, "invalid_client"),
        ("grant_type=refresh_token&refresh_token=%00&client_id=a", FORM, "invalid_request"),
        ("grant_type=refresh_token&refresh_token=%ff&client_id=a", FORM, "invalid_request"),
        ("grant_type=refresh_token&client_id=" + "a" * 20_000, FORM, "invalid_request"),
        ("a" * 70_000, FORM, "invalid_request"),
        ("&".join(f"p{number}=1" for number in range(300)), FORM, "invalid_request"),
        ('{"grant_type": "refresh_token"}', "application/json", "invalid_request"),
        ("--x\r\n", "multipart/form-data; boundary=x", "invalid_request"),
    ],
)
def test_malformed_requests_get_the_standards_error(http: Browser, db: None, body: str, content_type: str, error: str) -> None:
    answer = http.post("/oauth/token", body, content_type=content_type)
    assert (answer.status_code, answer.json()["error"]) == (401 if error == "invalid_client" else 400, error)
    assert answer["Access-Control-Allow-Origin"] == "*" and answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
def test_parameters_in_the_url_are_refused(http: Browser, db: None, path: str) -> None:
    answer = http.post(f"{path}?grant_type=refresh_token&token=x", "", content_type=FORM)
    assert answer.json()["error"] == "invalid_request" and "URL" in answer.json()["error_description"]


class TestRevocation:
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_either_token_ends_the_grant(self, editor: Party, code: str, kind: str) -> None:
        answer = editor.redeem(code).json()
        assert editor.revoke(answer[kind]).status_code == 200
        assert not served(answer["access_token"])
        assert editor.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"

    def test_an_unknown_token_is_a_200_and_another_clients_token_stays_good(
        self, editor: Party, code: str, register: Callable[..., dict[str, Any]]
    ) -> None:
        answer = editor.redeem(code).json()
        assert editor.revoke("unknown").status_code == 200
        stranger = Party(editor.http, Client.objects.get(client_id=register(redirect_uris=[LOOPBACK])["client_id"]))
        assert stranger.revoke(answer["access_token"]).status_code == 200
        assert served(answer["access_token"])

    def test_an_unauthenticated_client_can_end_nothing(self, editor: Party, code: str) -> None:
        token = editor.redeem(code).json()["access_token"]
        answer = editor.post("/oauth/revoke", {"client_id": "unknown", "token": token})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert served(token)

    def test_the_token_is_required(self, editor: Party, db: None) -> None:
        assert editor.post("/oauth/revoke", {"client_id": editor.client.client_id}).json()["error"] == "invalid_request"


@pytest.mark.parametrize("path", ["/token", "/oauth/token/"])
def test_the_endpoint_has_its_old_names(editor: Party, code: str, path: str) -> None:
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "client_id": editor.client.client_id}
    assert editor.post(path, form).status_code == 200

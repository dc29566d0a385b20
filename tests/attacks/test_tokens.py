"""Codes, tokens and the clients that present them (RFC 6749 §10, RFC 7636, RFC 8707, RFC 9700 §2 and §4)."""

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw import principals, tokens
from oauthgw.journal.recorder import Caller, caller
from oauthgw.models import AccessToken, AuthorizationCode, Client, Grant, RefreshToken
from tests.unit.conftest import LOOPBACK, ORIGIN, VERIFIER, Party, Person
from tests.unit.posting import basic, post

WEB = "https://app.example.com/cb"
RESOURCE = f"{ORIGIN}/mcp/demo"


def challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def answer(demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> dict[str, Any]:
    return dict(editor.redeem(alice.code(editor.client)).json())


class TestCodes:
    def test_a_verifier_that_breaks_the_grammar_is_refused_at_the_first_use(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 7636 §4.1: 43 to 128 characters."""
        code = alice.code(editor.client, code_challenge=challenge("short"))
        assert editor.redeem(code, code_verifier="short").status_code == 400
        assert not Grant.objects.exists()

    @pytest.mark.parametrize(
        "extra",
        [{"code_challenge": "x" * 43}, {"code_challenge_method": "plain"}, {"code_challenge_method": "plain", "code_challenge": VERIFIER}],
    )
    def test_pkce_cannot_be_changed_at_the_token_endpoint(
        self, demo: McpRoute, alice: Person, editor: Party, extra: dict[str, str]
    ) -> None:
        code = alice.code(editor.client)
        stored = AuthorizationCode.objects.get().code_challenge
        assert editor.redeem(code, code_verifier=str(stored), **extra).status_code == 400
        assert editor.redeem(code).status_code == 200

    def test_a_code_cannot_be_used_as_a_refresh_token_nor_the_other_way_round(self, editor: Party, answer: dict[str, Any]) -> None:
        assert editor.redeem(answer["refresh_token"]).status_code == 400
        assert editor.refresh(answer["access_token"]).status_code == 400
        assert editor.refresh(answer["refresh_token"]).status_code == 200

    def test_the_stored_digest_is_no_code(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        alice.code(editor.client)
        assert editor.redeem(AuthorizationCode.objects.get().code).status_code == 400

    def test_a_code_is_no_bearer_token(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        assert principals.resolve_now(alice.code(editor.client), demo.pk) is None

    def test_a_parameter_without_a_value_is_as_if_it_were_not_there(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 6749 §3.2."""
        code = alice.code(editor.client)
        assert editor.redeem(code, redirect_uri="", client_secret="", scope="", resource="").status_code == 200


class TestResources:
    @pytest.mark.parametrize("order", [(RESOURCE, f"{RESOURCE}-admin"), (f"{RESOURCE}-admin", RESOURCE)])
    def test_two_different_resources_are_refused_in_either_order(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party, order: tuple[str, str]
    ) -> None:
        """RFC 8707 §2: `invalid_target`, also where a parser keeps only the last; one value repeated is one."""
        form = [
            ("grant_type", "authorization_code"),
            ("code", alice.code(editor.client)),
            ("code_verifier", VERIFIER),
            ("client_id", editor.client.client_id),
        ]
        wrong = post(editor.http, [*form, *(("resource", value) for value in order)])
        assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_target")
        assert post(editor.http, [*form, ("resource", RESOURCE), ("resource", f"{RESOURCE}/")]).status_code == 200

    @pytest.mark.parametrize(
        "resource",
        [
            f"{RESOURCE}-admin",
            f"{RESOURCE}/x",
            f"{RESOURCE}//",
            f"{RESOURCE}/../demo-admin",
            f"{RESOURCE}%2d",
            f"{RESOURCE}?x",
            f"{RESOURCE}#x",
            "http://localhost:9000@evil.example/mcp/demo",
            "http://evil.example/mcp/demo",
            "//localhost:9000/mcp/demo",
            "/mcp/demo",
            "javascript:x",
            "http://localhost:9001/mcp/demo",
            "http://[::1/mcp/demo",
            "http://localhost:99999/mcp/demo",
            "x" * 3000,
            "http://localhost:9000\\mcp\\demo",
        ],
    )
    def test_a_resource_that_is_not_the_tokens_own_is_refused_and_consumes_nothing(
        self, editor: Party, answer: dict[str, Any], resource: str
    ) -> None:
        refused = editor.refresh(answer["refresh_token"], resource=resource)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
        assert RefreshToken.objects.filter(spent_at=None).count() == 1

    @pytest.mark.parametrize("resource", [f"{RESOURCE}/", "HTTP://LOCALHOST:9000/mcp/demo", ORIGIN, f"{ORIGIN}/"])
    def test_another_spelling_of_it_is_accepted(self, editor: Party, answer: dict[str, Any], resource: str) -> None:
        assert editor.refresh(answer["refresh_token"], resource=resource).status_code == 200


class TestClients:
    @pytest.fixture
    def form(self, demo: McpRoute, alice: Person, website: Party) -> dict[str, str]:
        code = alice.code(website.client, redirect_uri=WEB)
        return {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": WEB}

    @pytest.mark.parametrize("secret", ["", " ", "wrong", "%00"])
    def test_a_confidential_client_is_none_without_its_secret(
        self, http: Browser, website: Party, form: dict[str, str], secret: str
    ) -> None:
        identified = {**form, "client_id": website.client.client_id}
        assert post(http, {**identified, "client_secret": secret}).status_code == 401
        assert post(http, form, Authorization=basic(f"{website.client.client_id}:{secret}")).status_code == 401
        device = post(http, {**identified, "grant_type": "urn:ietf:params:oauth:grant-type:device_code"})
        assert (device.status_code, device.json()["error"]) == (400, "unsupported_grant_type")
        assert post(http, {**identified, "client_secret": website.secret}).status_code == 200

    def test_the_stored_secret_is_no_secret(self, http: Browser, website: Party, form: dict[str, str]) -> None:
        stored = Client.objects.get(pk=website.client.pk).client_secret
        assert website.secret not in stored
        assert post(http, form, Authorization=basic(f"{website.client.client_id}:{stored}")).status_code == 401

    @pytest.mark.parametrize("secret", ["x", "None", "null", "undefined"])
    def test_a_public_client_that_claims_a_secret_is_refused(self, demo: McpRoute, alice: Person, editor: Party, secret: str) -> None:
        code = alice.code(editor.client)
        assert editor.redeem(code, client_secret=secret).status_code == 401
        assert editor.redeem(code).status_code == 200

    def test_a_public_client_cannot_redeem_what_a_confidential_one_was_given(
        self, http: Browser, website: Party, editor: Party, form: dict[str, str]
    ) -> None:
        assert post(http, {**form, "client_id": editor.client.client_id}).json()["error"] == "invalid_grant"

    @pytest.mark.parametrize("name", ["grant_type", "code", "code_verifier", "client_id", "redirect_uri", "client_secret"])
    def test_a_repeated_parameter_is_refused_even_with_the_same_value(
        self, http: Browser, website: Party, form: dict[str, str], name: str
    ) -> None:
        pairs = {**form, "client_id": website.client.client_id, "client_secret": website.secret}
        assert post(http, [*pairs.items(), (name, pairs[name])]).json()["error"] == "invalid_request"
        assert post(http, pairs).status_code == 200

    def test_two_authorization_headers_are_refused(self, http: Browser, website: Party, form: dict[str, str]) -> None:
        """Servers join repeated headers with a comma."""
        good = basic(f"{website.client.client_id}:{website.secret}")
        assert post(http, form, Authorization=f"{good},{good}").status_code == 400
        assert post(http, form, Authorization=f"{good}, Bearer x").status_code == 400
        assert post(http, form, Authorization=good).status_code == 200

    def test_an_assertion_is_no_way_round_the_secret(self, http: Browser, website: Party, form: dict[str, str]) -> None:
        assertion = {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": "eyJhbGciOiJub25lIn0.e30.",
        }
        assert post(http, {**form, **assertion, "client_id": website.client.client_id}).status_code == 401

    def test_nobody_but_its_client_revokes_a_token(self, http: Browser, editor: Party, website: Party, answer: dict[str, Any]) -> None:
        for form in ({"client_id": website.client.client_id, "client_secret": website.secret}, {"client_id": "x"}, {}):
            post(http, {**form, "token": answer["refresh_token"]}, "/oauth/revoke")
        assert editor.refresh(answer["refresh_token"]).status_code == 200

    @pytest.mark.parametrize("hint", ["access_token", "refresh_token", "urn:x", "x" * 500])
    def test_a_wrong_hint_does_not_save_a_token(self, editor: Party, answer: dict[str, Any], hint: str) -> None:
        """RFC 7009 §2.1: a hint is a hint."""
        editor.post("/oauth/revoke", {"client_id": editor.client.client_id, "token": answer["access_token"], "token_type_hint": hint})
        assert editor.refresh(answer["refresh_token"]).status_code == 400


class TestRefreshTokens:
    def test_the_next_token_is_not_a_function_of_the_last_and_of_what_is_stored_in_clear(
        self, editor: Party, answer: dict[str, Any]
    ) -> None:
        """Whoever reads the database and holds token n must not be able to make n+1 (rule 1: HMAC under a server key)."""
        following = editor.refresh(answer["refresh_token"]).json()["refresh_token"]
        row = RefreshToken.objects.get(generation=1)
        for key in (row.nonce, row.key_id, ""):
            for message in (answer["refresh_token"], f"{row.nonce}.{answer['refresh_token']}", row.nonce):
                made = hmac.digest(key.encode(), message.encode(), "sha256")
                assert tokens.REFRESH_PREFIX + urlsafe_b64encode(made).rstrip(b"=").decode() != following

    def test_the_stored_digests_are_no_tokens(self, editor: Party, answer: dict[str, Any]) -> None:
        row = RefreshToken.objects.get()
        for value in (row.token_checksum, row.token, f"{tokens.REFRESH_PREFIX}{row.token_checksum}", ""):
            assert editor.refresh(str(value or "-")).status_code == 400
        access = AccessToken.objects.get()
        for value in (access.token_checksum, access.token, ""):
            assert principals.resolve_now(str(value), Grant.objects.get().resource_id) is None

    @pytest.mark.parametrize("scope", ["admin", "mcp:tools admin", "oauth2_provider:registration", "*", "mcp:tools " * 900])
    def test_no_scope_grows_at_a_refresh(self, editor: Party, answer: dict[str, Any], scope: str) -> None:
        assert editor.refresh(answer["refresh_token"], scope=scope).json()["scope"] == "mcp:tools"
        assert set(AccessToken.objects.values_list("scope", flat=True)) == {"mcp:tools"}

    def test_a_grant_that_was_revoked_does_not_come_back_by_any_of_its_tokens(self, editor: Party, answer: dict[str, Any]) -> None:
        second = editor.refresh(answer["refresh_token"]).json()
        tokens.revoke(Grant.objects.get(), "test")
        for value in (answer["refresh_token"], second["refresh_token"]):
            assert editor.refresh(value).status_code == 400
        assert principals.resolve_now(second["access_token"], Grant.objects.get().resource_id) is None

    @pytest.mark.parametrize(
        "value", ["mcprt_", "mcprt_" + "A" * 43, "mcpat_" + "A" * 51, "\U0001f600" * 50, "' OR 1=1 --", "%", "x" * 15_000]
    )
    def test_a_made_up_token_is_unknown(self, editor: Party, answer: dict[str, Any], value: str) -> None:
        assert editor.refresh(value).json()["error"] == "invalid_grant"
        assert editor.revoke(value).status_code == 200
        assert editor.refresh(answer["refresh_token"]).status_code == 200


class TestAnswers:
    @pytest.mark.parametrize(
        "path", ["/oauth/token", "/oauth/revoke", "/oauth/register", "/oauth/nope", "/.well-known/nope", "/oauth/jwks"]
    )
    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
    def test_every_answer_to_a_machine_has_cors_and_errors_are_never_stored(self, http: Browser, db: None, path: str, method: str) -> None:
        answer = http.generic(method, path)
        assert answer["Access-Control-Allow-Origin"] == "*" and "Access-Control-Allow-Credentials" not in answer
        assert answer.status_code < 400 or answer["Cache-Control"] == "no-store"

    def test_a_refusal_repeats_nothing_it_was_given(self, editor: Party, demo: McpRoute) -> None:
        secrets = {
            "code": "code-in-clear",
            "refresh_token": "refresh-in-clear",
            "client_secret": "secret-in-clear",
            "code_verifier": "verifier-in-clear",
        }
        for grant_type in ("authorization_code", "refresh_token", "password", "<script>"):
            answer = editor.token(grant_type=grant_type, **secrets)
            assert "in-clear" not in answer.content.decode() and "<script>" not in answer.content.decode()

    @pytest.mark.parametrize("changed", [{"resource": f'{ORIGIN}/mcp/"x'}, {"resource": "\u00e9"}, {"d\u00e9j\u00e0": "x" * 17_000}])
    def test_an_error_description_keeps_to_its_characters(
        self, demo: McpRoute, alice: Person, editor: Party, changed: dict[str, str]
    ) -> None:
        """RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E, so no quotation mark, no backslash, nothing beyond ASCII."""
        answer = editor.redeem(alice.code(editor.client), **changed)
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", answer.json()["error_description"])

    def test_a_link_local_address_can_register(self, http: Browser, db: None) -> None:
        """Its peer address carries a zone (`fe80::1%eth0`), which not every column type takes."""
        token = caller.set(Caller("r", "fe80::1%eth0"))
        try:
            answer = http.post("/oauth/register", {"redirect_uris": [LOOPBACK]}, content_type="application/json")
        finally:
            caller.reset(token)
        assert answer.status_code == 201, connection.vendor


def test_a_client_registered_twice_is_two_clients(register: Callable[..., dict[str, Any]]) -> None:
    first, second = register(redirect_uris=[WEB]), register(redirect_uris=[WEB])
    assert first["client_id"] != second["client_id"]

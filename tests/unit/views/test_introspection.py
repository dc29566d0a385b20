"""Introspection (RFC 7662): who may ask what a token is good for, and what is answered."""

import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.models import AccessToken, Client, Grant, RefreshToken
from tests.unit.conftest import ORIGIN, Party, Person, SigningParty

FORM = "application/x-www-form-urlencoded"
Issued = dict[str, Any]


@pytest.fixture
def watcher(website: Party) -> Party:
    """A confidential client that an operator lets introspect."""
    Client.objects.filter(pk=website.client.pk).update(may_introspect=True)
    return website


@pytest.fixture
def issued(demo: McpRoute, alice: Person, editor: Party) -> Issued:
    """Somebody else's tokens."""
    return dict(editor.redeem(alice.code(editor.client)).json())


def ask(party: Party, token: str, **form: str) -> Any:
    credentials = {"client_id": party.client.client_id, **({"client_secret": party.secret} if party.secret else {})}
    return party.post("/oauth/introspect", {**credentials, "token": token, **form})


def told(party: Party, token: str, **form: str) -> dict[str, Any]:
    answer = ask(party, token, **form)
    assert answer.status_code == 200, answer.content
    assert answer["Cache-Control"] == "no-store" and answer["Access-Control-Allow-Origin"] == "*"
    return dict(answer.json())


def test_an_access_token_is_told_with_all_that_a_resource_server_needs(watcher: Party, editor: Party, issued: Issued) -> None:
    answer = told(watcher, issued["access_token"])
    assert abs(answer.pop("exp") - time.time() - 900) < 60 and abs(answer.pop("iat") - time.time()) < 60
    assert answer == {
        "active": True,
        "scope": "mcp:tools",
        "client_id": editor.client.client_id,
        "username": "alice@example.com",
        "token_type": "Bearer",
        "sub": "user_alice",
        "aud": f"{ORIGIN}/mcp/demo",
        "iss": f"{ORIGIN}/mcp/demo",
    }


def test_a_refresh_token_is_told_and_is_no_bearer_token(watcher: Party, issued: Issued) -> None:
    answer = told(watcher, issued["refresh_token"])
    assert answer["active"] is True and answer["token_type"] == "N_A"
    assert answer["exp"] > time.time() + 24 * 3600
    assert {"scope", "client_id", "username", "sub", "aud", "iss", "iat"} <= answer.keys()


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unheard_of"])
def test_a_hint_may_be_wrong(watcher: Party, issued: Issued, hint: str) -> None:
    for kind in ("access_token", "refresh_token"):
        assert told(watcher, issued[kind], token_type_hint=hint)["active"] is True


def test_a_local_account_has_its_name_for_both(watcher: Party, issued: Issued) -> None:
    user = User.objects.get(username="user_alice")
    User.objects.filter(pk=user.pk).update(email="")
    user.identity.delete()
    answer = told(watcher, issued["access_token"])
    assert (answer["username"], answer["sub"]) == ("user_alice", "user_alice")


ENDS: dict[str, Callable[[], object]] = {
    "revoked": lambda: Grant.objects.update(revoked_at=timezone.now()),
    "too old": lambda: Grant.objects.update(expires_at=timezone.now()),
    "client off": lambda: Client.objects.filter(name="Editor").update(disabled_at=timezone.now()),
    "user off": lambda: User.objects.update(is_active=False),
    "route off": lambda: McpRoute.objects.update(enabled=False),
    "route gone": lambda: McpRoute.objects.all().delete(),
    "expired": lambda: (AccessToken.objects.update(expires=timezone.now()), RefreshToken.objects.update(expires_at=timezone.now())),
    "client gone": lambda: Client.objects.filter(name="Editor").delete(),
}


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("end", ENDS)
def test_of_what_ended_nothing_is_told_but_that(watcher: Party, issued: Issued, kind: str, end: str) -> None:
    assert told(watcher, issued[kind])["active"] is True
    ENDS[end]()
    assert told(watcher, issued[kind]) == {"active": False}


def test_a_client_that_waits_for_approval_has_no_active_token(settings: Any, watcher: Party, issued: Issued) -> None:
    Client.objects.filter(pk=watcher.client.pk).update(approved_at=timezone.now())
    settings.GATEWAY = replace(settings.GATEWAY, client_registration="approval")
    assert told(watcher, issued["access_token"]) == {"active": False}


@pytest.mark.parametrize("token", ["unknown", "mcpat_", "mcprt_", "mcprg_" + "a" * 43, "x" * 5000, "ä"])
def test_an_unknown_token_is_inactive(watcher: Party, issued: Issued, token: str) -> None:
    assert told(watcher, token) == {"active": False}


def test_a_code_a_secret_and_a_registration_token_are_no_tokens(
    demo: McpRoute, alice: Person, watcher: Party, editor: Party, register: Callable[..., dict[str, Any]]
) -> None:
    registration = register(redirect_uris=["http://127.0.0.1/cb"])["registration_access_token"]
    for value in (alice.code(editor.client), watcher.secret, registration):
        assert told(watcher, value) == {"active": False}


def test_a_spent_refresh_token_is_inactive_and_its_successor_is_not(watcher: Party, editor: Party, issued: Issued) -> None:
    following = editor.refresh(issued["refresh_token"]).json()
    assert told(watcher, issued["refresh_token"]) == {"active": False}
    assert told(watcher, following["refresh_token"])["active"] is True


def test_to_be_asked_about_is_not_to_be_used(demo: McpRoute, watcher: Party, editor: Party, issued: Issued) -> None:
    """Else a lost answer would not be forgiven any more (rule 2 of refreshing)."""
    told(watcher, issued["access_token"])
    assert AccessToken.objects.get().accepted_at is None
    told(watcher, issued["refresh_token"])
    assert RefreshToken.objects.get().spent_at is None
    assert principals.resolve_now(issued["access_token"], demo.pk) is not None
    assert AccessToken.objects.get().accepted_at is not None, "at /mcp it is"


class TestWhoMayAsk:
    def test_a_client_without_the_mark_is_refused_and_told_nothing(self, website: Party, issued: Issued) -> None:
        answer = ask(website, issued["access_token"])
        assert (answer.status_code, answer.json()["error"]) == (403, "unauthorized_client")
        assert "active" not in answer.json() and answer["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize("secret", ["", "wrong"])
    def test_without_the_right_secret_there_is_a_401(self, watcher: Party, issued: Issued, secret: str) -> None:
        answer = ask(Party(watcher.http, watcher.client, secret), issued["access_token"])
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer["WWW-Authenticate"].startswith("Basic")

    def test_a_public_client_cannot_prove_itself_mark_or_not(self, http: Browser, editor: Party, issued: Issued) -> None:
        Client.objects.update(may_introspect=True)
        assert ask(editor, issued["access_token"]).status_code == 401
        basic = "Basic " + b64encode(f"{editor.client.client_id}:".encode()).decode()
        form = urlencode({"token": issued["access_token"]})
        assert http.post("/oauth/introspect", form, content_type=FORM, headers={"Authorization": basic}).status_code == 401

    def test_nobody_at_all_is_a_401(self, watcher: Party, issued: Issued) -> None:
        assert watcher.post("/oauth/introspect", {"token": issued["access_token"]}).status_code == 401

    def test_a_bearer_token_is_no_credential_here(self, http: Browser, watcher: Party, issued: Issued) -> None:
        headers = {"Authorization": f"Bearer {issued['access_token']}"}
        form = urlencode({"token": issued["access_token"]})
        assert http.post("/oauth/introspect", form, content_type=FORM, headers=headers).status_code == 401

    @pytest.mark.parametrize("change", [{"disabled_at": "now"}, {"may_introspect": False}], ids=["switched off", "mark taken back"])
    def test_the_mark_and_the_client_can_be_taken_back(self, watcher: Party, issued: Issued, change: dict[str, Any]) -> None:
        assert told(watcher, issued["access_token"])["active"] is True
        Client.objects.filter(pk=watcher.client.pk).update(
            **{name: timezone.now() - timedelta(1) if value == "now" else value for name, value in change.items()}
        )
        assert ask(watcher, issued["access_token"]).status_code in (401, 403)

    def test_a_secret_in_the_header_and_an_assertion_prove_a_client_too(
        self, http: Browser, watcher: Party, chatbot: SigningParty, issued: Issued
    ) -> None:
        Client.objects.update(may_introspect=True)
        basic = "Basic " + b64encode(f"{watcher.client.client_id}:{watcher.secret}".encode()).decode()
        form = {"token": issued["access_token"]}
        answer = http.post("/oauth/introspect", urlencode(form), content_type=FORM, headers={"Authorization": basic})
        assert answer.json()["active"] is True
        signed = form | chatbot.signer.form(chatbot.client.client_id, f"{ORIGIN}/oauth/introspect")
        assert chatbot.post("/oauth/introspect", signed).json()["active"] is True
        assert chatbot.post("/oauth/introspect", signed).status_code == 401, "once"

    def test_the_rules_for_parameters_are_those_of_the_token_endpoint(self, http: Browser, watcher: Party, issued: Issued) -> None:
        client = {"client_id": watcher.client.client_id, "client_secret": watcher.secret}
        for path, body in (
            (f"/oauth/introspect?token={issued['access_token']}", urlencode(client)),
            ("/oauth/introspect", urlencode(client)),
            ("/oauth/introspect", urlencode(client) + "&token=a&token=b"),
        ):
            answer = http.post(path, body, content_type=FORM)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert http.get("/oauth/introspect").status_code == 405

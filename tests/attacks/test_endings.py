"""What was ended stays ended, whatever was under way at that moment (RFC 9700 §4.14, RFC 7009 §2)."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw import consent, principals, tokens
from oauthgw.ending import end_grants
from oauthgw.guard.conf import WorkOS
from oauthgw.guard.secret import Secret
from oauthgw.models import Client, Consent, Grant
from tests.unit.conftest import HOST, LOOPBACK, Party, Person, sent_to_client

WEBSITE = "https://app.example.com/cb"
OTHER_HOST = "https://other.example.com/cb"


def in_a_thread(act: Callable[[], Any]) -> threading.Thread:
    """Runs on a connection of its own, as far as it gets while ours is in its transaction."""

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(1)  # it has done its work by then, or waits for a lock of ours
    return thread


@pytest.fixture
def operator(db: None) -> Browser:
    browser = Browser(HTTP_HOST=HOST)
    browser.force_login(User.objects.create_superuser("operator", password="x" * 20))
    return browser


def test_a_code_on_its_way_ends_with_all_connections_of_its_user(operator: Browser, demo: McpRoute, alice: Person, editor: Party) -> None:
    code = alice.code(editor.client)
    form = {"action": "revoke_connections", "_selected_action": [alice.user.pk], "confirmed": "yes"}
    assert operator.post("/admin/auth/user/", form).status_code == 302
    assert editor.redeem(code).json()["error"] == "invalid_grant"
    assert not Grant.objects.live().exists()


def test_a_code_given_after_that_counts(operator: Browser, demo: McpRoute, alice: Person, editor: Party) -> None:
    end_grants("The user asked for it.", user_id=alice.user.pk)
    assert editor.redeem(alice.code(editor.client)).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_standing_consent_is_locked_while_a_code_is_given_for_it(
    transactional_db: None, demo: McpRoute, alice: Person, website: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.decide(alice.open(website.client, redirect_uri=WEBSITE))
    covers, withdrawing = consent._covers, []

    def covers_and_then(*args: Any) -> bool:
        covered = covers(*args)
        withdrawing.append(in_a_thread(lambda: consent.withdraw(Consent.objects.get(), "The user withdrew it.")))
        return covered

    monkeypatch.setattr(consent, "_covers", covers_and_then)
    code = sent_to_client(alice.open(website.client, redirect_uri=WEBSITE))["code"]
    for thread in withdrawing:
        thread.join(30)
    assert website.redeem(code, redirect_uri=WEBSITE).status_code == 400
    assert not Grant.objects.live().exists()


@pytest.mark.django_db(transaction=True)
def test_an_approval_does_not_bring_back_what_was_withdrawn_meanwhile(
    transactional_db: None, demo: McpRoute, alice: Person, register: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client.objects.get(client_id=register(redirect_uris=[WEBSITE, OTHER_HOST])["client_id"])
    alice.decide(alice.open(client, redirect_uri=OTHER_HOST))
    page, digest = alice.open(client, redirect_uri=WEBSITE), consent.digest
    withdrawing: list[threading.Thread] = []

    def withdrawn_meanwhile(*args: Any) -> str:
        if not withdrawing:
            withdrawing.append(in_a_thread(lambda: consent.withdraw(Consent.objects.get(), "The user withdrew it.")))
        return digest(*args)

    monkeypatch.setattr(consent, "digest", withdrawn_meanwhile)
    alice.decide(page)
    for thread in withdrawing:
        thread.join(30)
    kept = Consent.objects.get()
    assert kept.withdrawn_at is not None or kept.shown_hosts == ["app.example.com"]


@pytest.mark.django_db(transaction=True)
def test_a_redemption_under_way_ends_with_the_rest(
    transactional_db: None, demo: McpRoute, alice: Person, editor: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, mint, ending = alice.code(editor.client), tokens.mint, []

    def mint_and_then(*args: Any, **options: Any) -> tokens.Issued:
        issued = mint(*args, **options)
        ending.append(in_a_thread(lambda: end_grants("The user asked for it.", user_id=alice.user.pk)))
        return issued

    monkeypatch.setattr(tokens, "mint", mint_and_then)
    assert editor.redeem(code).status_code == 200
    for thread in ending:
        thread.join(30)
    assert not Grant.objects.live().exists()


def test_what_a_demo_user_was_given_ends_where_there_are_none(demo: McpRoute, editor: Party, settings: Any, db: None) -> None:
    settings.GATEWAY = replace(settings.GATEWAY, debug=True, origin="", workos=WorkOS())
    browser = Browser(HTTP_HOST=HOST, REMOTE_ADDR="127.0.0.1")
    browser.post("/oauth/dev-login", {"user": "user", "next": "/"})
    demo_user = Person(User.objects.get(username="demo-user"), browser)
    code, given = demo_user.code(editor.client), editor.redeem(demo_user.code(editor.client)).json()
    assert principals.resolve_now(given["access_token"], demo.pk) is not None

    settings.GATEWAY = replace(settings.GATEWAY, workos=WorkOS("client_1", Secret("sk_1")))
    assert principals.resolve_now(given["access_token"], demo.pk) is None
    assert editor.refresh(given["refresh_token"]).status_code == 400
    assert editor.redeem(code, redirect_uri=LOOPBACK).status_code == 400

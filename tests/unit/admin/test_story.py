"""A connection's page tells what happened to it, in order and in words."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import consent, story, tokens
from oauthgw.clients import decisions
from oauthgw.journal.models import Event
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import AccessToken, Client, Consent, Grant, RefreshToken
from tests.unit.admin.conftest import Operator, Scene


def said(grant: Grant) -> list[str]:
    return [line.says for line in story.told(Grant.objects.get(pk=grant.pk))]


def ending(grant: Grant) -> str:
    return story.ending(Grant.objects.get(pk=grant.pk))


def test_a_life_from_the_consent_to_the_end(scene: Scene, operator: Operator) -> None:
    consent.withdraw(scene.consent, "An operator withdrew the consent.", operator.user)
    assert said(scene.grant)[-4:] == [
        "The app redeemed its code: the connection began.",
        "The app refreshed its tokens.",
        "The consent was withdrawn: An operator withdrew the consent. (by root)",
        "The connection was ended: An operator withdrew the consent. (by root)",
    ]
    assert "An operator withdrew the consent." in ending(scene.grant)
    assert ending(scene.grant).endswith("The user can connect again from the app.")


def test_refreshes_in_a_row_are_one_line(scene: Scene) -> None:
    for _ in range(200):
        record(Kind.GRANT_REFRESHED, user=scene.alice, client_id=scene.client.client_id, grant_id=scene.grant.pk)
    record(Kind.REFRESH_FORGIVEN, user=scene.alice, client_id=scene.client.client_id, grant_id=scene.grant.pk)
    record(Kind.GRANT_REFRESHED, user=scene.alice, client_id=scene.client.client_id, grant_id=scene.grant.pk)
    refreshes = [line for line in story.told(scene.grant) if line.says == "The app refreshed its tokens."]
    assert [line.times for line in refreshes] == [201, 1]
    assert refreshes[0].until is not None and refreshes[0].until >= refreshes[0].at


def test_a_stolen_token_is_named(scene: Scene) -> None:
    record(Kind.REFRESH_REUSED, user=scene.alice, client_id=scene.client.client_id, grant_id=scene.grant.pk)
    tokens.revoke(scene.grant, "A spent refresh token was used again.")
    assert said(scene.grant)[-2:] == [
        "A refresh token that was spent before was used again, which happens when it was copied.",
        "The connection was ended: A spent refresh token was used again.",
    ]


def test_what_happens_to_the_app_and_to_the_user_belongs_to_it(scene: Scene, operator: Operator) -> None:
    decisions.disable(Client.objects.filter(pk=scene.client.pk), operator.user)
    operator.act("auth/user/", "shut_out", scene.alice.pk)
    text = " ".join(said(scene.grant))
    assert "The app was disabled: its tokens stopped working" in text
    assert "The user was shut out: their tokens stopped working" in text


def test_what_happens_to_others_does_not(scene: Scene) -> None:
    bob = User.objects.create_user("user_bob")
    for kind in (Kind.CONSENT_WITHDRAWN, Kind.SIGN_IN_LOOP):
        record(kind, user=bob, client_id=scene.client.client_id)
    record(Kind.USER_DEACTIVATED, user=bob)
    record(Kind.GRANT_REVOKED, user=scene.alice, client_id=scene.client.client_id, grant_id=scene.grant.pk + 1)
    record(Kind.CLIENT_DISABLED, client_id="another")
    record(Kind.CONSENT_WITHDRAWN, user=scene.alice, client_id=scene.client.client_id, resource="https://mcp.example.com/mcp/other")
    assert len(story.told(scene.grant)) == Event.objects.filter(grant_id=scene.grant.pk).count()


def test_what_happened_long_before_or_after_does_not(scene: Scene) -> None:
    record(Kind.CLIENT_DISABLED, client_id=scene.client.client_id, reason="years ago")
    Event.objects.filter(reason="years ago").update(at=timezone.now() - timedelta(days=300))
    tokens.revoke(scene.grant, "The user revoked it.")
    record(Kind.CLIENT_ENABLED, client_id=scene.client.client_id, reason="much later")
    Event.objects.filter(reason="much later").update(at=timezone.now() + timedelta(days=3))
    text = " ".join(said(scene.grant))
    assert "years ago" not in text and "much later" not in text


def past(**fields: Any) -> Callable[[Grant], Any]:
    return lambda grant: Grant.objects.filter(pk=grant.pk).update(**{name: timezone.now() - timedelta(days=1) for name in fields})


ENDINGS: dict[str, tuple[Callable[[Grant], Any], str]] = {
    "in use": (lambda grant: None, "It is in use: its access token is good."),
    "at rest": (lambda grant: AccessToken.objects.update(expires=timezone.now()), "It is at rest"),
    "revoked": (lambda grant: tokens.revoke(grant, "The user revoked it."), "The user revoked it. The user can connect again"),
    "too old": (past(expires_at=None), "at its greatest age (GRANT_MAX_AGE_DAYS)"),
    "not refreshed": (lambda grant: RefreshToken.objects.update(expires_at=timezone.now()), "had not refreshed for as long"),
    "no refresh token": (
        lambda grant: (AccessToken.objects.update(expires=timezone.now()), RefreshToken.objects.all().delete()),
        "it had no refresh token",
    ),
    "the app is disabled": (lambda grant: Client.objects.update(disabled_at=timezone.now()), "the app is disabled. Enable it"),
    "the user is shut out": (lambda grant: User.objects.update(is_active=False), "the user is shut out. Let them in"),
    "the route is off": (lambda grant: McpRoute.objects.update(enabled=False), "its route is switched off"),
}


@pytest.mark.parametrize(("change", "expected"), ENDINGS.values(), ids=ENDINGS)
def test_how_it_stands_is_told_in_words(scene: Scene, change: Callable[[Grant], Any], expected: str) -> None:
    change(scene.grant)
    assert expected in ending(scene.grant)


def test_an_app_that_waits_for_approval(scene: Scene, settings: Any) -> None:
    from dataclasses import replace

    settings.GATEWAY = replace(settings.GATEWAY, client_registration="approval")
    assert "waits for an operator's approval" in ending(scene.grant)


def test_the_page_tells_it_and_shows_no_secret(scene: Scene, operator: Operator) -> None:
    text = operator.text(f"oauthgw/grant/{scene.grant.pk}/change/")
    for words in ("It is in use: its access token is good.", "The app redeemed its code: the connection began.", "access token", "Revoke…"):
        assert words in text
    assert not [secret for secret in scene.secrets if secret in text]


def test_it_leads_from_the_request_of_an_error_page_to_the_connection(scene: Scene, operator: Operator) -> None:
    Event.objects.filter(grant_id=scene.grant.pk).update(request_id="req-4711")
    found = operator.page("journal/event/", q="req-4711").context["cl"].queryset
    assert {event.grant_id for event in found} == {scene.grant.pk}
    assert operator.page("oauthgw/grant/", q=f"#{scene.grant.pk}").context["cl"].result_count == 1


def test_the_button_on_the_page_asks_as_the_list_does(scene: Scene, operator: Operator) -> None:
    asked = operator.act("oauthgw/grant/", "revoke", scene.grant.pk, confirmed=False)
    assert "Revoke these connections?" in asked.content.decode()
    operator.act("oauthgw/grant/", "revoke", scene.grant.pk)
    assert Grant.objects.get().revoked_reason == "An operator revoked it."
    assert Consent.objects.get().withdrawn_at is None

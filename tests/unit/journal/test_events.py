""" "Why was I logged out?": every event of a grant's life is a row, with whose it was, from where and in which request; never a secret."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mcp_routes import removal
from mcp_routes.models import McpRoute
from oauthgw import consent, tokens
from oauthgw.journal.models import Event
from oauthgw.journal.recorder import Caller, Kind, caller
from oauthgw.models import AuthorizationCode, Client, Consent, Grant, RefreshToken
from tests.unit.conftest import ORIGIN, VERIFIER, Party, Person
from tests.unit.tokens.conftest import ok, refused

RESOURCE = f"{ORIGIN}/mcp/demo"


@pytest.fixture(autouse=True)
def request_at_hand() -> Iterator[None]:
    """What the dispatcher notes of each request."""
    before = caller.set(Caller("request-7", "198.51.100.7"))
    yield
    caller.reset(before)


@pytest.fixture
def connected(demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> dict[str, Any]:
    """Alice's editor, connected; its first answer."""
    return ok(editor.redeem(alice.code(editor.client)))


def kinds() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def only(kind: Kind) -> Event:
    return Event.objects.get(kind=kind)


def spent_twice(editor: Party, first: dict[str, Any]) -> None:
    ok(editor.refresh(ok(editor.refresh(first["refresh_token"]))["refresh_token"]))
    assert refused(editor.refresh(first["refresh_token"]))


def test_a_whole_life_is_told_in_order(connected: dict[str, Any], alice: Person, editor: Party) -> None:
    second = ok(editor.refresh(connected["refresh_token"]))
    ok(editor.refresh(connected["refresh_token"]))
    editor.revoke(second["access_token"])
    assert kinds() == ["client_registered", "consent_given", "grant_issued", "grant_refreshed", "refresh_forgiven", "grant_revoked"]
    for event in Event.objects.exclude(kind=Kind.CLIENT_REGISTERED):
        assert (event.user_id, event.client_id, event.resource) == (alice.user.pk, editor.client.client_id, RESOURCE)
        assert (event.address, event.request_id) == ("198.51.100.7", "request-7")
    assert set(Event.objects.exclude(grant_id=None).values_list("grant_id", flat=True)) == {Grant.objects.get().pk}
    assert only(Kind.GRANT_REVOKED).reason == "The client revoked it."


class TestAReasonSurvivesTheRefusal:
    """A refusal is an answer, not an exception: what it wrote is committed with it."""

    def test_a_reused_refresh_token(self, connected: dict[str, Any], editor: Party) -> None:
        spent_twice(editor, connected)
        assert kinds()[-2:] == ["refresh_reused", "grant_revoked"]
        assert only(Kind.GRANT_REVOKED).reason == "A spent refresh token was used again."

    def test_a_replayed_code(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        code = alice.code(editor.client)
        ok(editor.redeem(code))
        assert refused(editor.redeem(code))
        assert kinds()[-2:] == ["code_replayed", "grant_revoked"]
        assert only(Kind.GRANT_REVOKED).reason == "Its authorization code was used again."

    @pytest.mark.parametrize("wrong", [{"code_verifier": "w" * 43}, {"redirect_uri": "http://127.0.0.1:1/other"}])
    def test_a_replay_by_the_wrong_hand_is_none(self, demo: McpRoute, alice: Person, editor: Party, wrong: dict[str, str]) -> None:
        code = alice.code(editor.client)
        ok(editor.redeem(code))
        assert refused(editor.redeem(code, **wrong))
        assert kinds()[-1] == "grant_issued"


class TestARefusedRefresh:
    def refuse(self, editor: Party, connected: dict[str, Any], error: str = "invalid_grant") -> str:
        assert refused(editor.refresh(connected["refresh_token"]), error)
        event = only(Kind.REFRESH_REFUSED)
        assert event.grant_id == Grant.objects.get().pk and event.client_id == editor.client.client_id
        return event.reason

    def test_because_it_was_not_used_for_too_long(self, connected: dict[str, Any], editor: Party) -> None:
        RefreshToken.objects.update(expires_at=timezone.now())
        assert "was not used" in self.refuse(editor, connected)

    def test_because_the_grant_is_too_old(self, connected: dict[str, Any], editor: Party) -> None:
        Grant.objects.update(expires_at=timezone.now())
        assert "greatest age" in self.refuse(editor, connected)

    def test_because_the_user_is_shut_out(self, connected: dict[str, Any], alice: Person, editor: Party) -> None:
        alice.user.is_active = False
        alice.user.save()
        assert "user is shut out" in self.refuse(editor, connected)

    def test_because_the_client_is_switched_off(self, connected: dict[str, Any], editor: Party) -> None:
        Client.objects.update(disabled_at=timezone.now())
        assert "client is switched off" in self.refuse(editor, connected, "invalid_client")

    def test_because_the_client_waits_for_approval(self, connected: dict[str, Any], editor: Party, settings: Any) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, client_registration="approval")
        assert "waits for an operator's approval" in self.refuse(editor, connected, "invalid_client")

    def test_is_one_row_a_day_however_often_the_client_tries(self, connected: dict[str, Any], editor: Party) -> None:
        RefreshToken.objects.update(expires_at=timezone.now())
        for _ in range(3):
            assert refused(editor.refresh(connected["refresh_token"]))
        assert Event.objects.filter(kind=Kind.REFRESH_REFUSED).count() == 1
        Event.objects.update(at=timezone.now() - timedelta(days=1))
        assert refused(editor.refresh(connected["refresh_token"]))
        assert Event.objects.filter(kind=Kind.REFRESH_REFUSED).count() == 2

    def test_is_told_for_each_reason(self, connected: dict[str, Any], alice: Person, editor: Party) -> None:
        RefreshToken.objects.update(expires_at=timezone.now())
        assert refused(editor.refresh(connected["refresh_token"]))
        Grant.objects.update(expires_at=timezone.now())
        assert refused(editor.refresh(connected["refresh_token"]))
        assert Event.objects.filter(kind=Kind.REFRESH_REFUSED).count() == 2

    def test_of_a_stranger_writes_nothing(self, connected: dict[str, Any], editor: Party) -> None:
        """Client ids are public: a switched-off one must not be a pen in everybody's hand."""
        Client.objects.update(disabled_at=timezone.now())
        before = kinds()
        for value in ("mcprt_" + "A" * 43, "", connected["access_token"]):
            editor.refresh(value or "-")
        assert kinds() == before

    def test_of_a_revoked_grant_adds_nothing_to_what_is_said_already(self, connected: dict[str, Any], editor: Party) -> None:
        tokens.revoke(Grant.objects.get(), "The user ended it.")
        assert refused(editor.refresh(connected["refresh_token"]))
        assert kinds()[-1] == "grant_revoked"


class TestARefusedCode:
    def refuse(self, editor: Party, code: str, **changed: str) -> str:
        assert refused(editor.redeem(code, **changed))
        event = only(Kind.CODE_REFUSED)
        assert (event.client_id, event.resource) == (editor.client.client_id, RESOURCE)
        return event.reason

    @pytest.fixture
    def code(self, demo: McpRoute, alice: Person, editor: Party) -> str:
        return alice.code(editor.client)

    def test_because_its_verifier_is_wrong(self, editor: Party, code: str) -> None:
        assert "verifier is wrong" in self.refuse(editor, code, code_verifier="w" * 43)

    def test_because_it_had_expired(self, editor: Party, code: str) -> None:
        AuthorizationCode.objects.update(expires=timezone.now())
        assert "had expired" in self.refuse(editor, code)

    def test_because_the_user_is_shut_out(self, alice: Person, editor: Party, code: str) -> None:
        alice.user.is_active = False
        alice.user.save()
        assert "user is shut out" in self.refuse(editor, code)

    def test_because_the_route_is_switched_off(self, editor: Party, code: str) -> None:
        McpRoute.objects.update(enabled=False)
        assert "route is switched off" in self.refuse(editor, code)

    def test_is_one_row_a_minute(self, editor: Party, code: str) -> None:
        for _ in range(3):
            assert refused(editor.redeem(code, code_verifier="w" * 43))
        assert Event.objects.filter(kind=Kind.CODE_REFUSED).count() == 1

    def test_of_another_client_writes_nothing(self, editor: Party, code: str, register: Callable[..., dict[str, Any]]) -> None:
        stranger = register(redirect_uris=["http://127.0.0.1/"])
        before = kinds()
        assert refused(editor.redeem(code, client_id=stranger["client_id"]))
        assert kinds() == before


class TestConsents:
    def test_a_refusal_names_the_route(self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> None:
        alice.decide(alice.open(editor.client), "cancel")
        assert only(Kind.CONSENT_REFUSED).resource == RESOURCE

    def test_a_refusal_of_the_choice_names_none(self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> None:
        alice.decide(alice.open(editor.client, "", resource=None), "cancel")
        assert only(Kind.CONSENT_REFUSED).resource == ""

    def test_a_withdrawal_says_whose_and_why_and_what_it_ended(self, connected: dict[str, Any], alice: Person, editor: Party) -> None:
        consent.withdraw(Consent.objects.get(), "An operator withdrew the consent.", alice.user)
        event = only(Kind.CONSENT_WITHDRAWN)
        assert (event.user_id, event.client_id, event.resource) == (alice.user.pk, editor.client.client_id, RESOURCE)
        assert event.reason == "An operator withdrew the consent. (by user_alice)"
        assert kinds()[-1] == "grant_revoked"

    def test_a_second_withdrawal_is_no_event(self, connected: dict[str, Any]) -> None:
        for _ in range(2):
            consent.withdraw(Consent.objects.get(), "The user withdrew it.")
        assert kinds().count("consent_withdrawn") == 1 and kinds().count("grant_revoked") == 1

    def test_a_removed_route_says_so(self, connected: dict[str, Any], demo: McpRoute) -> None:
        removal.remove(demo)
        assert only(Kind.GRANT_REVOKED).reason == "The route was removed."


def test_no_row_holds_a_secret(connected: dict[str, Any], alice: Person, editor: Party) -> None:
    code = alice.code(editor.client)
    ok(editor.redeem(code))
    refused(editor.redeem(code))
    refused(editor.redeem(code, code_verifier="w" * 43))
    spent_twice(editor, connected)
    held = str(list(Event.objects.values()))
    assert "grant_revoked" in held
    for secret in (code, VERIFIER, connected["access_token"], connected["refresh_token"]):
        assert secret not in held and secret[6:] not in held


@pytest.mark.parametrize(("gone", "why"), [(Client, "The client was removed."), (User, "The user was removed.")])
def test_what_ends_with_a_deleted_row_is_told_however_it_is_deleted(connected: dict[str, Any], gone: Any, why: str) -> None:
    gone.objects.all().delete()
    assert list(Event.objects.filter(kind=Kind.GRANT_REVOKED).values_list("reason", flat=True)) == [why]

"""`manage.py cleanup`: what has ended goes, and nothing that a rule still asks for."""

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import consent, tokens
from oauthgw.guard import batches
from oauthgw.identity import signin
from oauthgw.journal.models import Event
from oauthgw.models import AccessToken, AuthorizationCode, Client, Consent, Grant, RefreshToken, SignIn, UsedAssertion
from tests.unit.conftest import LOOPBACK, Clock, Party, Person
from tests.unit.tokens.conftest import ok, refused, served

KINDS = [
    "authorization codes", "access tokens", "refresh tokens", "connections", "consents", "clients", "sign-ins", "browser sessions",
    "client assertions", "journal events", "change log entries",
]  # fmt: skip


@pytest.fixture
def connected(clock: Clock, demo: McpRoute, alice: Person, editor: Party) -> dict[str, Any]:
    """Alice's editor, connected just now; its first answer."""
    return ok(editor.redeem(alice.code(editor.client)))


def clean(*options: str) -> dict[str, int]:
    """How many of each kind the command says went (or would go)."""
    out = StringIO()
    call_command("cleanup", *options, stdout=out)
    verb = "to remove" if options else "removed"
    lines = [line.removesuffix(f" {verb}").split(": ") for line in out.getvalue().splitlines()]
    return {kind: int(count) for kind, count in lines}


def is_over() -> bool:
    return Grant.objects.get().revoked_at is not None


class TestTheCommand:
    def test_says_one_line_a_kind_and_leaves_what_is_in_use(self, connected: dict[str, Any], editor: Party) -> None:
        assert clean() == dict.fromkeys(KINDS, 0)
        assert served(connected["access_token"]) and ok(editor.refresh(connected["refresh_token"]))

    def test_may_be_repeated(self, clock: Clock, connected: dict[str, Any]) -> None:
        clock.forward(days=2)
        assert clean()["access tokens"] == 1
        assert clean() == dict.fromkeys(KINDS, 0)

    def test_a_dry_run_counts_and_removes_nothing(self, clock: Clock, connected: dict[str, Any]) -> None:
        clock.forward(days=2)
        first, second = clean("--dry-run"), clean("--dry-run")
        assert (
            first
            == second
            == {
                **dict.fromkeys(KINDS, 0),
                **dict.fromkeys(("authorization codes", "access tokens", "browser sessions", "change log entries"), 1),
            }
        )
        assert AccessToken.objects.count() == 1

    def test_works_through_any_number_in_short_steps(
        self, clock: Clock, connected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(batches, "PASS", 10)
        for number in range(25):
            SignIn.objects.create(state_digest=str(number), browser_digest="b", sealed_verifier="", next="/", expires_at=clock.now)
        clock.forward(days=2)
        steps: list[int] = []
        remove = batches.Chore._remove

        def counted(chore: batches.Chore, keys: list[Any]) -> int:
            steps.append(len(keys))
            return remove(chore, keys)

        monkeypatch.setattr(batches.Chore, "_remove", counted)
        assert clean()["sign-ins"] == 25
        assert sorted(steps) == [1, 1, 1, 1, 5, 10, 10]  # with a code, an access token, a session and a change


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_rows_that_another_node_is_busy_with_are_left_to_it(clock: Clock, transactional_db: None, register: Callable[..., Any]) -> None:
    for _ in range(2):
        register(redirect_uris=[LOOPBACK])
    clock.forward(days=2)
    busy, done = threading.Event(), threading.Event()

    def another_node() -> None:
        with transaction.atomic():
            Client.objects.select_for_update().filter(pk=Client.objects.latest("pk").pk).get()
            busy.set()
            assert done.wait(30)
        connection.close()

    node = threading.Thread(target=another_node)
    node.start()
    assert busy.wait(30)
    try:
        assert clean()["clients"] == 1
    finally:
        done.set()
        node.join()
    assert clean()["clients"] == 1


class TestCodes:
    def test_go_a_day_after_their_minute_and_until_then_a_replay_is_told(
        self, clock: Clock, demo: McpRoute, alice: Person, editor: Party
    ) -> None:
        code = alice.code(editor.client)
        ok(editor.redeem(code))
        clock.forward(days=1)
        assert clean()["authorization codes"] == 0
        assert refused(editor.redeem(code)) and is_over()

    def test_a_replay_after_that_is_unknown_and_ends_nothing(self, clock: Clock, demo: McpRoute, alice: Person, editor: Party) -> None:
        code = alice.code(editor.client)
        ok(editor.redeem(code))
        clock.forward(days=1, seconds=61)
        assert clean()["authorization codes"] == 1
        assert refused(editor.redeem(code)) and not is_over()
        assert not AuthorizationCode.objects.exists()


class TestAccessTokens:
    def test_go_a_day_after_their_end(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        clock.forward(days=1)
        assert clean()["access tokens"] == 0
        clock.forward(seconds=901)
        assert clean()["access tokens"] == 1

    def test_one_that_was_used_stays_while_a_repeated_refresh_must_be_told_by_it(
        self, clock: Clock, editor: Party, connected: dict[str, Any]
    ) -> None:
        assert served(ok(editor.refresh(connected["refresh_token"]))["access_token"])
        clock.forward(days=20)
        assert clean()["access tokens"] == 1  # the one before
        assert refused(editor.refresh(connected["refresh_token"])) and is_over()

    def test_where_none_was_used_the_lost_answer_is_still_forgiven(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        lost = ok(editor.refresh(connected["refresh_token"]))
        clock.forward(days=20)
        assert clean()["access tokens"] == 2
        assert ok(editor.refresh(connected["refresh_token"]))["refresh_token"] == lost["refresh_token"]

    def test_it_goes_once_the_next_refresh_token_was_presented(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        second = ok(editor.refresh(connected["refresh_token"]))
        assert served(second["access_token"])
        ok(editor.refresh(second["refresh_token"]))
        clock.forward(days=2)
        assert clean()["access tokens"] == 3

    def test_it_goes_once_its_grant_has_ended(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        assert served(connected["access_token"])
        tokens.revoke(Grant.objects.get(), "test")
        clock.forward(days=2)
        assert clean()["access tokens"] == 1


class TestRefreshTokens:
    def moved_on(self, clock: Clock, editor: Party, value: str, days: int) -> str:
        """Refreshed twice, and a while later a third time: the head."""
        second = ok(editor.refresh(ok(editor.refresh(value))["refresh_token"]))["refresh_token"]
        clock.forward(days=days)
        return str(ok(editor.refresh(second))["refresh_token"])

    def test_a_spent_one_is_told_as_reused_until_its_lifetime_is_over(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        self.moved_on(clock, editor, connected["refresh_token"], days=20)
        clock.forward(days=10)
        assert clean()["refresh tokens"] == 0
        assert refused(editor.refresh(connected["refresh_token"])) and is_over()

    def test_then_it_goes_and_is_unknown(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        head = self.moved_on(clock, editor, connected["refresh_token"], days=20)
        clock.forward(days=11, seconds=1)
        assert clean()["refresh tokens"] == 2
        assert refused(editor.refresh(connected["refresh_token"])) and not is_over()
        assert ok(editor.refresh(head))

    def test_the_heads_predecessor_stays_because_its_answer_may_have_been_lost(
        self, clock: Clock, editor: Party, connected: dict[str, Any]
    ) -> None:
        clock.forward(days=29)
        lost = ok(editor.refresh(connected["refresh_token"]))
        clock.forward(days=20)
        assert clean()["refresh tokens"] == 0
        assert ok(editor.refresh(connected["refresh_token"]))["refresh_token"] == lost["refresh_token"]

    def test_a_head_is_never_removed_alone(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        clock.forward(days=60)
        assert clean()["refresh tokens"] == 0
        assert refused(editor.refresh(connected["refresh_token"]))
        assert "was not used" in Event.objects.get(kind=Event.Kind.REFRESH_REFUSED).reason


class TestConnections:
    @pytest.fixture(autouse=True)
    def approved(self, editor: Party) -> None:
        """So that the client is not removed with all that is its own."""
        Client.objects.update(approved_at=timezone.now())

    def test_go_with_all_their_tokens_90_days_after_they_were_revoked(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        ok(editor.refresh(connected["refresh_token"]))
        tokens.revoke(Grant.objects.get(), "test")
        clock.forward(days=90)
        assert clean()["connections"] == 0
        clock.forward(seconds=1)
        assert clean()["connections"] == 1
        assert not RefreshToken.objects.exists() and not AccessToken.objects.exists()

    def test_go_90_days_after_they_were_too_old(self, clock: Clock, connected: dict[str, Any]) -> None:
        RefreshToken.objects.update(expires_at=clock.now + timedelta(days=90))  # as if used until the end
        clock.forward(days=180, seconds=-1)
        assert clean()["connections"] == 0
        clock.forward(seconds=1)
        assert clean()["connections"] == 1

    def test_without_a_greatest_age_go_90_days_after_their_last_token(
        self, clock: Clock, decide: Callable[..., None], demo: McpRoute, alice: Person, editor: Party
    ) -> None:
        decide(grant_max_age_days=0)
        ok(editor.redeem(alice.code(editor.client)))
        clock.forward(days=120, seconds=-1)
        assert clean()["connections"] == 0
        clock.forward(seconds=1)
        assert clean()["connections"] == 1

    def test_without_a_greatest_age_stay_as_long_as_they_are_used(
        self, clock: Clock, decide: Callable[..., None], demo: McpRoute, alice: Person, editor: Party
    ) -> None:
        decide(grant_max_age_days=0)
        value = ok(editor.redeem(alice.code(editor.client)))["refresh_token"]
        for _ in range(20):
            clock.forward(days=25)
            clean()
            value = ok(editor.refresh(value))["refresh_token"]
        assert Client.objects.get() and RefreshToken.objects.count() <= 3

    def test_of_an_impersonated_session_stay_for_as_long(self, clock: Clock, connected: dict[str, Any]) -> None:
        RefreshToken.objects.all().delete()
        clock.forward(days=89)
        assert clean()["connections"] == 0
        clock.forward(days=2)
        assert clean()["connections"] == 1


class TestConsents:
    def test_withdrawn_ones_go_after_90_days_and_standing_ones_stay(
        self, clock: Clock, alice: Person, editor: Party, connected: dict[str, Any]
    ) -> None:
        Client.objects.update(approved_at=clock.now)
        clock.forward(days=100)
        assert clean()["consents"] == 0
        consent.withdraw(Consent.objects.get(), "test")
        clock.forward(days=90, seconds=1)
        assert clean()["consents"] == 1


class TestClients:
    def test_that_never_got_a_token_go_after_a_day(self, clock: Clock, editor: Party) -> None:
        clock.forward(hours=24)
        assert clean()["clients"] == 0
        clock.forward(seconds=1)
        assert clean()["clients"] == 1
        event = Event.objects.get(kind=Event.Kind.CLIENT_REMOVED)
        assert (event.client_id, event.reason) == (editor.client.client_id, "Cleaned up: never used.")

    def test_that_are_just_about_to_get_one_stay(self, clock: Clock, demo: McpRoute, alice: Person, editor: Party) -> None:
        clock.forward(days=3)
        alice.browser.force_login(alice.user)
        code = alice.code(editor.client)
        assert clean()["clients"] == 0
        assert ok(editor.redeem(code))

    def test_that_were_used_stay_90_days_after_their_last_use(self, clock: Clock, editor: Party, connected: dict[str, Any]) -> None:
        tokens.revoke(Grant.objects.get(), "test")
        used = clock.now
        clock.forward(days=90)
        assert clean()["clients"] == 0
        clock.forward(seconds=1)
        assert clean()["clients"] == 1
        assert Event.objects.get(kind=Event.Kind.CLIENT_REMOVED).reason == f"Cleaned up: not used since {used:%Y-%m-%d}."

    def test_take_their_consents_and_ended_grants_with_them(
        self, clock: Clock, decide: Callable[..., None], alice: Person, editor: Party, connected: dict[str, Any]
    ) -> None:
        decide(idle_client_days=10)
        tokens.revoke(Grant.objects.get(), "test")
        clock.forward(days=11)
        assert clean()["clients"] == 1
        assert not Grant.objects.exists() and not Consent.objects.exists() and not RefreshToken.objects.exists()

    def test_stay_while_a_grant_of_theirs_can_be_used(
        self, clock: Clock, decide: Callable[..., None], editor: Party, connected: dict[str, Any]
    ) -> None:
        decide(idle_client_days=10)
        clock.forward(days=20)
        assert clean()["clients"] == 0
        assert ok(editor.refresh(connected["refresh_token"]))

    def test_stay_while_an_access_token_of_theirs_can_be_used(self, clock: Clock, demo: McpRoute, connected: dict[str, Any]) -> None:
        RefreshToken.objects.all().delete()
        McpRoute.objects.update(access_token_ttl=8 * 3600)
        Client.objects.update(last_used_at=clock.now - timedelta(days=100))
        assert clean()["clients"] == 0
        clock.forward(hours=9)
        assert clean()["clients"] == 1

    @pytest.mark.parametrize(("hours", "days", "goes"), [(48, 90, 0), (1, 90, 1)])
    def test_go_when_the_operator_says(
        self, clock: Clock, decide: Callable[..., None], editor: Party, hours: int, days: int, goes: int
    ) -> None:
        decide(unused_client_hours=hours, idle_client_days=days)
        clock.forward(hours=25)
        assert clean()["clients"] == goes

    @pytest.mark.parametrize(
        ("state", "goes"),
        [
            ({"registration_source": "dcr"}, 1),
            ({"registration_source": "cimd"}, 1),
            ({"registration_source": "manual"}, 0),
            ({"approved_at": timezone.now()}, 0),
            ({"disabled_at": timezone.now()}, 0),
            ({"may_introspect": True}, 0),
        ],
        ids=["registered", "metadata document", "made by an operator", "approved", "switched off", "marked for introspection"],
    )
    def test_go_only_if_they_brought_themselves_and_no_operator_decided_on_them(
        self, clock: Clock, editor: Party, state: dict[str, Any], goes: int
    ) -> None:
        Client.objects.update(**state)
        clock.forward(days=400)
        assert clean()["clients"] == goes

    def test_that_are_removed_can_register_again(self, clock: Clock, editor: Party, register: Callable[..., dict[str, Any]]) -> None:
        clock.forward(days=2)
        assert clean()["clients"] == 1
        assert refused(editor.refresh("mcprt_x"), "invalid_client")
        assert register(redirect_uris=[LOOPBACK])["client_id"]


class TestTheRest:
    def test_a_sign_in_goes_a_day_after_its_end(self, clock: Clock, db: None) -> None:
        signin.begin("/", "browser")
        clock.forward(days=1)
        assert clean()["sign-ins"] == 0
        clock.forward(minutes=16)
        assert clean()["sign-ins"] == 1

    def test_a_client_assertion_goes_a_day_after_it_would_be_refused_anyway(self, clock: Clock, db: None) -> None:
        UsedAssertion.objects.create(digest="d", expires_at=clock.now)
        clock.forward(hours=23)
        assert clean()["client assertions"] == 0
        clock.forward(hours=2)
        assert clean()["client assertions"] == 1

    def test_the_journal_keeps_what_happened_for_400_days_and_refreshes_for_90(
        self, clock: Clock, editor: Party, connected: dict[str, Any]
    ) -> None:
        ok(editor.refresh(connected["refresh_token"]))
        ok(editor.refresh(connected["refresh_token"]))
        Client.objects.update(approved_at=clock.now)
        clock.forward(days=90, seconds=1)
        assert clean()["journal events"] == 2
        clock.forward(days=310)
        before = Event.objects.count()
        assert clean()["journal events"] == before == 3

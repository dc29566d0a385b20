"""The limits of a grant's life at their edges: by a clock that stands still until it is moved."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.models import AccessToken, AuthorizationCode, Client, Grant, RefreshToken
from tests.unit.conftest import Clock, Party, Person
from tests.unit.tokens.conftest import ok, refused, served

DAY = 24 * 3600


def is_over() -> bool:
    return Grant.objects.get().revoked_at is not None


@pytest.fixture
def first(clock: Clock, first: dict[str, Any]) -> dict[str, Any]:
    """The grant's first answer, at a time that stands still from then on."""
    return first


class TestAnAnswerThatArrived:
    @pytest.fixture
    def second(self, editor: Party, first: dict[str, Any]) -> dict[str, Any]:
        answer = ok(editor.refresh(first["refresh_token"]))
        assert served(answer["access_token"])
        return answer

    def test_is_repeated_up_to_120_seconds_after_the_first_use(
        self, clock: Clock, editor: Party, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        clock.forward(seconds=120)
        assert ok(editor.refresh(first["refresh_token"]))["refresh_token"] == second["refresh_token"]

    def test_is_theft_a_moment_later(self, clock: Clock, editor: Party, first: dict[str, Any], second: dict[str, Any]) -> None:
        clock.forward(seconds=120, microseconds=1)
        assert refused(editor.refresh(first["refresh_token"])) and is_over()

    def test_counts_from_the_first_use_however_often_it_was_repeated(
        self, clock: Clock, editor: Party, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        for _ in range(2):
            clock.forward(seconds=60)
            ok(editor.refresh(first["refresh_token"]))
        clock.forward(seconds=1)
        assert refused(editor.refresh(first["refresh_token"])) and is_over()

    @pytest.mark.parametrize(("seconds", "after", "forgiven"), [(0, 0, True), (0, 1, False), (600, 600, True), (600, 601, False)])
    def test_is_repeated_for_as_long_as_the_operator_says(
        self,
        clock: Clock,
        decide: Callable[..., None],
        editor: Party,
        first: dict[str, Any],
        second: dict[str, Any],
        seconds: int,
        after: int,
        forgiven: bool,
    ) -> None:
        decide(refresh_replay=seconds)
        clock.forward(seconds=after)
        assert (editor.refresh(first["refresh_token"]).status_code == 200) is forgiven
        assert is_over() is not forgiven


class TestALostAnswer:
    def test_has_arrived_as_soon_as_any_access_token_given_with_it_was_used(
        self, clock: Clock, editor: Party, first: dict[str, Any]
    ) -> None:
        ok(editor.refresh(first["refresh_token"]))
        clock.forward(days=1)
        repeated = ok(editor.refresh(first["refresh_token"]))
        assert served(repeated["access_token"])
        assert refused(editor.refresh(first["refresh_token"])) and is_over()

    def test_is_still_lost_when_an_access_token_of_the_answer_before_is_used(
        self, clock: Clock, decide: Callable[..., None], editor: Party, first: dict[str, Any]
    ) -> None:
        ok(editor.refresh(first["refresh_token"]))
        clock.forward(seconds=600)
        assert served(first["access_token"])
        assert ok(editor.refresh(first["refresh_token"]))

    def test_renews_what_it_repeats_because_the_connection_is_in_use(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        """30 days since last use: and this is a use."""
        second = ok(editor.refresh(first["refresh_token"]))
        clock.forward(days=29)
        ok(editor.refresh(first["refresh_token"]))
        clock.forward(days=29)
        assert ok(editor.refresh(second["refresh_token"]))

    def test_ends_with_the_lifetime_of_what_was_lost_and_signs_nobody_out(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        clock.forward(days=30)
        assert refused(editor.refresh(first["refresh_token"])) and refused(editor.refresh(second["refresh_token"]))
        assert not is_over()

    def test_is_forgiven_although_the_presented_token_is_past_its_own_lifetime(
        self, clock: Clock, editor: Party, first: dict[str, Any]
    ) -> None:
        clock.forward(days=29)
        ok(editor.refresh(first["refresh_token"]))
        clock.forward(days=29)
        assert ok(editor.refresh(first["refresh_token"]))


class TestUnused:
    def test_a_refresh_token_works_until_the_end_of_its_lifetime(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        clock.forward(days=30, microseconds=-1)
        assert ok(editor.refresh(first["refresh_token"]))

    def test_and_not_at_its_end(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        clock.forward(days=30)
        assert refused(editor.refresh(first["refresh_token"]))
        assert not is_over()

    def test_a_spent_token_past_its_lifetime_is_still_told_as_reused(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        clock.forward(days=20)
        third = ok(editor.refresh(second["refresh_token"]))
        clock.forward(days=20)
        assert refused(editor.refresh(first["refresh_token"])) and is_over()
        assert refused(editor.refresh(third["refresh_token"]))


class TestAbsoluteAge:
    def refreshed_until(self, clock: Clock, editor: Party, token: str, days: int) -> str:
        """Refreshes every 20 days; the last refresh token."""
        for _ in range(days // 20):
            clock.forward(days=20)
            token = ok(editor.refresh(token))["refresh_token"]
        clock.forward(days=days % 20)
        return token

    def test_a_grant_in_use_ends_after_90_days(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        last = self.refreshed_until(clock, editor, first["refresh_token"], 90)
        assert refused(editor.refresh(last))

    def test_and_nothing_of_it_was_promised_beyond(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        last = self.refreshed_until(clock, editor, first["refresh_token"], 89)
        clock.forward(seconds=DAY - 300)
        answer = ok(editor.refresh(last))
        assert answer["expires_in"] == 300
        assert served(answer["access_token"])
        clock.forward(seconds=300)
        assert not served(answer["access_token"]) and refused(editor.refresh(answer["refresh_token"]))

    @pytest.mark.parametrize(("days", "ends"), [(1, True), (0, False)])
    def test_the_operator_says_how_old_and_zero_is_no_limit(
        self, clock: Clock, decide: Callable[..., None], demo: McpRoute, alice: Person, editor: Party, days: int, ends: bool
    ) -> None:
        decide(grant_max_age_days=days)
        answer = ok(editor.redeem(alice.code(editor.client)))
        if not ends:
            assert ok(editor.refresh(self.refreshed_until(clock, editor, answer["refresh_token"], 400)))
            return
        clock.forward(days=1)
        assert refused(editor.refresh(answer["refresh_token"]))


class TestAccessTokens:
    @pytest.mark.parametrize(("route", "seconds"), [(None, 900), (60, 60), (8 * 3600, 8 * 3600)])
    def test_live_as_long_as_their_route_says(
        self, clock: Clock, demo: McpRoute, alice: Person, editor: Party, route: int | None, seconds: int
    ) -> None:
        McpRoute.objects.update(access_token_ttl=route)
        answer = ok(editor.redeem(alice.code(editor.client)))
        assert answer["expires_in"] == seconds
        clock.forward(seconds=seconds - 1)
        assert served(answer["access_token"])
        clock.forward(seconds=1)
        assert not served(answer["access_token"])

    def test_keep_the_lifetime_they_were_given_when_the_route_changes_it(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        McpRoute.objects.update(access_token_ttl=60)
        second = ok(editor.refresh(first["refresh_token"]))
        assert (first["expires_in"], second["expires_in"]) == (900, 60)
        clock.forward(seconds=60)
        assert served(first["access_token"]) and not served(second["access_token"])

    def test_never_live_longer_than_their_grant(
        self, clock: Clock, decide: Callable[..., None], demo: McpRoute, alice: Person, editor: Party
    ) -> None:
        decide(grant_max_age_days=1)
        McpRoute.objects.update(access_token_ttl=8 * 3600)
        answer = ok(editor.redeem(alice.code(editor.client)))
        clock.forward(hours=20)
        assert ok(editor.refresh(answer["refresh_token"]))["expires_in"] == 4 * 3600


class TestCodes:
    def test_live_for_a_minute(self, clock: Clock, demo: McpRoute, alice: Person, editor: Party) -> None:
        late, in_time = (alice.code(editor.client) for _ in range(2))
        clock.forward(seconds=59)
        assert ok(editor.redeem(in_time))
        clock.forward(seconds=1)
        assert refused(editor.redeem(late))

    def test_a_replay_is_told_as_one_long_after_the_code_has_expired(
        self, clock: Clock, demo: McpRoute, alice: Person, editor: Party
    ) -> None:
        code = alice.code(editor.client)
        answer = ok(editor.redeem(code))
        clock.forward(minutes=10)
        assert served(answer["access_token"])
        assert refused(editor.redeem(code)) and is_over()

    def test_a_replay_ends_all_that_came_of_the_code(self, clock: Clock, demo: McpRoute, alice: Person, editor: Party) -> None:
        code = alice.code(editor.client)
        answer = ok(editor.redeem(code))
        second = ok(editor.refresh(answer["refresh_token"]))
        assert refused(editor.redeem(code))
        assert not served(answer["access_token"]) and not served(second["access_token"])
        assert refused(editor.refresh(second["refresh_token"]))


class TestAClientsLastUse:
    def last_used(self) -> Any:
        return Client.objects.get().last_used_at

    def test_is_noted_with_its_first_token_and_not_before(self, clock: Clock, demo: McpRoute, alice: Person, editor: Party) -> None:
        code = alice.code(editor.client)
        assert self.last_used() is None
        ok(editor.redeem(code))
        assert self.last_used() == clock.now

    def test_is_written_once_an_hour(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        began = clock.now
        clock.forward(minutes=59)
        second = ok(editor.refresh(first["refresh_token"]))
        assert self.last_used() == began
        clock.forward(minutes=1)
        ok(editor.refresh(second["refresh_token"]))
        assert self.last_used() == timezone.now()

    def test_is_no_business_of_who_is_refused(self, clock: Clock, editor: Party, first: dict[str, Any]) -> None:
        began = clock.now
        clock.forward(days=40)
        assert refused(editor.refresh(first["refresh_token"]))
        assert self.last_used() == began


def test_one_row_a_link_and_one_a_token(editor: Party, first: dict[str, Any]) -> None:
    ok(editor.refresh(ok(editor.refresh(first["refresh_token"]))["refresh_token"]))
    assert list(RefreshToken.objects.order_by("generation").values_list("generation", flat=True)) == [0, 1, 2]
    assert AccessToken.objects.count() == 3 and AuthorizationCode.objects.count() == 1

"""Which requests are one too many: counted by address and by client at it, in windows of the clock, and never without the cache."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.cache import cache

from oauthgw.guard import limits
from oauthgw.guard.limits import Bound, Rule

ALICE, BOB = "203.0.113.7", "203.0.113.8"
NARROW = Rule("narrow", (Bound(3),))
TWO = Rule("two", (Bound(2, by_client=True), Bound(5)))
LONG = Rule("long", (Bound(2), Bound(3, seconds=3600)))
ENDPOINTS = (limits.REGISTER, limits.AUTHORIZE, limits.DOCUMENT, limits.LOGIN, limits.CALLBACK, limits.TOKEN)


class Clock:
    """The time of day, at the beginning of an hour, and the time since the machine started."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now - 1_700_000_000


class DownCache:
    """A cache server that is down until it `answers`; counts who asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = False

    def add(self, key: str, value: int, timeout: int) -> bool:
        self.asked += 1
        if not self.answers:
            raise ConnectionError
        return True


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


@pytest.fixture
def scale(settings: Any) -> Callable[[float], None]:
    def call(scale: float) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, rate_limit_scale=scale)

    return call


@pytest.fixture(autouse=True)
def as_by_default(settings: Any, scale: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing counted yet, the cache believed to answer, and limits as they are without a setting."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "limits"}}
    cache.clear()
    monkeypatch.setattr(limits, "_pause", limits._Pause())
    scale(1.0)


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> DownCache:
    cache = DownCache()
    monkeypatch.setattr(limits, "cache", cache)
    return cache


def let_through(rule: Rule, of: int, address: str = ALICE, client_id: str = "") -> int:
    """How many of so many pass."""
    return [limits.seconds_to_wait(rule, address, client_id) for _ in range(of)].count(0)


@pytest.mark.parametrize("rule", ENDPOINTS, ids=lambda rule: rule.name)
def test_an_address_may_do_so_much_and_no_more(rule: Rule) -> None:
    most = min(bound.most for bound in rule.bounds if not bound.by_client)
    assert let_through(rule, most + 1) == most


@pytest.mark.parametrize("rule", ENDPOINTS, ids=lambda rule: rule.name)
def test_a_hundred_people_may_sign_in_from_one_address_within_a_minute(rule: Rule) -> None:
    each = 3 if rule is limits.AUTHORIZE else 1
    assert let_through(rule, 100 * each, client_id="https://app.example.com/client.json") == 100 * each


def test_endpoints_do_not_share_a_count() -> None:
    assert let_through(NARROW, 9) == 3
    assert let_through(Rule("other", NARROW.bounds), 9) == 3


def test_addresses_do_not_share_a_count() -> None:
    assert let_through(NARROW, 9, ALICE) == 3
    assert let_through(NARROW, 9, BOB) == 3


def test_it_says_in_how_many_seconds_the_window_ends(clock: Clock) -> None:
    clock.now += 12.5
    let_through(NARROW, 3)
    assert limits.seconds_to_wait(NARROW, ALICE) == 48


def test_after_the_window_it_passes_again(clock: Clock) -> None:
    clock.now += 12.5
    assert let_through(NARROW, 9) == 3
    clock.now += 47
    assert limits.seconds_to_wait(NARROW, ALICE) == 1, "not a moment before"
    clock.now += 1
    assert let_through(NARROW, 9) == 3


def test_a_longer_bound_counts_what_the_shorter_let_through_and_nothing_else(clock: Clock) -> None:
    assert let_through(LONG, 9) == 2
    clock.now += 60
    assert let_through(LONG, 9) == 1
    clock.now += 60
    assert limits.seconds_to_wait(LONG, ALICE) == 3480


def test_one_client_in_circles_leaves_its_neighbours_their_share() -> None:
    assert let_through(TWO, 100, client_id="looping") == 2
    assert let_through(TWO, 2, client_id="good") == 2


@pytest.mark.parametrize("rule", [limits.AUTHORIZE, limits.TOKEN], ids=lambda rule: rule.name)
def test_however_long_the_circles_are(rule: Rule) -> None:
    let_through(rule, 3000, client_id="looping")
    assert let_through(rule, 100, client_id="good") == 100


def test_two_clients_behind_one_address_share_what_the_address_may() -> None:
    passed = [let_through(TWO, 2, client_id=name) for name in ("one", "two", "three")]
    assert passed == [2, 2, 1]


def test_a_client_at_another_address_is_not_refused_for_this_one() -> None:
    assert let_through(TWO, 9, ALICE, "app") == 2
    assert let_through(TWO, 9, BOB, "app") == 2


def test_who_names_no_client_is_counted_by_address_alone() -> None:
    assert let_through(TWO, 9) == 5


def test_the_scale_multiplies_every_bound(scale: Callable[[float], None]) -> None:
    scale(2)
    assert let_through(TWO, 100, client_id="app") == 4
    assert let_through(TWO, 100, BOB) == 10


def test_the_smallest_scale_still_lets_one_through(scale: Callable[[float], None]) -> None:
    scale(0.001)
    assert let_through(NARROW, 9) == 1


def test_a_scale_of_0_switches_the_limits_off_and_asks_no_cache(scale: Callable[[float], None], down: DownCache) -> None:
    scale(0)
    assert let_through(NARROW, 100) == 100
    assert down.asked == 0


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("", None),
        ("unix:", None),
    ],
)
def test_what_counts_as_one_address(address: str, counted_as: str | None) -> None:
    assert limits.network(address) == counted_as


def test_all_addresses_of_a_64_are_one() -> None:
    assert [let_through(NARROW, 1, f"2001:db8::{n:x}") for n in range(1, 6)] == [1, 1, 1, 0, 0]
    assert let_through(NARROW, 1, "2001:db8:0:1::1") == 1


def test_who_has_no_address_is_not_taken_for_everybody() -> None:
    assert let_through(NARROW, 100, "") == 100
    assert let_through(NARROW, 9) == 3, "and nobody else is let off for it"


def test_a_client_id_of_any_length_makes_a_short_key(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    class Watched:
        def add(self, key: str, *of: Any) -> bool:
            keys.append(key)
            return True

    monkeypatch.setattr(limits, "cache", Watched())
    let_through(TWO, 1, client_id="\ud800 \n" + "x" * 100_000)
    assert len(keys) == 2 and all(len(key) < 200 and key.isascii() and " " not in key for key in keys)


def test_without_the_cache_nobody_is_refused_and_nobody_waits_for_it_again(down: DownCache, clock: Clock) -> None:
    assert let_through(NARROW, 100) == 100
    assert down.asked == 1
    clock.now += limits.PAUSE_SECONDS - 0.1
    assert (let_through(NARROW, 100), down.asked) == (100, 1)


def test_after_a_while_one_request_finds_out_and_the_others_do_not_wait(
    down: DownCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_through(NARROW, 1)
    clock.now += limits.PAUSE_SECONDS
    real, meanwhile = down.add, []

    def add(*of: Any) -> bool:
        meanwhile.append(let_through(NARROW, 5))  # while this one waits
        return real(*of)

    monkeypatch.setattr(down, "add", add)
    assert let_through(NARROW, 1) == 1
    assert (meanwhile, down.asked) == ([5], 2)


def test_once_the_cache_answers_again_everything_is_counted(down: DownCache, clock: Clock) -> None:
    let_through(NARROW, 1)
    down.answers = True
    clock.now += limits.PAUSE_SECONDS
    let_through(NARROW, 5)
    assert down.asked == 6


def test_a_counter_pushed_out_of_the_cache_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful:
        def add(self, *of: Any) -> bool:
            return False

        def incr(self, key: str) -> int:
            raise ValueError

    monkeypatch.setattr(limits, "cache", Forgetful())
    assert let_through(NARROW, 9) == 9
    assert not limits._pause.lasts()


def test_a_flood_is_logged_once_a_window(caplog: pytest.LogCaptureFixture) -> None:
    let_through(NARROW, 50)
    assert [record.getMessage() for record in caplog.records] == ["too many requests: narrow, more than 3 in 60 s from 203.0.113.7"]

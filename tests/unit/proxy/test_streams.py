"""What ends an exchange before its time: a revoked grant, a route that is gone, time itself, and that nobody can be asked."""

import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from mcp_routes.proxy import messages, refusals, revisions, streams
from mcp_routes.proxy.streams import Exchange
from mcp_routes.snapshot import Route
from oauthgw.journal.changes import Entry
from oauthgw.principals import Principal

pytestmark = pytest.mark.asyncio

DEMO = Route(id=9, slug="demo", upstream_url="https://upstream.example.com/mcp", sealed_headers="")
UPSTREAMS = {9: DEMO.upstream_url}
NOW = 1_800_000_000.0


def principal(**changed: Any) -> Principal:
    facts: dict[str, Any] = {
        "user_id": 1,
        "subject": "alice",
        "client_id": "cursor",
        "client_pk": 3,
        "grant_id": 5,
        "resource_id": 9,
        "resource": "http://localhost/mcp/demo",
        "scope": frozenset(),
        "expires_at": NOW,
        "organization": "",
        "role": "",
        "permissions": frozenset(),
    }
    return Principal(**{**facts, **changed})


@pytest_asyncio.fixture
async def stack() -> Any:
    with ExitStack() as exchanges:
        yield exchanges


def open_one(stack: ExitStack, *, lasting: bool = True, **changed: Any) -> Exchange:
    return stack.enter_context(streams.under_way(principal(**changed), replace(DEMO, as_of=time.monotonic()), lasting=lasting))


def judge(*exchanges: Exchange, grants: frozenset[int] = frozenset({5}), upstreams: dict[int, str] | None = None) -> None:
    streams.judge(exchanges, 0.0, grants, UPSTREAMS if upstreams is None else upstreams)


def ended_with(exchange: Exchange) -> Any:
    return exchange.cut.result() if exchange.cut.done() else None


async def test_only_what_is_under_way_is_known() -> None:
    with streams.under_way(principal(), DEMO, lasting=False) as exchange:
        assert streams.all_under_way() == (exchange,)
    assert streams.all_under_way() == ()


async def test_a_revoked_grant_ends_its_own_and_no_other(stack: ExitStack) -> None:
    hers, his = open_one(stack), open_one(stack, grant_id=6, user_id=2)
    streams.end_of_grant(5)
    assert (ended_with(hers), ended_with(his)) == (refusals.INVALID_TOKEN, None)


async def test_ended_twice_the_first_reason_stands(stack: ExitStack) -> None:
    exchange = open_one(stack)
    exchange.end(refusals.UNAVAILABLE)
    streams.end_of_grant(5)
    assert ended_with(exchange) == refusals.UNAVAILABLE


@pytest.mark.parametrize(
    ("topic", "key", "concerned"),
    [
        ("client", 3, True),
        ("client", 1, False),
        ("user", 1, True),
        ("user", 3, False),
        ("route", 9, True),
        ("route", 1, False),
        ("of a newer version", 1, False),
    ],
)
async def test_a_change_concerns_who_stands_on_it(stack: ExitStack, topic: str, key: int, concerned: bool) -> None:
    open_one(stack)
    assert streams.concerns_any(Entry(1, topic, key)) is concerned


class TestJudging:
    async def test_what_would_be_let_in_now_goes_on_and_is_confirmed(self, stack: ExitStack) -> None:
        exchange = open_one(stack)
        streams.judge((exchange,), 123.0, frozenset({5}), UPSTREAMS)
        assert (ended_with(exchange), exchange.confirmed) == (None, 123.0)

    async def test_a_grant_that_does_not_stand_any_more_ends_it(self, stack: ExitStack) -> None:
        exchange = open_one(stack)
        judge(exchange, grants=frozenset({6}))
        assert ended_with(exchange) == refusals.INVALID_TOKEN

    @pytest.mark.parametrize("lasting", [True, False])
    async def test_a_route_that_is_gone_ends_it(self, stack: ExitStack, lasting: bool) -> None:
        exchange = open_one(stack, lasting=lasting)
        judge(exchange, upstreams={})
        assert ended_with(exchange) == refusals.UNKNOWN_ROUTE

    async def test_a_route_that_leads_elsewhere_ends_a_lasting_stream_and_no_call(self, stack: ExitStack) -> None:
        stream, call = open_one(stack, lasting=True), open_one(stack, lasting=False)
        judge(stream, call, upstreams={9: "https://elsewhere.example.com/mcp"})
        assert (ended_with(stream), ended_with(call)) == (refusals.UNKNOWN_ROUTE, None)


class TestTime:
    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = [NOW]
        monkeypatch.setattr(time, "time", lambda: self.now[0])

    @pytest.mark.parametrize(("lasting", "seconds"), [(True, 60), (False, 3600)], ids=["a stream", "an answer"])
    async def test_it_may_outlive_its_token_by_so_much(self, stack: ExitStack, lasting: bool, seconds: int) -> None:
        exchange = open_one(stack, lasting=lasting)
        self.now[0] = NOW + seconds - 1
        streams.end_overdue()
        assert ended_with(exchange) is None
        self.now[0] = NOW + seconds
        streams.end_overdue()
        assert ended_with(exchange) == refusals.INVALID_TOKEN

    @pytest.mark.parametrize(
        ("method", "body", "lasting"),
        [
            ("GET", b"", True),
            ("POST", b'{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen"}', True),
            ("POST", b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}', False),
            ("DELETE", b"", False),
        ],
    )
    async def test_what_never_ends_of_itself_is_told_apart(self, method: str, body: bytes, lasting: bool) -> None:
        assert revisions.is_lasting(method, messages.read(body) if body else messages.NOTHING) is lasting


class TestWithoutAnAnswer:
    async def test_it_goes_on_for_as_long_as_a_warm_token_works_and_no_longer(self, stack: ExitStack) -> None:
        fresh, stale = open_one(stack), open_one(stack)
        fresh.confirmed = time.monotonic() - streams.UNCONFIRMED_SECONDS + 2
        stale.confirmed = time.monotonic() - streams.UNCONFIRMED_SECONDS
        streams.end_unconfirmed()
        assert (ended_with(fresh), ended_with(stale)) == (None, refusals.UNAVAILABLE)

    @pytest.mark.parametrize("older", ["principal", "route"])
    async def test_what_it_was_let_in_by_counts_from_when_that_was_asked(self, stack: ExitStack, older: str) -> None:
        """Else who is let in by an answer of almost five seconds ago would have five more."""
        asked = {"principal": time.monotonic(), "route": time.monotonic()}
        asked[older] -= streams.UNCONFIRMED_SECONDS
        route = replace(DEMO, as_of=asked["route"])
        exchange = stack.enter_context(streams.under_way(principal(as_of=asked["principal"]), route, lasting=False))
        assert exchange.confirmed == asked[older]
        streams.end_unconfirmed()
        assert ended_with(exchange) == refusals.UNAVAILABLE

    async def test_the_oldest_says_for_how_long_one_may_wait(self, stack: ExitStack) -> None:
        assert streams.seconds_to_confirm() == pytest.approx(streams.UNCONFIRMED_SECONDS, abs=0.5)
        open_one(stack)
        open_one(stack).confirmed = time.monotonic() - 3
        assert streams.seconds_to_confirm() == pytest.approx(2, abs=0.5)


class TestStopping:
    @pytest.fixture(autouse=True)
    def serving(self) -> Any:
        yield
        streams.start()

    async def test_what_never_ends_of_itself_ends_and_calls_go_on(self, stack: ExitStack) -> None:
        stream, call = open_one(stack), open_one(stack, lasting=False)
        streams.end_lasting()
        assert (ended_with(stream), ended_with(call)) == (refusals.STOPPING, None)

    async def test_so_it_is_for_what_is_let_in_afterwards(self, stack: ExitStack) -> None:
        streams.end_lasting()
        assert ended_with(open_one(stack)) is refusals.STOPPING
        assert ended_with(open_one(stack, lasting=False)) is None

    async def test_a_process_that_begins_to_serve_has_forgotten_it(self, stack: ExitStack) -> None:
        streams.end_lasting()
        streams.start()
        assert ended_with(open_one(stack)) is None

    async def test_out_of_time_everything_ends(self, stack: ExitStack) -> None:
        stream, call = open_one(stack), open_one(stack, lasting=False)
        streams.end_all()
        assert (ended_with(stream), ended_with(call)) == (refusals.STOPPING, refusals.STOPPING)

"""Streams that are open when a right is taken away: they end within a second on every worker, and nobody else's does."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
import pytest_asyncio
import requests

from tests.flows.dataplane_fixtures import PING, PONG, Answer, Received, Served, call, gateway, hang_up, post, upstream
from tests.flows.visitor import Visitor
from tests.flows.workers import known_everywhere
from tests.support import databases
from tests.support.processes import PATIENCE, children, holder

pytestmark = pytest.mark.asyncio

EVENT = b"data: 1\n\n"
SLOW_MACHINE = 1.5  # seconds that busy processors may add to what is promised


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, either_database: str) -> Iterator[Served]:
    """Two workers, who know of each other only by the database."""
    with gateway(tmp_path_factory.mktemp("gateway"), "gunicorn") as running:
        yield running


@dataclass
class Stream:
    """An open answer of the gateway and, at its other end, the request it was relayed for."""

    answer: Answer
    received: Received

    async def ended(self) -> float:
        """Waits for its proper end, and the end of the upstream's request; when the later was (monotonic seconds)."""
        assert await self.answer.chunk() == b""
        await self.received.closed_by_gateway()
        return time.monotonic()

    async def goes_on(self) -> None:
        self.received.chunk(EVENT)
        assert await self.answer.chunk() == EVENT


def begin_with_an_event(request: Received) -> None:
    request.begin_stream()
    request.chunk(EVENT)


def begin_with_half_an_answer(request: Received) -> None:
    request.begin_stream("application/json")
    request.chunk(PONG[:10])


class Upstream:
    """An upstream whose every answer begins, or does not, and never ends."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Received] = asyncio.Queue()
        self.begin: Callable[[Received], None] = begin_with_an_event

    async def __call__(self, request: Received) -> None:
        self.begin(request)
        self.asked.put_nowait(request)
        await asyncio.Event().wait()

    async def stream(self, served: Served, token: str, method: str = "GET") -> Stream:
        """Opens one, up to its first event."""
        if method == "POST":
            answer = await post(served, PING, token=token)
        else:
            answer = await call(served, "GET", "/mcp/told", [("Authorization", f"Bearer {served.tokens[token]}")])
        assert answer.status == 200
        assert await answer.chunk() == EVENT
        return Stream(answer, await asyncio.wait_for(self.asked.get(), PATIENCE))


@pytest_asyncio.fixture
async def told(served: Served) -> AsyncIterator[Upstream]:
    behaviour = Upstream()
    async with upstream(served, behaviour):
        yield behaviour


async def on_every_worker(served: Served, open_one: Callable[[], Awaitable[Stream]]) -> list[Stream]:
    """Opens streams until each worker holds one."""
    workers = children(served.gateway.process.pid)
    assert len(workers) == 2
    streams: list[Stream] = []
    holders: set[int | None] = set()
    async with asyncio.timeout(PATIENCE):
        while not set(workers) <= holders:
            streams += [await open_one() for _ in range(4)]
            ports = [stream.answer.writer.get_extra_info("sockname")[1] for stream in streams]
            holders = {holder(workers, served.port, port) for port in ports}
    return streams


def press(served: Served, **form: str) -> Any:
    """A button of the demo user's account page; returns once the page says that it is done."""
    visitor = Visitor()
    page = visitor.open(f"{served.origin}/account/")
    form["csrfmiddlewaretoken"] = visitor._csrf(page)
    done = visitor.session.post(page.url, data=form, headers={"Referer": page.url}, timeout=30, allow_redirects=False)
    assert done.status_code == 303, done.text
    return done


def revoke_button(served: Served, client: str) -> str:
    """What the button of an app sends."""
    url = served.gateway.database_url
    keys = [
        databases.value(url, table, "id", column, value)
        for table, column, value in (("oauthgw_client", "client_id", client), ("mcp_routes_mcproute", "slug", "told"))
    ]
    return f"{keys[0]}.{keys[1]}"


def behind_its_back(served: Served, token: str, change: str) -> None:
    """Changes a token's grant in the database itself, so that no process is told."""
    digest = sha256(served.tokens[token].encode()).hexdigest()
    where = f"id = (SELECT grant_id FROM oauthgw_accesstoken WHERE token_checksum = '{digest}')"  # noqa: S608  (as below)
    databases.run(served.gateway.database_url, f"UPDATE oauthgw_grant SET {change} WHERE {where}")  # noqa: S608  (the test's own words)


async def test_revoked_on_the_account_page_streams_end_on_both_workers_within_a_second(served: Served, told: Upstream) -> None:
    hers = await on_every_worker(served, lambda: told.stream(served, "demo_user"))
    calls = await on_every_worker(served, lambda: told.stream(served, "demo_user", "POST"))
    elsewhere = await told.stream(served, "demo_user_claude")
    his = await on_every_worker(served, lambda: told.stream(served, "bob"))
    await asyncio.to_thread(press, served, revoke=revoke_button(served, "cursor"))
    revoked = time.monotonic()
    seconds = [ended - revoked for ended in await asyncio.gather(*[stream.ended() for stream in [*hers, *calls]])]
    assert max(seconds) < 1 + SLOW_MACHINE
    for stream in [elsewhere, *his]:
        await stream.goes_on()
    await served.logged("ended early (This access token is not valid here.", "request_id=")


async def test_a_refresh_ends_nothing(served: Served, told: Upstream) -> None:
    """What is told of later has been acted upon, and the stream of the refreshed grant still goes on."""
    hers, marker = await told.stream(served, "alice"), await told.stream(served, "bob_claude")
    form = {"grant_type": "refresh_token", "refresh_token": served.tokens["alice_refresh"], "client_id": "cursor"}
    answer = await asyncio.to_thread(requests.post, f"{served.origin}/oauth/token", data=form, timeout=30)
    assert answer.status_code == 200, answer.text
    behind_its_back(served, "bob_claude", "revoked_at = CURRENT_TIMESTAMP")
    await marker.ended()
    await hers.goes_on()


async def test_an_answer_in_the_middle_is_broken_off_and_never_passes_for_a_whole(served: Served, told: Upstream) -> None:
    told.begin = begin_with_half_an_answer
    answer = await post(served, PING, token="alice_claude")
    assert await answer.chunk() == PONG[:10]
    request = await told.asked.get()
    with taken(served, "alice_claude"):
        with pytest.raises(asyncio.IncompleteReadError):
            await answer.chunk()
        await request.closed_by_gateway()


async def test_an_answer_that_has_not_begun_is_a_401_that_leads_to_a_new_sign_in(served: Served, told: Upstream) -> None:
    told.begin = lambda _: None
    asking = asyncio.ensure_future(post(served, PING, token="alice_claude"))
    request = await told.asked.get()
    with taken(served, "alice_claude"):
        answer = await asking
        await request.closed_by_gateway()
    assert answer.status == 401
    assert 'error="invalid_token"' in (answer.header("www-authenticate") or "")
    assert (await answer.json())["error"] == "invalid_token"


@contextlib.contextmanager
def taken(served: Served, token: str) -> Iterator[None]:
    """A grant that is revoked until the block ends."""
    behind_its_back(served, token, "revoked_at = CURRENT_TIMESTAMP")
    try:
        yield
    finally:
        behind_its_back(served, token, "revoked_at = NULL")


async def test_with_a_change_log_that_stands_still_a_stream_ends_within_five_seconds(served: Served, told: Upstream) -> None:
    streams = await on_every_worker(served, lambda: told.stream(served, "alice_claude"))
    databases.run(served.gateway.database_url, "ALTER TABLE journal_change RENAME TO journal_away")
    try:
        await served.logged("the change log cannot be read")
        with taken(served, "alice_claude"):
            revoked = time.monotonic()
            seconds = [ended - revoked for ended in await asyncio.gather(*[stream.ended() for stream in streams])]
    finally:
        databases.run(served.gateway.database_url, "ALTER TABLE journal_away RENAME TO journal_change")
    assert max(seconds) < 5.5 + SLOW_MACHINE
    await served.logged("the change log is read again")


@pytest.mark.parametrize("lasting", [True, False], ids=["a stream", "a call"])
async def test_a_route_that_is_switched_off_ends_what_is_open_on_it_and_is_a_404(served: Served, told: Upstream, lasting: bool) -> None:
    stream = await told.stream(served, "alice", "GET" if lasting else "POST")
    switch_route(served)
    try:
        await stream.ended()
        await known_everywhere(served, 404, token="expired")
    finally:
        switch_route(served)
        await known_everywhere(served, 401, token="expired")


def switch_route(served: Served) -> None:
    """Off, or on again."""
    databases.run(served.gateway.database_url, "UPDATE mcp_routes_mcproute SET enabled = NOT enabled WHERE slug = 'told'")
    served.publish("route", "mcp_routes_mcproute")


async def test_a_client_that_reads_nothing_any_more_keeps_no_upstream_busy(served: Served, told: Upstream) -> None:
    stream = await told.stream(served, "alice_claude")
    block = b"data: " + b"x" * 60_000 + b"\n\n"
    for _ in range(200):  # more than all buffers on the way hold
        stream.received.chunk(block)
    with taken(served, "alice_claude"):
        await stream.received.closed_by_gateway()


async def test_the_log_holds_no_token_of_a_stream_that_was_cut(served: Served) -> None:
    log = served.log()
    assert "ended early" in log
    assert not [name for name, token in served.tokens.items() if token in log]
    assert json.dumps(PING) not in log

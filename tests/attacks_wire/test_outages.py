"""PostgreSQL behind a wire that is cut, or goes silent: 503 in good time, never a 401, and served again as soon as it is
back (RFC 9110 §15.6.4; CWE-703).
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from tests.attacks_wire.wire import PING as BODY
from tests.attacks_wire.wire import answer, bearer, connected, request
from tests.flows.dataplane_fixtures import PING, PONG, Answer, Received, Served, call, gateway, post, upstream
from tests.support import postgresql

pytestmark = [pytest.mark.asyncio, pytest.mark.postgresql]

TICK = b"data: tick\n\n"


class Wire:
    """A TCP relay to the database. `silent` keeps connections open and delivers nothing."""

    def __init__(self) -> None:
        self.port = 0
        self.open = asyncio.Event()
        self.open.set()
        self.pairs: list[asyncio.StreamWriter] = []
        self.tasks: set[asyncio.Task[None]] = set()

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.ensure_future(self._relay(reader, writer)))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        self.pairs += [writer, back]
        await asyncio.gather(self._pass(reader, back), self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self.open.wait()
                writer.write(data)
        writer.close()

    target = ("127.0.0.1", 5432)
    database = ""

    def cut(self) -> None:
        while self.pairs:
            self.pairs.pop().transport.abort()


@pytest_asyncio.fixture
async def wired(tmp_path: Path) -> AsyncIterator[tuple[Served, Wire]]:
    server = postgresql.running()
    assert server is not None, "No PostgreSQL answers: set TEST_DATABASE_URL, or use `make test`, which starts one."
    told = psycopg.conninfo.conninfo_to_dict(server)
    name, wire = f"gateway_test_{secrets.token_hex(6)}", Wire()
    wire.database = name
    wire.target = (str(told.get("host")), int(told.get("port") or 5432))
    listening = await asyncio.start_server(wire, "127.0.0.1", 0)
    url = f"postgres://{told.get('user')}@127.0.0.1:{listening.sockets[0].getsockname()[1]}/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            serving = gateway(tmp_path, DATABASE_URL=url)
            served = await asyncio.to_thread(serving.__enter__)
            try:
                async with upstream(served, answer_or_tick):
                    await calls(served, 16)  # a pool that is warm
                    yield served, wire
            finally:
                wire.open.set()
                await asyncio.to_thread(serving.__exit__, None, None, None)
        finally:
            listening.close()
            wire.cut()
            await asyncio.gather(*wire.tasks, return_exceptions=True)
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def answer_or_tick(received: Received) -> None:
    """A call is answered; a stream ticks for as long as anybody listens."""
    if received.method != "GET":
        return await received.answer(PONG)
    received.begin_stream()
    while not received.writer.is_closing():
        received.chunk(TICK)
        await asyncio.sleep(0.05)


async def listen(served: Served) -> Answer:
    stream = await call(served, "GET", "/mcp/told", [("Authorization", f"Bearer {served.tokens['alice']}")])
    assert stream.status == 200
    assert (await stream.chunk()).startswith(TICK)  # several, where the machine is slow
    return stream


async def calls(served: Served, number: int) -> list[int]:
    return [answer.status for answer in await asyncio.gather(*[post(served, PING) for _ in range(number)])]


async def test_connections_that_were_cut_are_replaced_without_anybody_noticing(wired: tuple[Served, Wire]) -> None:
    """A restart or failover closes every pooled connection; the database itself is there."""
    served, wire = wired
    wire.cut()
    assert [(await calls(served, 1))[0] for _ in range(10)] == [200] * 10


async def test_a_silent_database_is_a_503_for_everybody_in_good_time(wired: tuple[Served, Wire]) -> None:
    """After the five seconds for which warm tokens work, of which no slow query makes more."""
    served, wire = wired
    wire.open.clear()
    began = sent = served_last = time.monotonic()
    while (answered := set(await calls(served, 12))) != {503}:
        assert answered <= {200, 503}
        served_last = sent  # some of these; the others may have waited for an answer meanwhile
        sent = time.monotonic()
    assert served_last - began < 5.5
    assert time.monotonic() - sent < 12, "how long those waited who were not"
    wire.open.set()
    wire.cut()
    async with asyncio.timeout(20):
        while await calls(served, 1) != [200]:
            pass


async def test_a_restart_of_the_database_ends_no_stream(wired: tuple[Served, Wire]) -> None:
    served, wire = wired
    stream = await listen(served)
    for _ in range(3):
        wire.cut()
        began = time.monotonic()
        while time.monotonic() - began < 2:  # longer than it takes to ask about it again
            assert await stream.chunk(), "the stream has ended"


async def test_a_silent_database_ends_streams_after_as_long_as_a_warm_token_works(wired: tuple[Served, Wire]) -> None:
    """Nobody here can know of a revocation, and one is to act within five seconds in any case."""
    served, wire = wired
    stream = await listen(served)
    opened = time.monotonic()
    while time.monotonic() - opened < 1.5:  # it has been asked about by then, however old the answer that let it in
        assert await stream.chunk(), "the stream has ended"
    wire.open.clear()
    began = time.monotonic()
    while await stream.chunk():
        pass
    assert 3.5 < time.monotonic() - began < 8  # of which three are for a slow machine
    wire.open.set()
    wire.cut()


async def test_an_outage_while_a_body_arrives_is_a_503_too(wired: tuple[Served, Wire]) -> None:
    served, wire = wired
    async with connected(served) as (reader, writer), asyncio.timeout(30):
        writer.write(request(b"/mcp/told", bearer(served), b"Content-Length: %d" % len(BODY), b"Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.open.clear()
        await asyncio.sleep(5.1)  # a body that takes this long has its token asked about again, of the database itself
        writer.write(BODY)
        reply = await answer(reader)
    assert reply.status == 503


@pytest.mark.parametrize("change", ["default_transaction_read_only = on", "search_path = nowhere"])
async def test_a_database_that_cannot_be_used_is_a_503(wired: tuple[Served, Wire], change: str) -> None:
    """As after a failover to a standby, or in the middle of a migration: an outage, whatever class of error the driver gives it."""
    served, wire = wired
    with psycopg.connect(str(postgresql.running()), autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} SET " + change).format(sql.Identifier(wire.database)))
    wire.cut()
    # More than there are stale connections; a token's first use is written down.
    answers = [await post(served, PING, token="bob") for _ in range(20)]
    assert {answer.status for answer in answers} == {503}
    assert (await answers[-1].json())["error"]["code"] == -31503

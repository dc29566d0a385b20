"""Reaching an upstream: how long a connection may take to come about."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from mcp_routes.proxy import pool, refusals, upstream
from mcp_routes.snapshot import Route
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port whose queue is full: whoever knocks there is not answered at all, as behind a firewall that drops packets."""
    with contextlib.ExitStack() as sockets:
        server = sockets.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(server.getsockname())
        yield server.getsockname()[1]


@pytest_asyncio.fixture
async def session() -> AsyncIterator[None]:
    """The pool of connections that every request to an upstream shares."""
    await upstream.start()
    yield
    await upstream.stop()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less time to connect than an operator would wait for."""
    assert pool.CONNECT_SECONDS == 5
    monkeypatch.setattr(pool, "CONNECT_SECONDS", 0.1)


async def test_one_that_takes_no_connection_is_given_up_long_before_one_that_is_slow_to_answer(
    deaf: int, impatient: None, session: None
) -> None:
    route = Route(1, "deaf", f"http://127.0.0.1:{deaf}/mcp", "")
    async with asyncio.timeout(PATIENCE):  # MCP_UPSTREAM_TIMEOUT_SECONDS are 120
        with pytest.raises(upstream.UpstreamFault) as fault:
            await upstream.ask("POST", route, [], b"{}")
    assert fault.value.refusal is refusals.UPSTREAM_SILENT


async def test_one_that_takes_it_is_asked(session: None) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        route = Route(1, "there", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp", "")
        answered = await upstream.ask("POST", route, [], b"")
        assert answered.status == 204
        answered.close()


async def test_no_value_can_begin_a_line_of_its_own(session: None) -> None:
    """Whatever let it come so far: parsers refuse such headers, and operators' are judged when they are set."""
    route = Route(1, "there", "http://127.0.0.1:1/mcp", "")
    for value in (b"a\r\nCookie: b", b"a\nb", b"a\rb", b"a\0b"):
        with pytest.raises(ValueError, match="line break"):
            await upstream.ask("POST", route, [(b"mcp-param-x", value)], b"")

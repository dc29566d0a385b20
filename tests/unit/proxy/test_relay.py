"""Event streams while they are quiet: a comment, but only between events."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mcp_routes.proxy import deadlines, headers, relay
from mcp_routes.proxy.connection import Answer
from mcp_routes.proxy.pool import Pool, address
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "KEEP_ALIVE_SECONDS", 0.02)
    monkeypatch.setattr(deadlines, "ROUND_SECONDS", 0.01)


async def relayed(behaviour: Callable[[asyncio.StreamWriter, "asyncio.Queue[bytes]"], Awaitable[None]]) -> list[bytes]:
    """What a client gets of a stream; the upstream sees it too, piece by piece, as it goes."""
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await behaviour(writer, pieces)
        writer.close()

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            got.append(message["body"])
            pieces.put_nowait(message["body"])

    async with await asyncio.start_server(answer, "127.0.0.1") as server, asyncio.timeout(PATIENCE):
        with contextlib.closing(await asked(server)) as streamed:
            await relay.relay(streamed, headers.read_answered(streamed.headers), [], send)
    return got


async def asked(server: asyncio.Server) -> Answer:
    """The head of what a server answers."""
    connection = await Pool().connection(address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"))
    answer = connection.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await answer.head()
    return answer


async def test_a_quiet_stream_gets_a_comment_between_events() -> None:
    async def behaviour(writer: asyncio.StreamWriter, pieces: "asyncio.Queue[bytes]") -> None:
        assert await pieces.get() == b": keep-alive\n\n"  # before the first event too
        writer.write(b"data: 1\n\n")
        while await pieces.get() != b"data: 1\n\n":
            pass
        assert await pieces.get() == b": keep-alive\n\n"

    assert b"data: 1\n\n" in await relayed(behaviour)


async def test_a_pause_within_an_event_stays_a_pause() -> None:
    async def behaviour(writer: asyncio.StreamWriter, pieces: "asyncio.Queue[bytes]") -> None:
        writer.write(b"data: 1\n")
        while await pieces.get() != b"data: 1\n":
            pass
        await asyncio.sleep(0.1)  # five times the interval: the silence itself is what is tested
        writer.write(b"data: 2\n\n")

    whole = b"".join(await relayed(behaviour))
    assert b"data: 1\ndata: 2\n\n" in whole


@pytest.mark.parametrize("tail", [b"", b"1\n\n", b"1\r\r", b"\n\r\n"])
async def test_a_comment_may_stand_between_events(tail: bytes) -> None:
    assert relay.between_events(tail)


@pytest.mark.parametrize("tail", [b"dat", b"x1\n", b"1\r\n", b"x1\r", b"\r\n\r"])
async def test_a_comment_may_not_stand_within_one(tail: bytes) -> None:
    assert not relay.between_events(tail)


async def test_a_stream_that_is_cut_ends_properly_even_within_an_event_unless_nobody_reads() -> None:
    for reads in (True, False):
        got: list[dict[str, Any]] = []

        async def send(message: dict[str, Any], reads: bool = reads, got: list[dict[str, Any]] = got) -> None:
            if not reads and got and got[-1].get("body"):
                await asyncio.Event().wait()
            got.append(message)

        await cut_in_mid_event(send, got)
        ended = got[-1] == {"type": "http.response.body", "body": b""}
        assert ended is reads


async def cut_in_mid_event(send: Callable[[dict[str, Any]], Awaitable[None]], got: list[dict[str, Any]]) -> None:
    """Relays half an event and cancels."""
    left = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"data: ha")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(answer, "127.0.0.1") as server, asyncio.timeout(PATIENCE):
        with contextlib.closing(await asked(server)) as streamed:
            relaying = asyncio.ensure_future(relay.relay(streamed, headers.read_answered(streamed.headers), [], send))
            while not any(message.get("body") for message in got):  # noqa: ASYNC110  (what was sent has no event)
                await asyncio.sleep(0.001)
            relaying.cancel()
            await asyncio.gather(relaying, return_exceptions=True)
            assert relaying.cancelled()
        await left.wait()

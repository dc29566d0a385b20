"""Event streams while they are quiet: a comment, but only between events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from mcp_routes.proxy import relay

pytestmark = pytest.mark.asyncio

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
PATIENCE = 10.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "KEEP_ALIVE_SECONDS", 0.02)


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

    async with await asyncio.start_server(answer, "127.0.0.1") as server, aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
        port = server.sockets[0].getsockname()[1]
        async with session.get(f"http://127.0.0.1:{port}/") as streamed:
            await relay.relay(streamed, [], send)
    return got


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

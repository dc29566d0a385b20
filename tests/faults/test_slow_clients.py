"""Clients that keep a server waiting: given up after a while, at whatever they stop; who waits for us is not.

The real server and protocol on real sockets, with short patience, before an application of a few lines.
"""

import asyncio
import contextlib
import socket
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from gatewaysite import protocol, server
from tests.support.processes import PATIENCE
from tests.support.server import Serving, answer, on_uvloop, serving

SHORT = 0.15
GET = b"GET /at-once HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (protocol.HEAD_SECONDS, protocol.MESSAGE_SECONDS, protocol.UNREAD_SECONDS, server.ROUND_SECONDS) == (20, 75, 60, 1)
    for module, name in ((protocol, "HEAD_SECONDS"), (protocol, "MESSAGE_SECONDS"), (protocol, "UNREAD_SECONDS")):
        monkeypatch.setattr(module, name, SHORT)
    monkeypatch.setattr(server, "ROUND_SECONDS", 0.02)


class Application:
    """Answers by path: at once, once told to, after the body, at length, or without an end."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.sent = 0
        self.left = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/when-told":
            await self.go_on.wait()
        if scope["path"] == "/after-the-body":
            while (message := await receive())["type"] == "http.request" and message["more_body"]:
                pass
            if message["type"] == "http.disconnect":
                return self.left.set()
        if scope["path"] == "/endless":
            return await self._endless(receive, send)
        await answer(send, b"x" * 32 * 1024 * 1024 if scope["path"] == "/long" else b"ok")

    async def _endless(self, receive: Any, send: Any) -> None:
        sending = asyncio.ensure_future(self._send_on(send))
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()
        sending.cancel()
        await asyncio.wait([sending])

    async def _send_on(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            self.sent += 65536


@contextlib.asynccontextmanager
async def connected(running: Serving, receive_buffer: int | None = None) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    end = socket.socket()
    if receive_buffer:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    end.setblocking(False)
    await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", running.port))
    reader, writer = await asyncio.open_connection(sock=end, limit=1024)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.transport.abort()


async def rest(reader: StreamReader) -> bytes:
    """All that still comes."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            got += data
    return got


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"])
@on_uvloop
async def test_who_says_nothing_is_hung_up_on(sent: bytes) -> None:
    async with serving(Application()) as running, connected(running) as (reader, writer):
        writer.write(sent)
        assert await rest(reader) == b""


@pytest.mark.parametrize("begun", [b"G", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
@on_uvloop
async def test_half_a_head_is_a_408(begun: bytes) -> None:
    """RFC 9110 §15.5.9."""
    async with serving(Application()) as running, connected(running) as (reader, writer):
        writer.write(begun)
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


@on_uvloop
async def test_a_head_that_trickles_is_a_408() -> None:
    async with serving(Application()) as running, connected(running) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        ending = asyncio.ensure_future(rest(reader))
        while not ending.done():
            writer.write(b"X-Another: header\r\n")
            await asyncio.sleep(0.01)  # slow, and never silent
        assert (await ending).startswith(b"HTTP/1.1 408 ")


@on_uvloop
async def test_so_is_one_behind_an_answered_request() -> None:
    async with serving(Application()) as running, connected(running) as (reader, writer):
        writer.write(GET)
        assert b"200 OK" in await reader.readuntil(b"ok")
        writer.write(b"GET / HT")
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


@on_uvloop
async def test_an_idle_connection_is_kept_for_its_own_time() -> None:
    async with serving(Application(), keep_alive=4 * SHORT) as running, connected(running) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"ok")
        began = time.monotonic()
        assert await rest(reader) == b""
        assert time.monotonic() - began > 3 * SHORT


@on_uvloop
async def test_empty_lines_do_not_make_it_a_busy_one() -> None:
    async with serving(Application(), keep_alive=SHORT) as running, connected(running) as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"ok")
        ending = asyncio.ensure_future(rest(reader))
        while not ending.done():
            writer.write(b"\r\n")
            await asyncio.sleep(0.01)
        assert await ending == b""


@on_uvloop
async def test_a_connection_in_use_stays_open() -> None:
    async with serving(Application(), keep_alive=SHORT) as running, connected(running) as (reader, writer):
        ends = time.monotonic() + 4 * SHORT
        while time.monotonic() < ends:
            writer.write(GET)
            await reader.readuntil(b"ok")


@on_uvloop
async def test_a_body_that_does_not_come_ends_its_request() -> None:
    application = Application()
    async with serving(application) as running, connected(running) as (reader, writer):
        writer.write(POST % b"after-the-body" + b"x" * 10)
        assert await rest(reader) == b""
        await application.left.wait()


@on_uvloop
async def test_so_does_one_that_trickles_although_its_request_was_refused() -> None:
    """What is read past a refusal costs little, but a connection costs as much as ever."""
    async with serving(Application()) as running, connected(running) as (reader, writer):
        writer.write(POST % b"at-once")
        await reader.readuntil(b"ok")
        ending = asyncio.ensure_future(rest(reader))
        while not ending.done():
            writer.write(b"x")
            await asyncio.sleep(0.01)
        assert await ending == b""


@pytest.mark.parametrize("behind", [b"", b"GET / HT", GET, POST % b"at-once" + b"x" * 10])
@on_uvloop
async def test_who_waits_for_us_is_not_given_up_whatever_it_sends_meanwhile(behind: bytes) -> None:
    application = Application()
    async with serving(application, keep_alive=SHORT) as running, connected(running) as (reader, writer):
        writer.write(GET.replace(b"at-once", b"when-told") + behind)
        await asyncio.sleep(3 * SHORT)  # the silence itself is what is tested
        application.go_on.set()
        assert b"200 OK" in await reader.readuntil(b"ok")


@on_uvloop
async def test_an_answer_that_nobody_reads_is_held_back_and_given_up() -> None:
    application = Application()
    async with serving(application) as running, connected(running, receive_buffer=4096) as (reader, writer):
        writer.write(GET.replace(b"at-once", b"endless"))
        await reader.read(1)
        await application.left.wait()
        assert application.sent < 1024 * 1024  # the system's buffers take some, the process at most 64 KiB and a piece


@on_uvloop
async def test_so_is_a_whole_one_that_waits_to_leave() -> None:
    async with serving(Application()) as running, connected(running, receive_buffer=4096) as (reader, writer):
        writer.write(GET.replace(b"at-once", b"long"))
        await reader.read(1)
        await running.until_connected(0)


@on_uvloop
@pytest.mark.parametrize("path", [b"endless", b"long"])
async def test_a_slow_reader_is_not_given_up(path: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 0.6)  # longer than a busy machine keeps this very process from reading
    application = Application()
    async with serving(application) as running, connected(running, receive_buffer=65536) as (reader, writer):
        writer.write(GET.replace(b"at-once", path))
        ends = time.monotonic() + 1.2
        while time.monotonic() < ends:
            await reader.readexactly(1000)
            await reader.read(65536)
            await asyncio.sleep(0.01)
        assert not application.left.is_set()


@on_uvloop
async def test_a_connection_that_cannot_be_looked_at_does_not_shield_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Application()) as running, connected(running):
        await running.until_connected(1)
        vars(next(iter(running.server.server_state.connections)))["check"] = lambda _: 1 / 0
        async with connected(running) as (reader, _):
            assert await rest(reader) == b""
    assert "could not be looked at" in caplog.text


class FullTransport:
    """Holds the same number of bytes whenever somebody looks: as much is read as is written."""

    aborted = False

    def get_write_buffer_size(self) -> int:
        return 65536

    def abort(self) -> None:
        self.aborted = True


@on_uvloop
async def test_what_was_read_and_written_between_two_looks_counts() -> None:
    async with serving(Application()) as running, connected(running):
        await running.until_connected(1)
        looked_at = cast(protocol.GuardedHttp, running.server.server_state.connections.pop())  # from now on only here
        full = FullTransport()
        looked_at.transport = cast(asyncio.Transport, full)
        looked_at.check(0)
        for _ in range(3):
            looked_at.resume_writing()
            looked_at.check(2 * SHORT)
        looked_at.check(3 * SHORT - 0.01)
        assert not full.aborted
        looked_at.check(3 * SHORT + 0.01)
        assert full.aborted


@on_uvloop
async def test_beyond_its_limit_a_server_says_so_and_serves_who_is_there() -> None:
    application = Application()
    async with serving(application, limit_concurrency=2) as running, connected(running) as (first, first_writer):
        async with connected(running) as (second, second_writer):
            for reader, writer in ((first, first_writer), (second, second_writer)):
                writer.write(GET)
                await reader.readuntil(b"ok")
            first_writer.write(GET.replace(b"at-once", b"when-told"))
            async with connected(running) as (third, _):
                assert (await rest(third)).startswith(b"HTTP/1.1 503 ")
            second_writer.write(GET)
            assert b"200 OK" in await second.readuntil(b"ok")
        application.go_on.set()
        assert b"200 OK" in await first.readuntil(b"ok")
        await running.until_connected(1)
        async with connected(running) as (third, third_writer):
            third_writer.write(GET)
            assert b"200 OK" in await third.readuntil(b"ok")

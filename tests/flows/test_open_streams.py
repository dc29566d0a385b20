"""Event streams while they are open: a comment when they are quiet, and for how long they may outlive their token.

The real data plane and server on real sockets in this process, with short patience; only who calls, and which route, is told by the test.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from mcp_routes import snapshot
from mcp_routes.proxy import app, relay, upstream, watch
from oauthgw import principals
from oauthgw.principals import Principal
from tests.support.processes import PATIENCE
from tests.support.server import serving

pytestmark = pytest.mark.asyncio

SHORT = 0.05
COMMENT = b": keep-alive\n\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
ALICE = Principal(1, "alice", "cursor", 3, 5, 9, "http://localhost/mcp/told", frozenset(), 0.0, "", "", frozenset())
PING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'
LISTEN = (
    b'{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}'
)


@dataclass
class Stage:
    """A gateway whose caller's token ends `expires_in` seconds from now, and an upstream that begins each stream and leaves it open."""

    gateway_port: int
    upstream_port: int
    expires_in: float = 900
    upstreams: "asyncio.Queue[asyncio.StreamWriter]" = field(default_factory=asyncio.Queue)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def route(self) -> snapshot.Route:
        return snapshot.Route(9, "told", f"http://127.0.0.1:{self.upstream_port}/mcp", "")

    async def open(self, body: bytes = b"") -> "Stream":
        """A GET stream, or the answer to a POST of this body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway_port)
        self.writers.append(writer)
        lines = [b"%s /mcp/told HTTP/1.1" % (b"POST" if body else b"GET"), b"Host: localhost", b"Authorization: Bearer x"]
        lines += [b"MCP-Protocol-Version: 2026-07-28", b"Mcp-Method: subscriptions/listen"] if body == LISTEN else []
        writer.write(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body]))
        async with asyncio.timeout(PATIENCE):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            return Stream(reader, await self.upstreams.get())


@dataclass
class Stream:
    """Both ends of an open stream."""

    reader: asyncio.StreamReader
    upstream: asyncio.StreamWriter

    def write(self, piece: bytes) -> None:
        """The upstream's next piece of it."""
        self.upstream.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    async def read(self) -> bytes:
        """The client's next piece; empty at the proper end."""
        async with asyncio.timeout(PATIENCE):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def read_past_comments(self) -> bytes:
        while (piece := await self.read()) == COMMENT:
            pass
        return piece

    async def is_quiet(self) -> bool:
        """Whether nothing comes in four times as long as a comment takes: the silence itself is what is asked about."""
        try:
            await asyncio.wait_for(self.reader.readexactly(1), 4 * SHORT)
        except TimeoutError:
            return True
        return False


@pytest_asyncio.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    assert (relay.KEEP_ALIVE_SECONDS, watch.EVERY_SECONDS) == (15, 1)
    monkeypatch.setattr(relay, "KEEP_ALIVE_SECONDS", SHORT)
    monkeypatch.setattr(watch, "EVERY_SECONDS", SHORT)
    made: Stage
    monkeypatch.setattr(watch, "_still", lambda grants, routes: (frozenset(grants), {9: made.route.upstream_url}))

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        made.upstreams.put_nowait(writer)

    async def known(token: str, resource_id: int) -> Principal:
        return replace(ALICE, expires_at=time.time() + made.expires_in)

    async def found(slug: str) -> snapshot.Route:
        return made.route

    monkeypatch.setattr(principals, "resolve", known)
    monkeypatch.setattr(snapshot, "find", found)
    await upstream.start()
    watching = asyncio.ensure_future(watch.Watch().keep())
    async with await asyncio.start_server(begin, "127.0.0.1") as server, serving(app.serve) as gateway:
        made = Stage(gateway.port, server.sockets[0].getsockname()[1])
        yield made
        watching.cancel()
        for writer in made.writers:
            writer.close()
        for writer in made.writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
    await upstream.stop()


WAYS = {
    "between lines ended by LF": [(b"data: 1\n", False), (b"\n", True)],
    "between lines ended by CRLF": [(b"data: 1\r\n", False), (b"\r\n", True)],
    "between lines ended by CR": [(b"data: 1\r", False), (b"\r", True)],
    "within CRLF": [(b"data: 1\r", False), (b"\n\r", False), (b"\n", True)],
    "within a line": [(b"da", False), (b"ta: 1\n\n", True)],
    "within a character": [(b"data: \xc3", False), (b"\xa4\n\n", True)],
    "behind an event and the beginning of another": [(b"data: 1\n\nid", False), (b": 2\n\n", True)],
    "behind the upstream's own comment": [(b": still here\n", False), (b"\n", True)],
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_quiet_stream_gets_comments_between_events_and_nowhere_else(stage: Stage, way: str) -> None:
    """However the upstream's pieces are cut. WHATWG HTML, "Server-sent events": lines end with CRLF, LF or CR."""
    stream = await stage.open()
    assert await stream.read() == COMMENT
    for piece, between in WAYS[way]:
        stream.write(piece)
        assert await stream.read_past_comments() == piece
        if between:
            assert await stream.read() == await stream.read() == COMMENT
        else:
            assert await stream.is_quiet()


@pytest.mark.parametrize(("body", "seconds"), [(b"", 60), (LISTEN, 60), (PING, 3600)], ids=["GET", "subscriptions/listen", "a call"])
async def test_a_stream_may_outlive_its_token_by_so_much_and_no_more(stage: Stage, body: bytes, seconds: int) -> None:
    """A minute what never ends of itself, an hour the answer to a call."""
    stage.expires_in = 0.7 - seconds
    ending = await stage.open(body)
    stage.expires_in = 60 - seconds
    lasting = await stage.open(body)
    while await ending.read() == COMMENT:
        pass
    lasting.write(b"data: 1\n\n")
    assert await lasting.read_past_comments() == b"data: 1\n\n"

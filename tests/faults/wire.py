"""An upstream's connections, byte by byte, and what a client gets of them.

What happens on a connection is the test's own code: it reads as much of a request as it likes, and may write before, write after, or reset.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from tests.flows.dataplane_fixtures import PING, Received, Served, post, received_head

CUT = 0
"""The outcome of an answer that began and was broken off: its client knows that it is not whole."""

NOT_WHOLE = {502, CUT}
"""What may become of an answer that breaks off, depending on how much of it had already passed."""

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def sized(body: bytes, head: bytes = JSON) -> bytes:
    """A whole answer of a stated length."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Connection:
    """One connection of the gateway's, by its number in the order in which they came."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.reader = reader
        self.writer = writer
        self.requests: list[Received] = []
        self._begun: Received | None = None

    async def peek(self) -> Received:
        """Reads the head of a request, which stays to be read."""
        self._begun = self._begun or await received_head(self.reader, self.writer)
        return self._begun

    async def head(self) -> Received:
        """Reads the head of a request, and nothing of its body."""
        self.requests.append(await self.peek())
        self._begun = None
        return self.requests[-1]

    async def request(self) -> Received:
        """Reads a whole request."""
        request = await self.head()
        request.body = await self.reader.readexactly(int(request.header("content-length") or 0))
        return request

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection with a RST in place of a FIN."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def closed_by_gateway(self) -> None:
        """Waits until the gateway closes this connection; what it still sends is read and thrown away."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass


Conversation = Callable[[Connection], Awaitable[None]]


def writing(data: bytes) -> Conversation:
    """Reads a request, writes these bytes, and waits for the gateway to close."""

    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(data)
        await connection.closed_by_gateway()

    return conversation


@contextlib.asynccontextmanager
async def upstream(
    served: Served, conversation: Conversation, *, port: int = 0, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[list[Connection]]:
    """Listens as the upstream of the route `told`, unless told another port; the connections so far."""
    connections: list[Connection] = []
    busy: set[asyncio.Task[None]] = set()

    async def converse(connection: Connection) -> None:
        with contextlib.closing(connection.writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await conversation(connection)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(Connection(len(connections), reader, writer))
        busy.add(asyncio.ensure_future(converse(connections[-1])))

    server = await asyncio.start_server(accept, host, port or served.upstream_port, backlog=1000, ssl=tls)
    try:
        yield connections
    finally:
        server.close()
        for task in busy:
            task.cancel()
        ends = await asyncio.gather(*busy, return_exceptions=True)
        for connection in connections:
            with contextlib.suppress(AttributeError):  # asyncio's abort() has no loop any more where the last write closed it
                connection.writer.transport.abort()  # what nobody reads would keep it open
        await asyncio.sleep(0)  # a turn of the event loop, in which that is done
        await server.wait_closed()
        for end in ends:
            if isinstance(end, Exception):
                raise end


async def outcome(served: Served, token: str = "alice", path: str = "/mcp/told", **headers: str) -> int:
    """The status that a client gets of the next request, or CUT. A refusal of the gateway's own says the code of its status."""
    answer = await post(served, PING, token, path, **headers)
    try:
        body = await answer.content()
    except (asyncio.IncompleteReadError, ConnectionError):
        return CUT
    if answer.status in (502, 504):
        assert json.loads(body)["error"]["code"] == -31_000 - answer.status
    return answer.status


async def outcomes(served: Served, cases: Mapping[str, Conversation]) -> dict[str, int]:
    """What becomes of each case, all at once: for cases that each take as long as the gateway's patience."""

    async def conversation(connection: Connection) -> None:
        await cases[(await connection.peek()).header("mcp-case") or ""](connection)

    async with upstream(served, conversation):
        statuses = await asyncio.gather(*[outcome(served, Mcp_Case=case) for case in cases])
    return dict(zip(cases, statuses, strict=True))

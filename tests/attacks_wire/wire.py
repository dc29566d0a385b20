"""Bytes on a socket: what a hostile client writes, and the first answer it gets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.flows.dataplane_fixtures import Served
from tests.support.processes import PATIENCE

PING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'


@dataclass(frozen=True, slots=True)
class Reply:
    """The first answer on a connection; status 0 when the connection was closed without one. Header lines are lower-case."""

    status: int
    lines: tuple[str, ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((line.partition(":")[2].strip() for line in self.lines if line.startswith(f"{name}:")), None)


def bearer(served: Served, name: str = "alice") -> bytes:
    return f"Authorization: Bearer {served.tokens[name]}".encode()


def request(target: bytes, *headers: bytes, body: bytes = b"", method: bytes = b"POST", host: bytes = b"localhost") -> bytes:
    """A request as it goes over the wire; its framing is the caller's."""
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: " + host, *headers, b"", body])


def ping(served: Served, *headers: bytes, target: bytes = b"/mcp/told", host: bytes = b"localhost") -> bytes:
    """A well-formed and authorized ping with further headers."""
    return request(target, bearer(served), b"Content-Length: %d" % len(PING), *headers, body=PING, host=host)


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n"


@contextlib.asynccontextmanager
async def connected(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is torn down at the end, whatever is still under way on it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(served: Served, data: bytes, patience: float = PATIENCE) -> Reply:
    """Writes the bytes and reads the first answer. Raises TimeoutError when there is neither answer nor end."""
    async with connected(served) as (reader, writer), asyncio.timeout(patience):
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        return await answer(reader)


async def answer(reader: asyncio.StreamReader) -> Reply:
    """The next final answer."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Reply(0, (), b"")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    if status == 100:
        return await answer(reader)
    reply = Reply(status, tuple(line.lower() for line in lines if line), b"")
    length = int(reply.header("content-length") or 0)
    body = await reader.readexactly(length) if status != 101 and length else b""
    return Reply(reply.status, reply.lines, body)

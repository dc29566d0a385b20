"""Every process of a gateway by name: what one of them was told says nothing of what the next one knows."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.flows.dataplane_fixtures import PING, Served
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE, children, holder

_BODY = json.dumps(PING).encode()


@dataclass
class Line:
    """A connection to one process of a gateway, kept open from request to request."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, token: str, path: str = "/mcp/told") -> int:
        """Pings with this token; the status of the answer."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(_BODY)}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self.writer.write(head.encode() + _BODY)
        answered = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(line.partition(":")[2] for line in answered.split("\r\n") if line.startswith("content-length:"))
        await self.reader.readexactly(int(length))
        return int(answered.split(" ")[1])


@contextlib.asynccontextmanager
async def a_line_to_each(gateway: Gateway) -> AsyncIterator[list[Line]]:
    """One connection to each process that serves, until the block ends."""
    serving = children(gateway.process.pid) if gateway.server.startswith("gunicorn") else [gateway.process.pid]
    lines: dict[int, Line] = {}
    writers: list[asyncio.StreamWriter] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while len(lines) < len(serving):  # who takes a connection is theirs to say
                reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writers.append(writer)
                port = writer.get_extra_info("sockname")[1]
                while (pid := holder(serving, gateway.port, port)) is None:  # noqa: ASYNC110  (not taken yet; nobody tells)
                    await asyncio.sleep(0.01)
                lines.setdefault(pid, Line(pid, reader, writer))
        yield list(lines.values())
    finally:
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def known_everywhere(served: Served, status: int, token: str = "alice", path: str = "/mcp/told") -> None:
    """Waits until each process answers the owner of a named token so: what is published is known within a second."""
    async with a_line_to_each(served.gateway) as lines, asyncio.timeout(PATIENCE):
        for line in lines:
            while await line.ask(served.tokens[token], path) != status:  # noqa: ASYNC110  (nobody tells what a process knows)
                await asyncio.sleep(0.02)

"""A very fast stand-in for an MCP server: `python -m bench.speed.upstream PORT`.

Answers each request at once with the same bytes, as JSON or, for who accepts nothing else, as an event stream. It knows no protocol, so
that what is measured is what stands before it.
"""

import asyncio
import sys

import httptools

BODY = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"' + b"x" * 200 + b'"}],"isError":false}}'
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
_EVENT = b"event: message\ndata: " + BODY + b"\n\n"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
    len(_EVENT),
    _EVENT,
)


class Standin(asyncio.Protocol):
    """One connection, kept alive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._events = False

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"accept":
            self._events = value == b"text/event-stream"

    def on_message_complete(self) -> None:
        self._transport.write(EVENTS if self._events else JSON)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Until the process ends."""
    server = await asyncio.get_running_loop().create_server(Standin, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))

"""A very fast stand-in for an MCP server: `python -m bench.speed.upstream PORT`.

Calls of the load are answered at once with the same bytes, as JSON or, for who accepts nothing else, as an event stream. Anything else is
read: it knows enough of the protocol (initialize, ping, tools/list, tools/call) for a client of an SDK, and nothing of sessions.
"""

import asyncio
import json
import sys
from typing import Any

from bench.speed.load import CALL, MODERN_CALL, TEXT

_RESULT = {"content": [{"type": "text", "text": TEXT}], "isError": False}
_TOOL = {"name": "echo", "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}}


def json_answer(content: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content)


def events_answer(content: bytes) -> bytes:
    event = b"event: message\ndata: " + content + b"\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(event), event)


def answered(body: bytes) -> bytes:
    """What is answered to a message that is not the load's own."""
    message = json.loads(body)
    if "id" not in message:
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    results: dict[str, Any] = {
        "initialize": {
            "protocolVersion": message.get("params", {}).get("protocolVersion"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "stand-in", "version": "1"},
        },
        "ping": {},
        "tools/list": {"tools": [_TOOL]},
        "tools/call": _RESULT,
    }
    envelope = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] in results:
        return json_answer(json.dumps({**envelope, "result": results[message["method"]]}).encode())
    return json_answer(json.dumps({**envelope, "error": {"code": -32601, "message": "Method not found"}}).encode(), b"404 Not Found")


_CALLED = json.dumps({"jsonrpc": "2.0", "id": 1, "result": _RESULT}).encode()
_JSON, _EVENTS = json_answer(_CALLED), events_answer(_CALLED)


class Standin(asyncio.Protocol):
    """One connection, kept alive. Reads only what it must: its own cost would be counted against whoever is measured beside it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        data = self._held + data if self._held else data
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end].lower() if end > 3 else b""
        if head and not head.startswith(b"post"):  # streams are not its own: see bench.speed.streams
            self._held = b""
            return self._write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
        at = head.find(b"content-length:") + 15
        body = data[end:]
        if not head or (at > 14 and len(body) < int(head[at : head.index(b"\r\n", at)])):
            self._held = data
            return None
        self._held = b""
        if b"transfer-encoding" in head:
            raise ValueError("a chunked request: whoever is measured sends a length")
        if body not in (CALL, MODERN_CALL):
            return self._write(answered(body))
        return self._write(_EVENTS if b"accept: text/event-stream\r\n" in head else _JSON)

    def _write(self, answer: bytes) -> None:
        self._transport.write(answer)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Until the process ends."""
    server = await asyncio.get_running_loop().create_server(Standin, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))

"""What streams cost and how fast they are: `python -m bench.speed.streams`, a job (JSON) on standard input, figures on standard output.

The upstream and the clients are one process, so that one clock tells when a byte left and when it came, and when a client left and when
the upstream learned of it.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from bench.speed.processes import memory_kb

PATIENCE = 60.0  # seconds for anything that should happen
_EVENT = b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"here"}}\n\n'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":{}}}'
_SILENT, _STREAMING = b"silent", b"streaming"  # tools: one never answers, the other begins to


@dataclass(frozen=True)
class StreamJob:
    """Through what to ask (`pid` is its process), on which port the upstream is expected, and how often."""

    url: str
    tokens: list[str]
    pid: int
    port: int
    streams: int
    events: int
    aborts: int


@dataclass(frozen=True)
class Streams:
    """Milliseconds of each event from upstream to client, and of each leaving from client to upstream; kB of memory of an idle stream."""

    event_ms: list[float]
    json_abort_ms: list[float]
    sse_abort_ms: list[float]
    streams: int
    kb_a_stream: float


class Upstream(asyncio.Protocol):
    """One connection of whoever is measured."""

    newest: "Upstream"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._held = transport, b""
        self.lost: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._held += data
        is_stream = self._held.startswith(b"GET ") and b"\r\n\r\n" in self._held
        if not (is_stream or self._held.endswith(b"}}")):
            return
        if is_stream or _STREAMING in self._held:
            self._transport.write(_HEAD)  # type: ignore[attr-defined]
            self.send_event()
        self._held, Upstream.newest = b"", self
        asked.set()

    def send_event(self) -> None:
        self._transport.write(b"%x\r\n%s\r\n" % (len(_EVENT), _EVENT))  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(time.perf_counter())


asked = asyncio.Event()  # a request has reached the upstream


class Client(asyncio.Protocol):
    """One connection, with one request."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.seen = b""
        self.event: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.seen = (self.seen + data)[-2000:]
        if b'"here"' in data and not self.event.done():
            self.event.set_result(time.perf_counter())

    def connection_lost(self, error: Exception | None) -> None:
        if not self.event.done():
            self.event.set_exception(ConnectionError(f"closed before an event: {self.seen!r}"))

    async def next_event(self) -> float:
        """When the next one comes."""
        self.event = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self.event, PATIENCE)


async def ask(job: StreamJob, number: int, method: str, body: bytes) -> Client:
    """Another client's request, on its way."""
    parts = urlsplit(job.url)
    head = (
        f"{method} {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json, text/event-stream\r\n"
        f"Authorization: Bearer {job.tokens[number % len(job.tokens)]}\r\nMCP-Protocol-Version: 2025-06-18\r\n"
    )
    content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    request = f"{head}{content}\r\n".encode() + body
    return (await asyncio.get_running_loop().create_connection(lambda: Client(request), "127.0.0.1", parts.port or 80))[1]


async def event_times(job: StreamJob) -> list[float]:
    """Milliseconds of one event after the other on one stream."""
    client = await ask(job, 0, "GET", b"")
    await asyncio.wait_for(client.event, PATIENCE)
    took = []
    for _ in range(job.events):
        began = time.perf_counter()
        Upstream.newest.send_event()
        took.append((await client.next_event() - began) * 1000)
    client.transport.close()
    return took


async def abort_times(job: StreamJob, tool: bytes) -> list[float]:
    """Milliseconds from the end of a client's connection to that of the upstream's, while the upstream works or streams."""
    took = []
    for number in range(job.aborts):
        asked.clear()
        client = await ask(job, number, "POST", _CALL % tool)
        await asyncio.wait_for(asked.wait(), PATIENCE)
        if tool == _STREAMING:
            await asyncio.wait_for(client.event, PATIENCE)
        upstream, began = Upstream.newest, time.perf_counter()
        client.transport.abort()  # type: ignore[attr-defined]
        took.append((await asyncio.wait_for(upstream.lost, PATIENCE) - began) * 1000)
        client.event.cancel()
    return took


async def kb_a_stream(job: StreamJob) -> float:
    """By how much memory has grown once so many streams are open and have had their first event, divided by their number."""
    before = memory_kb(job.pid)
    clients: list[Client] = []
    for start in range(0, job.streams, 50):  # so many at once: a queue of connections is not what is measured
        some = [await ask(job, number, "GET", b"") for number in range(start, min(start + 50, job.streams))]
        await asyncio.wait_for(asyncio.gather(*(client.event for client in some)), PATIENCE)
        clients += some
    after = memory_kb(job.pid)
    for client in clients:
        client.transport.close()
    return (after - before) / len(clients)


async def measured(job: StreamJob) -> Streams:
    """One after the other; memory last, because what was open before would count."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", job.port, backlog=512)
    events = await event_times(job)
    json_aborts, sse_aborts = [await abort_times(job, tool) for tool in (_SILENT, _STREAMING)]
    kb = await kb_a_stream(job)
    server.close()
    return Streams(events, json_aborts, sse_aborts, job.streams, kb)


def main() -> None:
    import uvloop

    try:
        print(json.dumps(asdict(uvloop.run(measured(StreamJob(**json.load(sys.stdin)))))))
    except (OSError, TimeoutError) as error:
        sys.exit(f"streams: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()

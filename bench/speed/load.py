"""Connections that ask and wait: `python -m bench.speed.load`, a job (JSON) on standard input, what came back (JSON) on standard output.

A process of its own, so that it has a processor of its own. Closed, each connection sends its next request when the last answer is whole.
Open, with a `rate`, requests are due whether or not answers come, and a time counts from when its request was due: a server that stalls
makes all that wait behind it late (no coordinated omission).

Requests are bytes made beforehand, and of an answer only its end is looked for: what is measured should be slower than who measures.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

TEXT = "hello " * 32
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"%s"}}}' % TEXT.encode()
_META = b'"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
MODERN_CALL = CALL[:-2] + b"," + _META + b"}}"
JSON, EVENTS = "application/json, text/event-stream", "text/event-stream"
A = TypeVar("A", bound="Asking")
PATIENCE = 30.0  # seconds without an answer, after which the run is an error


@dataclass(frozen=True)
class Job:
    """What is asked: `tokens` are taken in turn, each once if `once`; `rate` (requests/s) makes it open; `limit` ends it early.

    A modern request is one of revision 2026-07-28, the others are of 2025-06-18 and have no session.
    """

    url: str
    seconds: float
    connections: int = 32
    tokens: list[str] = field(default_factory=list)
    once: bool = False
    accept: str = JSON
    modern: bool = False
    rate: float = 0
    limit: int = 0


@dataclass(frozen=True)
class Loaded:
    """What came back. `requests` and `cpu_seconds` (of the load itself) include the warm-up, the other figures do not."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    cpu_seconds: float


class Wrong(Exception):
    """An answer that is none."""


def requests_of(job: Job) -> Iterator[bytes]:
    """The bytes of one request after the other."""
    parts = urlsplit(job.url)
    body = MODERN_CALL if job.modern else CALL
    era = "2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo" if job.modern else "2025-06-18"
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Accept: {job.accept}\r\nMCP-Protocol-Version: {era}\r\nContent-Length: {len(body)}\r\n"
    )
    if not job.tokens:
        return itertools.repeat(head.encode() + b"\r\n" + body)
    made = (f"{head}Authorization: Bearer {token}\r\n\r\n".encode() + body for token in job.tokens)
    return made if job.once else itertools.cycle(list(made))


class Tally:
    """Requests to come and seconds that answers took. Ends with its requests, with its time, or with the first wrong answer."""

    def __init__(self, requests: Iterator[bytes], seconds: float, limit: int = 0) -> None:
        self.requests = itertools.islice(requests, limit) if limit else requests
        self.took: list[float] = []
        self.wrong: Exception | None = None
        self.began = self.ended = time.perf_counter()
        self.until = self.began + seconds
        self.over = asyncio.Event()  # all that an open load wanted is answered, or something went wrong

    def next_request(self) -> bytes | None:
        if self.wrong is not None or self.ended >= self.until:
            return None
        return next(self.requests, None)


class Asking(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.ended = asyncio.get_running_loop().create_future()
        self._data = b""
        self._due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)  # type: ignore[attr-defined]

    def ask_next(self) -> None:
        """What a connection does that has its answer."""
        request = self._tally.next_request()
        if request is None:
            self._transport.close()
        else:
            self.ask(request, time.perf_counter())

    def data_received(self, data: bytes) -> None:
        self._data = data = self._data + data if self._data else data
        head = data.find(b"\r\n\r\n") + 4
        if head < 4 or not _is_whole(data, head):
            return
        self._data = b""
        if not data.startswith(b"HTTP/1.1 200") or TEXT.encode() not in data or self._due is None:
            self._fail(Wrong(data[:2000].decode(errors="replace")))
            return
        self._tally.ended = now = time.perf_counter()
        self._tally.took.append(now - self._due)
        self._due = None
        self.ask_next()

    def connection_lost(self, error: Exception | None) -> None:
        if self._due is not None:
            self._fail(error or Wrong("the connection was closed before the answer was whole"))
        if not self.ended.done():
            self.ended.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._due = None
        self._tally.wrong = self._tally.wrong or error
        self._tally.over.set()
        self._transport.close()


class Waiting(Asking):
    """One of the connections of an open load: with its answer, it takes what has become due, or waits for it."""

    def __init__(self, tally: Tally, wanted: int, due: "deque[tuple[bytes, float]]", idle: "list[Asking]") -> None:
        super().__init__(tally)
        self._wanted, self._backlog, self._idle = wanted, due, idle

    def ask_next(self) -> None:
        if self._backlog:
            self.ask(*self._backlog.popleft())
            return
        self._idle.append(self)
        if len(self._tally.took) == self._wanted:
            self._tally.over.set()

    def end(self) -> None:
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._idle:  # a server may close what is idle; the others do its work
            self._idle.remove(self)
        super().connection_lost(error)


def _is_whole(data: bytes, head: int) -> bool:
    """Whether these bytes, whose head ends there, are a whole answer."""
    named = data[:head].lower()
    at = named.find(b"content-length:")
    if at >= 0:
        return len(data) - head >= int(named[at + 15 : named.index(b"\r\n", at)])
    return data.endswith(b"0\r\n\r\n")


async def connected(job: Job, protocol: Callable[[], A]) -> list[A]:
    """So many connections as the job wants."""
    port, connect = urlsplit(job.url).port or 80, asyncio.get_running_loop().create_connection
    return [(await connect(protocol, "127.0.0.1", port))[1] for _ in range(job.connections)]


async def closed(job: Job, tally: Tally) -> None:
    """As many requests as are answered."""
    made = await connected(job, lambda: Asking(tally))
    for protocol in made:
        protocol.ask_next()
    await asyncio.gather(*(protocol.ended for protocol in made))


async def opened(job: Job, tally: Tally) -> None:
    """So many requests a second, those of each millisecond due together."""
    backlog: deque[tuple[bytes, float]] = deque()
    idle: list[Asking] = []
    sent, wanted = 0, max(1, round(job.rate * (tally.until - tally.began)))
    made = await connected(job, lambda: Waiting(tally, wanted, backlog, idle))
    idle.extend(made)
    began = time.perf_counter()
    while sent < wanted and tally.wrong is None:
        now = time.perf_counter()
        while sent < wanted and (due := began + int(sent / job.rate * 1000) / 1000) <= now:
            backlog.append((next(tally.requests), due))
            sent += 1
            if idle:
                idle.pop().ask(*backlog.popleft())
        await asyncio.sleep(max(0, due - time.perf_counter()))
    await tally.over.wait()
    for waiting in made:
        waiting.end()
    await asyncio.gather(*(waiting.ended for waiting in made))


async def load(job: Job) -> Loaded:
    """Asks for so long, after a warm-up of a fifth of it that does not count. Raises Wrong with the first answer that is none."""
    run, cpu = opened if job.rate else closed, time.process_time()
    requests = requests_of(job)
    warming = next(requests) if job.once else None
    warm_up = Tally(itertools.repeat(warming) if warming else requests, job.seconds / 5, job.limit and max(1, job.limit // 10))
    await asyncio.wait_for(run(job, warm_up), job.seconds / 5 + PATIENCE)
    tally = Tally(requests, job.seconds, job.limit)
    if warm_up.wrong is None:
        await asyncio.wait_for(run(job, tally), job.seconds + PATIENCE)
    wrong = warm_up.wrong or tally.wrong
    if wrong is not None:
        raise wrong
    took = sorted(tally.took)
    p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
    done = len(took) + len(warm_up.took)
    return Loaded(len(took) / (tally.ended - tally.began), p50, p99, done, time.process_time() - cpu)


def main() -> None:
    import uvloop

    job = Job(**json.load(sys.stdin))
    try:
        print(json.dumps(asdict(uvloop.run(load(job)))))
    except (Wrong, OSError, TimeoutError) as error:
        sys.exit(f"{job.url}: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main()

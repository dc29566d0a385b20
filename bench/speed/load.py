"""A closed loop of connections that ask and wait: `python -m bench.speed.load URL SECONDS CONNECTIONS [TOKEN] [ACCEPT]`, prints JSON.

A process of its own, so that it has a processor of its own. Each connection sends its next request when the last answer is whole.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

import httptools

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}}'


@dataclass
class Tally:
    """What came back: seconds each answer took, and how many were no success."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0


class Asking(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, tally: Tally, until: float) -> None:
        self._request, self._tally, self._until = request, tally, until
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._began = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self._tally.seconds.append(now - self._began)
        self._tally.failed += self._parser.get_status_code() != 200
        if now < self._until:
            asyncio.get_running_loop().call_soon(self._ask)
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def load(url: str, seconds: float, connections: int, token: str, accept: str) -> Tally:
    """Asks for so long, after a warm-up of a fifth of it that does not count."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Content-Type: application/json",
        f"Accept: {accept}",
        f"Content-Length: {len(CALL)}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    request = "\r\n".join([*lines, "", ""]).encode() + CALL
    tally = Tally()
    for counted, lasting in ((Tally(), seconds / 5), (tally, seconds)):
        asking = partial(Asking, request, counted, time.perf_counter() + lasting)
        connect = asyncio.get_running_loop().create_connection
        made = [await connect(asking, parts.hostname or "", parts.port or 80) for _ in range(connections)]
        await asyncio.gather(*(protocol.ended for _, protocol in made))
    return tally


def main() -> None:
    url, seconds, connections, token, accept = sys.argv[1:6]
    import uvloop

    tally = uvloop.run(load(url, float(seconds), int(connections), token, accept))
    took = sorted(tally.seconds)
    print(
        json.dumps(
            {
                "requests_per_second": len(took) / float(seconds),
                "p50_ms": took[len(took) // 2] * 1000,
                "p99_ms": took[int(len(took) * 0.99)] * 1000,
                "failed": tally.failed,
            }
        )
    )


if __name__ == "__main__":
    main()

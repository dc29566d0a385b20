"""Asking the upstream: the request as it is written, and what can go wrong on the way there.

Knows the route's address and timeouts; which headers pass is decided before, what the answer means after (`relay`).
"""

from collections.abc import Sequence

from mcp_routes.proxy.connection import Answer, BrokenOff, Connection
from mcp_routes.proxy.deadlines import within
from mcp_routes.proxy.pool import Address, Pool, address
from mcp_routes.proxy.refusals import UPSTREAM_FAULT, UPSTREAM_SILENT, Refusal
from mcp_routes.snapshot import Route
from oauthgw.guard.conf import gateway

_pool: Pool | None = None


class UpstreamFault(Exception):
    """The upstream did not give an answer that may be passed on. `refusal` is for the client, the text for the log."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal


async def start() -> None:
    """Makes the pool of connections in this process's event loop."""
    global _pool  # noqa: PLW0603  (one per process, as the lifespan is)
    _pool = Pool()


async def stop() -> None:
    """Closes every upstream connection that is not in use."""
    if _pool is not None:
        _pool.close()


async def ask(method: str, route: Route, passed: Sequence[tuple[bytes, bytes]], body: bytes | None) -> Answer:
    """The upstream's answer, as soon as its headers are here; the caller closes it.

    Raises UpstreamFault when it cannot be reached, breaks off, or is silent for `MCP_UPSTREAM_TIMEOUT_SECONDS`.
    """
    if _pool is None:
        raise RuntimeError("The server does not run the ASGI lifespan, which opens the upstream connections.")
    to = address(route.upstream_url)
    request = _written(method, to, passed, body)
    try:
        with within(gateway().upstream_timeout):
            try:
                return await _asked(await _pool.connection(to), request)
            except BrokenOff as broken:
                if not broken.may_be_repeated or method == "POST":  # what a call does may have been done (RFC 9110 §9.2.2)
                    raise
                return await _asked(await _pool.new_connection(to), request)
    except TimeoutError as error:
        raise UpstreamFault(UPSTREAM_SILENT, f"no answer in time ({type(error).__name__})") from error
    except BrokenOff as error:
        raise UpstreamFault(UPSTREAM_FAULT, f"no answer: {error}") from error
    except (OSError, UnicodeError) as error:
        raise UpstreamFault(UPSTREAM_FAULT, f"not reachable ({type(error).__name__})") from error


async def _asked(connection: Connection, request: bytes) -> Answer:
    answer = connection.ask(request)
    try:
        await answer.head()
    except BaseException:
        answer.close()
        raise
    return answer


def _written(method: str, to: Address, passed: Sequence[tuple[bytes, bytes]], body: bytes | None) -> bytes:
    """The request's bytes (RFC 9112 §3). Raises ValueError for a value that would end its line: parsers before us let none through."""
    parts = [b"%b %b HTTP/1.1\r\nHost: %b\r\n" % (method.encode("ascii"), to.target, to.authority)]
    for name, value in passed:
        parts += (name, b": ", value, b"\r\n")
    if body is not None:
        parts.append(b"Content-Length: %d\r\n" % len(body))
    head = b"".join(parts)
    lines = 2 + len(passed) + (body is not None)
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise ValueError("A header's value holds a line break.")
    return b"%b\r\n%b" % (head, body or b"")

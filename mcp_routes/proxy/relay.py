"""Passing the upstream's answer back: judged by its status and type, streamed as it comes, given up when the client leaves.

Knows answers and event streams; knows nothing of tokens or routes. Source: MCP Streamable HTTP; WHATWG HTML, "Server-sent events".
"""

import asyncio
import contextlib

from mcp_routes.proxy import messages
from mcp_routes.proxy.connection import Answer, BrokenOff
from mcp_routes.proxy.deadlines import within
from mcp_routes.proxy.headers import Answered, Send
from mcp_routes.proxy.refusals import UPSTREAM_FAULT, UPSTREAM_SILENT, log
from mcp_routes.proxy.upstream import UpstreamFault
from oauthgw.guard.conf import gateway
from oauthgw.journal.recorder import caller

KEEP_ALIVE_SECONDS = 15
_KEEP_ALIVE = b": keep-alive\n\n"
# A blank line ends an event; a comment in the middle of one would break the line it falls into.
_BOUNDARIES = (b"\n\n", b"\r\r", b"\n\r\n")
_HELD_BYTES = 64 * 1024  # nobody can use half of a short JSON body, and while it is held a broken one can still become a 502
_ERROR_BYTES = 1024 * 1024
_PARTING_SECONDS = 0.2

_JSON = b"application/json"
_EVENTS = b"text/event-stream"

Headers = list[tuple[bytes, bytes]]


async def relay(answer: Answer, answered: Answered, passed: Headers, send: Send) -> None:
    """Passes an answer on. Raises UpstreamFault while nothing has been sent and the answer turns out to be none."""
    if answer.status in (401, 403):
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream refuses our credential with {answer.status}")
    if not 200 <= answer.status < 600 or 300 <= answer.status < 400:
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream redirects or leaves HTTP with {answer.status}")
    if answered.kinds > 1:  # one would be judged, and another believed
        raise UpstreamFault(UPSTREAM_FAULT, "the upstream names several content types")
    try:
        if answer.status >= 400:
            await _pass_error(answer, answered, passed, send)
        elif answered.is_encoded:
            raise UpstreamFault(UPSTREAM_FAULT, "the upstream compresses although it was told not to")
        elif answered.kind == _EVENTS:
            await _pass_events(answer, passed, send)
        else:
            await _pass_json(answer, answered.kind, passed, send)
    except BrokenOff as error:
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream broke off: {error}") from error


async def _pass_error(answer: Answer, answered: Answered, passed: Headers, send: Send) -> None:
    """A 4xx keeps its status, and its body if that is JSON; a 5xx passes only as JSON-RPC."""
    content = b"" if answered.is_encoded else await _bounded(answer)
    if answer.status >= 500 and not messages.is_json_rpc(content):
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream failed with {answer.status}")
    if not messages.is_json(content):
        content = b""
    kept = [(name, value) for name, value in passed if name not in (b"content-type", b"cache-control")]
    kind = [(b"content-type", b"application/json")] if content else []
    await _start(send, answer.status, [*kept, *kind, (b"cache-control", b"no-store"), (b"content-length", b"%d" % len(content))])
    await _end(send, content)


async def _bounded(answer: Answer) -> bytes:
    """An error's body; empty when it is too long to be one. Raises UpstreamFault when it does not end."""
    body = bytearray()
    try:
        with within(gateway().upstream_timeout):
            while chunk := await answer.read():
                body += chunk
                if len(body) > _ERROR_BYTES:
                    return b""
    except TimeoutError as error:
        raise UpstreamFault(UPSTREAM_FAULT, f"the body of the upstream's {answer.status} does not end") from error
    return bytes(body)


async def _pass_json(answer: Answer, kind: bytes, passed: Headers, send: Send) -> None:
    """A JSON answer, or none at all."""
    chunk = await _first(answer)
    length = len(chunk) if answer.is_read else answer.length
    if chunk:
        if kind != _JSON:
            raise UpstreamFault(UPSTREAM_FAULT, "the upstream's answer is neither JSON nor an event stream")
    else:
        passed = [(name, value) for name, value in passed if name != b"content-type"]
        length = 0
    if length is not None and answer.status != 204:
        passed.append((b"content-length", b"%d" % length))
    await _start(send, answer.status, passed)
    await _stream(answer, chunk, send)


async def _first(answer: Answer) -> bytes:
    """The body, where it is short; else its first bytes. Raises UpstreamFault when none come."""
    held = answer.length is not None and answer.length <= _HELD_BYTES
    if answer.is_whole:
        return await answer.read()
    try:
        with within(gateway().upstream_timeout):
            return await (answer.whole() if held else answer.read())
    except TimeoutError as error:
        raise UpstreamFault(UPSTREAM_SILENT, "no body in time") from error


async def _stream(answer: Answer, chunk: bytes, send: Send) -> None:
    """What is left of a body. When it breaks off, so does ours: the server then cuts the connection, and no half passes for a whole."""
    try:
        while not answer.is_read:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await answer.read()
    except BrokenOff as error:
        log.warning("the upstream broke off in mid-answer (%s) request_id=%s", error, caller.get().request_id)
        return
    await _end(send, chunk)


async def _pass_events(answer: Answer, passed: Headers, send: Send) -> None:
    """An event stream, chunk by chunk, with a comment between events whenever it has been quiet for a while."""
    passed.append((b"x-accel-buffering", b"no"))
    if not any(name == b"cache-control" for name, _ in passed):
        passed.append((b"cache-control", b"no-cache, no-transform"))
    await _start(send, answer.status, passed)
    if not answer.has_more:  # the head leaves with the first piece of the body, and here none is in sight
        await send({"type": "http.response.body", "body": b"", "more_body": True})
    chunk: bytes | None = b""
    tail = b""
    try:
        while not answer.is_read:
            chunk = await _next(answer)
            if chunk is None and between_events(tail):
                await send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})
            elif chunk and not answer.is_read:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                tail = (tail + chunk)[-3:]
                chunk = b""
    except BrokenOff as error:  # the rest of the event is missing, and clients ignore an event without its end
        log.warning("the upstream broke off an event stream (%s) request_id=%s", error, caller.get().request_id)
    except BaseException:
        # Cut, or the process stops: an ended stream is reconnected, a broken one is an error. To who reads nothing any more it is one.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PARTING_SECONDS):
                await _end(send)
        raise
    await _end(send, chunk or b"")


async def _next(answer: Answer) -> bytes | None:
    """The next bytes of a stream, empty at its end; None when none have come for `KEEP_ALIVE_SECONDS`."""
    if answer.has_more:
        return await answer.read()
    try:
        with within(KEEP_ALIVE_SECONDS):
            return await answer.read()
    except TimeoutError:
        return None


def between_events(tail: bytes) -> bool:
    """Whether a stream that ends in these bytes (the last three at least, or all there were) stands between two events."""
    return not tail or tail.endswith(_BOUNDARIES)


async def _start(send: Send, status: int, answered: Headers) -> None:
    await send({"type": "http.response.start", "status": status, "headers": answered})


async def _end(send: Send, content: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": content})

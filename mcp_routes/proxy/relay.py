"""Passing the upstream's answer back: judged by its status and type, streamed as it comes, given up when the client leaves.

Knows answers and event streams; knows nothing of tokens or routes. Source: MCP Streamable HTTP; WHATWG HTML, "Server-sent events".
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import aiohttp

from mcp_routes.proxy import headers, messages
from mcp_routes.proxy.headers import Receive, Send
from mcp_routes.proxy.refusals import UPSTREAM_FAULT, UPSTREAM_SILENT, Refusal, log
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

_JSON = "application/json"
_EVENTS = "text/event-stream"
_BROKEN = (aiohttp.ClientError, OSError)

RawHeaders = list[tuple[bytes, bytes]]


async def while_connected(receive: Receive, exchange: Coroutine[Any, Any, None], cut: "asyncio.Future[Refusal]") -> Refusal | None:
    """Runs an exchange until it ends, the client leaves or it is cut; what it was cut for, if it was.

    `receive()` is awaited all the while: without that, a client that goes away is not noticed before the next byte, or ever.
    """
    running = asyncio.ensure_future(exchange)
    leaving = asyncio.ensure_future(_disconnected(receive))
    try:
        first: set[asyncio.Future[Any]] = {running, leaving, cut}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        ended = running.done()
    finally:
        running.cancel()
        leaving.cancel()
        outcomes = await asyncio.gather(running, leaving, return_exceptions=True)
    if ended and isinstance(outcomes[0], BaseException):
        raise outcomes[0]
    return cut.result() if cut.done() and not ended else None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def relay(answer: aiohttp.ClientResponse, passed: RawHeaders, send: Send) -> None:
    """Passes an answer on. Raises UpstreamFault while nothing has been sent and the answer turns out to be none."""
    if answer.status in (401, 403):
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream refuses our credential with {answer.status}")
    if not 200 <= answer.status < 600 or 300 <= answer.status < 400:
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream redirects or leaves HTTP with {answer.status}")
    if len(answer.headers.getall("Content-Type", ())) > 1:  # one would be judged, and another believed
        raise UpstreamFault(UPSTREAM_FAULT, "the upstream names several content types")
    try:
        if answer.status >= 400:
            await _pass_error(answer, passed, send)
        elif _is_encoded(answer):
            raise UpstreamFault(UPSTREAM_FAULT, "the upstream compresses although it was told not to")
        elif answer.content_type.lower() == _EVENTS:
            await _pass_events(answer, passed, send)
        else:
            await _pass_json(answer, passed, send)
    except _BROKEN as error:
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream broke off ({type(error).__name__})") from error


def _is_encoded(answer: aiohttp.ClientResponse) -> bool:
    return answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")


async def _pass_error(answer: aiohttp.ClientResponse, passed: RawHeaders, send: Send) -> None:
    """A 4xx keeps its status, and its body if that is JSON; a 5xx passes only as JSON-RPC."""
    content = b"" if _is_encoded(answer) else await _bounded(answer)
    if answer.status >= 500 and not messages.is_json_rpc(content):
        raise UpstreamFault(UPSTREAM_FAULT, f"the upstream failed with {answer.status}")
    if not messages.is_json(content):
        content = b""
    kept = [(name, value) for name, value in passed if name not in (b"content-type", b"cache-control")]
    kind = [(b"content-type", b"application/json")] if content else []
    await _start(send, answer.status, [*kept, *kind, (b"cache-control", b"no-store"), (b"content-length", str(len(content)).encode())])
    await send({"type": "http.response.body", "body": content})


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    """An error's body; empty when it is too long to be one. Raises UpstreamFault when it does not end."""
    body = bytearray()
    try:
        async with asyncio.timeout(gateway().upstream_timeout):
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _ERROR_BYTES:
                    return b""
    except TimeoutError as error:
        raise UpstreamFault(UPSTREAM_FAULT, f"the body of the upstream's {answer.status} does not end") from error
    return bytes(body)


async def _pass_json(answer: aiohttp.ClientResponse, passed: RawHeaders, send: Send) -> None:
    """A JSON answer, or none at all."""
    length = answer.content_length
    held = length is not None and length <= _HELD_BYTES
    try:
        async with asyncio.timeout(gateway().upstream_timeout):
            chunk = await (answer.content.read() if held else answer.content.readany())
    except TimeoutError as error:
        raise UpstreamFault(UPSTREAM_SILENT, "no body in time") from error
    if chunk and ("Content-Type" not in answer.headers or answer.content_type.lower() != _JSON):
        raise UpstreamFault(UPSTREAM_FAULT, "the upstream's answer is neither JSON nor an event stream")
    if not chunk:
        passed = [(name, value) for name, value in passed if name != b"content-type"]
        length = 0
    if length is not None and answer.status != 204:
        passed = [*passed, (b"content-length", str(length).encode())]
    await _start(send, answer.status, passed)
    await _stream(answer, chunk, send)


async def _stream(answer: aiohttp.ClientResponse, chunk: bytes, send: Send) -> None:
    """What is left of a body. When it breaks off, so does ours: the server then cuts the connection, and no half passes for a whole."""
    try:
        while chunk:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await answer.content.readany()
    except _BROKEN as error:
        log.warning("the upstream broke off in mid-answer (%s) request_id=%s", type(error).__name__, caller.get().request_id)
        return
    await send({"type": "http.response.body", "body": b""})


async def _pass_events(answer: aiohttp.ClientResponse, passed: RawHeaders, send: Send) -> None:
    """An event stream, chunk by chunk, with a comment between events whenever it has been quiet for a while."""
    own = [(b"x-accel-buffering", b"no")]
    if not any(name == b"cache-control" for name, _ in passed):
        own.append((b"cache-control", b"no-cache, no-transform"))
    await _start(send, answer.status, [*passed, *own])
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    tail = b""
    try:
        while (chunk := await _next(answer)) != b"":
            if chunk is None and between_events(tail):
                await send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})
            elif chunk is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                tail = (tail + chunk)[-3:]
    except _BROKEN as error:  # the rest of the event is missing, and clients ignore an event without its end
        log.warning("the upstream broke off an event stream (%s) request_id=%s", type(error).__name__, caller.get().request_id)
    finally:  # also when it is cut or the process stops: an ended stream is reconnected, a broken one is an error
        with contextlib.suppress(TimeoutError):  # to who reads nothing any more it is a broken one
            async with asyncio.timeout(_PARTING_SECONDS):
                await send({"type": "http.response.body", "body": b""})


async def _next(answer: aiohttp.ClientResponse) -> bytes | None:
    """The next bytes of a stream, empty at its end; None when none have come for `KEEP_ALIVE_SECONDS`."""
    try:
        async with asyncio.timeout(KEEP_ALIVE_SECONDS):
            return await answer.content.readany()
    except TimeoutError:
        return None


def between_events(tail: bytes) -> bool:
    """Whether a stream that ends in these bytes (the last three at least, or all there were) stands between two events."""
    return not tail or tail.endswith(_BOUNDARIES)


async def _start(send: Send, status: int, answered: headers.RawHeaders) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(answered)})

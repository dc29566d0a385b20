"""The gateway as an ASGI application: a dispatcher in front of the data plane and of Django.

Checks the Host, makes the scope speak the configured origin (a request's headers never decide it), names the request, and writes its one
log line. Knows paths; knows nothing of what is behind them. Importing it refuses a misconfiguration.
"""

import asyncio
import logging
import os
import time
from functools import lru_cache
from urllib.parse import urlsplit

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
django.setup()

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.exceptions import SuspiciousOperation
from django.http.request import split_domain_port, validate_host

from gatewaysite.checks import refuse_misconfiguration
from gatewaysite.logs import AccessLog
from mcp_routes.proxy import app as proxy
from mcp_routes.proxy import background, refusals, streams
from mcp_routes.proxy.headers import Message, Receive, Scope, Send
from oauthgw.guard import origin
from oauthgw.guard.conf import gateway
from oauthgw.journal.recorder import Caller, caller

PROBES = ("/healthz", "/readyz", "/metrics")  # load balancers call them by address
MAX_FORM_BYTES = 1024 * 1024  # beyond any form, registration or token request; Django's own limits answer what is smaller
FORM_SECONDS = 60  # for it to arrive
_OF_REFUSALS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))

log = logging.getLogger("gateway.access")
_access = AccessLog(log)


refuse_misconfiguration()
_django = get_asgi_application()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """One connection event of the server: a request, or the process's own start and end."""
    if scope["type"] == "lifespan":
        return await _lifespan(scope, receive, send)
    if scope["type"] != "http":  # a WebSocket: closing before accepting answers 403
        return await send({"type": "websocket.close", "code": 1000})
    seen = _Seen(scope, send)
    caller.set(Caller(seen.request_id, seen.address))
    try:
        await _dispatch({**scope, "client": (seen.address, 0), origin.PEER: seen.peer}, receive, seen.send)
    except proxy.ClientLeft:
        pass
    except asyncio.CancelledError:  # the server stops and has waited long enough; nothing is above this task but the server
        if not seen.status:
            await refusals.refuse(seen.send, refusals.STOPPING if _is_mcp(scope) else refusals.SITE_STOPPING)
    except Exception:
        log.exception("failed request_id=%s", seen.request_id)
        if seen.status:  # too late for another answer: the server cuts the connection
            raise
        await refusals.refuse(seen.send, refusals.BROKEN if _is_mcp(scope) else refusals.SITE_BROKEN)
    finally:
        seen.log_line()


async def _dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    """Host → origin → the room that serves this path."""
    path = scope["path"]
    host = _allowed_host(scope["headers"])
    if host is None and path in PROBES:
        host = "localhost"
    if host is None:
        return await refusals.refuse(send, refusals.FOREIGN_HOST if _is_mcp(scope) else refusals.SITE_FOREIGN_HOST)
    scope[origin.SENT_HOST] = host
    if _is_mcp(scope):
        return await proxy.serve(scope, receive, send)
    public = urlsplit(origin.of_host(host))
    others = [(name, value) for name, value in scope["headers"] if name != b"host"]
    scope = {**scope, "scheme": public.scheme, "headers": [(b"host", public.netloc.encode()), *others]}
    bounded = _Bounded(receive)
    try:
        await _django(scope, bounded, send)  # type: ignore[arg-type]  # asgiref's TypedDicts say the same in other words
    except (SuspiciousOperation, ValueError):  # raised while Django makes a request of the head: for all later it answers itself
        bounded.refusal = refusals.UNREADABLE_HEAD
    if bounded.refusal is not None:
        await refusals.refuse(send, bounded.refusal)


def _is_mcp(scope: Scope) -> bool:
    """Whether the data plane answers: the metadata of a route, asked for below its own path, is Django's; all else down there is not."""
    path: str = scope["path"]
    return path.startswith("/mcp/") and "/.well-known/" not in path


def _allowed_host(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The Host header, when there is exactly one and it names a host of `ALLOWED_HOSTS`; without `GATEWAY_ORIGIN`, a loopback one."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:  # RFC 9112 §3.2
        return None
    return _judged(hosts[0].decode("latin-1"), tuple(settings.ALLOWED_HOSTS), gateway().origin)


@lru_cache(maxsize=256)
def _judged(host: str, allowed: tuple[str, ...], own: str) -> str | None:
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, allowed):
        return None
    return host if own or origin.is_loopback_host(host) else None


class _Bounded:
    """A body for Django, which would wait for ever, and spool an endless one to disk: beyond the limits it sees the client leave."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = MAX_FORM_BYTES
        self._until: float | None = asyncio.get_running_loop().time() + FORM_SECONDS
        self.refusal: refusals.Refusal | None = None

    async def __call__(self) -> Message:
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.refusal = refusals.FORM_TOO_SLOW
            return {"type": "http.disconnect"}
        if not message.get("more_body", False):
            self._until = None  # what is waited for from now on is the client's leaving
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        self.refusal = refusals.FORM_TOO_LARGE
        return {"type": "http.disconnect"}


class _Seen:
    """What the log line of a request needs: seen from outside, whatever answers it."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.request_id = os.urandom(8).hex()
        self.peer: str = scope["client"][0] if scope.get("client") else ""
        forwarded = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        self.address = origin.client_address(self.peer, forwarded)
        self.status = 0
        self._began = time.perf_counter()
        # As it came on the wire, still percent-encoded: a decoded line break would forge a line. The query may hold a code or a token.
        self._line = f"{scope['method']} {scope.get('raw_path', b'?').decode('latin-1')}"
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            message = _as_a_refusal(message)
        await self._send(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]

    def log_line(self) -> None:
        took = (time.perf_counter() - self._began) * 1000
        # 499: the client left before an answer, as other servers log it
        line = f"{self._line} {self.status or 499} {took:.0f} ms request_id={self.request_id} client={self.address}"
        _access.add(line)


def _as_a_refusal(message: Message) -> Message:
    """Kept by no cache: what is wrong now may be right in a moment. And taken for nothing but what it says it is."""
    there = {name.lower() for name, _ in message["headers"]}
    added = [header for header in _OF_REFUSALS if header[0] not in there]
    return {**message, "headers": [*message["headers"], *added]} if added else message


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Opens and closes what lives as long as the process (ASGI lifespan), and leaves word of what to end before (`gatewaysite.server`)."""
    await receive()
    await background.start()
    scope.get("state", {}).update(stopping=streams.end_lasting, out_of_time=streams.end_all)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await background.stop()
    _access.flush()
    await send({"type": "lifespan.shutdown.complete"})

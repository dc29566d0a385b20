"""HTTP as the data plane sees it: ASGI's messages, and which headers pass in which direction.

Knows header names and how to count them; what a value means is known elsewhere (`revisions`, `sessions`).
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from multidict import CIMultiDict

from oauthgw.guard.secret import Secret

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = Iterable[tuple[bytes, bytes]]

SESSION = b"mcp-session-id"
VERSION = b"mcp-protocol-version"
METHOD = b"mcp-method"
NAME = b"mcp-name"

# Two copies would let us read one and the upstream the other.
_ONCE = (b"authorization", SESSION, VERSION, METHOD, NAME)
_TO_UPSTREAM = frozenset((b"accept", b"accept-language", b"content-type", b"last-event-id", b"traceparent", b"tracestate"))
_TO_CLIENT = frozenset((b"content-type", VERSION, b"cache-control", b"retry-after", b"allow"))

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # a server refuses to send these (RFC 9110 §5.5)

_EXPOSED = (b"access-control-expose-headers", b"WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version")
_VARY = (b"vary", b"Origin")
_NOSNIFF = (b"x-content-type-options", b"nosniff")


def one(headers: RawHeaders, name: bytes) -> str | None:
    """The value of a header (the first, if there are several), without surrounding white space; None when it is absent."""
    for key, value in headers:
        if key == name:
            return text(value)
    return None


def repeated(headers: RawHeaders) -> str | None:
    """The name of a header that decides something and was sent more than once; None when there is none."""
    names = [name for name, _ in headers]
    return next((name.decode() for name in _ONCE if names.count(name) > 1), None)


def text(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is that, so that it leaves with the bytes it came with."""
    try:
        return value.strip(b" \t").decode()
    except UnicodeDecodeError:
        return value.strip(b" \t").decode("latin-1")


def to_upstream(headers: RawHeaders, dropped: frozenset[bytes], session: str | None, own: Mapping[str, Secret]) -> CIMultiDict[str]:
    """What the upstream gets: the client's headers that may pass, its own session id, and what the route adds (which wins).

    Cookies, credentials and everything about the client's connection stay here.
    """
    passed: CIMultiDict[str] = CIMultiDict()
    for name, value in headers:
        # An underscore is the same letter as a hyphen to servers that speak CGI or WSGI: an id under that spelling was never checked.
        if (name in _TO_UPSTREAM or name.startswith(b"mcp-")) and name != SESSION and name not in dropped and b"_" not in name:
            passed.add(name.decode("ascii"), text(value))
    if session is not None:
        passed[SESSION.decode()] = session
    passed["Accept-Encoding"] = "identity"  # a compressed stream could not be kept alive, nor passed unbuffered
    passed["User-Agent"] = "mcp-gateway"
    for own_name, secret in own.items():
        passed[own_name] = secret.reveal()
    return passed


def to_client(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """What the client gets of the upstream's headers: no cookies, no CORS, nothing about that connection."""
    return [(name.lower(), value) for name, value in headers if name.lower() in _TO_CLIENT and not _CONTROL.search(value)]


class Shared:
    """`send`, with the CORS headers of this page's origin on whatever is answered, refusals included (Fetch §3.2).

    `has_begun` says whether an answer has: after that there can be no other.
    """

    def __init__(self, origin: str | None, send: Send) -> None:
        self._send = send
        self._cors = [_VARY, _EXPOSED, _NOSNIFF]
        if origin is not None:
            self._cors.append((b"access-control-allow-origin", origin.encode()))
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *self._cors]}
            self.has_begun = True
        await self._send(message)

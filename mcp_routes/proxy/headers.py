"""HTTP as the data plane sees it: ASGI's messages, and which headers pass in which direction.

Knows header names and how to count them; what a value means is known elsewhere (`revisions`, `sessions`).
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec

from oauthgw.guard.conf import gateway
from oauthgw.guard.secret import Secret

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
RawHeaders = Iterable[tuple[bytes, bytes]]
Named = Mapping[bytes, bytes]

SESSION = b"mcp-session-id"
VERSION = b"mcp-protocol-version"
METHOD = b"mcp-method"
NAME = b"mcp-name"

# Two copies would let us read one and the upstream the other.
_ONCE = (b"authorization", SESSION, VERSION, METHOD, NAME)
_TO_UPSTREAM = frozenset((b"accept", b"accept-language", b"content-type", b"last-event-id", b"traceparent", b"tracestate"))
_TO_CLIENT = frozenset((b"content-type", VERSION, b"cache-control", b"retry-after", b"allow"))

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # a server refuses to send these (RFC 9110 §5.5)

_ALWAYS = (
    (b"accept-encoding", b"identity"),  # a compressed stream could not be kept alive, nor passed unbuffered
    (b"user-agent", b"mcp-gateway"),
)
_EXPOSED = (b"access-control-expose-headers", b"WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version")
_VARY = (b"vary", b"Origin")
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_STAY_WITH_TLS = (b"strict-transport-security", b"max-age=31536000")  # RFC 6797, as Django says it on all other answers


def by_name(headers: list[tuple[bytes, bytes]]) -> Named:
    """A request's headers by name: of several with one name, the first."""
    return dict(headers[::-1])


def one(named: Named, name: bytes) -> str | None:
    """The value of a header, without surrounding white space; None when it is absent."""
    value = named.get(name)
    return None if value is None else text(value)


def times(headers: RawHeaders, name: bytes) -> int:
    """How often a header was sent."""
    return sum(key == name for key, _ in headers)


def repeated(headers: list[tuple[bytes, bytes]], named: Named) -> str | None:
    """The name of a header that decides something and was sent more than once; None when there is none."""
    if len(named) == len(headers):
        return None
    names = [name for name, _ in headers]
    return next((name.decode() for name in _ONCE if names.count(name) > 1), None)


def text(value: bytes) -> str:
    """A header's value as text: UTF-8 where it is that, so that it leaves with the bytes it came with."""
    try:
        return value.strip(b" \t").decode()
    except UnicodeDecodeError:
        return value.strip(b" \t").decode("latin-1")


def to_upstream(
    headers: RawHeaders, dropped: frozenset[bytes], session: str | None, own: Mapping[str, Secret]
) -> list[tuple[bytes, bytes]]:
    """What the upstream gets: the client's headers that may pass, its own session id, and what the route adds (which wins).

    Cookies, credentials and everything about the client's connection stay here.
    """
    passed = list(_ALWAYS)
    for name, value in headers:
        if (name in _TO_UPSTREAM or _is_mcp(name)) and name not in dropped:
            passed.append((name, value))
    if session is not None:
        passed.append((SESSION, session.encode("ascii")))
    if own:
        fixed = {name.lower().encode("ascii"): secret.reveal().encode("ascii") for name, secret in own.items()}
        passed = [header for header in passed if header[0] not in fixed]
        passed += fixed.items()
    return passed


def _is_mcp(name: bytes) -> bool:
    """Whether it is one of MCP's own that pass as they came; the session id has its own way.

    An underscore is the same letter as a hyphen to servers that speak CGI or WSGI: an id under that spelling was never checked.
    """
    return name.startswith(b"mcp-") and name != SESSION and b"_" not in name


class Answered(msgspec.Struct, frozen=True):
    """An upstream's headers, read once: what may pass to a client, and what the answer is judged by. `kind` is in lower case."""

    passed: list[tuple[bytes, bytes]]
    kinds: int  # content types that were named
    kind: bytes
    is_encoded: bool
    session: str | None


def read_answered(headers: RawHeaders) -> Answered:
    """Reads an answer's headers, whose names are in lower case: no cookies pass, no CORS, nothing about that connection."""
    passed: list[tuple[bytes, bytes]] = []
    kinds, kind, is_encoded, session = 0, b"", False, None
    for name, value in headers:
        if name in _TO_CLIENT:
            if not _CONTROL.search(value):
                passed.append((name, value))
            if name == b"content-type":
                kinds += 1
                kind = value.partition(b";")[0].strip(b" \t").lower()
        elif name == b"content-encoding":
            is_encoded = is_encoded or value.strip(b" \t").lower() not in (b"", b"identity")
        elif name == SESSION and session is None:
            session = text(value)
    return Answered(passed, kinds, kind, is_encoded, session)


class Shared:
    """`send`, with the CORS headers of this page's origin on whatever is answered, refusals included (Fetch §3.2).

    `has_begun` says whether an answer has: after that there can be no other.
    """

    def __init__(self, origin: str | None, send: Send) -> None:
        self._send = send
        self._cors = [_VARY, _EXPOSED, _NOSNIFF]
        if gateway().secure:
            self._cors.append(_STAY_WITH_TLS)
        if origin is not None:
            self._cors.append((b"access-control-allow-origin", origin.encode()))
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *self._cors]}
            self.has_begun = True
        await self._send(message)

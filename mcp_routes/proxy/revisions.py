"""All that differs between the eras of MCP on the wire.

"Modern" is revision 2026-07-28 and later: no sessions, no batches, and headers that mirror the body. Everything before is the old era.
Source: MCP 2026-07-28, Streamable HTTP, "Request Metadata" and "Backward Compatibility".
"""

import base64
import binascii
import re

from mcp_routes.proxy import headers
from mcp_routes.proxy.messages import Body, Posted

_FIRST_MODERN = "2026-07-28"
_REVISION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SENTINEL = re.compile(r"=\?base64\?(.*)\?=")
_LISTEN = "subscriptions/listen"
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

# An old-era upstream does not check them against the body, so nothing behind us may be led by them.
_MIRRORS = frozenset((headers.METHOD, headers.NAME))


def is_modern(version: str | None, body: Body) -> bool:
    """Whether the `MCP-Protocol-Version` header names a modern revision, or any message of the body one that is not of the old era.

    The old era never named its revision in `_meta`: whoever names an unknown one there is told so by a modern upstream ("Protocol Version
    Header"), which must hear the request as it was sent.
    """
    named = [message.version for message in body.messages if message.version is not None]
    return (version is not None and _is_revision(version) and version >= _FIRST_MODERN) or not all(map(_is_old, named))


def _is_old(version: str) -> bool:
    return _is_revision(version) and version < _FIRST_MODERN


def _is_revision(version: str) -> bool:
    return _REVISION.fullmatch(version) is not None


def is_lasting(method: str, body: Body) -> bool:
    """Whether the answer is a stream without an end of its own: the old era's GET, or the modern `subscriptions/listen`."""
    return method == "GET" or any(message.method == _LISTEN for message in body.messages)


def dropped(modern: bool, body: Body) -> frozenset[bytes]:
    """The headers of MCP's own that do not pass to the upstream (the session id has its own way): mirrors that nobody compared."""
    compared = modern and any(message.id is not None for message in body.messages)
    return frozenset() if compared else _MIRRORS


def disagreement(sent_headers: headers.Named, message: Posted) -> str | None:
    """The header that is missing or differs from the body of a modern request, by its name; None when all agree.

    Notifications need no headers, so only requests are judged ("Server Validation"). A body that names no revision has none to differ from:
    it is malformed, and the upstream says so in other words (-32602; "Per-request protocol fields").
    """
    if message.id is None:
        return None
    if message.version is not None and headers.one(sent_headers, headers.VERSION) != message.version:
        return "MCP-Protocol-Version"
    if headers.one(sent_headers, headers.METHOD) != message.method:
        return "Mcp-Method"
    source = _NAMED_BY.get(message.method or "")
    if source is not None:
        wanted = message.name if source == "name" else message.uri
        sent = headers.one(sent_headers, headers.NAME)
        if wanted is None or sent is None or not sent.isascii() or decoded(sent) != wanted:
            return "Mcp-Name"
    return None


def decoded(value: str) -> str | None:
    """A mirrored header's value after the base64 sentinel ("Value Encoding"); None when the encoding is broken or not canonical."""
    sentinel = _SENTINEL.fullmatch(value)
    if sentinel is None:
        return value
    try:
        data = base64.b64decode(sentinel[1], validate=True)
        return data.decode() if base64.b64encode(data).decode() == sentinel[1] else None
    except (binascii.Error, ValueError):  # ValueError: not ASCII, or not UTF-8 inside
        return None

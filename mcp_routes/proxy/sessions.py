"""Signed session ids: an upstream's `Mcp-Session-Id` goes to the client with a MAC over whose it is.

So ownership is checked on any node without a table. Knows keys and owners; knows nothing of HTTP. Source: MCP 2025-11-25, "Session
Management" (visible ASCII only; an id that is not known is answered with 404).
"""

import hmac
import re

import msgspec

from oauthgw.guard import sealed
from oauthgw.principals import Principal

_PURPOSE = "mcp session"
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def is_valid(upstream_id: str) -> bool:
    """Whether an upstream's session id is one at all."""
    return _VISIBLE.fullmatch(upstream_id) is not None


def sign(upstream_id: str, owner: Principal) -> str:
    """The id under which this user's client knows the session on this route: `{key id}.{MAC}.{the upstream's id}`."""
    key_id = sealed.current_key()
    return f"{key_id}.{_mac(upstream_id, owner, key_id)}.{upstream_id}"


def open_signed(signed: str, owner: Principal) -> str | None:
    """The upstream's id; None when it was not signed for this user, client and route, or by a key that is gone."""
    parts = signed.split(".", 2)
    if len(parts) != 3 or not is_valid(signed):
        return None
    key_id, mac, upstream_id = parts
    expected = _mac(upstream_id, owner, key_id)
    return upstream_id if expected is not None and hmac.compare_digest(mac, expected) else None


def _mac(upstream_id: str, owner: Principal, key_id: str) -> str | None:
    bound = msgspec.json.encode([owner.user_id, owner.client_id, owner.resource_id, upstream_id])
    mac = sealed.mac(_PURPOSE, bound, key_id)
    return None if mac is None else sealed.b64(mac)

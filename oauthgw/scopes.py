"""Scopes: one that means something, one that clients ask for out of habit.

Unknown scopes are dropped and what was kept is answered (RFC 6749 §3.3, RFC 7591 §2): refusing them locks real clients out. What a
token may do on its route is decided by rules on the route, not by scopes.
"""

TOOLS = "mcp:tools"
OFFLINE = "offline_access"
SUPPORTED = (TOOLS, OFFLINE)


def kept(requested: str | None) -> str:
    """The granted scope for a requested one: always the tools, and `offline_access` when it was asked for."""
    asked = (requested or "").split()
    return " ".join(scope for scope in SUPPORTED if scope == TOOLS or scope in asked)

"""Every way in which the data plane says no: one table, and how an entry is sent.

A text code makes a plain JSON body, a number a JSON-RPC error. Why it was said goes to the log under the same request id, never into the
answer.
"""

import logging
from dataclasses import dataclass, replace

import msgspec

from mcp_routes.proxy import messages
from mcp_routes.proxy.headers import Send
from oauthgw.journal.recorder import caller

log = logging.getLogger("gateway.mcp")

METHODS = "GET, POST, DELETE, OPTIONS"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Status, code and the sentence for the caller."""

    status: int
    code: str | int
    sentence: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: messages.Body = messages.NOTHING  # what it answers

    def answering(self, body: messages.Body) -> "Refusal":
        """The same refusal, with the ids of what was posted."""
        return replace(self, body=body)


_FOR_ANY_PAGE = ((b"access-control-allow-origin", b"*"),)
_VARY = ((b"vary", b"Origin"),)
FOREIGN_HOST = Refusal(
    400, "invalid_host", "This gateway is not known under this host name. An operator can add it to ALLOWED_HOSTS.", headers=_VARY
)
FOREIGN_ORIGIN = Refusal(
    403, "forbidden_origin", "Pages of this origin may not call this gateway. An operator can add it to ALLOWED_ORIGINS."
)
UNKNOWN_ROUTE = Refusal(404, "not_found", "There is no MCP server at this address.")
WRONG_METHOD = Refusal(405, "method_not_allowed", f"An MCP endpoint answers {METHODS}.", headers=((b"allow", METHODS.encode()),))
REPEATED_HEADER = Refusal(400, "invalid_request", "A header that may be sent only once was sent several times.")
NO_TOKEN = Refusal(401, "unauthorized", "Sign in to use this MCP server: send an access token in the Authorization header.")
INVALID_TOKEN = Refusal(401, "invalid_token", "This access token is not valid here. Refresh it, or sign in to this MCP server again.")
TOO_LARGE = Refusal(413, "content_too_large", "This message is larger than the gateway accepts.")
FORM_TOO_LARGE = Refusal(400, "invalid_request", "The request is too large for this address.", headers=_FOR_ANY_PAGE)
UNREADABLE_HEAD = Refusal(400, "invalid_request", "The query or the Content-Type of this request cannot be read.", headers=_FOR_ANY_PAGE)
TOO_SLOW = Refusal(408, "request_timeout", "The body did not arrive in time.")
FORM_TOO_SLOW = replace(TOO_SLOW, code="invalid_request", headers=_FOR_ANY_PAGE)
NOT_JSON = Refusal(400, messages.NOT_JSON, "The body is not valid JSON.")
NOT_JSON_RPC = Refusal(400, messages.NOT_JSON_RPC, "The body is not a JSON-RPC message.")
MODERN_BATCH = Refusal(400, messages.NOT_JSON_RPC, "Batches exist only in revision 2025-03-26. Send one message a request.")
HEADER_MISMATCH = Refusal(400, -32020, "A header is missing or does not match the body.")
UNKNOWN_SESSION = Refusal(404, -32600, "There is no such session. Start a new one with initialize.")
UPSTREAM_FAULT = Refusal(502, -31502, "The MCP server behind the gateway did not give a usable answer. Try again later.")
UPSTREAM_SILENT = Refusal(504, -31504, "The MCP server behind the gateway did not answer in time. Try again later.")
_SOON = ((b"retry-after", b"5"),)
UNAVAILABLE = Refusal(503, -31503, "The gateway cannot look up access right now. Try again in a few seconds.", headers=_SOON)
STOPPING = Refusal(503, -31503, "The gateway is restarting. Try again in a few seconds.", headers=_SOON)
BROKEN = Refusal(500, -32603, "The gateway failed to handle this request. Tell its operator the request id.")

# The same outside the data plane, in the words of OAuth (RFC 6749 §5.2): who refreshes just then must not take an outage for a verdict.
SITE_FOREIGN_HOST = replace(FOREIGN_HOST, headers=_FOR_ANY_PAGE)
SITE_STOPPING = replace(STOPPING, code="temporarily_unavailable", headers=(*_SOON, *_FOR_ANY_PAGE))
SITE_BROKEN = replace(BROKEN, code="server_error", headers=_FOR_ANY_PAGE)


def challenge(refusal: Refusal, metadata_url: str) -> Refusal:
    """A 401 with what the client needs to sign in (RFC 6750 §3, RFC 9728 §5.1); an error code only when a token was there."""
    error = f'error="invalid_token", error_description="{refusal.sentence}", ' if refusal.code == "invalid_token" else ""
    value = f'Bearer {error}resource_metadata="{metadata_url}", scope="mcp:tools"'
    return replace(refusal, headers=((b"www-authenticate", value.encode()),))


def mismatch(header: str) -> Refusal:
    """Header and body of a modern request disagree on this header."""
    return replace(HEADER_MISMATCH, sentence=f"The {header} header is missing, or differs from what the body names.")


async def refuse(send: Send, refusal: Refusal, reason: str = "") -> None:
    """Sends a refusal, and logs it with its reason."""
    request_id = caller.get().request_id
    log.info("refused with %s %s: %s request_id=%s", refusal.status, refusal.code, reason or refusal.sentence, request_id)
    if isinstance(refusal.code, int):
        content = messages.error(refusal.body, refusal.code, refusal.sentence, request_id)
    else:
        content = msgspec.json.encode({"error": refusal.code, "error_description": refusal.sentence, "request_id": request_id})
    own = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": own})
    await send({"type": "http.response.body", "body": content})

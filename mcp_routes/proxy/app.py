"""One MCP request from top to bottom: who is calling, what is asked, and the upstream's answer.

The table of contents of the data plane: each step's detail is in the module it names.
"""

import re
import time
from urllib.parse import parse_qsl

import msgspec

from mcp_routes import snapshot
from mcp_routes.models.route import SLUG
from mcp_routes.proxy import headers, messages, refusals, relay, revisions, sessions, streams, upstream, wanted
from mcp_routes.proxy.deadlines import within
from mcp_routes.proxy.headers import Receive, Scope, Send
from mcp_routes.proxy.refusals import Refusal, challenge, refuse
from oauthgw import principals
from oauthgw.guard import origin
from oauthgw.guard.conf import gateway
from oauthgw.guard.database import DatabaseUnavailable
from oauthgw.guard.sealed import Unsealable
from oauthgw.guard.secret import Secret
from oauthgw.journal.recorder import caller
from oauthgw.principals import Principal

_PATH = re.compile(rf"/mcp/({SLUG})/?")
_BEARER = re.compile(r"bearer +(.+)", re.IGNORECASE)  # RFC 9110 §11.1: a scheme's case does not matter
_LOOPBACK_PAGE = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_BODY_SECONDS = 60  # for a body to arrive; whoever sends slower holds memory and a connection
_STALE_SECONDS = 0.5  # of a body's arrival, after which a token that was good is judged once more
_PREFLIGHT = [
    (b"access-control-allow-methods", refusals.METHODS.encode()),
    # The wildcard does not cover Authorization (Fetch, "CORS-preflight fetch").
    (b"access-control-allow-headers", b"Authorization, *"),
    (b"access-control-max-age", b"7200"),
]


class ClientLeft(Exception):
    """The client went away before its request was complete."""


class Asked(msgspec.Struct, frozen=True):
    """What was posted (`content` is None for GET and DELETE), and in which era."""

    content: bytes | None
    body: messages.Body
    modern: bool


class Call(msgspec.Struct, frozen=True):
    """A request that may be relayed. `session` is the upstream's own id."""

    route: snapshot.Route
    principal: Principal
    asked: Asked
    session: str | None


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """One MCP request, from bearer token to upstream answer (MCP 2025-03-26 to 2026-07-28, Streamable HTTP)."""
    named = headers.by_name(scope["headers"])
    page = headers.one(named, b"origin")
    if page is not None:
        page = page.lower()
        if not _may_call(page) or headers.times(scope["headers"], b"origin") > 1:
            return await refuse(headers.Shared(None, send), refusals.FOREIGN_ORIGIN)
    answer = send = headers.Shared(page, send)
    try:
        path = _PATH.fullmatch(scope["path"])
        if path and scope["method"] == "OPTIONS":  # needs no database: what follows may say that it is gone, and a page must hear it
            return await _preflight(send)
        route = await snapshot.find(path[1]) if path else None
        if route is None:
            return await refuse(send, refusals.UNKNOWN_ROUTE)
        admitted = await _admit(scope, named, receive, route)
    except DatabaseUnavailable as outage:
        body = await _body_of(scope, named, receive)
        return await refuse(send, refusals.UNAVAILABLE.answering(body), reason=f"the database does not answer: {outage}")
    if isinstance(admitted, Refusal):
        return await refuse(send, admitted)
    lasting = revisions.is_lasting(scope["method"], admitted.asked.body)
    with streams.under_way(admitted.principal, admitted.route, lasting=lasting) as exchange:
        cut = await wanted.while_wanted(scope, receive, _exchange(scope, admitted, send), exchange.cut)
    if cut is not None:
        await _tell_of_cut(scope, admitted, cut, answer)


async def _admit(scope: Scope, named: headers.Named, receive: Receive, route: snapshot.Route) -> Call | Refusal:
    """Everything that is asked before the upstream is."""
    if scope["method"] not in ("POST", "GET", "DELETE"):
        return refusals.WRONG_METHOD
    if headers.repeated(scope["headers"], named):
        return refusals.REPEATED_HEADER
    token = _bearer(scope, named)
    if token is None:
        return challenge(refusals.NO_TOKEN, _metadata_url(scope, route))
    principal = await principals.resolve(token, route.id)  # by the route's id: a renamed slug strands nobody
    if principal is None:
        return challenge(refusals.INVALID_TOKEN, _metadata_url(scope, route))
    began = time.monotonic()
    asked = await _asked(scope, named, receive)
    if isinstance(asked, Refusal):
        return asked
    if time.monotonic() - began > _STALE_SECONDS:
        present = await _as_it_is_now(scope, token, route)
        if isinstance(present, Refusal):
            return present.answering(asked.body)
        route, principal = present
    signed = None if asked.modern else headers.one(named, headers.SESSION)
    session = None if signed is None else sessions.open_signed(signed, principal)
    if signed is not None and session is None:
        return refusals.UNKNOWN_SESSION.answering(asked.body)
    return Call(route, principal, asked, session)


async def _as_it_is_now(scope: Scope, token: str, route: snapshot.Route) -> tuple[snapshot.Route, Principal] | Refusal:
    """Route and principal once more: the token may have been revoked, or the route changed, while the body was on its way."""
    try:
        present = await snapshot.find(route.slug)
        if present is None or present.id != route.id:
            return refusals.UNKNOWN_ROUTE
        principal = await principals.resolve(token, present.id)
    except DatabaseUnavailable:
        return refusals.UNAVAILABLE  # here, where the body has been read
    return (present, principal) if principal is not None else challenge(refusals.INVALID_TOKEN, _metadata_url(scope, present))


async def _asked(scope: Scope, named: headers.Named, receive: Receive) -> Asked | Refusal:
    """The body, bounded, read, and in agreement with its headers where the era wants that."""
    content, body = None, messages.NOTHING
    if scope["method"] == "POST":
        try:
            with within(_BODY_SECONDS):
                content = await _content(named, receive)
        except TimeoutError:
            return refusals.TOO_SLOW
        if content is None:
            return refusals.TOO_LARGE
        try:
            body = messages.read(content)
        except messages.Unreadable as unreadable:
            return refusals.NOT_JSON if unreadable.code == messages.NOT_JSON else refusals.NOT_JSON_RPC
    modern = revisions.is_modern(headers.one(named, headers.VERSION), body)
    if modern and body.is_batch:
        return refusals.MODERN_BATCH.answering(body)
    for message in body.messages if modern else ():
        differing = revisions.disagreement(named, message)
        if differing is not None:
            return refusals.mismatch(differing).answering(body)
    return Asked(content, body, modern)


async def _tell_of_cut(scope: Scope, call: Call, why: Refusal, answer: headers.Shared) -> None:
    """An exchange that was ended from here: the refusal that a new request would get, unless its answer has begun."""
    if answer.has_begun:
        refusals.log.info("ended early (%s) request_id=%s", why.sentence, caller.get().request_id)
        return
    if why is refusals.INVALID_TOKEN:
        why = challenge(why, _metadata_url(scope, call.route))
    await refuse(answer, why.answering(call.asked.body), reason=f"ended while the upstream was working: {why.sentence}")


async def _exchange(scope: Scope, call: Call, send: Send) -> None:
    """Asks the upstream and passes its answer back."""
    try:
        dropped = revisions.dropped(call.asked.modern, call.asked.body)
        passed = headers.to_upstream(scope["headers"], dropped, call.session, _own_headers(call.route))
        answer = await upstream.ask(scope["method"], call.route, passed, call.asked.content)
        try:
            answered = headers.read_answered(answer.headers)
            await relay.relay(answer, answered, _passed(answered, call), send)
        finally:
            answer.close()  # a connection whose answer was read to its end is back in the pool by now
    except upstream.UpstreamFault as fault:
        await refuse(send, fault.refusal.answering(call.asked.body), reason=f"route {call.route.slug}: {fault}")


def _own_headers(route: snapshot.Route) -> dict[str, Secret]:
    """What the route adds for its upstream."""
    try:
        return route.headers()
    except Unsealable as error:
        raise upstream.UpstreamFault(refusals.UPSTREAM_FAULT, "no configured key opens the route's headers") from error


def _passed(answered: headers.Answered, call: Call) -> list[tuple[bytes, bytes]]:
    """The upstream's headers as this client gets them: its session id signed, or dropped where the era knows no sessions."""
    if answered.session is None or call.asked.modern:
        return answered.passed
    if not sessions.is_valid(answered.session):
        raise upstream.UpstreamFault(refusals.UPSTREAM_FAULT, "the upstream's session id is not visible ASCII")
    return [*answered.passed, (headers.SESSION, sessions.sign(answered.session, call.principal).encode())]


def _may_call(page: str) -> bool:
    """Whether a page of this origin may call: DNS rebinding would let any page reach a gateway on the same machine or network."""
    if gateway().allowed_origins:
        return page in gateway().allowed_origins
    is_own = page != "" and page == gateway().origin  # unset on a laptop, where loopback covers it
    return is_own or _LOOPBACK_PAGE.fullmatch(page) is not None


async def _preflight(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": _PREFLIGHT})
    await send({"type": "http.response.body", "body": b""})


def _bearer(scope: Scope, named: headers.Named) -> str | None:
    """The token of the Authorization header; None with one in the query, where every log on the way has seen it (RFC 9700 §4.3.2)."""
    query = scope["query_string"]
    if query and any(name == "access_token" for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)):
        return None
    found = _BEARER.fullmatch(headers.one(named, b"authorization") or "")
    return found[1] if found else None


def _metadata_url(scope: Scope, route: snapshot.Route) -> str:
    return f"{origin.of_host(scope[origin.SENT_HOST])}/.well-known/oauth-protected-resource/mcp/{route.slug}"


async def _content(named: headers.Named, receive: Receive) -> bytes | None:
    """The posted bytes; None when there are more than `MCP_MAX_BODY_BYTES`. Raises ClientLeft."""
    limit = gateway().max_body_bytes
    announced = named.get(b"content-length", b"").lstrip(b"0")  # of any number, while Python reads 4,300 digits
    if announced.isdigit() and int(announced) > limit:
        return None
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        more = message.get("more_body", False)
        if size > limit:
            return None
    return b"".join(pieces)


async def _body_of(scope: Scope, named: headers.Named, receive: Receive) -> messages.Body:
    """What was posted with a request that is refused before its body was read, so that the refusal carries its id."""
    try:
        with within(_BODY_SECONDS):
            content = await _content(named, receive) if scope["method"] == "POST" else None
        return messages.read(content) if content else messages.NOTHING
    except (messages.Unreadable, TimeoutError):
        return messages.NOTHING

"""Whoever lost the right to call cannot, from that moment on (RFC 7009 §2, RFC 9700 §4.14; CWE-613, CWE-367)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from mcp_routes.proxy.app import _STALE_SECONDS
from tests.attacks_wire.wire import PING as BODY
from tests.attacks_wire.wire import answer, bearer, connected, exchange, ping, request
from tests.flows.dataplane_fixtures import PONG, Received, Served, upstream
from tests.flows.workers import known_everywhere
from tests.support import databases
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio

NOW = "2020-01-01 00:00:00"
LOSSES = {
    "client": ("oauthgw_client", "disabled_at", f"'{NOW}'", "NULL"),
    "user": ("auth_user", "is_active", "0", "1"),
    "grant": ("oauthgw_grant", "revoked_at", f"'{NOW}'", "NULL"),
    "route": ("mcp_routes_mcproute", "enabled", "0", "1"),
    "age": ("oauthgw_grant", "expires_at", f"'{NOW}'", "NULL"),
}
TOPICS = {"age": "grant"}  # no process has to be told: what a token's own end is never later than


async def pong(received: Received) -> None:
    await received.answer(PONG)


@contextlib.asynccontextmanager
async def lost(served: Served, what: str) -> AsyncIterator[None]:
    """Takes it away, and tells of it as the product does; given back, and known to be, when the block ends."""
    table, column, gone, there = LOSSES[what]

    def put(value: str) -> None:
        databases.run(served.gateway.database_url, f"UPDATE {table} SET {column} = {value}")  # noqa: S608  (our own words)
        served.publish(TOPICS.get(what, what), table)

    put(gone)
    try:
        yield
    finally:
        put(there)
        await known_everywhere(served, 200)


@pytest.mark.parametrize("what", sorted(LOSSES.keys() - {"route"}))
async def test_a_token_ends_with_what_it_stands_on(served: Served, what: str) -> None:
    async with upstream(served, pong) as told:
        async with lost(served, what):
            await known_everywhere(served, 401)
            told.received.clear()
            reply = await exchange(served, ping(served))
            assert (reply.status, 'error="invalid_token"' in (reply.header("www-authenticate") or "")) == (401, True)
            assert told.received == []
        assert (await exchange(served, ping(served))).status == 200


async def test_a_call_that_began_before_its_revocation_is_not_made_after_it(served: Served) -> None:
    """A body may take hours to arrive; revocation is effective within a second."""
    async with upstream(served, pong) as told, connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(request(b"/mcp/told", bearer(served), b"Content-Length: %d" % len(BODY), b"Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"  # the token was accepted, the body is asked for
        async with lost(served, "grant"):
            await known(served, 401)
            told.received.clear()
            writer.write(BODY)
            reply = await answer(reader)
            assert (reply.status, told.received) == (401, [])


async def test_a_call_that_began_before_its_route_changed_does_not_go_the_old_way(served: Served) -> None:
    async with upstream(served, pong) as told, connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(request(b"/mcp/told", bearer(served), b"Content-Length: %d" % len(BODY), b"Expect: 100-continue"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        async with lost(served, "route"):
            await known(served, 404)
            told.received.clear()
            writer.write(BODY)
            reply = await answer(reader)
            assert (reply.status, told.received) == (404, [])


async def known(served: Served, status: int) -> None:
    """Waits until each process answers so, and longer than a body may take before the token is looked at once more."""
    await asyncio.gather(known_everywhere(served, status), asyncio.sleep(2 * _STALE_SECONDS))


async def test_no_secret_of_these_attacks_is_logged(served: Served) -> None:
    token = served.tokens["alice"]
    for target in (f"/mcp/told?access_token={token}", f"/mcp/told?access%5Ftoken={token}", f"/healthz?code={token}", f"/nowhere?x={token}"):
        await exchange(served, request(target.encode(), b"Cookie: gateway_session=" + token.encode(), method=b"GET"))
    assert token not in served.log()


async def test_our_token_and_cookies_never_reach_the_upstream(served: Served) -> None:
    async with upstream(served, pong) as told:
        hidden = [
            b"Cookie: gateway_session=x",
            b"Proxy-Authorization: Basic eDp5",
            b"X-Forwarded-Authorization: y",
            b"Authorization-Copy: z",
        ]
        assert (await exchange(served, ping(served, *hidden, target=b"/mcp/told?secret=1"))).status == 200
    received = told.received[0]
    everything = f"{received.path} {received.headers} {received.body!r}"
    assert not [word for word in (served.tokens["alice"], "cookie", "proxy-", "-copy", "secret=1") if word in everything]

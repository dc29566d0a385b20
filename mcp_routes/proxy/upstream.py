"""Asking the upstream: one shared client session, made safe to share, and what can go wrong on the way there.

Knows the route's address and timeouts; which headers pass is decided before, what the answer means after (`relay`).
"""

import asyncio

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from mcp_routes.proxy.refusals import UPSTREAM_FAULT, UPSTREAM_SILENT, Refusal
from mcp_routes.snapshot import Route
from oauthgw.guard.conf import gateway

CONNECT_SECONDS = 5
# Common servers close an idle connection after 5 s; a POST sent on one that is just being closed could not be repeated.
_IDLE_SECONDS = 4

_session: aiohttp.ClientSession | None = None


class UpstreamFault(Exception):
    """The upstream did not give an answer that may be passed on. `refusal` is for the client, the text for the log."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal


async def start() -> None:
    """Opens the client session in this process's event loop.

    aiohttp's defaults are unsafe for many users on one session: it keeps cookies, follows redirects, obeys proxy variables, and stops
    at 100 connections and five minutes.
    """
    global _session  # noqa: PLW0603  (one per process, as the lifespan is)
    _session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=None),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("Accept", "Content-Type", "User-Agent"),
    )


async def stop() -> None:
    """Closes every upstream connection."""
    if _session is not None:
        await _session.close()


async def ask(method: str, route: Route, passed: CIMultiDict[str], body: bytes | None) -> aiohttp.ClientResponse:
    """The upstream's answer, as soon as its headers are here; the caller closes it.

    Raises UpstreamFault when it cannot be reached, breaks off, or is silent for `MCP_UPSTREAM_TIMEOUT_SECONDS`.
    """
    if _session is None:
        raise RuntimeError("The server does not run the ASGI lifespan, which opens the upstream connections.")
    try:
        async with asyncio.timeout(gateway().upstream_timeout):
            return await _session.request(method, URL(route.upstream_url, encoded=True), headers=passed, data=body, allow_redirects=False)
    except TimeoutError as error:
        raise UpstreamFault(UPSTREAM_SILENT, f"no answer in time ({type(error).__name__})") from error
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        raise UpstreamFault(UPSTREAM_FAULT, f"not reachable ({type(error).__name__})") from error

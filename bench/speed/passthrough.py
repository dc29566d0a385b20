"""The bare pass-through, the base of every ratio: an ASGI application and aiohttp, with no check of anything.

`BENCH_UPSTREAM` is the URL that everything goes to. What the gateway costs is what it takes on top of this.
"""

import os
from typing import Any

import aiohttp

_URL = os.environ.get("BENCH_UPSTREAM", "")
_session: list[aiohttp.ClientSession] = []


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One request of the server."""
    if scope["type"] == "lifespan":
        return await _lifespan(receive, send)
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    passed = {name.decode(): value.decode() for name, value in scope["headers"] if name in (b"accept", b"content-type")}
    async with _session[0].post(_URL, data=body, headers=passed) as answer:
        kept = [(name.lower(), value) for name, value in answer.raw_headers if name.lower() in (b"content-type", b"content-length")]
        await send({"type": "http.response.start", "status": answer.status, "headers": kept})
        async for chunk in answer.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    connector = aiohttp.TCPConnector(limit=0)
    _session.append(aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _session.pop().close()
    await send({"type": "lifespan.shutdown.complete"})

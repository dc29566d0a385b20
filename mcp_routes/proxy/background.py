"""What lives as long as the serving process: the upstream connections, the reader of the change log, the watch over open streams."""

import asyncio
from collections.abc import Awaitable, Callable

from mcp_routes import snapshot
from mcp_routes.proxy import streams, upstream
from mcp_routes.proxy.refusals import log
from mcp_routes.proxy.watch import Watch
from oauthgw import principals
from oauthgw.journal import poller
from oauthgw.journal.changes import Entry

_AFTER_FAILURE_SECONDS = 1

_tasks: list["asyncio.Task[None]"] = []


async def start() -> None:
    """Starts it all in this process's event loop (ASGI lifespan)."""
    streams.start()
    await upstream.start()
    watch = Watch()

    def apply(change: Entry) -> None:
        principals.apply(change)
        snapshot.apply(change)
        watch.apply(change)  # last: what it ends comes back at once, and must not be let in by what is held

    _tasks[:] = [asyncio.ensure_future(_always(lambda: poller.follow(apply))), asyncio.ensure_future(_always(watch.keep))]


async def stop() -> None:
    """Stops it."""
    for task in _tasks:
        task.cancel()
    await asyncio.gather(*_tasks, return_exceptions=True)
    await upstream.stop()


async def _always(what: Callable[[], Awaitable[object]]) -> None:
    """Runs it again when it fails: nothing else would tell of a revocation."""
    while True:
        try:
            await what()
        except Exception:  # noqa: BLE001  (whatever it was, the next try may be right)
            log.exception("a background task failed and is started again")
            await asyncio.sleep(_AFTER_FAILURE_SECONDS)

"""Whether the exchanges under way may go on: asked when the change log says so, and every second in any case.

One query for all of them, so that 2,000 open streams cost what one does; none while nothing is open. That it is asked without being told is
what covers a change log that stands still. Knows when to ask and what to do without an answer; the rules are `streams`'.
"""

import asyncio
import contextlib
import time
from collections.abc import Collection, Mapping
from typing import NoReturn

from mcp_routes import snapshot
from mcp_routes.proxy import streams
from mcp_routes.proxy.refusals import log
from oauthgw import principals
from oauthgw.guard.database import DatabaseUnavailable, in_database
from oauthgw.journal.changes import Entry, Topic

EVERY_SECONDS = 1.0
_PATIENCE_SECONDS = 2.0  # for an answer even where the process itself is late: a stopped clock proves nothing about the database


class Watch:
    """The process's one watch, in its event loop."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def apply(self, change: Entry) -> None:
        """What a change means to what is under way."""
        if change.topic == Topic.GRANT:
            streams.end_of_grant(change.key)
        elif streams.concerns_any(change):
            self._told.set()

    async def keep(self) -> NoReturn:
        """Watches until it is cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._told.wait()
            self._told.clear()
            streams.end_overdue()
            await _ask_about_all()


async def _ask_about_all() -> None:
    asked = streams.all_under_way()
    if not asked:
        return
    began = time.monotonic()
    grants = {exchange.principal.grant_id for exchange in asked}
    routes = {exchange.route.id for exchange in asked}
    answer = asyncio.ensure_future(in_database(_still, grants, routes))
    try:
        # Not a time-out around the query: an answer that is there counts, however late this process looks.
        while not (await asyncio.wait({answer}, timeout=max(_PATIENCE_SECONDS, streams.seconds_to_confirm())))[0]:
            _without_an_answer("no answer in time")
        standing, leads_to = answer.result()
        _note(Topic.GRANT, grants - standing)
        _note(Topic.ROUTE, routes - leads_to.keys())
        streams.judge(asked, began, standing, leads_to)
    except DatabaseUnavailable as outage:
        _without_an_answer(str(outage))
    finally:
        answer.cancel()


def _note(topic: Topic, gone: Collection[int]) -> None:
    """What was found by asking is known to the next request too: whose stream ends comes back at once."""
    for key in gone:
        found = Entry(0, topic, key)
        principals.apply(found)
        snapshot.apply(found)


def _without_an_answer(why: str) -> None:
    before = sum(not exchange.cut.done() for exchange in streams.all_under_way())
    streams.end_unconfirmed()
    ended = before - sum(not exchange.cut.done() for exchange in streams.all_under_way())
    if ended:
        log.warning("ended %s exchanges that could not be asked about for %s s: %s", ended, streams.UNCONFIRMED_SECONDS, why)


def _still(grants: Collection[int], routes: Collection[int]) -> tuple[frozenset[int], Mapping[int, str]]:
    """Which of these grants stand, and where the enabled ones of these routes lead; blocking."""
    return principals.standing(grants), snapshot.upstreams(routes)

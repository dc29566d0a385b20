"""Following the change log, in the background of a process that serves.

Knows the clock and outages; knows nothing of what a change means to whoever follows.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from oauthgw.guard.database import DatabaseUnavailable, in_database
from oauthgw.journal.changes import Entry, Reader, above, told_here

EVERY_SECONDS = 0.5  # what is published acts within a second, wherever it is noticed
_AFTER_OUTAGE_SECONDS = 2  # a query to a silent database keeps its thread for a while

log = logging.getLogger(__name__)


async def follow(apply: Callable[[Entry], None]) -> None:
    """Applies every change from now on, until it is cancelled. An outage is logged once, and caught up with.

    `apply` is called in this event loop, also for what this process itself publishes, which it is told of at once.
    """
    reader, loop = Reader(), asyncio.get_running_loop()

    def hear(entries: Sequence[Entry]) -> None:
        for entry in reader.hear(entries):
            _apply(apply, entry)

    def hand_over(entries: Sequence[Entry]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: this process ends
            loop.call_soon_threadsafe(hear, entries)

    with told_here(hand_over):
        await _read_on(reader, apply)


async def _read_on(reader: Reader, apply: Callable[[Entry], None]) -> NoReturn:
    away = False
    while True:
        began = time.monotonic()
        try:
            entries = await in_database(above, reader.after)
        except DatabaseUnavailable as outage:
            if not away:
                log.warning("the change log cannot be read (%s); what changes meanwhile is caught up with", outage)
            away = True
            await asyncio.sleep(_AFTER_OUTAGE_SECONDS)
            continue
        if away:
            log.info("the change log is read again")
            away = False
        for entry in reader.take(entries, began):
            _apply(apply, entry)
        if not reader.has_more_to_read:
            await asyncio.sleep(EVERY_SECONDS)


def _apply(apply: Callable[[Entry], None], entry: Entry) -> None:
    try:
        apply(entry)
    except Exception:  # one change that cannot be applied must not keep the next from being noticed
        log.exception("a change could not be applied: %s", entry)

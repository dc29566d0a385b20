"""Following the change log, in the background of a process that serves.

Knows the clock and outages; knows nothing of what a change means to whoever follows.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NoReturn

from oauthgw.guard.database import DatabaseUnavailable, in_database
from oauthgw.journal.changes import Entry, Reader, above

EVERY_SECONDS = 0.5  # what is published acts within a second, wherever it is noticed
_AFTER_OUTAGE_SECONDS = 2  # a query to a silent database keeps its thread for a while

log = logging.getLogger(__name__)


async def follow(apply: Callable[[Entry], None]) -> NoReturn:
    """Applies every change from now on, until it is cancelled. An outage is logged once, and caught up with."""
    reader = Reader()
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

"""Removing many rows, a few at a time.

Each batch is a short transaction of its own, and half of the time belongs to others: SQLite has one write lock for everybody. Several
nodes may do it at once, and it may be repeated or broken off at any point. Knows querysets; knows no table.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

PASS = 50_000  # keys held in memory at a time
BATCH = 500
CASCADING_BATCH = 50


@dataclass(frozen=True, slots=True)
class Chore:
    """One kind of row that goes when it has ended.

    `rows` says which: it is asked again inside each batch's transaction, where the rows are locked. `before` is called there too, with
    the keys of what is about to go. `cascades` takes along what refers to it, row by row; without, nothing may refer to it (the database
    would refuse), and each batch is one statement.
    """

    name: str
    rows: Callable[[], QuerySet[Any]]
    before: Callable[[list[int]], None] | None = None
    cascades: bool = False

    def count(self) -> int:
        """How many rows would go now."""
        return self.rows().count()

    def run(self) -> int:
        """Removes them; returns how many went."""
        gone = 0
        while True:
            keys = list(self.rows().order_by().values_list("pk", flat=True)[:PASS])
            size = CASCADING_BATCH if self.cascades else BATCH
            removed = sum(self._unhurried(keys[start : start + size]) for start in range(0, len(keys), size))
            gone += removed
            if len(keys) < PASS or not removed:
                return gone

    def _unhurried(self, keys: list[int]) -> int:
        began = time.monotonic()
        removed = self._remove(keys)
        time.sleep(time.monotonic() - began)
        return removed

    @transaction.atomic
    def _remove(self, keys: list[int]) -> int:
        """Of these, what still is to go and nobody else is busy with: asked once more when no other row can be hung on them."""
        locked = self.rows().order_by().filter(pk__in=keys).select_for_update(skip_locked=True).values_list("pk", flat=True)
        going = list(self.rows().order_by().filter(pk__in=list(locked)).values_list("pk", flat=True))
        if self.before is not None:
            self.before(going)
        doomed = self.rows().model._base_manager.filter(pk__in=going)
        if self.cascades:
            doomed.delete()
        else:
            doomed._raw_delete(doomed.db)  # `delete` would load each row to see what refers to it
        return len(going)

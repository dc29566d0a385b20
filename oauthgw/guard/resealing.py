"""Moving stored values to the current key, a few rows at a time.

Each batch is a short transaction of its own that locks its rows, and what is there already is left: safe to repeat, to break off, and
beside a gateway that serves. Knows columns; knows no table and no key.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from oauthgw.guard import sealed

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Column:
    """A column of sealed values.

    `rows` says which rows hold one, `reseal` gives the stored text under the current key (raising Unsealable), and `changed` is called last
    in each batch's transaction, with the keys of the rows that were written.
    """

    name: str
    rows: Callable[[], QuerySet[Any]]
    column: str
    reseal: Callable[[str], str]
    changed: Callable[[list[int]], None] | None = None

    def run(self, *, dry: bool = False) -> "Outcome":
        """Re-seals what is not under the current key; `dry` only says what would be."""
        outcome = Outcome(self.name)
        for keys in self._batches():
            with transaction.atomic():
                written = list(self._resealed(keys, outcome, dry=dry))
                if written and self.changed is not None and not dry:
                    self.changed(written)
        return outcome

    def _resealed(self, keys: list[int], outcome: "Outcome", *, dry: bool) -> Iterator[int]:
        for row in self.rows().order_by("pk").filter(pk__in=keys).select_for_update():
            stored = getattr(row, self.column)
            try:
                fresh = self.reseal(stored)
            except sealed.Unsealable as reason:
                outcome.lost.append(f"{row._meta.verbose_name} {row}: {reason}")
                continue
            if fresh == stored:
                continue
            outcome.count += 1
            if not dry:
                type(row)._base_manager.filter(pk=row.pk).update(**{self.column: fresh})
            yield row.pk

    def _batches(self) -> Iterator[list[int]]:
        last = 0
        while keys := list(self.rows().order_by("pk").filter(pk__gt=last).values_list("pk", flat=True)[:_BATCH]):
            yield keys
            last = keys[-1]


@dataclass(slots=True)
class Outcome:
    """What became of one column: how many values were moved, and which no configured key opens, by row and never by value."""

    name: str
    count: int = 0
    lost: list[str] = field(default_factory=list)

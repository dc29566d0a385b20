"""The change log: what other processes must notice, written in the transaction that causes it, read by each of them twice a second.

An entry says "forget what you hold about this" and no more, so that applying one twice, late, or for nothing does no harm. Ids are given
before they are committed: an entry may appear below one that was read long ago. So a reader looks again at everything above the highest
id it had seen 30 seconds before, and skips what it has applied. Measured: reading from the last id alone lost 12 of 6,649 entries with 8
writers, the overlap none.

Knows entries and their order; knows nothing of what they are about, nor who reads (`poller`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from oauthgw.journal.models import Change

OVERLAP_SECONDS = 30
"""No publishing transaction lives so long: its statements and its pauses end after 10 seconds, and it publishes last."""
KEPT = timedelta(hours=1)
"""For how long entries are kept. A reader that was away for longer holds nothing that was not asked about again since."""
PAGE = 5_000  # entries that are read at once: a flood must not fill the memory of every process
_FIRST = 1000
"""A reader begins with the newest entries: among them are those that commit late, and all since its process first held anything."""

_BOUNDED = "SELECT set_config('statement_timeout', '10s', true), set_config('idle_in_transaction_session_timeout', '10s', true)"


class Topic(StrEnum):
    """What an entry is about. Its key is the id of that row."""

    GRANT = "grant"  # revoked
    CLIENT = "client"  # switched off or on, or removed
    USER = "user"  # shut out or let in, or removed
    ROUTE = "route"  # made, changed, switched off or on, or removed


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `topic` is a plain string: a newer version of the gateway may publish what this one does not know."""

    id: int
    topic: str
    key: int


def publish(topic: Topic, *keys: int) -> None:
    """Tells every process of a change. Call it last in the transaction that makes it true.

    Raises RuntimeError outside a transaction: others would look before, or in vain.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("A change is published in the transaction that causes it.")
    if not keys:
        return
    if connection.vendor == "postgresql":  # SQLite has one writer, and gives ids in the order of commits
        with connection.cursor() as cursor:
            cursor.execute(_BOUNDED)
    made = Change.objects.bulk_create(Change(topic=topic, key=key) for key in keys)
    transaction.on_commit(partial(_tell_here, [Entry(change.pk, topic, change.key) for change in made]), robust=True)


@contextmanager
def told_here(tell: Callable[[Sequence[Entry]], None]) -> Iterator[None]:
    """Until the block ends, what this process publishes is told at once when it is committed, in the thread that did it.

    So that whoever revokes something, and calls the same process next, is not too early. The log is read all the same.
    """
    _listeners.append(tell)
    try:
        yield
    finally:
        _listeners.remove(tell)


def _tell_here(entries: Sequence[Entry]) -> None:
    for tell in tuple(_listeners):
        tell(entries)


_listeners: list[Callable[[Sequence[Entry]], None]] = []


def above(floor: int | None) -> list[Entry]:
    """The next entries with a greater id, oldest first and at most a page; without a floor the newest there are."""
    columns = Change.objects.values_list("id", "topic", "key")
    rows = columns.filter(id__gt=floor).order_by("id")[:PAGE] if floor is not None else reversed(columns.order_by("-id")[:_FIRST])
    return [Entry(*row) for row in rows]


def old() -> QuerySet[Change]:
    """Entries that every reader has long read: for `cleanup`."""
    return Change.objects.filter(at__lt=timezone.now() - KEPT)


class Reader:
    """A process's place in the log. `after` is the id above which it looks next; None before the first time.

    A look begins at the floor and goes on page by page while pages are full. The floor rises only with a look that came to its end, so
    that an outage loses nothing however long it lasts: each look goes over everything that can have appeared below what was read.
    """

    def __init__(self) -> None:
        self.floor: int | None = None
        self.after: int | None = None
        self._look_began: float | None = None
        self._highest = 0
        self._applied: set[int] = set()
        self._marks: deque[tuple[float, int]] = deque()  # when a read began, and the highest id seen by then

    @property
    def has_more_to_read(self) -> bool:
        """Whether its look is not at the end: the next page is due at once."""
        return self._look_began is not None

    def hear(self, entries: Sequence[Entry]) -> list[Entry]:
        """What is new among entries that it is told of; it passes over them when it reads."""
        new = [entry for entry in entries if entry.id not in self._applied]
        self._applied.update(entry.id for entry in new)
        return new

    def take(self, entries: Sequence[Entry], read_at: float) -> list[Entry]:
        """What is new among the entries above `after`. `read_at` is the monotonic second at which the reading began."""
        if self.floor is None:
            self.floor = entries[0].id - 1 if len(entries) == _FIRST else 0
        new = self.hear(entries)
        self._highest = max([self._highest, *(entry.id for entry in entries)])
        self._marks.append((read_at, self._highest))
        began = read_at if self._look_began is None else self._look_began
        if len(entries) == PAGE:
            self._look_began, self.after = began, entries[-1].id
            return new
        self._raise_floor(began - OVERLAP_SECONDS)  # its first page was read then, and may have missed what appeared since
        self._look_began, self.after = None, self.floor
        return new

    def _raise_floor(self, until: float) -> None:
        floor = self.floor
        while self._marks and self._marks[0][0] <= until:
            _, self.floor = self._marks.popleft()
        if self.floor is not None and self.floor != floor:
            self._applied = {entry_id for entry_id in self._applied if entry_id > (self.floor or 0)}

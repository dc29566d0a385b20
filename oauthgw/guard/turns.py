"""How many may do the same thing at once in this process, so that one name's slowness is not everybody's.

Knows threads and a deadline; what a name stands for (a host, a network, a purpose) is the caller's business.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class NoTurn(TimeoutError):
    """All places of a name stayed taken until the deadline. The text says which: for the log."""


class Turns:
    """So many places for each name. A name is forgotten when the last one leaves, so that strangers may choose names."""

    def __init__(self, of: str, at_once: int) -> None:
        self._of = of
        self._at_once = at_once
        self._taken: Counter[str] = Counter()
        self._changed = Condition()

    @contextmanager
    def take(self, name: str, deadline: float) -> Iterator[None]:
        """A place of this name while the block runs, waited for until the monotonic second `deadline`. Raises NoTurn."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken[name] < self._at_once, max(deadline - time.monotonic(), 0)):
                raise NoTurn(f"{self._of} {name}")
            self._taken[name] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[name] -= 1
                if not self._taken[name]:
                    del self._taken[name]
                self._changed.notify_all()

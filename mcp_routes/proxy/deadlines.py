"""Time limits by the thousand: `with within(seconds): …`, where a quarter of a second more does no harm.

Each `asyncio.timeout` winds up a timer of its own, which on a warm request costs more than everything it guards. Here one timer a process
looks at all of them. Knows tasks and seconds, and nothing else.
"""

import asyncio
import time
from types import TracebackType

ROUND_SECONDS = 0.25


class within:  # noqa: N801  (it reads as what it does)
    """Cancels what runs in the block after so many seconds, at most a round later, and makes that a TimeoutError."""

    __slots__ = ("_cancels", "_due", "_is_over", "_task")

    def __init__(self, seconds: float) -> None:
        self._due = time.monotonic() + seconds
        self._is_over = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101  (a coroutine runs in one)
        self._task = task
        self._cancels = task.cancelling()
        _rounds.add(self, loop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _rounds.open.discard(self)
        # Cancelled for another reason as well, it stays cancelled.
        if self._is_over and self._task.uncancel() <= self._cancels and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def judge(self, now: float) -> None:
        """Ends it if its time is over."""
        if now >= self._due and not self._is_over:
            self._is_over = True
            self._task.cancel()


class _Rounds:
    """The process's one timer, which runs while anything is limited."""

    def __init__(self) -> None:
        self.open: set[within] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, limited: within, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:  # what an earlier one left is never looked at again
            self.open.clear()
            self._loop, self._timer = loop, None
        self.open.add(limited)
        if self._timer is None:
            self._timer = loop.call_later(ROUND_SECONDS, self._go_round, loop)

    def _go_round(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not loop:
            return
        now = time.monotonic()
        for limited in tuple(self.open):
            limited.judge(now)
        self._timer = loop.call_later(ROUND_SECONDS, self._go_round, loop) if self.open else None


_rounds = _Rounds()

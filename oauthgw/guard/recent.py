"""What the database said a moment ago: an answer is given again for five seconds, unless a change of what it rests on was noted since.

Every answer is judged by the moment before its query began, never by when it arrived: a slow database stretches nothing, and an answer
that was under way when a change was noted is not taken for news. So without any change noted, an answer is never older than five seconds.

Knows keys, moments and names of changes; knows nothing of what they mean. It belongs to one event loop.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

KEPT_SECONDS = 5.0
_MOST_CHANGES = 10_000  # noted at a time; beyond, everything is forgotten instead
_NEVER = float("-inf")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

What = tuple[str, int]
"""The name of something that changes: its topic and its key, as the change log has them."""


@dataclass(frozen=True, slots=True)
class Held(Generic[V]):
    """An answer: None is "there is no such". `began` is the monotonic second before its query began."""

    value: V | None
    began: float
    rests_on: tuple[What, ...]


class Recent(Generic[K, V]):
    """Answers by key. At most `most` are held, and as many times "there is no such", so that junk pushes out no good one.

    `rests_on` names what an answer rests on. "There is no such" rests on everything: any change may have made it there.
    """

    def __init__(self, most: int, rests_on: Callable[[V], tuple[What, ...]]) -> None:
        self._most = most
        self._rests_on = rests_on
        self._there: OrderedDict[K, Held[V]] = OrderedDict()
        self._absent: OrderedDict[K, Held[V]] = OrderedDict()
        self._under_way: dict[K, tuple[float, asyncio.Task[Held[V]]]] = {}
        self._changes: OrderedDict[What, float] = OrderedDict()
        self._latest_change = _NEVER
        self._cleared = _NEVER

    def held(self, key: K) -> Held[V] | None:
        """What may be answered without asking; None when it has to be asked. Each request goes through here: no more than it needs."""
        answer = self._there.get(key) or self._absent.get(key)
        return answer if answer is not None and self._stands(answer) else None

    async def get(self, key: K, ask: Callable[[], Awaitable[V | None]]) -> V | None:
        """What is held, or else the answer of `ask`, which whoever comes meanwhile for the same key waits for too.

        What `ask` raises goes to all of them and is not held. Whoever leaves early leaves the query to the others.
        """
        answer = self.held(key)
        while answer is None:
            answer = await asyncio.shield(self._asking(key, ask))
            # "There is no such" is no worse than when its query began, while what is there may have been taken away meanwhile.
            if answer.value is not None and not self._stands(answer):
                answer = self.held(key)
        return answer.value

    def changed(self, what: What) -> None:
        """Notes that something changed: what rests on it, and was asked before this moment, is not given again."""
        now = self._latest_change = time.monotonic()
        self._changes[what] = now
        self._changes.move_to_end(what)
        while next(iter(self._changes.values())) <= now - KEPT_SECONDS:
            self._changes.popitem(last=False)  # whatever it outdates is too old by itself
        if len(self._changes) > _MOST_CHANGES:
            self.clear()

    def clear(self) -> None:
        """Forgets everything, and what is still being asked."""
        self._cleared = self._latest_change = time.monotonic()
        for memory in (self._there, self._absent, self._changes):
            memory.clear()

    def _stands(self, answer: Held[V]) -> bool:
        began = answer.began
        if time.monotonic() - began >= KEPT_SECONDS:
            return False
        if began > self._latest_change:
            return True
        if answer.value is None or began <= self._cleared:
            return False
        return all(began > self._changes.get(what, _NEVER) for what in answer.rests_on)

    def _asking(self, key: K, ask: Callable[[], Awaitable[V | None]]) -> "asyncio.Task[Held[V]]":
        """The query under way for this key; a new one where that began before the latest change."""
        began, task = self._under_way.get(key, (_NEVER, None))
        if task is None or began <= self._latest_change:
            began = time.monotonic()
            task = asyncio.ensure_future(self._ask(key, ask, began))
            self._under_way[key] = (began, task)
            task.add_done_callback(partial(self._landed, key))
        return task

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V | None]], began: float) -> Held[V]:
        value = await ask()
        answer = Held(value, began, self._rests_on(value) if value is not None else ())
        self._hold(key, answer)
        return answer

    def _landed(self, key: K, task: "asyncio.Task[Held[V]]") -> None:
        if not task.cancelled():
            task.exception()  # all who waited may have left
        if self._under_way.get(key, (_NEVER, None))[1] is task:  # a later query may have taken the place
            del self._under_way[key]

    def _hold(self, key: K, answer: Held[V]) -> None:
        for memory in (self._there, self._absent):
            known = memory.get(key)
            if known is not None and known.began > answer.began:
                return
            memory.pop(key, None)
        kept = self._absent if answer.value is None else self._there
        kept[key] = answer
        while kept and (len(kept) > self._most or time.monotonic() - next(iter(kept.values())).began >= KEPT_SECONDS):
            kept.popitem(last=False)

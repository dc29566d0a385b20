"""What may be answered again without asking: nothing older than five seconds, nothing that a noted change made untrue."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oauthgw.guard import recent
from oauthgw.guard.recent import KEPT_SECONDS, Recent
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio

GRANT = ("grant", 1)
OTHERS = ("grant", 2)
YES = "alice"


class Clock:
    """The monotonic clock as the cache reads it: each look is a moment later than the one before."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now


class Store:
    """A database that answers when it is told to. `asked` are the queries that wait."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[str | None]] = []

    def ask(self) -> Awaitable[str | None]:
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.asked) < times:  # noqa: ASYNC110  (nobody is told of a query)
                await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(recent, "time", clock)
    return clock


@pytest.fixture
def memory(clock: Clock) -> Recent[str, str]:
    return made()


@pytest.fixture
def store() -> Store:
    return Store()


def made(most: int = 3) -> Recent[str, str]:
    return Recent(most, rests_on=lambda value: (GRANT, ("user", len(value))))


async def says(memory: Recent[str, str], answer: str | None, key: str = "k") -> str | None:
    """A request whose query, if one is needed, is answered so at once."""

    async def ask() -> str | None:
        return answer

    return await memory.get(key, ask)


def is_held(memory: Recent[str, str], key: str = "k") -> bool:
    return memory.held(key) is not None


@pytest.mark.parametrize("answer", [YES, None])
class TestAnAnswer:
    async def test_is_given_again_without_asking(self, memory: Recent[str, str], answer: str | None) -> None:
        await says(memory, answer)
        assert await says(memory, "another") == answer

    async def test_is_asked_for_again_after_five_seconds(self, memory: Recent[str, str], clock: Clock, answer: str | None) -> None:
        await says(memory, answer)
        clock.now += KEPT_SECONDS - 0.01
        assert is_held(memory)
        clock.now += 0.01
        assert not is_held(memory)
        assert await says(memory, "another") == "another"

    async def test_counts_from_before_its_query(self, memory: Recent[str, str], clock: Clock, store: Store, answer: str | None) -> None:
        """A database that takes three seconds leaves two."""
        waiting = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        clock.now += 3
        store.asked[0].set_result(answer)
        assert await waiting == answer
        clock.now += 1.9
        assert is_held(memory)
        clock.now += 0.1
        assert not is_held(memory)

    async def test_is_of_its_key_alone(self, memory: Recent[str, str], answer: str | None) -> None:
        await says(memory, answer)
        assert not is_held(memory, "another key")

    async def test_is_gone_when_all_is_forgotten(self, memory: Recent[str, str], answer: str | None) -> None:
        await says(memory, answer)
        memory.clear()
        assert not is_held(memory)


class TestAChange:
    @pytest.mark.parametrize("what", [GRANT, ("user", len(YES))])
    async def test_outdates_what_rests_on_it(self, memory: Recent[str, str], what: recent.What) -> None:
        await says(memory, YES)
        memory.changed(what)
        assert not is_held(memory)
        assert await says(memory, "another") == "another"
        assert is_held(memory)

    async def test_leaves_what_rests_on_something_else(self, memory: Recent[str, str]) -> None:
        await says(memory, YES)
        memory.changed(OTHERS)
        assert is_held(memory)

    async def test_of_anything_outdates_that_there_is_no_such(self, memory: Recent[str, str]) -> None:
        await says(memory, None)
        memory.changed(OTHERS)
        assert not is_held(memory)

    async def test_while_a_query_is_under_way_has_it_asked_again(self, memory: Recent[str, str], store: Store) -> None:
        """Its answer may be from before, and is given to nobody who would be let in by it."""
        waiting = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        memory.changed(GRANT)
        store.asked[0].set_result(YES)
        await store.until_asked(2)
        store.asked[1].set_result(None)
        assert await waiting is None

    async def test_that_nobody_who_waits_rests_on_keeps_nobody_waiting(self, memory: Recent[str, str], store: Store) -> None:
        waiting = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        memory.changed(OTHERS)
        store.asked[0].set_result(YES)
        assert await waiting == YES
        assert len(store.asked) == 1

    async def test_while_nobody_is_found_refuses_once_and_is_not_remembered(self, memory: Recent[str, str], store: Store) -> None:
        """With many changes and a slow database, it would never be answered otherwise."""
        waiting = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        memory.changed(OTHERS)
        store.asked[0].set_result(None)
        assert await waiting is None
        assert not is_held(memory)

    async def test_is_noted_for_as_long_as_anything_could_be_older(self, memory: Recent[str, str], clock: Clock) -> None:
        for key in range(100):
            memory.changed(GRANT)
            memory.changed(("client", key))
            clock.now += 0.1
        assert len(memory._changes) <= 51

    async def test_noted_twice_counts_from_the_second_time(self, memory: Recent[str, str], clock: Clock) -> None:
        memory.changed(GRANT)
        clock.now += 3
        await says(memory, YES)
        memory.changed(GRANT)
        clock.now += 3  # the first note is too old to be kept
        memory.changed(OTHERS)
        assert not is_held(memory)

    async def test_among_more_than_can_be_noted_outdates_everything(
        self, memory: Recent[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recent, "_MOST_CHANGES", 10)
        await says(memory, YES)
        for key in range(2, 12):
            memory.changed(("grant", key))
        assert is_held(memory)
        memory.changed(("grant", 12))
        assert not is_held(memory)
        assert await says(memory, YES) == YES
        assert is_held(memory)


class TestManyAtOnce:
    async def test_ask_once(self, memory: Recent[str, str], store: Store) -> None:
        waiting = [asyncio.ensure_future(memory.get("k", store.ask)) for _ in range(32)]
        await store.until_asked(1)
        store.asked[0].set_result(YES)
        assert await asyncio.gather(*waiting) == [YES] * 32
        assert len(store.asked) == 1

    async def test_of_different_keys_ask_for_each(self, memory: Recent[str, str], store: Store) -> None:
        waiting = [asyncio.ensure_future(memory.get(key, store.ask)) for key in "ab"]
        await store.until_asked(2)
        for query, answer in zip(store.asked, "xy", strict=True):
            query.set_result(answer)
        assert await asyncio.gather(*waiting) == ["x", "y"]

    async def test_who_comes_after_a_change_does_not_wait_for_a_query_from_before_it(self, memory: Recent[str, str], store: Store) -> None:
        early = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        memory.changed(OTHERS)
        late = [asyncio.ensure_future(memory.get("k", store.ask)) for _ in range(2)]
        await store.until_asked(2)
        store.asked[1].set_result("new")
        assert await asyncio.gather(*late) == ["new", "new"]
        store.asked[0].set_result(None)
        assert await early is None
        assert await says(memory, "x") == "new", "an answer from before does not replace one from after"

    async def test_who_comes_later_still_joins_the_query_from_after_it(self, memory: Recent[str, str], store: Store) -> None:
        early = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        memory.changed(OTHERS)
        late = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(2)
        store.asked[0].set_result(None)
        assert await early is None
        later = asyncio.ensure_future(memory.get("k", store.ask))
        await asyncio.sleep(0.01)
        assert len(store.asked) == 2
        store.asked[1].set_result("new")
        assert [await late, await later] == ["new", "new"]

    async def test_what_is_forgotten_while_it_is_asked_is_asked_again(self, memory: Recent[str, str], store: Store) -> None:
        waiting = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        memory.clear()
        store.asked[0].set_result(YES)
        await store.until_asked(2)
        store.asked[1].set_result("new")
        assert await waiting == "new"

    @pytest.mark.parametrize("leaves", [0, 1], ids=["who asked", "who joined"])
    async def test_one_that_leaves_takes_the_answer_from_nobody(self, memory: Recent[str, str], store: Store, leaves: int) -> None:
        waiting = [asyncio.ensure_future(memory.get("k", store.ask)) for _ in range(2)]
        await store.until_asked(1)
        waiting.pop(leaves).cancel()
        await asyncio.sleep(0)
        store.asked[0].set_result(YES)
        assert await waiting[0] == YES
        assert len(store.asked) == 1

    async def test_a_failure_is_for_all_who_wait_and_for_nobody_after_them(self, memory: Recent[str, str], store: Store) -> None:
        waiting = [asyncio.ensure_future(memory.get("k", store.ask)) for _ in range(3)]
        await store.until_asked(1)
        store.asked[0].set_exception(ValueError("gone"))
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
        assert await says(memory, YES) == YES

    async def test_a_failure_that_nobody_waits_for_any_more_troubles_nobody(self, memory: Recent[str, str], store: Store) -> None:
        said: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        waiting = asyncio.ensure_future(memory.get("k", store.ask))
        await store.until_asked(1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        store.asked[0].set_exception(ValueError("gone"))
        await asyncio.sleep(0.01)
        gc.collect()
        assert (said, memory._under_way) == ([], {})


class TestAnOutage:
    async def test_what_is_held_is_given_for_five_seconds_and_then_it_is_told(self, memory: Recent[str, str], clock: Clock) -> None:
        async def fail() -> str | None:
            raise ConnectionError

        await says(memory, YES)
        clock.now += 4.9
        assert await memory.get("k", fail) == YES
        clock.now += 0.1
        with pytest.raises(ConnectionError):
            await memory.get("k", fail)


class TestItsSize:
    async def test_the_oldest_goes_first(self, memory: Recent[str, str]) -> None:
        for key in "abcd":
            await says(memory, YES, key)
        assert [is_held(memory, key) for key in "abcd"] == [False, True, True, True]

    async def test_junk_pushes_out_junk_only(self, memory: Recent[str, str]) -> None:
        await says(memory, YES, "good")
        for number in range(100):
            await says(memory, None, f"junk {number}")
        assert is_held(memory, "good")
        assert len(memory._absent) == 3

    async def test_what_is_too_old_goes_with_the_next_answer(self, memory: Recent[str, str], clock: Clock) -> None:
        await says(memory, YES, "a")
        clock.now += KEPT_SECONDS
        await says(memory, YES, "b")
        assert list(memory._there) == ["b"]

    async def test_one_key_is_held_once_whatever_the_answer(self, memory: Recent[str, str], clock: Clock) -> None:
        for answer in (None, YES, None):
            assert await says(memory, answer) == answer
            memory.changed(GRANT)
        assert len(memory._there) + len(memory._absent) == 1


class World:
    """A token whose grant may be revoked, a cache in front of it, and a log that tells of revocations later. Moves as it is told to."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.memory = made()
        self.revoked: int = 0  # how often; each revocation makes another truth
        self.noted = 0
        self.changed_at: list[float] = []
        self.queries: list[tuple[asyncio.Future[str], int]] = []
        self.requests: list[tuple[asyncio.Task[str | None], float]] = []

    def moves(self) -> dict[str, Callable[[], None]]:
        return {
            "request": self.request,
            "read": self.read,
            "revoke": self.revoke,
            "note": self.note,
            "second": self.second,
            "fail": self.fail,
        }

    def request(self) -> None:
        self.requests.append((asyncio.ensure_future(self.memory.get("k", self._ask)), self.clock.monotonic()))

    async def _ask(self) -> str | None:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.queries.append((answer, self.revoked))  # what a query sees is settled when it begins: the worst case
        return await answer

    def read(self) -> None:
        """The oldest query is answered, by what it saw."""
        if self.queries:
            answer, seen = self.queries.pop(0)
            answer.set_result("x" * len(YES) + str(seen))

    def fail(self) -> None:
        if self.queries:
            self.queries.pop(0)[0].set_exception(ConnectionError())

    def revoke(self) -> None:
        self.revoked += 1
        self.changed_at.append(self.clock.monotonic())

    def note(self) -> None:
        self.memory.changed(GRANT)
        self.noted = self.revoked

    def second(self) -> None:
        self.clock.now += 1

    def judge(self) -> Iterator[str]:
        """What was answered since the last time, in words if it should not have been."""
        for task, _ in [request for request in self.requests if request[0].done()]:
            if task.exception() is None:
                seen = int(str(task.result())[len(YES) :])
                if seen < self.noted:
                    yield f"saw {seen}, although {self.noted} was noted"
                if seen < self.revoked and self.clock.now - self.changed_at[seen] > KEPT_SECONDS + 0.01:
                    yield f"saw {seen} more than five seconds after it was over"
        self.requests = [request for request in self.requests if not request[0].done()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(moves=st.lists(st.sampled_from(["request", "request", "read", "read", "revoke", "note", "second", "fail"]), max_size=40))
async def test_whatever_happens_when_nobody_is_told_what_a_noted_change_made_untrue(clock: Clock, moves: list[str]) -> None:
    world = World(clock)
    for move in moves:
        world.moves()[move]()
        for _ in range(6):  # everybody who can go on does
            await asyncio.sleep(0)
        assert list(world.judge()) == [], moves
    while world.requests:
        world.read()
        await asyncio.sleep(0)
        assert list(world.judge()) == [], moves

"""Time limits that share one timer."""

import asyncio

import pytest

from mcp_routes.proxy import deadlines
from mcp_routes.proxy.deadlines import within
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert deadlines.ROUND_SECONDS <= 0.25
    monkeypatch.setattr(deadlines, "ROUND_SECONDS", 0.01)


async def test_what_takes_too_long_is_a_timeout() -> None:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(TimeoutError), within(0.02):
            await asyncio.Event().wait()
        await asyncio.sleep(0)  # nothing is left of the cancellation


async def test_what_ends_in_time_is_not_and_the_next_one_has_its_own_time() -> None:
    for _ in range(2):
        with within(PATIENCE):
            await asyncio.sleep(0)
    with pytest.raises(TimeoutError), within(0):
        await asyncio.Event().wait()


async def test_the_inner_one_ends_alone() -> None:
    with within(PATIENCE), pytest.raises(TimeoutError), within(0):
        await asyncio.Event().wait()


async def test_who_is_cancelled_by_somebody_else_stays_cancelled() -> None:
    begun = asyncio.Event()

    async def limited(seconds: float) -> None:
        with within(seconds):
            begun.set()
            await asyncio.Event().wait()

    for seconds in (PATIENCE, 0.0):
        begun.clear()
        running = asyncio.ensure_future(limited(seconds))
        await begun.wait()
        for open_one in tuple(deadlines._rounds.open):
            open_one.judge(float("inf") if seconds == 0 else 0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_an_error_inside_stays_itself() -> None:
    with pytest.raises(KeyError), within(PATIENCE):
        raise KeyError
    assert not deadlines._rounds.open

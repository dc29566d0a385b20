"""An exchange ends by itself, by its client, from here, or with the server."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from mcp_routes.proxy import refusals, wanted
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio


class Run:
    """One exchange, and whoever may end it. `told` is what happened to it."""

    def __init__(self, server_tells: bool) -> None:
        self.told: list[str] = []
        self.begun = asyncio.Event()
        self.ends = asyncio.Event()
        self.cut: asyncio.Future[refusals.Refusal] = asyncio.get_running_loop().create_future()
        self._left = asyncio.Event()
        self._tell: Any = None
        self.scope: dict[str, Any] = {wanted.LEAVING: self._leaving} if server_tells else {}

    def leave(self) -> None:
        """The client does."""
        self._left.set()
        if self._tell is not None:
            self._tell()

    async def exchange(self) -> None:
        self.begun.set()
        try:
            await self.ends.wait()
        except asyncio.CancelledError:
            self.told.append("cancelled")
            raise

    async def run(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await wanted.while_wanted(self.scope, self._receive, self.exchange(), self.cut)

    def _leaving(self, tell: Any) -> None:
        self._tell = tell

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}


@pytest_asyncio.fixture(params=[True, False], ids=["told by the server", "asking"])
async def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


async def test_one_that_ends_was_not_cut(run: Run) -> None:
    run.ends.set()
    assert (await run.run(), run.told) == (None, [])


async def test_one_whose_client_leaves_is_given_up(run: Run) -> None:
    running = asyncio.ensure_future(run.run())
    await run.begun.wait()
    run.leave()
    assert (await running, run.told) == (None, ["cancelled"])


async def test_one_that_is_cut_is_given_up_and_says_why(run: Run) -> None:
    running = asyncio.ensure_future(run.run())
    await run.begun.wait()
    run.cut.set_result(refusals.INVALID_TOKEN)
    assert (await running, run.told) == (refusals.INVALID_TOKEN, ["cancelled"])


async def test_one_that_was_cut_before_it_began_ends_at_once(run: Run) -> None:
    run.cut.set_result(refusals.STOPPING)
    assert await run.run() is refusals.STOPPING


async def test_one_that_is_cut_and_left_is_given_up_once(run: Run) -> None:
    running = asyncio.ensure_future(run.run())
    await run.begun.wait()
    run.leave()
    run.cut.set_result(refusals.INVALID_TOKEN)
    assert (await running, run.told) == (refusals.INVALID_TOKEN, ["cancelled"])


async def test_what_ends_it_later_does_not_touch_the_request_any_more(run: Run) -> None:
    run.ends.set()

    async def request() -> str:
        await run.run()
        run.leave()
        run.cut.set_result(refusals.INVALID_TOKEN)
        for _ in range(3):
            await asyncio.sleep(0)
        return "logged"

    assert await asyncio.ensure_future(request()) == "logged"


async def test_a_server_that_stops_cancels_it_also_while_its_client_leaves(run: Run) -> None:
    for leaves in (False, True):
        running = asyncio.ensure_future(run.run())
        await run.begun.wait()
        if leaves:
            run.leave()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

"""The steps in which a server ends, in this process and with short times. With real workers: tests/faults/test_worker.py."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gatewaysite import server
from tests.support.processes import PATIENCE
from tests.support.server import Serving, answer, on_uvloop, serving

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LONG = 1000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (server.PARTING_SECONDS, server.SECONDS_AFTER_GRACE) == (0.5, 5)
    monkeypatch.setattr(server, "PARTING_SECONDS", 0.1)
    monkeypatch.setattr(server, "ROUND_SECONDS", 0.02)


class Application:
    """Answers once it is told to; `seen` is how a request ended."""

    def __init__(self) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.seen = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        try:
            await self.go_on.wait()
            await answer(send)
            self.seen = "answered"
        except asyncio.CancelledError:
            self.seen = "cancelled"
            await answer(send, b"later", 503)


@contextlib.asynccontextmanager
async def asked(running: Serving) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(GET)
    async with asyncio.timeout(PATIENCE):
        yield reader
    writer.close()


async def stopping(running: Serving) -> None:
    """Waits until it has begun to."""
    running.server.should_exit = True
    while "stopping" not in running.told:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


@on_uvloop
async def test_with_nothing_under_way_it_is_over_at_once() -> None:
    async with serving(Application(), grace=LONG) as running:
        await running.stop()
    assert running.told == ["stopping", "shutdown"]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}  # nothing goes on


@on_uvloop
async def test_a_request_has_the_grace_to_finish_and_its_connection_closes_behind_it() -> None:
    application = Application()
    async with serving(application, grace=LONG) as running, asked(running) as reader:
        await application.asked.wait()
        await stopping(running)
        application.go_on.set()
        whole = await reader.read()
        assert b"connection: close" in whole and whole.endswith(b"ok")
        await running.stop()
    assert (running.told, application.seen) == (["stopping", "shutdown"], "answered")


@on_uvloop
async def test_beyond_it_the_application_is_told_before_anything_is_cancelled() -> None:
    application = Application()
    async with serving(application, grace=0.1) as running, asked(running) as reader:
        await application.asked.wait()
        await running.stop()
        assert (await reader.read()).endswith(b"later")
    assert (running.told, application.seen) == (["stopping", "out of time", "shutdown"], "cancelled")


@on_uvloop
async def test_in_a_hurry_there_is_no_grace() -> None:
    application = Application()
    async with serving(application, grace=LONG) as running, asked(running):
        await application.asked.wait()
        running.server.hurry()
        await asyncio.wait_for(running.ended, PATIENCE)
    assert (running.told, application.seen) == (["stopping", "out of time", "shutdown"], "cancelled")


@on_uvloop
async def test_a_client_that_reads_nothing_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    async def flood(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"x" * 32 * 1024 * 1024)

    async with serving(flood, grace=0.1) as running, asked(running) as reader:
        await reader.readuntil(b"\r\n\r\n")
        await running.stop()
    assert running.told[-1] == "shutdown"
    assert "graceful shutdown exceeded" not in caplog.text  # the last resort was not needed


@on_uvloop
async def test_what_cannot_be_cancelled_does_not_keep_the_lifespan_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SECONDS_AFTER_GRACE", 3)
    released = asyncio.Event()

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()
        await answer(send)

    async with serving(stubborn) as running, asked(running):
        await running.until_connected(1)
        await running.stop()
        assert running.told == ["stopping", "out of time", "shutdown"]
        released.set()


@on_uvloop
async def test_gunicorn_hears_of_a_worker_that_takes_its_time() -> None:
    """It would take silence for a worker that hangs, and kill it."""
    application, signs = Application(), 0

    async def sign() -> None:
        nonlocal signs
        signs += 1

    async with serving(application, grace=LONG, callback_notify=sign, timeout_notify=LONG) as running, asked(running):
        await application.asked.wait()
        await stopping(running)
        before = signs
        while signs < before + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        application.go_on.set()

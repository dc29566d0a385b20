"""Requests in a row on one connection: what is wrong with a later one says nothing in the place of an earlier one's
answer (RFC 9112 §9.3.2; CWE-444).

The real protocol on a real socket, before an application of a few lines.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gatewaysite import server
from tests.support.processes import PATIENCE
from tests.support.server import answer, on_uvloop, serving

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = b"POST /%s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
GARBAGE = b"\0\r\n\r\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ROUND_SECONDS", 0.02)


class Application:
    """Answers at once; `/held` when told, `/begun` begins at once and ends when told. `left` is set once a client has gone meanwhile."""

    def __init__(self) -> None:
        self.go_on, self.left = asyncio.Event(), asyncio.Event()
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        if scope["path"] == "/at-once":
            return await answer(send)
        if scope["path"] == "/begun":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        if not await self._waits(receive):
            return self.left.set()
        if scope["path"] == "/begun":
            await send({"type": "http.response.body", "body": b""})
        else:
            await answer(send)

    async def _waits(self, receive: Any) -> bool:
        """Whether it was told to go on, and not left."""
        leaving, going_on = asyncio.ensure_future(self._leaves(receive)), asyncio.ensure_future(self.go_on.wait())
        await asyncio.wait([leaving, going_on], return_when=asyncio.FIRST_COMPLETED)
        told = going_on.done()
        leaving.cancel()
        going_on.cancel()
        return told

    async def _leaves(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


@contextlib.asynccontextmanager
async def written(application: Application, data: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which these bytes come at once."""
    async with serving(application) as running, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        try:
            writer.write(data)
            yield reader
        finally:
            application.go_on.set()
            writer.close()


@pytest.mark.parametrize("between", [b"", GET % b"at-once", CHUNKED % b"at-once"])
@on_uvloop
async def test_garbage_behind_a_request_ends_the_connection_without_a_word(between: bytes) -> None:
    async with written(Application(), GET % b"held" + between + GARBAGE) as reader:
        assert await reader.read() == b""


@pytest.mark.parametrize("between", [b"", GET % b"at-once", CHUNKED % b"at-once"])
@on_uvloop
async def test_so_it_does_behind_a_begun_answer(between: bytes) -> None:
    async with serving(Application()) as running, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(GET % b"begun")
        await reader.readuntil(b"begun\r\n")
        writer.write(between + GARBAGE)
        assert await reader.read() == b""
        writer.close()


@on_uvloop
async def test_and_behind_an_answer_that_begins_before_its_request_ends() -> None:
    async with serving(Application()) as running, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(CHUNKED % b"begun")
        await reader.readuntil(b"begun\r\n")
        writer.write(GARBAGE)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("first", [b"held", b"begun"])
@pytest.mark.parametrize("when", ["together", "later"])
@on_uvloop
async def test_who_leaves_is_noticed_behind_a_further_request_as_well(first: bytes, when: str) -> None:
    application = Application()
    async with serving(application) as running, asyncio.timeout(PATIENCE):
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(GET % first + (GET % b"at-once" if when == "together" else b""))
        while not application.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if when == "later":
            writer.write(GET % b"at-once")
            await asyncio.sleep(0.05)  # it is read, and nothing more then
        writer.close()
        await application.left.wait()
    assert len(application.asked) == 1


@on_uvloop
async def test_behind_an_answered_one_it_is_told() -> None:
    async with serving(Application()) as running, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(GET % b"at-once")
        await reader.readuntil(b"ok")
        writer.write(GARBAGE)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()


@on_uvloop
async def test_a_few_in_a_row_are_served_in_their_order() -> None:
    application = Application()
    application.go_on.set()
    async with written(application, b"".join(GET % b"%d" % number for number in range(30))) as reader:
        for _ in range(30):
            await reader.readuntil(b"ok")
    assert application.asked == [f"/{number}" for number in range(30)]


@on_uvloop
async def test_thousands_in_a_row_are_not_kept() -> None:
    """Each would take some kilobytes, for the 30 bytes that it cost."""
    application = Application()
    async with written(application, GET % b"held" + 5_000 * (GET % b"at-once")) as reader:
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    assert application.asked == ["/held"]

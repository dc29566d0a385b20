"""Which connections are asked again, on real sockets and in the event loop that serves."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mcp_routes.proxy import pool as pools
from mcp_routes.proxy.connection import Answer
from mcp_routes.proxy.pool import Address, Pool, address
from tests.support.processes import PATIENCE
from tests.support.server import on_uvloop

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
ALICES = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalice"


@contextlib.contextmanager
def upstream() -> Iterator[tuple[Address, Callable[[], socket.socket]]]:
    """Where it listens, and how it takes a connection that waits there. It acts without a turn of the event loop."""
    with contextlib.ExitStack() as sockets:
        server = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield address(f"http://127.0.0.1:{server.getsockname()[1]}/"), lambda: sockets.enter_context(server.accept()[0])


async def read(answer: Answer) -> bytes:
    await answer.head()
    return await answer.whole()


@pytest.mark.parametrize("what", ["another answer", "its end"])
def test_what_came_on_an_idle_connection_counts_before_the_event_loop_has_read_it(what: str) -> None:
    """A busy process reads late: a second answer to one user's request would be given to the next, and a call be lost."""

    @on_uvloop
    async def run() -> None:
        pool = Pool()
        with upstream() as (to, accepted):
            first = await pool.connection(to)
            taken = accepted()
            answer = first.ask(REQUEST)
            taken.sendall(ALICES)
            assert await read(answer) == b"alice"
            answer.close()
            if what == "another answer":
                taken.sendall(ALICES)
            else:
                taken.shutdown(socket.SHUT_WR)
            second = await pool.connection(to)
            assert second is not first
            pool.close()
            second.close()

    run()


@on_uvloop
async def test_an_idle_connection_on_which_nothing_came_is_asked_again() -> None:
    pool = Pool()
    with upstream() as (to, accepted):
        first = await pool.connection(to)
        taken = accepted()
        answer = first.ask(REQUEST)
        taken.sendall(ALICES)
        assert await read(answer) == b"alice"
        answer.close()
        assert await pool.connection(to) is first
        first.close()
        pool.close()


@pytest.mark.asyncio
async def test_whoever_gives_up_while_one_of_several_addresses_answers_gets_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """In whichever turn of the event loop: a call that was cut, or is out of time, would go on, and nothing would end it any more."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(pools, "_NEXT_ADDRESS_SECONDS", 0.001)
    with contextlib.ExitStack() as sockets:
        deaf, open_ = (sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=most)) for most in (0, 100))
        for _ in range(4):  # its queue is full: who knocks there waits
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(deaf.getsockname())

        async def found(*_: Any, **__: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", at.getsockname()) for at in (deaf, open_)]

        monkeypatch.setattr(loop, "getaddrinfo", found)
        pool = Pool()
        for turns in range(12):
            connecting = asyncio.ensure_future(pool.new_connection(address("http://several.example/")))
            async with asyncio.timeout(PATIENCE):
                while not select.select([open_], [], [], 0)[0]:  # noqa: ASYNC110  (each turn counts)
                    await asyncio.sleep(0)
            sockets.enter_context(open_.accept()[0])
            for _ in range(turns):
                await asyncio.sleep(0)
            if connecting.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await connecting
            else:
                connecting.result().close()
        pool.close()


@pytest.mark.asyncio
async def test_a_name_that_is_not_found_out_is_asked_for_once_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few threads look names up: with one for each call to an upstream whose name server is silent, no other upstream was reached."""
    asked: list[str] = []
    answers = asyncio.Event()

    async def silent(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        await answers.wait()
        raise socket.gaierror

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
    pool = Pool()
    for last in ("leaves", "learns that there is none"):
        waiting = [asyncio.ensure_future(pool.connection(address(f"http://silent.example/{number}"))) for number in range(5)]
        for _ in range(3):
            await asyncio.sleep(0)
        if last == "leaves":
            for one in waiting:
                one.cancel()
        else:
            answers.set()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError if last == "leaves" else socket.gaierror}
    assert asked == ["silent.example"]
    with pytest.raises(socket.gaierror):
        await pool.connection(address("http://silent.example/"))
    assert asked == ["silent.example"] * 2  # what was found out is not kept
    pool.close()

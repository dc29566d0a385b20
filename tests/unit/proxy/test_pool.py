"""Which connections are asked again, on real sockets and in the event loop that serves."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from mcp_routes.proxy.connection import Answer
from mcp_routes.proxy.pool import Address, Pool, address
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

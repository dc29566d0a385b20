"""A connection's state between two requests, where sockets cannot be told to do exactly this."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from mcp_routes.proxy.connection import BrokenOff, Connection


class Transport(asyncio.Transport):
    """Remembers whether it reads."""

    def __init__(self, carrier: socket.socket) -> None:
        super().__init__({"socket": carrier})
        self.is_reading_on = True
        self.is_gone = False

    def write(self, data: object) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_reading_on = False

    def resume_reading(self) -> None:
        self.is_reading_on = True

    def is_closing(self) -> bool:
        return self.is_gone

    def abort(self) -> None:
        self.is_gone = True


pytestmark = pytest.mark.asyncio


@pytest.fixture
def carrier() -> Iterator[socket.socket]:
    with socket.socket() as carrier:
        yield carrier


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("length", [10, 150_000])
async def test_a_connection_whose_answer_nobody_read_is_not_given_back_deaf(length: int, carrier: socket.socket) -> None:
    """Whole, but more than is held: reading was paused, and the next answer would never be heard."""
    given_back: list[Connection] = []
    transport = Transport(carrier)
    connection = Connection(given_back.append)
    connection.connection_made(transport)
    answer = connection.ask(REQUEST)
    connection.data_received(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)
    await answer.head()
    answer.close()
    assert given_back == ([] if transport.is_gone else [connection])
    assert transport.is_gone or transport.is_reading_on


@pytest.mark.parametrize("how", ["it ends", "it breaks", "somebody speaks first"])
async def test_a_new_connection_that_is_over_before_the_request_is_written_is_known_to_be(how: str, carrier: socket.socket) -> None:
    """Between its making and the first request the event loop turns: nothing that happens then may leave a request waiting in silence."""
    connection = Connection(lambda _: None)
    transport = Transport(carrier)
    connection.connection_made(transport)
    if how == "somebody speaks first":
        connection.data_received(b"220 mail.example ESMTP\r\n")
    transport.abort()
    connection.connection_lost(ConnectionResetError() if how == "it breaks" else None)
    answer = connection.ask(REQUEST)
    with pytest.raises(BrokenOff):
        await asyncio.wait_for(answer.head(), 1)

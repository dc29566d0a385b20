"""A connection's state between two requests, where sockets cannot be told to do exactly this."""

import asyncio

import pytest

from mcp_routes.proxy.connection import Connection


class Transport(asyncio.Transport):
    """Remembers whether it reads."""

    def __init__(self) -> None:
        super().__init__()
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


@pytest.mark.asyncio
@pytest.mark.parametrize("length", [10, 150_000])
async def test_a_connection_whose_answer_nobody_read_is_not_given_back_deaf(length: int) -> None:
    """Whole, but more than is held: reading was paused, and the next answer would never be heard."""
    given_back: list[Connection] = []
    transport = Transport()
    connection = Connection(given_back.append)
    connection.connection_made(transport)
    answer = connection.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.data_received(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)
    await answer.head()
    answer.close()
    assert given_back == ([] if transport.is_gone else [connection])
    assert transport.is_gone or transport.is_reading_on

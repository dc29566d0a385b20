"""Connections that serve one request after the other: each answer belongs to its own request, and to nobody else's.

Source: RFC 9112 §9.
"""

import asyncio
import json
import time

import pytest

from mcp_routes.proxy import pool
from tests.faults.wire import CHUNKED, EVENTS, JSON, Connection, Conversation, chunk, outcome, sized, upstream
from tests.flows.dataplane_fixtures import PING, Answer, Received, Served, call, hang_up, post, send
from tests.support.processes import PATIENCE

pytestmark = [pytest.mark.asyncio, pytest.mark.whichever_database]

POISON = b'{"jsonrpc":"2.0","id":7,"result":{"poison":true}}'
ERROR = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"


def place(connection: Connection) -> bytes:
    """An answer's body that says on which connection, and to which of its requests, it was given."""
    where = {"connection": connection.number, "request": len(connection.requests)}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": where}).encode()


async def honest(connection: Connection) -> None:
    while True:
        await connection.request()
        await connection.write(sized(place(connection)))


async def where(served: Served, token: str = "alice") -> tuple[int, int]:
    """The connection and the request on it that the next answer belongs to."""
    answer = await post(served, PING, token)
    result = (await answer.json())["result"]
    return result["connection"], result["request"]


REUSABLE = {
    "JSON of a stated length": (sized(POISON), 200),
    "JSON in chunks": (JSON + CHUNKED + chunk(POISON) + b"0\r\n\r\n", 200),
    "JSON in chunks with trailers": (JSON + CHUNKED + chunk(POISON) + b"0\r\nX-Trailer: x\r\n\r\n", 200),
    "events": (EVENTS + CHUNKED + chunk(b"data: 1\n\n") + b"0\r\n\r\n", 200),
    "an error": (sized(POISON, ERROR), 404),
    "nothing accepted": (b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
    "after an interim answer": (b"HTTP/1.1 100 Continue\r\n\r\n" + sized(POISON), 200),
}


def after(first: bytes) -> Conversation:
    """The first request on the first connection is answered with these bytes, every other one with its place."""

    async def conversation(connection: Connection) -> None:
        while True:
            await connection.request()
            is_first = (connection.number, len(connection.requests)) == (0, 1)
            await connection.write(first if is_first else sized(place(connection)))

    return conversation


@pytest.mark.parametrize("case", REUSABLE)
async def test_a_connection_whose_answer_was_read_to_its_end_serves_the_next_request(served: Served, case: str) -> None:
    sent, status = REUSABLE[case]
    async with upstream(served, after(sent)):
        assert await outcome(served) == status
        assert await where(served) == (0, 2)
        assert await where(served, "bob") == (0, 3)


FINAL = {
    "says that it closes": sized(POISON, JSON + b"Connection: close\r\n"),
    "says so in any case, among others": sized(POISON, JSON + b"Connection: X-Other, Close\r\n"),
    "HTTP/1.0": sized(POISON, b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n"),
    "says more": sized(POISON) + sized(POISON),
    "says more than a number": sized(POISON) + POISON,
    "says more behind its chunks": JSON + CHUNKED + chunk(POISON) + b"0\r\n\r\n" + sized(POISON),
    "says more behind its events": EVENTS + CHUNKED + chunk(b"data: 1\n\n") + b"0\r\n\r\n" + sized(POISON),
    "says more behind an error": sized(POISON, ERROR) + sized(POISON),
    "has a body where there is none": b"HTTP/1.1 204 No Content\r\nContent-Length: 49\r\n\r\n" + sized(POISON),
    "has another where there is none": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(POISON) + b"0\r\n\r\n",
    "redirects with a body": sized(POISON, b"HTTP/1.1 302 Found\r\nLocation: /\r\n") + sized(POISON),
    "refuses us with a body": sized(POISON, b"HTTP/1.1 401 Unauthorized\r\n") + sized(POISON),
    "switches": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + sized(POISON) + sized(POISON),
    "is no HTTP": POISON + sized(POISON),
    "is compressed": sized(POISON, JSON + b"Content-Encoding: gzip\r\n") + sized(POISON),
}


@pytest.mark.parametrize("case", FINAL)
async def test_a_connection_that_cannot_be_trusted_any_more_serves_nobody(served: Served, case: str) -> None:
    async with upstream(served, after(FINAL[case])) as connections:
        await post(served, PING)
        assert await where(served, "bob") == (1, 1)
        assert len(connections[0].requests) == 1
        async with asyncio.timeout(PATIENCE):
            await connections[0].closed_by_gateway()


UNASKED = {
    "an answer": sized(POISON),
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "half an answer": sized(POISON)[:20],
    "an empty line": b"\r\n",
    "good-bye": b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


@pytest.mark.parametrize("case", UNASKED)
async def test_what_is_said_without_being_asked_answers_nobody(served: Served, case: str) -> None:
    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(sized(place(connection)))
        if connection.number == 0:
            await answered.wait()
            await connection.write(UNASKED[case])
            told.set()
            await connection.closed_by_gateway()
        await honest(connection)

    answered, told = asyncio.Event(), asyncio.Event()
    async with upstream(served, conversation):
        assert await where(served) == (0, 1)
        answered.set()
        await told.wait()
        assert await where(served, "bob") == (1, 1)


@pytest.mark.parametrize("how", ["FIN", "RST"])
async def test_a_connection_that_ended_while_it_was_idle_is_not_asked(served: Served, how: str) -> None:
    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(sized(place(connection)))
        if connection.number == 0:
            await answered.wait()
            if how == "RST":
                connection.reset()
            connection.writer.close()
            ended.set()
        await honest(connection)

    answered, ended = asyncio.Event(), asyncio.Event()
    async with upstream(served, conversation):
        assert await where(served) == (0, 1)
        answered.set()
        await ended.wait()
        assert await where(served) == (1, 1)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 20"])
@pytest.mark.parametrize("how", ["FIN", "RST"])
async def test_a_call_that_was_sent_is_never_sent_again(served: Served, how: str, said: bytes) -> None:
    """A tool may have run: a connection that ends just then, without an answer, is an error."""

    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(sized(place(connection)))
        await connection.request()
        await connection.write(said)
        if how == "RST":
            connection.reset()

    async with upstream(served, conversation) as connections:
        assert await where(served) == (0, 1)
        assert await outcome(served) == 502
        assert [len(connection.requests) for connection in connections] == [2]


LARGE = {
    "an error": b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n",
    "a refusal": b"HTTP/1.1 401 Unauthorized\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /\r\n",
    "another type": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n",
    "compressed": JSON + b"Content-Encoding: gzip\r\n",
}


@pytest.mark.parametrize("size", [150_000, 200_000, 1_200_000])
@pytest.mark.parametrize("case", LARGE)
async def test_a_large_answer_that_is_not_passed_on_is_not_in_the_way_of_the_next(served: Served, case: str, size: int) -> None:
    async with upstream(served, after(sized(b"x" * size, LARGE[case]))):
        assert await outcome(served) in (404, 502)
        assert await where(served) in ((0, 2), (1, 1))


@pytest.mark.parametrize("moment", ["before the answer", "in the answer"])
async def test_the_answer_to_somebody_who_left_reaches_nobody_else(served: Served, moment: str) -> None:
    async def conversation(connection: Connection) -> None:
        request = await connection.request()
        if connection.number == 0:
            await connection.write(JSON + CHUNKED + chunk(b"[") if moment == "in the answer" else b"")
            asked.set_result(request)
            await connection.closed_by_gateway()
        await connection.write(sized(place(connection)))

    asked: asyncio.Future[Received] = asyncio.get_running_loop().create_future()
    async with upstream(served, conversation):
        own = [("Authorization", f"Bearer {served.tokens['alice']}")]
        await send(served, "POST", "/mcp/told", own, json.dumps(PING).encode())
        await asked
        await hang_up()
        assert await where(served, "bob") == (1, 1)


async def test_calls_of_many_at_once_go_on_connections_of_their_own(served: Served) -> None:
    many = 300
    all_here = asyncio.Event()

    async def conversation(connection: Connection) -> None:
        request = await connection.request()
        await connection.write(JSON + CHUNKED + chunk(b" "))  # with a head the gateway is patient, however long the others take
        if connection.number == many - 1:
            all_here.set()
        await all_here.wait()
        await connection.write(chunk(request.body) + b"0\r\n\r\n")

    messages = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(many)]
    answers: list[Answer] = []
    async with upstream(served, conversation):
        for begun in range(0, many, 50):
            answers += await asyncio.gather(*[post(served, message) for message in messages[begun : begun + 50]])
        assert [await answer.json() for answer in answers] == messages


async def test_an_idle_connection_is_closed_before_common_servers_would(served: Served) -> None:
    """They do after 5 s, and a call that meets that moment could not be repeated."""
    assert pool.IDLE_SECONDS + pool._SWEEP_SECONDS <= 5

    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(sized(place(connection)))
        await connection.closed_by_gateway()
        closed.set()

    closed = asyncio.Event()
    async with upstream(served, conversation), asyncio.timeout(PATIENCE):
        assert await where(served) == (0, 1)
        idle = time.monotonic()
        await closed.wait()
        assert time.monotonic() - idle > 1


async def test_lasting_streams_keep_no_call_waiting(served: Served) -> None:
    async def conversation(connection: Connection) -> None:
        request = await connection.request()
        if request.method == "GET":
            await connection.write(EVENTS + CHUNKED + chunk(b"data: 1\n\n"))
            await connection.closed_by_gateway()
        await connection.write(sized(place(connection)))

    async with upstream(served, conversation):
        own = [("Authorization", f"Bearer {served.tokens['alice']}")]
        for _ in range(3):
            assert (await call(served, "GET", "/mcp/told", own)).status == 200
        assert await where(served) == (3, 1)

"""Bodies in both directions: of any size they pass, but no more of them is held than the gateway can afford."""

import asyncio
import contextlib
import socket
import ssl

import pytest

from tests.faults.wire import CHUNKED, CUT, EVENTS, JSON, Connection, Conversation, chunk, outcome, sized, upstream
from tests.flows.dataplane_fixtures import PING, PONG, Served, call, post
from tests.support.processes import PATIENCE
from tests.support.tls import Authority

pytestmark = [pytest.mark.asyncio, pytest.mark.whichever_database]

MEGABYTE = 1024 * 1024
LARGEST = 4 * MEGABYTE  # MCP_MAX_BODY_BYTES
AS_MUCH_AS_SOCKETS_HOLD = 40 * MEGABYTE
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\n"
PROBLEM = b'{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"too large"}}'


def endless(head: bytes, piece: bytes, written: list[int]) -> Conversation:
    """Writes on until the gateway closes or takes nothing for a second; notes how much that was."""

    async def conversation(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(head)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:
                written[0] += len(piece)
                async with asyncio.timeout(1):
                    await connection.write(piece)
        connection.writer.transport.abort()

    return conversation


ENDLESS = {
    "events": (EVENTS + CHUNKED, chunk(b"data: " + b"x" * 60_000 + b"\n\n")),
    "JSON in chunks": (JSON + CHUNKED, chunk(b" " * 60_000)),
    "JSON of a stated length": (JSON + b"Content-Length: 999999999999\r\n\r\n", b" " * 60_000),
    "JSON without a length": (JSON + b"\r\n", b" " * 60_000),
}


async def test_a_client_that_reads_nothing_stops_any_upstream(served: Served) -> None:
    """Back-pressure: what is under way stays bounded by socket buffers. All at once: each takes a second to be sure."""
    written = {case: [0] for case in ENDLESS}

    async def conversation(connection: Connection) -> None:
        case = (await connection.peek()).header("mcp-case") or ""
        await endless(*ENDLESS[case], written[case])(connection)
        stopped.release()

    stopped = asyncio.Semaphore(0)
    async with upstream(served, conversation), asyncio.timeout(PATIENCE):
        for case in ENDLESS:
            answer = await post(served, PING, Mcp_Case=case)
            answer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in ENDLESS:
            await stopped.acquire()
    assert all(0 < total < AS_MUCH_AS_SOCKETS_HOLD for [total] in written.values()), written


@pytest.mark.parametrize(("status", "expected"), [("404 Not Found", 404), ("500 Internal Server Error", 502)])
async def test_an_error_without_an_end_is_given_up(served: Served, status: str, expected: int) -> None:
    written = [0]
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n".encode()
    async with upstream(served, endless(head + CHUNKED, chunk(b" " * 60_000), written)):
        assert await outcome(served) == expected
    assert written[0] < AS_MUCH_AS_SOCKETS_HOLD


@pytest.mark.parametrize("behind", [b"X-Trailer: x\r\n", b"x"])
async def test_nor_are_trailers_without_an_end_waited_for(served: Served, behind: bytes) -> None:
    written = [0]
    async with upstream(served, endless(JSON + CHUNKED + chunk(PONG) + b"0\r\n", behind * 4000, written)):
        assert await outcome(served) in (200, 502, CUT)
    assert written[0] < AS_MUCH_AS_SOCKETS_HOLD


@pytest.mark.parametrize("framing", ["a stated length", "chunks", "neither"])
async def test_a_large_answer_arrives_whole(served: Served, framing: str) -> None:
    body = b"[" + b",".join(b"%d" % number for number in range(1_000_000)) + b"]"
    pieces = [body[start : start + 99_999] for start in range(0, len(body), 99_999)]
    whole = {
        "a stated length": sized(body),
        "chunks": JSON + CHUNKED + b"".join(map(chunk, pieces)) + b"0\r\n\r\n",
        "neither": JSON + b"\r\n" + body,
    }[framing]

    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(whole)

    async with upstream(served, conversation):
        assert await (await post(served, PING)).content() == body


def large_request(length: int = LARGEST) -> bytes:
    message = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"text":"'
    return message + b"".join(b"%d," % number for number in range(900_000))[: length - len(message) - 3] + b'"}}'


def takes_little(connection: Connection, at_once: int = 4096) -> None:
    """Makes the buffer of a connection too small for a large body."""
    connection.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, at_once)


async def test_a_large_request_arrives_whole_at_an_upstream_that_takes_its_time(served: Served) -> None:
    arrived = bytearray()

    async def conversation(connection: Connection) -> None:
        takes_little(connection, 100_000)
        length = int((await connection.head()).header("content-length") or 0)
        while len(arrived) < length:
            arrived.extend(await connection.reader.read(30_000))
        await connection.write(sized(PONG))

    sent = large_request(LARGEST // 4)
    async with upstream(served, conversation):
        assert await (await post(served, sent)).content() == PONG
    assert bytes(arrived) == sent


async def test_one_that_takes_nothing_of_it_is_silent(served: Served) -> None:
    async def conversation(connection: Connection) -> None:
        takes_little(connection)
        connection.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with upstream(served, conversation):
        answer = await post(served, large_request())
        assert (answer.status, (await answer.json())["error"]["code"]) == (504, -31504)


async def test_an_answer_that_does_not_wait_for_the_request_passes_and_the_next_is_understood(served: Served) -> None:
    """As an upstream with a smaller limit answers. What is left of the body goes where it belongs, or its connection ends."""

    async def conversation(connection: Connection) -> None:
        takes_little(connection, 100_000)
        while True:
            request = await connection.head()
            length = int(request.header("content-length") or 0)
            await connection.write(sized(PROBLEM, TOO_LARGE) if length > MEGABYTE else sized(PONG))
            if length > MEGABYTE:
                await answered.wait()
            await connection.reader.readexactly(length)

    answered = asyncio.Event()
    async with upstream(served, conversation):
        answer = await post(served, large_request())
        assert (answer.status, await answer.content()) == (413, PROBLEM)
        answered.set()
        assert await (await post(served, PING)).content() == PONG


@pytest.mark.parametrize("path", ["/mcp/told", "/mcp/secure"])
async def test_nobody_waits_behind_a_request_that_its_upstream_answered_without_taking_it(
    served: Served, authority: Authority, other_port: int, path: str
) -> None:
    """Within TLS, too, where nobody sees what is still to be sent: the next user's call would be at that upstream's mercy."""

    async def conversation(connection: Connection) -> None:
        takes_little(connection)
        if connection.number == 0:
            await connection.head()
            connection.reader._transport.pause_reading()  # type: ignore[attr-defined]
            await connection.write(sized(PROBLEM, TOO_LARGE))
            await asyncio.Event().wait()
        await connection.request()
        await connection.write(sized(PONG))

    secure = path == "/mcp/secure"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certify("localhost"))
    token = "secure" if secure else "alice"
    async with upstream(served, conversation, port=other_port if secure else 0, tls=context if secure else None):
        assert (await post(served, large_request(), token, path)).status == 413
        assert await outcome(served, token, path) == 200


async def test_what_goes_to_the_upstream_is_framed_by_its_length(served: Served) -> None:
    """However it came: in chunks, or with no body at all."""

    async def conversation(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.write(sized(PONG))

    own = [("Authorization", f"Bearer {served.tokens['alice']}")]
    ping = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'
    async with upstream(served, conversation) as connections:
        chunked = chunk(ping[:9]) + chunk(ping[9:]) + b"0\r\n\r\n"
        assert (await call(served, "POST", "/mcp/told", [*own, ("Transfer-Encoding", "chunked")], chunked)).status == 200
        assert (await call(served, "GET", "/mcp/told", own)).status == 200
        assert (await call(served, "DELETE", "/mcp/told", own)).status == 200
    posted, got, deleted = [request for connection in connections for request in connection.requests]
    assert (posted.header("content-length"), posted.header("transfer-encoding"), posted.body) == (str(len(ping)), None, ping)
    for bodiless in (got, deleted):
        assert (bodiless.header("content-length") or "0", bodiless.header("transfer-encoding")) == ("0", None)

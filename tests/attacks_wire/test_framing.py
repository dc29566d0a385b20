"""Where one request ends and the next begins: nothing ambiguous is served, nothing behind a request's head counts as its head."""

import asyncio

import pytest

from tests.attacks_wire.wire import PING, answer, bearer, chunked, connected, exchange, ping, request
from tests.flows.dataplane_fixtures import PONG, Received, Served, upstream
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio


async def pong(received: Received) -> None:
    await received.answer(PONG)


CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(PING)


@pytest.mark.parametrize(
    "headers",
    [
        [LENGTH, CHUNKED],
        [CHUNKED, LENGTH],
        [CHUNKED, b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: chunked, gzip"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding: chunked, chunked"],
        [CHUNKED, CHUNKED],
        [b"Transfer-Encoding: chunked;q=1"],
        [b"Transfer-Encoding: identity", LENGTH],
        [b"Transfer-Encoding:", LENGTH],
        [LENGTH, b"Content-Length: 3"],
        [LENGTH, LENGTH],
        [b"Content-Length: +40"],
        [b"Content-Length: 4_0"],
        [b"Content-Length: 40, 40"],
        [b"Content-Length: -1"],
        [b"Content-Length: " + b"9" * 30],
        [LENGTH, b"X-Folded: a\r\n b"],
        [LENGTH, b"X-Split: a\rX-Other: b"],
        [LENGTH, b"X-Null: a\0b"],
        [LENGTH, b"X-Escape: a\x1b[31m"],
        [LENGTH, b"X\0Null: a"],
        [LENGTH, b"No colon"],
        [LENGTH, b": no name"],
        [b" Leading: space", LENGTH],
    ],
)
async def test_a_request_that_can_be_read_in_two_ways_is_refused(served: Served, headers: list[bytes]) -> None:
    async with upstream(served, pong) as told:
        body = chunked(PING) + b"\r\n" if b"chunked" in b"".join(headers) else PING
        assert (await exchange(served, request(b"/mcp/told", bearer(served), *headers, body=body))).status == 400
    assert told.received == []


@pytest.mark.parametrize(
    "body",
    [
        b"28;a\nb\r\n%s\r\n0\r\n\r\n",
        b"28;a\rb\r\n%s\r\n0\r\n\r\n",
        b"28\n%s\r\n0\r\n\r\n",
        b"0x28\r\n%s\r\n0\r\n\r\n",
        b"-28\r\n%s\r\n0\r\n\r\n",
        b"28 \r\n%s\r\n0\r\n\r\n",
        b"10000000000000028\r\n%s\r\n0\r\n\r\n",  # more than 64 bits: cut off, it would be 28
        b"28\r\n%sXX0\r\n\r\n",
        b"28\r\n%s\n0\r\n\r\n",
        b"28\r\n%s\r\n0\n\n",
    ],
)
async def test_a_chunk_that_can_be_read_in_two_ways_is_refused(served: Served, body: bytes) -> None:
    async with upstream(served, pong) as told:
        assert (await exchange(served, request(b"/mcp/told", bearer(served), CHUNKED, body=body % PING))).status == 400
    assert told.received == []


async def test_bare_line_feeds_are_refused(served: Served) -> None:
    assert (await exchange(served, ping(served).replace(b"\r\n", b"\n"))).status == 400


async def test_what_follows_a_refused_body_is_a_request_of_its_own(served: Served) -> None:
    hidden = request(b"/mcp/nowhere", method=b"GET")
    async with connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(request(b"/mcp/told", b"Content-Length: %d" % len(hidden), body=hidden) + request(b"/healthz", method=b"GET"))
        assert [(await answer(reader)).status, (await answer(reader)).status] == [401, 200]


async def test_requests_in_a_row_are_answered_in_their_order(served: Served) -> None:
    async with upstream(served, pong) as told, connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(ping(served) + request(b"/mcp/nowhere", method=b"GET") + ping(served))
        assert [(await answer(reader)).status for _ in range(3)] == [200, 404, 200]
    assert len(told.received) == 2


async def test_a_trailer_is_no_credential(served: Served) -> None:
    """RFC 9110 §6.5.1: trailers are not merged into the header section."""
    async with upstream(served, pong) as told:
        sent = request(b"/mcp/told", CHUNKED, body=chunked(PING) + bearer(served) + b"\r\n\r\n")
        assert (await exchange(served, sent)).status == 401
    assert told.received == []


async def test_a_trailer_does_not_reach_the_upstream(served: Served) -> None:
    async with upstream(served, pong) as told:
        assert (
            await exchange(served, request(b"/mcp/told", bearer(served), CHUNKED, body=chunked(PING) + b"Mcp-Late: x\r\n\r\n"))
        ).status == 200
    assert [received.header("mcp-late") for received in told.received] == [None]


async def test_a_trailer_does_not_say_where_a_client_is(workers: Served) -> None:
    """It would come after what the trusted proxy wrote, and the right-most address counts."""
    late = chunked(PING) + b"X-Forwarded-For: 198.51.100.66\r\n\r\n"
    sent = request(b"/mcp/told", CHUNKED, b"X-Forwarded-For: 203.0.113.5", body=late, host=b"gw.example")
    assert (await exchange(workers, sent)).status
    await workers.logged("POST /mcp/told", "client=")
    assert "198.51.100.66" not in workers.log()


@pytest.mark.parametrize("extra", [b"", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"])
async def test_an_offer_to_upgrade_is_ignored_and_the_body_read(served: Served, extra: bytes) -> None:
    """RFC 9110 §7.8. Java's HttpClient offers h2c with every request to a plain http address."""
    async with upstream(served, pong):
        offered = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", *([extra] if extra else [])]
        assert (await exchange(served, ping(served, *offered))).body == PONG


async def test_a_websocket_is_not_opened(served: Served) -> None:
    key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    upgrade = [b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", key]
    assert (await exchange(served, request(b"/mcp/told", *upgrade, method=b"GET"))).status == 401


async def test_connection_cannot_name_away_what_the_gateway_checks(served: Served) -> None:
    async with upstream(served, pong) as told:
        assert (await exchange(served, ping(served, b"Connection: Authorization, Host, Accept-Encoding"))).status == 200
    reached = dict(told.received[0].headers)
    assert "authorization" not in reached
    assert reached["accept-encoding"] == "identity"


@pytest.mark.parametrize("endless", ["headers", "one header", "target", "trailers"])
async def test_an_endless_head_is_refused(served: Served, endless: str) -> None:
    """Nobody has to sign in for this: each connection would otherwise take as much memory as its client likes."""
    begun = {
        "headers": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-Some: thing\r\n" * 100_000,
        "one header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 1_500_000,
        "target": b"GET /" + b"a" * 1_500_000,
        "trailers": request(b"/mcp/told", CHUNKED, body=b"0\r\n" + b"X-Some: thing\r\n" * 100_000),
    }[endless]
    async with connected(served) as (reader, writer), asyncio.timeout(5):
        writer.write(begun)
        reply = await answer(reader)
        assert reply.status in (0, 400, 401, 414, 431)
        while endless == "trailers" and reply.status:  # answered already; what counts is that it stops listening
            reply = await answer(reader)


@pytest.mark.parametrize(
    "begun",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n",
        b"GET /healthz http/1.1\r\nHost: localhost\r\n\r\n",
        b"GET\t/healthz\tHTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health\rz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health\0z HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_not_http_as_we_speak_it_is_refused_and_the_connection_with_it(served: Served, begun: bytes) -> None:
    async with connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(begun + request(b"/healthz", method=b"GET"))
        assert (await answer(reader)).status == 400
        assert (await answer(reader)).status == 0


async def test_the_older_version_is_served_and_its_connection_closed(served: Served) -> None:
    async with upstream(served, pong), connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(ping(served).replace(b"HTTP/1.1", b"HTTP/1.0") + request(b"/healthz", method=b"GET"))
        reply = await answer(reader)
        assert (reply.status, reply.body) == (200, PONG)
        assert (await answer(reader)).status == 0


async def test_who_speaks_the_older_version_gets_no_chunks(served: Served) -> None:
    """RFC 9112 §6.1: it cannot read them. An answer of unknown length ends with its connection."""

    async def stream(asked: Received) -> None:
        asked.begin_stream()
        for part in (b'data: {"a":', b"1}\n\n", b""):
            asked.chunk(part)
            await asked.writer.drain()

    async with upstream(served, stream), connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(ping(served).replace(b"HTTP/1.1", b"HTTP/1.0"))
        reply = await answer(reader)
        assert (reply.status, reply.header("transfer-encoding"), reply.header("connection")) == (200, None, "close")
        assert reply.body + await reader.read() == b'data: {"a":1}\n\n'


async def test_nor_half_an_answer_that_passes_for_a_whole(served: Served) -> None:
    """Without chunks only a reset tells one from the other (RFC 9112 §8)."""

    async def break_off(asked: Received) -> None:
        asked.begin_stream("application/json")
        asked.chunk(b"[1,")
        await asked.writer.drain()
        asked.writer.close()

    async with upstream(served, break_off), connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(ping(served).replace(b"HTTP/1.1", b"HTTP/1.0"))
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_length_with_any_number_of_zeros_is_a_length(served: Served) -> None:
    """Numbers of more than 4,300 digits are an error to Python, and would be one of the gateway's own."""
    sent = request(b"/mcp/told", bearer(served), b"Content-Length: " + b"0" * 5000 + b"%d" % len(PING), body=PING)
    async with upstream(served, pong):
        assert (await exchange(served, sent)).status == 200


async def test_chunks_in_the_older_version_are_refused(served: Served) -> None:
    """RFC 9112 §6.1: who passed them on did not know where they end."""
    sent = request(b"/mcp/told", bearer(served), CHUNKED, body=chunked(PING) + b"\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
    async with upstream(served, pong) as told:
        assert (await exchange(served, sent)).status == 400
    assert told.received == []


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("refused", ["no token", "too large"])
async def test_a_refused_body_that_comes_late_is_no_request(served: Served, framing: str, refused: str) -> None:
    hidden = request(b"/healthz", method=b"GET")
    body = hidden.ljust(150_000 if refused == "too large" else len(hidden))
    authorized = [bearer(served)] if refused == "too large" else []
    head = CHUNKED if framing == "chunks" else b"Content-Length: %d" % len(body)
    async with connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(request(b"/mcp/told", *authorized, head))
        if framing == "length" or refused == "no token":
            first = await answer(reader)
            writer.write(body if framing == "length" else chunked(body) + b"\r\n")
        else:
            writer.write(chunked(body) + b"\r\n")
            first = await answer(reader)
        writer.write(request(b"/mcp/nowhere", method=b"GET"))
        assert [first.status, (await answer(reader)).status] == [413 if authorized else 401, 404]


async def test_each_request_in_a_row_gets_its_own_answer_under_its_own_token(served: Served) -> None:
    """The first takes longest; a token counts for its own request alone."""
    second = asyncio.Event()

    async def behaviour(received: Received) -> None:
        if b'"id":1,' in received.body:
            await asyncio.wait([asyncio.ensure_future(second.wait())], timeout=0.2)  # it must not come before this one is answered
        else:
            second.set()
        await received.answer(received.body)

    def numbered(number: int, *token: bytes) -> bytes:
        body = PING.replace(b"7", b"%d" % number)
        return request(b"/mcp/told", *token, b"Content-Length: %d" % len(body), body=body)

    row = [numbered(1, bearer(served)), numbered(2), numbered(3, bearer(served, "expired")), numbered(4, bearer(served, "bob"))]
    async with upstream(served, behaviour), connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(b"".join(row))
        replies = [await answer(reader) for _ in row]
    assert [reply.status for reply in replies] == [200, 401, 401, 200]
    assert b'"id":1,' in replies[0].body and b'"id":4,' in replies[3].body


async def test_an_expected_body_is_asked_for_only_where_the_request_is_served(served: Served) -> None:
    """RFC 9110 §10.1.1."""
    expecting = [b"Content-Length: %d" % len(PING), b"Expect: 100-continue"]
    async with upstream(served, pong), connected(served) as (reader, writer), asyncio.timeout(PATIENCE):
        writer.write(request(b"/mcp/told", *expecting))
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 401 ")

"""Upstreams that lie: nothing of their connection becomes the client's, and every fault has an answer."""

import asyncio

import pytest

from mcp_routes.proxy import upstream as asking
from mcp_routes.snapshot import Route
from tests.attacks_wire.wire import connected, exchange, ping
from tests.flows.dataplane_fixtures import PING, PONG, Received, Served, post, upstream

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module", autouse=True)
def begun(served: Served) -> int:
    """How much was logged before this module."""
    return len(served.log())


JSON = b"Content-Type: application/json\r\n"


def sent(status: bytes, headers: bytes = JSON, body: bytes = PONG) -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


async def answered(served: Served, data: bytes, patience: float = 8) -> tuple[int, tuple[str, ...], bytes]:
    """What a client gets when the upstream writes these bytes and then keeps the connection open."""

    async def behaviour(received: Received) -> None:
        received.write(data)
        try:
            await received.closed_by_gateway()
        finally:
            received.writer.transport.abort()

    async with upstream(served, behaviour):
        reply = await exchange(served, ping(served), patience)
    return reply.status, reply.lines, reply.body


@pytest.mark.parametrize("body", [b"HELLO", PONG])
async def test_an_upstream_cannot_switch_the_clients_protocol(served: Served, body: bytes) -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\n" + JSON + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + body
    assert (await answered(served, switching))[0] == 502


@pytest.mark.parametrize("status", [b"099 Low", b"600 High", b"999 Higher"])
async def test_a_status_that_http_does_not_know_is_a_502(served: Served, status: bytes) -> None:
    assert (await answered(served, sent(status)))[0] == 502


@pytest.mark.parametrize("status", [b"600 High"])
async def test_nor_does_it_pass_with_json_rpc(served: Served, status: bytes) -> None:
    problem = b'{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"down"}}'
    assert (await answered(served, sent(status, body=problem)))[0] == 502


async def test_two_content_types_do_not_pass(served: Served) -> None:
    """A browser believes the last, the gateway judged the first."""
    status, lines, _ = await answered(served, sent(b"200 OK", JSON + b"Content-Type: text/html\r\n", b"<script>alert(1)</script>"))
    assert status == 502
    assert [line for line in lines if line.startswith("content-type")] == ["content-type: application/json"]


@pytest.mark.parametrize("framing", [b"Content-Length: 500\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_a_json_answer_that_never_comes_is_given_up(served: Served, framing: bytes) -> None:
    """The client has heard nothing yet: it is waiting for response headers, and MCP_UPSTREAM_TIMEOUT_SECONDS bounds that."""
    assert (await answered(served, b"HTTP/1.1 200 OK\r\n" + JSON + framing + b"\r\n"))[0] == 504


@pytest.mark.parametrize(
    "interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nSet-Cookie: a=b\r\n\r\n"]
)
async def test_interim_answers_stay_behind(served: Served, interim: bytes) -> None:
    status, lines, body = await answered(served, interim + sent(b"200 OK"))
    assert (status, body) == (200, PONG)
    assert not [line for line in lines if line.startswith(("link", "set-cookie"))]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n24\r\n" + PONG + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 5\r\nContent-Length: 36\r\n\r\n" + PONG,
        sent(b"200 OK", JSON + b"Cache-Control: a\rSet-Cookie: x=y\r\n"),
        sent(b"200 OK", JSON + b"Retry-After: a\0b\r\n"),
        sent(b"200 OK", b"Content-Type: application/json, text/html\r\n"),
        sent(b"200 OK", JSON + b"Mcp-Session-Id: \r\n"),
        sent(b"200 OK", JSON + b"Mcp-Session-Id: \xc3\xa9\r\n"),
        sent(b"200 OK", JSON + b"X-Long: " + b"a" * 100_000 + b"\r\n"),
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: a\r\n" * 200_000 + JSON + b"Content-Length: 36\r\n\r\n" + PONG,
        b"HTTP/1.1 404 Not Found\r\n" + JSON + b"Content-Length: 500\r\n\r\n{",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ],
    ids=range(11),
)
async def test_an_answer_that_is_not_sound_is_a_502(served: Served, data: bytes) -> None:
    assert (await answered(served, data))[0] == 502


async def test_a_folded_header_becomes_no_header_of_its_own(served: Served) -> None:
    """RFC 9112 §5.2."""
    _, lines, _ = await answered(served, sent(b"200 OK", JSON + b"Retry-After: 5\r\n Set-Cookie: a=b\r\n"))
    assert not [line for line in lines if line.startswith("set-cookie")]


async def test_what_an_upstream_writes_behind_its_answer_reaches_nobody(served: Served) -> None:
    async def behaviour(received: Received) -> None:
        received.write(sent(b"200 OK") + sent(b"200 OK", JSON, b'{"poisoned":true}'))
        await received.writer.drain()

    async with upstream(served, behaviour):
        for token in ("alice", "bob", "alice"):
            assert await (await post(served, PING, token=token)).content() == PONG


async def test_a_refusal_of_the_upstream_passes_without_its_headers(served: Served) -> None:
    hostile = b"Set-Cookie: a=b\r\nLocation: /x\r\nAccess-Control-Allow-Origin: *\r\nWWW-Authenticate: Bearer\r\nClear-Site-Data: *\r\n"
    status, lines, body = await answered(served, sent(b"404 Not Found", JSON + hostile))
    assert (status, body) == (404, PONG)
    assert {line.partition(":")[0] for line in lines} == {
        "date", "content-type", "content-length", "cache-control", "vary", "access-control-expose-headers", "x-content-type-options",
    }  # fmt: skip


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..b"])
async def test_an_upstream_whose_name_cannot_be_asked_for_is_a_fault(host: str) -> None:
    """The URL passes `mcp_routes.upstream.validate_url`; what cannot be reached is a 502 and not a 500."""
    await asking.start()
    try:
        with pytest.raises(asking.UpstreamFault):
            await asyncio.wait_for(asking.ask("GET", Route(1, "x", f"http://{host}/", ""), [], None), 20)
    finally:
        await asking.stop()


async def test_a_client_that_reads_nothing_stops_the_upstream(served: Served) -> None:
    """Back-pressure: what is under way stays bounded by socket buffers."""
    written, blocked = 0, asyncio.Event()

    async def behaviour(received: Received) -> None:
        nonlocal written
        received.begin_stream()
        try:
            while True:
                received.chunk(b"data: " + b"x" * 60_000 + b"\n\n")
                async with asyncio.timeout(1):
                    await received.writer.drain()
                written += 60_000
        except (TimeoutError, ConnectionError):
            received.writer.transport.abort()
            blocked.set()

    async with upstream(served, behaviour), connected(served) as (_, writer), asyncio.timeout(20):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(ping(served))
        await blocked.wait()
    assert 0 < written < 40_000_000


async def test_no_attack_left_a_traceback(served: Served, begun: int) -> None:
    """Last in this module: whatever was sent above is an expected case with a sentence, not a surprise."""
    assert "Traceback" not in served.log()[begun:]

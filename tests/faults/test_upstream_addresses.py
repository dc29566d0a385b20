"""Where an upstream is: its name, its certificate, and its path to the letter."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.faults.wire import Connection, outcome, sized, upstream, writing
from tests.flows.dataplane_fixtures import PONG, Received, Served
from tests.support import tls

pytestmark = [pytest.mark.asyncio, pytest.mark.whichever_database]


async def pong(connection: Connection) -> None:
    while True:
        await connection.request()
        await connection.write(sized(PONG))


def showing(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_an_upstream_whose_certificate_is_good_for_its_name_is_asked(
    served: Served, authority: tls.Authority, other_port: int
) -> None:
    async with upstream(served, pong, port=other_port, tls=showing(authority.certify("localhost"))) as connections:
        assert [await outcome(served, "secure", "/mcp/secure") for _ in range(2)] == [200, 200]
    assert [len(connection.requests) for connection in connections] == [2]  # the second needs no handshake


@pytest.mark.parametrize("what", ["of another name", "that has ended", "of another authority", "that vouches for itself"])
async def test_one_with_a_certificate_that_is_not_is_told_nothing(
    served: Served, authority: tls.Authority, other_port: int, what: str, tmp_path: Path
) -> None:
    shown = {
        "of another name": lambda: authority.certify("elsewhere.example"),
        "that has ended": lambda: authority.certify("localhost", ended=True),
        "of another authority": lambda: tls.Authority(tmp_path, "authority").certify("localhost"),
        "that vouches for itself": lambda: tls.certificate(tmp_path, "localhost"),
    }[what]()
    async with upstream(served, pong, port=other_port, tls=showing(shown)) as connections:
        assert await outcome(served, "secure", "/mcp/secure") == 502
    assert not [connection for connection in connections if connection.requests]


async def test_one_that_speaks_no_tls_where_it_should_is_a_502(served: Served, other_port: int) -> None:
    async def plain(connection: Connection) -> None:
        await connection.reader.read(5)
        await connection.write(sized(PONG))

    async with upstream(served, plain, port=other_port):
        assert await outcome(served, "secure", "/mcp/secure") == 502


async def test_one_that_speaks_tls_where_it_should_not_is_a_502(served: Served, authority: tls.Authority) -> None:
    async with upstream(served, writing(PONG), tls=showing(authority.certify("localhost"))):
        assert await outcome(served) == 502


async def test_one_that_breaks_off_within_tls_is_a_502(served: Served, authority: tls.Authority, other_port: int) -> None:
    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(sized(PONG)[:-1])
        connection.writer.transport.abort()

    async with upstream(served, conversation, port=other_port, tls=showing(authority.certify("localhost"))):
        assert await outcome(served, "secure", "/mcp/secure") == 502


async def test_an_address_may_be_a_literal_of_ipv6(served: Served, other_port: int) -> None:
    async with upstream(served, pong, port=other_port, host="::1") as connections:
        assert await outcome(served, "literal", "/mcp/literal") == 200
    assert connections[0].requests[0].header("host") == f"[::1]:{other_port}"


async def test_a_name_that_nobody_has_is_a_502(served: Served) -> None:
    assert await outcome(served, "nowhere", "/mcp/nowhere") == 502


async def test_the_operators_path_and_query_reach_the_upstream_to_the_letter(served: Served, other_port: int) -> None:
    asked: asyncio.Queue[Received] = asyncio.Queue()

    async def conversation(connection: Connection) -> None:
        asked.put_nowait(await connection.request())
        await connection.write(sized(PONG))

    async with upstream(served, conversation, port=other_port):
        assert await outcome(served, "exact", "/mcp/exact?their=own") == 200
    request = await asked.get()
    assert request.path == "/a%2Fb//c/../d;e/?key=%20x+y'z&key=K%c3%a4se&"
    assert request.header("host") == f"127.0.0.1:{other_port}"

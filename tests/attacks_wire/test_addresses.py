"""Hosts, targets and paths that pretend to be others."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from oauthgw.guard import origin
from tests.attacks_wire.wire import exchange, ping, request
from tests.flows.dataplane_fixtures import PONG, Received, Served, upstream


async def pong(received: Received) -> None:
    await received.answer(PONG)


HOSTS = [
    "localhost.",
    "localhost:",
    "localhost:+80",
    "user@localhost",
    "localhost@evil.example",
    "[::1",
    "127.1",
    "0x7f.1",
    "localhost/x",
    "localhost?x",
    "localhost#",
    "localhost,evil.example",
    "evil.example",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",  # noqa: S104
    "localhost:80:80",
    "localhost\\evil",
    "*.localhost",
]


@pytest.mark.asyncio
@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_that_is_not_quite_ours_is_refused(served: Served, host: str) -> None:
    async with upstream(served, pong) as told:
        reply = await exchange(served, ping(served, host=host.encode()))
    assert (reply.status, told.received) == (400, [])


@pytest.mark.asyncio
@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:9000", b"127.0.0.1:1", b"[::1]:80"])
async def test_each_spelling_of_this_machine_is_served(served: Served, host: bytes) -> None:
    async with upstream(served, pong):
        assert (await exchange(served, ping(served, host=host))).status == 200


@pytest.mark.asyncio
async def test_a_port_that_cannot_be_is_a_400_and_no_500(served: Served) -> None:
    query = b"client_id=cursor&redirect_uri=http://localhost/cb&response_type=code&code_challenge=%s&code_challenge_method=S256" % (
        b"a" * 43
    )
    target = b"/oauth/authorize?" + query + b"&resource=http://localhost/mcp/told"
    assert (await exchange(served, request(target, method=b"GET", host=b"localhost:99999"))).status == 400


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "status"),
    [(b"http://evil.example/mcp/told", 400), (b"http://localhost@evil.example/mcp/told", 400), (b"//evil.example/mcp/told", 404)],
)
async def test_a_target_that_names_a_foreign_host_is_not_served(served: Served, target: bytes, status: int) -> None:
    """RFC 9112 §3.2.2: with an absolute target its host counts, and the Host header does not. Two slashes begin a path (§3.2.1)."""
    async with upstream(served, pong) as told:
        assert (await exchange(served, ping(served, target=target))).status == status
    assert told.received == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "target",
    [
        "/mcp/told%00",
        "/mcp/told%0a",
        "/mcp/told%20",
        "/mcp/./told",
        "/mcp/x/../told",
        "/mcp/told/.",
        "/mcp/told;a=b",
        "/mcp/told//",
        "//mcp/told",
        "/mcp//told",
        "/mcp/t%c3%b6ld",
        "/mcp/%ff",
        "/MCP/told",
        "/mcp/..%2fmcp%2ftold",
        "/mcp/told%2ftold",
        "/mcp/told\\",
        "/mcp/told%252f",
        "/mcp/told%5c",
    ],
)
async def test_a_path_that_is_not_quite_a_route_is_a_404(served: Served, target: str) -> None:
    async with upstream(served, pong) as told:
        assert (await exchange(served, ping(served, target=target.encode()))).status == 404
    assert told.received == []


@pytest.mark.asyncio
@pytest.mark.parametrize("target", [b"/oauth/x%0ay", b"/mcp/x%0a/.well-known/", b"/.well-known/x%0ay"])
async def test_a_404_below_the_machines_paths_is_json(served: Served, target: bytes) -> None:
    reply = await exchange(served, request(target, method=b"GET"))
    assert (reply.status, reply.header("content-type")) == (404, "application/json")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "Forwarded", "X-Original-Host"]
)
async def test_no_header_moves_the_origin(workers: Served, name: str) -> None:
    value = "host=evil.example;proto=http" if name == "Forwarded" else "evil.example"
    for target in (b"/mcp/told", b"/.well-known/oauth-authorization-server/mcp/told", b"/.well-known/oauth-protected-resource/mcp/told"):
        reply = await exchange(workers, request(target, f"{name}: {value}".encode(), method=b"GET", host=b"gw.example"))
        told = reply.body + "".join(reply.lines).encode()
        assert b"evil" not in told
        assert b"https://gw.example" in told


@pytest.mark.asyncio
@pytest.mark.parametrize("target", [b"/.well-known/oauth-authorization-server", b"/oauth/token"])
async def test_a_refused_host_still_lets_a_page_read_why(workers: Served, target: bytes) -> None:
    """Every answer, errors included, of the machines' endpoints carries CORS."""
    reply = await exchange(workers, request(target, method=b"GET", host=b"old.example"))
    assert (reply.status, reply.header("access-control-allow-origin")) == (400, "*")


@pytest.mark.asyncio
async def test_a_line_break_in_a_path_does_not_forge_a_log_line(served: Served) -> None:
    await exchange(served, request(b"/x%0aFORGED%0d%1b[2J", method=b"GET"))
    assert not [line for line in served.log().splitlines() if line.startswith("FORGED") or "\x1b" in line]


@pytest.mark.parametrize("hop", ["fe80::1%evil status=200", "::1%\x85FORGED", "::1%$(x)"])
def test_an_address_with_a_zone_is_nobodys(settings: Settings, hop: str) -> None:
    """A zone may be any text: it would stand in the log, and PostgreSQL's inet refuses it."""
    settings.GATEWAY = replace(settings.GATEWAY, trusted_proxies=(ip_network("127.0.0.1"),))
    assert origin.client_address("127.0.0.1", [hop]) == "127.0.0.1"

"""The data plane over real sockets: who is let in, what passes in which direction, and that it streams."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.flows.dataplane_fixtures import PING, PONG, Received, Served, call, gateway, hang_up, post, send, upstream
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio

METADATA = "/.well-known/oauth-protected-resource/mcp/told"
INITIALIZE = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()


@pytest.fixture(scope="module", params=["runserver", "gunicorn"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, either_database: str) -> Iterator[Served]:
    with gateway(tmp_path_factory.mktemp("gateway"), request.param) as running:
        yield running


async def pong(request: Received) -> None:
    await request.answer(PONG)


@asynccontextmanager
async def answering(
    served: Served, content: bytes = PONG, status: str = "200 OK", kind: str | None = "application/json", **headers: str
) -> AsyncIterator[Any]:
    async def behaviour(request: Received) -> None:
        await request.answer(content, status, kind, **headers)

    async with upstream(served, behaviour) as told:
        yield told


# Who is let in


async def test_without_a_token_the_challenge_names_the_metadata_and_no_error(served: Served) -> None:
    answer = await post(served, PING, token=None)
    assert answer.status == 401
    assert answer.header("www-authenticate") == f'Bearer resource_metadata="{served.origin}{METADATA}", scope="mcp:tools"'
    assert answer.header("cache-control") == "no-store"


async def test_a_token_in_the_query_counts_as_none(served: Served) -> None:
    answer = await post(served, PING, token=None, path=f"/mcp/told?access_token={served.tokens['alice']}")
    assert answer.status == 401
    assert "error" not in (answer.header("www-authenticate") or "")


@pytest.mark.parametrize("token", ["junk", "expired", "alice_admin", "mcpat_" + "A" * 51])
async def test_a_token_that_is_not_good_here_is_invalid(served: Served, token: str) -> None:
    answer = await post(served, PING, token=token)
    assert answer.status == 401
    challenge = answer.header("www-authenticate") or ""
    assert challenge.startswith('Bearer error="invalid_token", error_description="')
    assert challenge.endswith(f'", resource_metadata="{served.origin}{METADATA}", scope="mcp:tools"')


async def test_the_same_token_is_served_on_its_own_route(served: Served) -> None:
    async with answering(served) as told:
        answer = await post(served, PING, token="alice_admin", path="/mcp/told-admin")
        assert (answer.status, await answer.content()) == (200, PONG)
    assert len(told.received) == 1


async def test_a_trailing_slash_and_a_former_slug_lead_to_the_same_route(served: Served) -> None:
    async with answering(served):
        assert (await post(served, PING, path="/mcp/told/")).status == 200
        assert (await post(served, PING, path="/mcp/told-before")).status == 200
    challenge = (await post(served, PING, token=None, path="/mcp/told-before")).header("www-authenticate") or ""
    assert "/mcp/told-before" in challenge


@pytest.mark.parametrize("path", ["/mcp/nowhere", "/mcp/", "/mcp/told/deeper", "/mcp/TOLD", "/mcp//told", "/mcp/%2e%2e"])
async def test_what_is_no_route_is_a_404_in_json(served: Served, path: str) -> None:
    answer = await post(served, PING, path=path)
    assert answer.status == 404
    assert (await answer.json())["error"] == "not_found"
    assert answer.header("cache-control") == "no-store"


@pytest.mark.parametrize("name", ["Authorization", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "MCP-Protocol-Version"])
async def test_a_header_that_decides_something_may_come_once(served: Served, name: str) -> None:
    own = [("Authorization", f"Bearer {served.tokens['alice']}"), ("Content-Type", "application/json")]
    twice = [(name, "x"), (name, "x")] if name != "Authorization" else [own[0]]
    assert (await call(served, "POST", "/mcp/told", [*own, *twice], json.dumps(PING).encode())).status == 400


async def test_other_methods_are_told_which_there_are(served: Served) -> None:
    answer = await call(served, "PUT", "/mcp/told", [])
    assert (answer.status, answer.header("allow")) == (405, "GET, POST, DELETE, OPTIONS")


# Hosts and pages


@pytest.mark.parametrize("hosts", [[], ["evil.example"], ["localhost", "localhost"], ["localhost:80:80"], ["localhost@evil.example"]])
async def test_a_foreign_host_is_refused(served: Served, hosts: list[str]) -> None:
    headers = [("Host", host) for host in hosts] or [("host", "")]
    assert (await call(served, "GET", "/", headers)).status == 400
    assert (await call(served, "POST", "/mcp/told", headers)).status == 400


async def test_probes_may_call_by_any_address(served: Served) -> None:
    assert (await call(served, "GET", "/healthz", [("Host", "10.1.2.3:9000")])).status == 200


@pytest.mark.parametrize("page", ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost:80@evil.example", ""])
async def test_a_foreign_page_is_refused_before_anything_else(served: Served, page: str) -> None:
    answer = await post(served, PING, path="/mcp/nowhere", Origin=page)
    assert answer.status == 403
    assert answer.header("access-control-allow-origin") is None
    assert answer.header("vary") == "Origin"


async def test_a_loopback_page_reads_answers_and_refusals(served: Served) -> None:
    async with answering(served, Access_Control_Allow_Origin="https://evil.example"):
        for token, status in (("alice", 200), (None, 401)):
            answer = await post(served, PING, token=token, Origin="http://localhost:6274")
            assert answer.status == status
            assert [value for name, value in answer.headers if name == "access-control-allow-origin"] == ["http://localhost:6274"]
            assert answer.header("access-control-expose-headers") == "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version"


async def test_a_preflight_allows_what_clients_send(served: Served) -> None:
    answer = await call(served, "OPTIONS", "/mcp/told", [("Origin", "http://localhost:6274"), ("Access-Control-Request-Method", "POST")])
    assert answer.status == 204
    assert answer.header("access-control-allow-headers") == "Authorization, *"
    assert "DELETE" in (answer.header("access-control-allow-methods") or "")


# Bodies and their headers


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, -32700),
        (b"{", 400, -32700),
        (b"\xff\xfe{}", 400, -32700),
        (b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"\xff"}}', 400, -32700),
        (b"[" * 50_000, 400, -32700),
        (b"3", 400, -32600),
        (b"{}", 400, -32600),
        (b"[]", 400, -32600),
        (b"[1]", 400, -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"a"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":{},"method":"a"}', 400, -32600),
    ],
)
async def test_a_body_that_is_no_message_is_refused(served: Served, body: bytes, status: int, code: int) -> None:
    answer = await post(served, body)
    assert (answer.status, (await answer.json())["error"]["code"]) == (status, code)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_over_the_limit_is_refused(served: Served, announced: bool) -> None:
    own = [("Authorization", f"Bearer {served.tokens['alice']}")]
    if announced:
        answer = await call(served, "POST", "/mcp/told", [*own, ("Content-Length", "100001")])
    else:
        piece = b"186a1\r\n" + b" " * 100_001 + b"\r\n"
        answer = await call(served, "POST", "/mcp/told", [*own, ("Transfer-Encoding", "chunked")], piece)
    assert answer.status == 413


async def test_a_body_at_the_limit_passes(served: Served) -> None:
    body = json.dumps(PING).encode()
    async with answering(served):
        assert (await post(served, body + b" " * (100_000 - len(body)))).status == 200


def modern(method: str, **params: Any) -> dict[str, Any]:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    return {"jsonrpc": "2.0", "id": "m-1", "method": method, "params": {**params, "_meta": meta}}


AGREEING = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "tools/call", "Mcp_Name": "add"}


async def test_a_modern_request_passes_when_headers_and_body_agree(served: Served) -> None:
    async with answering(served) as told:
        answer = await post(served, modern("tools/call", name="add"), **AGREEING, Mcp_Param_Region="eu", Mcp_Session_Id="ignored")
        assert answer.status == 200
    assert (told.received[0].header("mcp-name"), told.received[0].header("mcp-param-region")) == ("add", "eu")
    assert told.received[0].header("mcp-session-id") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"Mcp_Name": "subtract"},
        {"Mcp_Name": None},
        {"Mcp_Method": "tools/list"},
        {"Mcp_Method": None},
        {"MCP_Protocol_Version": "2025-11-25"},
        {"MCP_Protocol_Version": None},
        {"Mcp_Name": "=?base64?YWRk=?="},
    ],
)
async def test_a_modern_request_that_contradicts_its_headers_is_refused(served: Served, changed: dict[str, str | None]) -> None:
    headers = {name: value for name, value in {**AGREEING, **changed}.items() if value is not None}
    answer = await post(served, modern("tools/call", name="add"), **headers)
    problem = await answer.json()
    assert (answer.status, problem["error"]["code"], problem["id"]) == (400, -32020, "m-1")
    assert problem["error"]["data"]["request_id"] in served.log()


async def test_a_modern_name_may_be_encoded(served: Served) -> None:
    async with answering(served):
        answer = await post(served, modern("tools/call", name="añadir"), **{**AGREEING, "Mcp_Name": "=?base64?YcOxYWRpcg==?="})
        assert answer.status == 200


async def test_a_modern_batch_is_refused_and_an_old_one_passes(served: Served) -> None:
    refused = await post(served, [modern("ping"), modern("ping")], MCP_Protocol_Version="2026-07-28")
    assert refused.status == 400
    assert [problem["id"] for problem in await refused.json()] == ["m-1", "m-1"]
    async with answering(served):
        assert (await post(served, [PING], MCP_Protocol_Version="2025-03-26")).status == 200


# What passes


async def test_only_the_agreed_headers_reach_the_upstream(served: Served) -> None:
    may_pass = {"Accept_Language": "de", "Traceparent": "00-1", "Tracestate": "x=1", "Last_Event_ID": "5", "Mcp_Other": "y"}
    may_not = {"Cookie": "a=b", "X_Forwarded_For": "1.2.3.4", "Accept_Encoding": "gzip", "Mcp_Method": "lie", "Mcp_Name": "lie"}
    sent = {**may_pass, **may_not, "MCP_Protocol_Version": "2025-11-25", "X_Api_Key": "forged"}
    async with answering(served) as told:
        assert (await post(served, PING, **sent)).status == 200
    reached = dict(told.received[0].headers)
    own = {"host", "content-length", "accept-encoding", "user-agent"}
    passed = {name.lower().replace("_", "-") for name in may_pass} | {"accept", "content-type", "mcp-protocol-version"}
    assert set(reached) == own | passed | {"x-api-key"}
    assert (reached["x-api-key"], reached["accept-encoding"]) == ("k-123", "identity")


async def test_only_the_agreed_headers_come_back(served: Served) -> None:
    async with answering(
        served, Set_Cookie="a=b", X_Secret="s", Server="up", Cache_Control="no-cache", Retry_After="3", MCP_Protocol_Version="2025-11-25"
    ):
        answer = await post(served, PING)
    names = {name for name, _ in answer.headers}
    own = {"content-type", "content-length", "date", "vary", "access-control-expose-headers", "x-content-type-options"}
    assert names == own | {"cache-control", "retry-after", "mcp-protocol-version"}


async def test_one_users_upstream_cookie_is_not_sent_for_another(served: Served) -> None:
    async with answering(served, Set_Cookie="user=alice; Path=/") as told:
        for token in ("alice", "bob", "bob"):
            await post(served, PING, token=token)
    assert [request.header("cookie") for request in told.received] == [None, None, None]


async def test_a_session_is_its_users_clients_and_routes_alone(served: Served) -> None:
    async with answering(served, Mcp_Session_Id="up-1") as told:
        signed = (await post(served, INITIALIZE)).header("mcp-session-id") or ""
        assert re.fullmatch(r"[\x21-\x7e]+", signed)
        assert signed != "up-1"
        assert (await post(served, PING, Mcp_Session_Id=signed)).status == 200
        assert told.received[-1].header("mcp-session-id") == "up-1"
        ended = await call(
            served, "DELETE", "/mcp/told", [("Authorization", f"Bearer {served.tokens['alice']}"), ("Mcp-Session-Id", signed)]
        )
        assert (ended.status, told.received[-1].method) == (200, "DELETE")
        asked = len(told.received)
        for token, path in (("bob", "/mcp/told"), ("alice_claude", "/mcp/told"), ("alice_admin", "/mcp/told-admin")):
            refused = await post(served, PING, token=token, path=path, Mcp_Session_Id=signed)
            assert (refused.status, (await refused.json())["id"]) == (404, 7)
        assert (await post(served, PING, Mcp_Session_Id="up-1")).status == 404
        assert (await post(served, PING, Mcp_Session_Id=signed + "x")).status == 404
        assert len(told.received) == asked


async def test_a_modern_answer_carries_no_session(served: Served) -> None:
    async with answering(served, Mcp_Session_Id="up-1"):
        answer = await post(served, modern("ping"), MCP_Protocol_Version="2026-07-28", Mcp_Method="ping")
    assert (answer.status, answer.header("mcp-session-id")) == (200, None)


# Streams


async def test_events_pass_as_they_come(served: Served) -> None:
    seen = asyncio.Event()

    async def behaviour(request: Received) -> None:
        request.begin_stream()
        request.chunk(b"data: 1\n\n")
        await asyncio.wait_for(seen.wait(), PATIENCE)  # the second only after the client has the first
        request.chunk(b"data: 2\n\n")
        request.write(b"0\r\n\r\n")

    async with upstream(served, behaviour):
        answer = await post(served, PING)
        assert (answer.header("content-type"), answer.header("x-accel-buffering")) == ("text/event-stream", "no")
        assert answer.header("cache-control") == "no-cache, no-transform"
        assert await answer.chunk() == b"data: 1\n\n"
        seen.set()
        assert await answer.content() == b"data: 2\n\n"


async def test_json_passes_as_it_comes(served: Served) -> None:
    seen = asyncio.Event()

    async def behaviour(request: Received) -> None:
        request.begin_stream("application/json")
        request.chunk(PONG[:10])
        await asyncio.wait_for(seen.wait(), PATIENCE)
        request.chunk(PONG[10:])
        request.write(b"0\r\n\r\n")

    async with upstream(served, behaviour):
        answer = await post(served, PING)
        assert await answer.chunk() == PONG[:10]
        seen.set()
        assert await answer.content() == PONG[10:]


@pytest.mark.parametrize("moment", ["while it streams", "before the answer", "on a GET stream"])
async def test_a_leaving_client_closes_the_upstream_request_at_once(served: Served, moment: str, record_property: Any) -> None:
    asked: asyncio.Queue[Received] = asyncio.Queue()

    async def behaviour(request: Received) -> None:
        if moment != "before the answer":
            request.begin_stream()
            request.chunk(b"data: 1\n\n")
        await asked.put(request)
        await asyncio.Event().wait()

    method = "GET" if moment == "on a GET stream" else "POST"
    headers = [("Authorization", f"Bearer {served.tokens['alice']}"), ("Accept", "text/event-stream")]
    async with upstream(served, behaviour):
        reader, writer = await send(served, method, "/mcp/told", headers, json.dumps(PING).encode() if method == "POST" else b"")
        request = await asyncio.wait_for(asked.get(), PATIENCE)
        if moment != "before the answer":
            await reader.readuntil(b"data: 1\n\n")
        assert not request.reader.at_eof()
        left = time.monotonic()
        writer.close()
        seconds = await request.closed_by_gateway() - left
    record_property("microseconds", round(seconds * 1_000_000))
    assert seconds < 1  # what is not noticed at once is noticed after three seconds, or never


async def test_a_slow_tool_of_the_demo_reports_while_it_runs(served: Served) -> None:
    token = served.tokens["alice_demo"]
    message = modern("tools/call", name="slow", arguments={"steps": 3, "delay": 0.3})
    message["params"]["_meta"] |= {"progressToken": "p", "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}}
    began = time.monotonic()
    answer = await post(served, message, token=token, path="/mcp/demo", **{**AGREEING, "Mcp_Name": "slow"})
    while b"progress" not in await answer.chunk():
        pass
    first = time.monotonic() - began
    rest = await answer.content()
    whole = time.monotonic() - began
    assert b"3 steps done" in rest
    assert first < whole - 0.5


# What is logged


async def test_no_token_is_logged_and_no_query(served: Served) -> None:
    async with answering(served):
        await post(served, PING, path="/mcp/told?code=canary-1")
    await served.logged("POST /mcp/told 200")
    log = served.log()
    assert not [name for name, token in served.tokens.items() if token in log]
    assert "canary-1" not in log
    assert "k-123" not in log


async def test_a_forwarded_address_is_not_believed(served: Served) -> None:
    await post(
        served, PING, None, "/mcp/told-before", X_Forwarded_For="203.0.113.9", X_Forwarded_Host="a.example", X_Forwarded_Proto="https"
    )
    await served.logged("POST /mcp/told-before 401", "client=127.0.0.1")
    assert "203.0.113.9" not in served.log()

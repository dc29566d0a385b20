"""The transport to the letter: how the gateway says no, and what passes in each direction, on every method and in both eras."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
import requests

from tests.flows.dataplane_fixtures import PING, PONG, Answer, Received, Served, call, gateway, hang_up, post, send, upstream
from tests.support.processes import PATIENCE

pytestmark = [pytest.mark.asyncio, pytest.mark.whichever_database]

NOTE = {"jsonrpc": "2.0", "method": "notifications/initialized"}
RESPONSE = {"jsonrpc": "2.0", "id": 1, "result": {}}
EVENT = b"data: 1\n\n"
OURS = {"date", "vary", "access-control-expose-headers", "x-content-type-options"}  # on each answer, whatever the upstream says


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()


async def pong(request: Received) -> None:
    await request.answer(PONG)


async def pong_with_a_session(request: Received) -> None:
    await request.answer(PONG, Mcp_Session_Id="up-1")


def bearer(served: Served, token: str = "alice") -> tuple[str, str]:
    return "Authorization", f"Bearer {served.tokens[token]}"


async def get(served: Served, *headers: tuple[str, str], method: str = "GET", token: str = "alice") -> Answer:
    return await call(served, method, "/mcp/told", [bearer(served, token), *headers])


def modern(method: str = "tools/call", **params: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": "m",
        "method": method,
        "params": {**params, "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}},
    }


# How the gateway says no

REFUSED: dict[str, tuple[Any, dict[str, str], int, int, Any]] = {
    "not JSON": (b"{", {}, 400, -32700, None),
    "no message": (b"{}", {}, 400, -32600, None),
    "headers that differ": (modern(name="add"), {}, 400, -32020, "m"),
    "a modern batch": ([modern(), NOTE, modern()], {}, 400, -32600, ["m", "m"]),
    "a session nobody has": (PING, {"Mcp_Session_Id": "a.b.c"}, 404, -32600, 7),
    "an upstream that is down": (PING, {}, 502, -31502, 7),
    "for a batch": ([PING, NOTE, {**PING, "id": "b"}], {}, 502, -31502, [7, "b"]),
    "for a batch of one": ([PING], {}, 502, -31502, [7]),
    "for notifications alone": ([NOTE, NOTE], {}, 502, -31502, None),
    "for a notification": (NOTE, {}, 502, -31502, None),
    "for a client's response": (RESPONSE, {}, 502, -31502, None),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_an_error_says_whose_it_is_and_where_it_is_logged(served: Served, case: str) -> None:
    """With the request's id, a sentence and the id of the log's lines; an array for a batch; no id for what expects no answer."""
    message, headers, status, code, ids = REFUSED[case]
    answer = await post(served, message, **headers)
    assert (answer.status, answer.header("content-type"), answer.header("cache-control")) == (status, "application/json", "no-store")
    problems = await answer.json()
    listed = problems if isinstance(ids, list) else [problems]
    assert [problem.pop("id", None) for problem in listed] == (ids if isinstance(ids, list) else [ids])
    request_id = listed[0]["error"]["data"]["request_id"]
    sentence = listed[0]["error"]["message"]
    assert sentence.endswith(".")
    said = {"jsonrpc": "2.0", "error": {"code": code, "message": sentence, "data": {"request_id": request_id}}}
    assert listed == [said] * len(listed)
    await served.logged(f"refused with {status} {code}", f"request_id={request_id}")
    await served.logged(f"POST /mcp/told {status}", f"request_id={request_id}")


@pytest.mark.parametrize("sent", [None, "Basic YWxpY2U6eA==", "Bearer", "Bearer ", "mcpat_x"])
async def test_what_is_no_bearer_token_is_none(served: Served, sent: str | None) -> None:
    answer = await call(served, "POST", "/mcp/told", [("Authorization", sent)] if sent is not None else [], json.dumps(PING).encode())
    metadata = f"{served.origin}/.well-known/oauth-protected-resource/mcp/told"
    assert (answer.status, answer.header("www-authenticate")) == (401, f'Bearer resource_metadata="{metadata}", scope="mcp:tools"')


async def test_a_token_in_the_query_is_none_whatever_the_header_says(served: Served) -> None:
    answer = await post(served, PING, path="/mcp/told?a=b&access_token=x")
    assert (answer.status, "error" in (answer.header("www-authenticate") or "")) == (401, False)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_token_is_asked_for_whatever_the_method(served: Served, method: str) -> None:
    assert (await call(served, method, "/mcp/told", [])).status == 401
    elsewhere = await call(served, method, "/mcp/told", [bearer(served, "alice_admin")])
    assert (elsewhere.status, 'error="invalid_token"' in (elsewhere.header("www-authenticate") or "")) == (401, True)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "TRACE", "PROPFIND"])
async def test_other_methods_are_told_which_there_are_without_a_token(served: Served, method: str) -> None:
    for path in ("/mcp/told", "/mcp/told/"):
        answer = await call(served, method, path, [])
        assert (answer.status, answer.header("allow")) == (405, "GET, POST, DELETE, OPTIONS")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
@pytest.mark.parametrize("path", ["/mcp/nowhere", "/mcp/nowhere/", "/mcp/told/deeper", "/mcp/"])
async def test_where_nothing_is_there_is_nothing_for_any_method(served: Served, method: str, path: str) -> None:
    answer = await call(served, method, path, [bearer(served)])
    assert (answer.status, answer.header("content-type"), (await answer.json())["error"]) == (404, "application/json", "not_found")


async def test_the_host_is_judged_first_and_then_the_page(served: Served) -> None:
    foreign = [("Host", "evil.example"), ("Origin", "https://evil.example")]
    assert (await call(served, "PUT", "/mcp/nowhere", foreign)).status == 400
    assert (await call(served, "PUT", "/mcp/nowhere", foreign[1:])).status == 403


# Headers that mirror the body (2026-07-28)

AGREEING = {
    "a tool": (modern("tools/call", name="add"), {"Mcp_Name": "add"}),
    "a tool, encoded": (modern("tools/call", name="añadir"), {"Mcp_Name": "=?base64?YcOxYWRpcg==?="}),
    "a prompt": (modern("prompts/get", name="greet"), {"Mcp_Name": "greet"}),
    "a resource": (modern("resources/read", uri="demo://x", name="other"), {"Mcp_Name": "demo://x"}),
    "a resource, encoded": (modern("resources/read", uri="demo://ñ"), {"Mcp_Name": "=?base64?ZGVtbzovL8Ox?="}),
    "what has no name": (modern("tools/list"), {}),
    "what has no name, with one": (modern("tools/list", name="x"), {"Mcp_Name": "y"}),
}


@pytest.mark.parametrize("case", AGREEING)
async def test_headers_that_say_what_the_body_says_pass_as_they_are(served: Served, case: str) -> None:
    message, named = AGREEING[case]
    headers = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": message["method"], **named}
    async with upstream(served, pong) as told:
        assert (await post(served, message, **headers)).status == 200
    assert {name: told.received[0].header(name.replace("_", "-")) for name in headers} == headers


@pytest.mark.parametrize(("method", "said"), [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri")])
@pytest.mark.parametrize("wrong", [{}, {"Mcp_Name": "other"}, {"Mcp_Name": "=?base64?b3RoZXI=?="}, {"Mcp_Name": "=?base64?!?="}])
async def test_a_name_that_differs_is_refused_by_the_headers_name(served: Served, method: str, said: str, wrong: dict[str, str]) -> None:
    headers = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": method, **wrong}
    async with upstream(served, pong) as told:
        answer = await post(served, modern(method, **{said: "right"}), **headers)
        problem = (await answer.json())["error"]
    assert (answer.status, problem["code"], "Mcp-Name" in problem["message"], told.received) == (400, -32020, True, [])


async def test_what_is_no_request_needs_no_mirrors(served: Served) -> None:
    note = {**NOTE, "params": modern()["params"]}
    async with upstream(served, pong) as told:
        for message in (note, RESPONSE):
            assert (await post(served, message, MCP_Protocol_Version="2026-07-28")).status == 200
    assert len(told.received) == 2


# Sessions


async def session(served: Served) -> str:
    return (await post(served, PING)).header("mcp-session-id") or ""


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_session_is_nobody_elses_to_listen_to_or_to_end(served: Served, method: str) -> None:
    async with upstream(served, pong_with_a_session) as told:
        own = "Mcp-Session-Id", await session(served)
        for token in ("bob", "alice_claude"):
            assert (await get(served, own, method=method, token=token)).status == 404
        assert len(told.received) == 1
        assert (await get(served, own, method=method)).status == 200
    assert (told.received[1].method, told.received[1].header("mcp-session-id")) == (method, "up-1")


async def test_a_session_that_a_stream_begins_is_signed_too(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        request.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nMcp-Session-Id: up-1\r\nContent-Length: 9\r\n\r\n" + EVENT)

    async with upstream(served, behaviour):
        assert re.fullmatch(r"[^.]+\.[^.]+\.up-1", await session(served))


async def test_a_session_outlives_the_token_it_began_with(served: Served) -> None:
    async with upstream(served, pong_with_a_session) as told:
        own = await session(served)
        form = {"grant_type": "refresh_token", "refresh_token": served.tokens["alice_refresh"], "client_id": "cursor"}
        refreshed = await asyncio.to_thread(requests.post, f"{served.origin}/oauth/token", data=form, timeout=PATIENCE)
        answer = await post(served, PING, refreshed.json()["access_token"], Mcp_Session_Id=own)
    assert (answer.status, told.received[-1].header("mcp-session-id")) == (200, "up-1")


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_the_modern_era_knows_no_sessions_in_either_direction(served: Served, method: str) -> None:
    headers = [bearer(served), ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "ping"), ("Mcp-Session-Id", "whatever")]
    async with upstream(served, pong_with_a_session) as told:
        answer = await call(served, method, "/mcp/told", headers, json.dumps(modern("ping")).encode() if method == "POST" else b"")
    assert (answer.status, answer.header("mcp-session-id"), told.received[0].header("mcp-session-id")) == (200, None, None)


# What passes


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_request_without_a_body_takes_along_what_one_with_a_body_does(served: Served, method: str) -> None:
    may = ["Accept", "Accept-Language", "Last-Event-ID", "MCP-Protocol-Version", "Mcp-Anything", "Traceparent", "Tracestate"]
    not_ours = [
        "Cookie",
        "Referer",
        "User-Agent",
        "Forwarded",
        "X-Forwarded-For",
        "Via",
        "Accept-Encoding",
        "Range",
        "If-None-Match",
        "X-Other",
    ]
    mirrors = ["Mcp-Method", "Mcp-Name", "Mcp_Session_Id", "Mcp_Name"]
    async with upstream(served, pong) as told:
        assert (await get(served, *[(name, "sent") for name in [*may, *not_ours, *mirrors]], method=method)).status == 200
    reached = dict(told.received[0].headers)
    reached.pop("content-length", None)
    assert reached.pop("host") == f"127.0.0.1:{served.upstream_port}"
    own = {"accept-encoding": "identity", "user-agent": "mcp-gateway", "x-api-key": "k-123"}
    assert reached == {**dict.fromkeys([name.lower() for name in may], "sent"), **own}
    assert (told.received[0].method, told.received[0].path, told.received[0].body) == (method, "/mcp", b"")


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_answer_brings_back_what_may_pass_and_no_more(served: Served, kind: str) -> None:
    may = {"Cache_Control": "private", "Retry_After": "3", "Allow": "POST", "MCP_Protocol_Version": "2025-11-25", "Mcp_Session_Id": "up-1"}
    stays = {
        "Set_Cookie": "a=b", "Server": "up", "X_Other": "x", "Mcp_Other": "x", "Link": "<x>", "ETag": "x", "Location": "/x", "Vary": "*",
        "WWW_Authenticate": "Bearer", "Access_Control_Allow_Origin": "*", "Content_Disposition": "attachment", "Content_Location": "/x",
        "Last_Event_ID": "5", "Traceparent": "x", "Keep_Alive": "timeout=9", "Alt_Svc": "h3", "Strict_Transport_Security": "max-age=1",
    }  # fmt: skip

    async def behaviour(request: Received) -> None:
        await request.answer(PONG, kind=kind, **may, **stays)

    async with upstream(served, behaviour):
        answer = await post(served, PING, Accept_Encoding="gzip, br")
    framing = {"transfer-encoding", "x-accel-buffering"} if kind == "text/event-stream" else {"content-length"}
    assert {name for name, _ in answer.headers} == {name.lower().replace("_", "-") for name in may} | {"content-type"} | OURS | framing
    assert (answer.header("cache-control"), answer.header("vary")) == ("private", "Origin")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stream_passes_event_by_event(served: Served, method: str) -> None:
    async def behaviour(request: Received) -> None:
        request.begin_stream()
        for number in range(3):
            request.chunk(b"id: %d\ndata: x\n\n" % number)
            await seen.acquire()
        request.write(b"0\r\n\r\n")

    seen = asyncio.Semaphore(0)
    async with upstream(served, behaviour):
        answer = await (get(served) if method == "GET" else post(served, PING))
        for number in range(3):
            assert await answer.chunk() == b"id: %d\ndata: x\n\n" % number
            seen.release()
        assert await answer.chunk() == b""


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_nothing_is_said_upstream_for_a_client_that_left(served: Served, method: str) -> None:
    """No invented `notifications/cancelled`: the connection is closed, and that is all."""
    left = asyncio.Event()

    async def behaviour(request: Received) -> None:
        request.begin_stream()
        request.chunk(EVENT)
        assert await asyncio.wait_for(request.reader.read(), PATIENCE) == b""
        left.set()

    async with upstream(served, behaviour) as told:
        reader, _ = await send(served, method, "/mcp/told", [bearer(served)], json.dumps(PING).encode() if method == "POST" else b"")
        await reader.readuntil(EVENT)
        await hang_up()
        await asyncio.wait_for(left.wait(), PATIENCE)
        assert (await post(served, PING, token=None)).status == 401
    assert len(told.received) == 1

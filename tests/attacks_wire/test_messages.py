"""Bodies that are no messages, headers that contradict them, and eras mixed up."""

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest

from tests.flows import dataplane_fixtures
from tests.flows.dataplane_fixtures import PING, PONG, Received, Served, post, upstream

pytestmark = pytest.mark.asyncio

VERSION = "io.modelcontextprotocol/protocolVersion"
MODERN = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "tools/call", "Mcp_Name": "add"}


async def pong(received: Received) -> None:
    await received.answer(PONG)


def call(version: Any = "2026-07-28", **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "m", "method": "tools/call", "params": {**params, "_meta": {VERSION: version}}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":1,"method":"a","x":NaN}',
        b'{"id":1,"method":"a","x":Infinity}',
        b'\xef\xbb\xbf{"id":1,"method":"a"}',
        '{"id":1,"method":"a"}'.encode("utf-16"),
        b'{"id":1,"method":"\\ud800"}',
        b'{"id":1,"method":"\xed\xa0\x80"}',
        b'{"id":1,"method":"\xc0\xaf"}',
        b'{"id":1,"method":"a\x00"}',
        b'{"id":1,"method":"a"}{"id":2,"method":"b"}',
        b'{"id":1,"method":"a",}',
        b'{"id":01,"method":"a"}',
        b'\x0b{"id":1,"method":"a"}',
        gzip.compress(b'{"id":1,"method":"a"}'),
        b'{"id":1,"method":"a","params":' + b"[" * 40_000 + b"]" * 40_000 + b"}",
        b'{"id":1,"method":"a","params":{"_meta":' + b'{"a":' * 9_000 + b"1" + b"}" * 9_000 + b"}}",
    ],
)
async def test_what_is_no_json_is_refused_as_such(served: Served, body: bytes) -> None:
    async with upstream(served, pong) as told:
        answer = await post(served, body, Content_Encoding="gzip")
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, -32700)
    assert told.received == []


@pytest.mark.parametrize(
    "body", [b'{"id":true,"method":"a"}', b'{"id":1}', b'{"id":1,"method":null}', b'[[{"id":1,"method":"a"}]]', b'"x"']
)
async def test_what_is_no_message_is_refused_as_such(served: Served, body: bytes) -> None:
    answer = await post(served, body)
    assert (answer.status, (await answer.json())["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("number", ["9" * 5_000, "1e999", "-0", "1.5"])
async def test_a_number_of_any_size_passes_as_it_was_written(served: Served, number: str) -> None:
    body = '{"jsonrpc":"2.0","id":%s,"method":"a","params":{"name":%s,"_meta":{"x":%s}}}' % (number, number, number)  # noqa: UP031
    async with upstream(served, pong) as told:
        assert (await post(served, body.encode())).status == 200
    assert told.received[0].body == body.encode()


async def test_a_refusal_repeats_an_id_as_it_was_written(served: Served) -> None:
    body = b'{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"tools/call","params":{}}'
    answer = await post(served, body, **MODERN)
    assert b'"id":123456789012345678901234567890,' in await answer.content()


@pytest.mark.parametrize(
    ("message", "changed"),
    [
        (call(name="add"), {"Mcp_Name": "=?BASE64?YWRk?="}),
        (call(name="a"), {"Mcp_Name": "=?base64?YQ?="}),
        (call(name="a"), {"Mcp_Name": "=?base64?YR==?="}),
        (call(name=">>>"), {"Mcp_Name": "=?base64?Pj4-?="}),
        (call(name="\ufffd"), {"Mcp_Name": "=?base64?/w==?="}),
        (call(name="=?base64?x?="), {"Mcp_Name": "=?base64?x?="}),
        (call(name=" add "), {"Mcp_Name": " add "}),
        (call(name=1), {"Mcp_Name": "1"}),
        (call(name="add"), {"Mcp_Method": "Tools/Call"}),
        (call(name="add"), {"Mcp_Method": "=?base64?dG9vbHMvY2FsbA==?="}),
        (call(name="add", version="2025-11-25"), {}),
        (call(name="add"), {"MCP_Protocol_Version": "2025-11-25"}),
        (call(name="add"), {"MCP_Protocol_Version": "2" * 20_000}),
        (call(name="add", version="2026-07-28" + "x" * 20_000), {}),
    ],
)
async def test_a_modern_call_whose_headers_are_not_exactly_its_body_is_refused(
    served: Served, message: dict[str, Any], changed: dict[str, str]
) -> None:
    async with upstream(served, pong) as told:
        answer = await post(served, message, **{**MODERN, **changed})
        problem = await answer.json()
        assert (answer.status, problem["error"]["code"], problem["id"]) == (400, -32020, "m")
    assert told.received == []


@pytest.mark.parametrize("version", [None, 20260728, ["2026-07-28"]])
async def test_a_modern_call_that_names_no_revision_is_judged_by_the_upstream_as_modern(served: Served, version: object) -> None:
    """It is malformed, not mismatched (MCP 2026-07-28, "Per-request protocol fields"); it has no session, and its mirrors are exact."""
    async with upstream(served, pong) as told:
        assert (await post(served, call(name="add", version=version), **MODERN, Mcp_Session_Id="mine")).status == 200
        assert (await post(served, call(name="drop", version=version), **MODERN)).status == 400
    assert [(got.header("mcp-protocol-version"), got.header("mcp-name")) for got in told.received] == [("2026-07-28", "add")]
    assert told.received[0].header("mcp-session-id") is None


async def test_an_unknown_revision_reaches_the_upstream_as_it_was_sent(served: Served) -> None:
    """Who knows it not must say so and name what it knows ("Protocol Version Header")."""
    async with upstream(served, pong) as told:
        assert (await post(served, call(name="add", version="v999"), **{**MODERN, "MCP_Protocol_Version": "v999"})).status == 200
        assert (await post(served, call(name="add", version="v999"), **MODERN)).status == 400
    assert [(got.header("mcp-method"), got.header("mcp-name")) for got in told.received] == [("tools/call", "add")]


async def test_the_era_is_seen_through_escapes(served: Served) -> None:
    body = b'{"jsonrpc":"2.0","id":"m","method":"tools/call","params":'
    body += b'{"_\\u006deta":{"io.modelcontextprotocol\\/protocolVersion":"2026-07-2\\u0038"}}}'
    assert (await (await post(served, body)).json())["error"]["code"] == -32020


@pytest.mark.parametrize("name", ["a\nb", "", "世界"])
async def test_a_name_that_no_header_can_hold_passes_encoded(served: Served, name: str) -> None:
    async with upstream(served, pong):
        encoded = f"=?base64?{b64encode(name.encode()).decode()}?="
        assert (await post(served, call(name=name), **{**MODERN, "Mcp_Name": encoded})).status == 200


async def test_a_name_in_raw_utf8_is_refused(served: Served) -> None:
    """MCP 2026-07-28, "Server Validation": a header value that contains invalid characters is a mismatch."""
    answer = await post(served, call(name="añadir"), **{**MODERN, "Mcp_Name": "añadir"})
    assert (answer.status, (await answer.json())["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "drop_everything", "_meta": {VERSION: "2026-07-28"}}},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
    ],
)
async def test_mirrors_that_nobody_compared_do_not_reach_the_upstream(served: Served, message: dict[str, Any]) -> None:
    """Nothing behind the gateway may be led by them: they are left behind."""
    async with upstream(served, pong) as told:
        assert (await post(served, message, **MODERN)).status == 200
    assert [(received.header("mcp-method"), received.header("mcp-name")) for received in told.received] == [(None, None)]


@pytest.mark.parametrize("batch", [[call(name="add")], [PING, call(name="add")]])
async def test_a_batch_with_anything_modern_in_it_is_refused(served: Served, batch: list[Any]) -> None:
    async with upstream(served, pong) as told:
        answer = await post(served, batch, MCP_Protocol_Version="2025-03-26")
        assert (answer.status, len(await answer.json())) == (400, len(batch))
    assert told.received == []


@pytest.mark.parametrize("session", [".", "a.b.c", "é.b.c", "x" * 9_000, "a b.c.d", ""])
async def test_a_forged_session_is_a_404(served: Served, session: str) -> None:
    answer = await post(served, PING, Mcp_Session_Id=session)
    assert (answer.status, (await answer.json())["id"]) == (404, 7)


async def test_a_session_cannot_be_bent(served: Served) -> None:
    async def behaviour(received: Received) -> None:
        await received.answer(PONG, Mcp_Session_Id="up.1")

    async with upstream(served, behaviour) as told:
        signed = (await post(served, PING)).header("mcp-session-id") or ""
        key, mac, rest = signed.split(".", 2)
        for bent in (
            f"{key}.{mac}.up.2",
            f"{key}.{mac}..{rest}",
            f"{key}.{mac[:-1]}.{rest}",
            f"{key.upper()}x.{mac}.{rest}",
            f"{key}..{rest}",
        ):
            assert (await post(served, PING, Mcp_Session_Id=bent)).status == 404
        assert len(told.received) == 1
        assert (await post(served, PING, Mcp_Session_Id=signed)).status == 200


ORIGINS = [
    "null",
    "http://localhost:",
    "http://localhost:99999999",
    "http://localhost/",
    "http://localhost.",
    "http://localhost:80@evil.example",
    "http://[::ffff:127.0.0.1]",
    "http://[::1%25lo]",
    "http://127.0.0.2",
    "http://127.1",
    "http://localhost#",
    "http://localhost\\.evil.example",
    "file://",
    "ws://localhost",
    "http://localhost%00",
    "http://loca\u017fhost",
    "http://evil-localhost",
    "http://localhost.evil.example",
    "chrome-extension://abc",
    "http://localhost,http://evil.example",
]


@pytest.mark.parametrize("page", [*ORIGINS, "http://localhost http://evil.example", "http://evil.example, http://localhost"])
async def test_a_page_that_is_not_quite_local_is_refused(served: Served, page: str) -> None:
    answer = await post(served, PING, Origin=page)
    assert (answer.status, answer.header("access-control-allow-origin")) == (403, None)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "OPTIONS"])
async def test_a_refused_page_learns_nothing_whatever_it_asks(served: Served, method: str) -> None:
    answer = await dataplane_fixtures.call(
        served, method, "/mcp/told", [("Origin", "https://evil.example"), ("Authorization", f"Bearer {served.tokens['alice']}")]
    )
    assert (answer.status, json.loads(await answer.content())["error"]) == (403, "forbidden_origin")


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("https://gw.example", 401),
        ("http://localhost:6274", 401),
        ("http://127.0.0.1", 401),
        ("http://[::1]:80", 401),
        ("http://gw.example", 403),
        ("https://gw.example:8443", 403),
        ("https://sub.gw.example", 403),
        ("null", 403),
    ],
)
async def test_without_a_list_pages_of_the_gateway_itself_and_of_this_machine_may_ask(workers: Served, page: str, status: int) -> None:
    assert (await post(workers, PING, token=None, Host="gw.example", Origin=page)).status == status

"""What the data plane answers when the upstream or the database does not: always a sentence, never a hang, a 401 or half an answer."""

import asyncio
import contextlib
import sqlite3

import pytest

from tests.flows.dataplane_fixtures import PING, PONG, Received, Served, call, post, upstream
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.asyncio

PROBLEM = b'{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"down"}}'
NOTE = {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def refused(served: Served, status: int, code: int) -> None:
    """The next request is refused so, under its own id, and the log names the same request."""
    answer = await post(served, PING)
    problem = await answer.json()
    assert (answer.status, problem["error"]["code"], problem["id"]) == (status, code, PING["id"])
    assert answer.header("cache-control") == "no-store"
    assert problem["error"]["data"]["request_id"] in served.log()


async def test_an_upstream_that_is_down_is_a_502(served: Served) -> None:
    await refused(served, 502, -31502)


async def test_a_batch_gets_an_array_and_a_notification_no_id(served: Served) -> None:
    batch = await (await post(served, [PING, NOTE, {**PING, "id": "b"}])).json()
    assert [problem["id"] for problem in batch] == [7, "b"]
    note = await post(served, NOTE)
    assert (note.status, "id" in await note.json()) == (502, False)


async def test_an_upstream_silent_before_its_headers_is_a_504(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        await request.closed_by_gateway()

    async with upstream(served, behaviour):
        await refused(served, 504, -31504)


async def test_an_upstream_may_be_silent_after_its_headers(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        request.begin_stream()
        await asyncio.sleep(3.5)  # longer than MCP_UPSTREAM_TIMEOUT_SECONDS: the silence itself is what is tested
        request.chunk(b"data: late\n\n")
        request.write(b"0\r\n\r\n")

    async with upstream(served, behaviour):
        assert await (await post(served, PING)).content() == b"data: late\n\n"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "302 Found", "307 Temporary Redirect", "304 Not Modified"])
async def test_a_refused_credential_and_a_redirect_are_a_502(served: Served, status: str) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(PONG if status[0] == "4" else b"", status, Location="http://127.0.0.1/", WWW_Authenticate="Bearer")

    async with upstream(served, behaviour) as told:
        await refused(served, 502, -31502)
    assert len(told.received) == 1


@pytest.mark.parametrize(
    ("content", "kind"), [(b"<html>", "text/html"), (b"Accepted", "text/plain"), (PONG, None), (PONG, "application/jsonp")]
)
async def test_a_2xx_of_another_type_is_a_502(served: Served, content: bytes, kind: str | None) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(content, kind=kind)

    async with upstream(served, behaviour):
        await refused(served, 502, -31502)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_of_any_spelling_passes(served: Served, kind: str) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(PONG, kind=kind)

    async with upstream(served, behaviour):
        answer = await post(served, PING)
        assert (answer.status, answer.header("content-type"), await answer.content()) == (200, kind, PONG)


@pytest.mark.parametrize("status", ["202 Accepted", "204 No Content"])
@pytest.mark.parametrize("kind", [None, "text/plain"])
async def test_nothing_passes_as_nothing(served: Served, status: str, kind: str | None) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(b"", status, kind)

    async with upstream(served, behaviour):
        answer = await post(served, NOTE)
        assert (answer.status, await answer.content(), answer.header("content-type")) == (int(status[:3]), b"", None)


async def test_a_compressed_answer_is_a_502(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(b"\x1f\x8b", Content_Encoding="gzip")

    async with upstream(served, behaviour):
        await refused(served, 502, -31502)


@pytest.mark.parametrize(
    ("status", "content", "passed"),
    [
        ("404 Not Found", PROBLEM, PROBLEM),
        ("400 Bad Request", b'{"any":"json"}', b'{"any":"json"}'),
        ("405 Method Not Allowed", b"<html>", b""),
        ("429 Too Many Requests", b"", b""),
        ("500 Internal Server Error", PROBLEM, PROBLEM),
        ("503 Service Unavailable", b"[" + PROBLEM + b"]", b"[" + PROBLEM + b"]"),
    ],
)
async def test_an_error_passes_with_its_status(served: Served, status: str, content: bytes, passed: bytes) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(content, status, Retry_After="9", Allow="POST", Cache_Control="max-age=60")

    async with upstream(served, behaviour):
        answer = await post(served, PING)
        assert (answer.status, await answer.content()) == (int(status[:3]), passed)
        assert (answer.header("retry-after"), answer.header("allow"), answer.header("cache-control")) == ("9", "POST", "no-store")


@pytest.mark.parametrize("content", [b"<html>", b'{"error":"down"}', b""])
async def test_a_5xx_that_is_no_json_rpc_is_a_502(served: Served, content: bytes) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(content, "500 Internal Server Error")

    async with upstream(served, behaviour):
        await refused(served, 502, -31502)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Ty",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 36\r\n\r\n" + PONG[:20],
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    ],
)
async def test_an_upstream_that_breaks_off_before_anything_was_sent_is_a_502(served: Served, sent: bytes) -> None:
    async def behaviour(request: Received) -> None:
        request.write(sent)
        request.writer.close()

    async with upstream(served, behaviour):
        await refused(served, 502, -31502)


async def test_a_long_json_answer_that_breaks_off_is_cut_not_ended(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        request.begin_stream("application/json")
        request.chunk(PONG[:20])
        request.writer.close()

    async with upstream(served, behaviour):
        answer = await post(served, PING)
        assert await answer.chunk() == PONG[:20]
        with pytest.raises(asyncio.IncompleteReadError):
            await answer.chunk()


async def test_an_event_stream_that_breaks_off_ends(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        request.begin_stream()
        request.chunk(b"data: 1\n\nda")
        request.writer.close()

    async with upstream(served, behaviour):
        assert await (await post(served, PING)).content() == b"data: 1\n\nda"


async def test_a_session_id_that_is_not_visible_ascii_is_a_502(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(PONG, Mcp_Session_Id="two words")

    async with upstream(served, behaviour):
        await refused(served, 502, -31502)


async def test_a_client_that_leaves_while_it_posts_asks_nothing(served: Served) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(PONG)

    async with upstream(served, behaviour) as told:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = ["POST /mcp/told HTTP/1.1", "Host: localhost", f"Authorization: Bearer {served.tokens['alice']}", "Content-Length: 50"]
        writer.write("\r\n".join([*head, "", "{"]).encode())
        await writer.drain()
        writer.close()
        await served.logged("POST /mcp/told 499")
    assert told.received == []


@pytest.mark.parametrize("table", ["mcp_routes_mcproute", "oauthgw_accesstoken"])
async def test_a_database_that_fails_is_a_503_and_never_a_401(served: Served, table: str) -> None:
    async def behaviour(request: Received) -> None:
        await request.answer(PONG)

    async with upstream(served, behaviour):
        for topic, of in (("route", "mcp_routes_mcproute"), ("grant", "oauthgw_grant")):
            served.publish(topic, of)  # else a warm token works for five seconds
        with contextlib.closing(sqlite3.connect(served.sqlite_path, isolation_level=None, timeout=PATIENCE)) as database:
            database.execute(f"ALTER TABLE {table} RENAME TO gone")
            try:
                async with asyncio.timeout(PATIENCE):
                    while (await post(served, PING)).status == 200:
                        pass
                await refused(served, 503, -31503)
                answer = await post(served, PING)
                assert (await call(served, "OPTIONS", "/mcp/told", [("Origin", "http://localhost:6274")])).status == 204
            finally:
                database.execute(f"ALTER TABLE gone RENAME TO {table}")
        assert (answer.header("retry-after"), answer.header("www-authenticate")) == ("5", None)
        assert (await post(served, PING)).status == 200

"""How an answer becomes bytes: framing, connection, and what an application must not do. The real server, before a few lines of ASGI."""

import asyncio
from typing import Any

import pytest

from tests.support.processes import PATIENCE
from tests.support.server import Handler, on_uvloop, serving

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def asked(handler: Handler, request: bytes = GET) -> tuple[list[bytes], bytes]:
    """The lines of an answer's head, but for the date, and all that follows until the connection ends."""
    async with serving(handler, server_header=False) as server, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        try:
            rest = await reader.read()
        except ConnectionResetError:
            rest = b"reset"
        writer.close()
    return [line for line in head.split(b"\r\n") if line and not line.startswith(b"date:")], rest


def saying(*messages: dict[str, Any]) -> Handler:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send({"type": "http.response.body", "body": b"", **message} if "status" not in message else message)

    return application


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


@on_uvloop
async def test_a_length_is_a_length_however_its_name_is_written() -> None:
    """Django capitalises names; two framings in one answer are none (RFC 9112 §6.3)."""
    for name in (b"Content-Length", b"content-length"):
        lines, body = await asked(saying(start(200, (name, b"2")), {"body": b"ok"}))
        assert (lines, body) == ([b"HTTP/1.1 200 OK", b"content-length: 2"], b"ok")


@on_uvloop
async def test_without_a_length_it_is_chunks() -> None:
    lines, body = await asked(saying(start(), {"body": b"one", "more_body": True}, {"more_body": True}, {"body": b"two"}))
    assert (lines, body) == ([b"HTTP/1.1 200 OK", b"transfer-encoding: chunked"], b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


@on_uvloop
async def test_what_has_no_body_names_no_framing() -> None:
    assert await asked(saying(start(204), {})) == ([b"HTTP/1.1 204 No Content"], b"")
    head = GET.replace(b"GET", b"HEAD")
    assert await asked(saying(start(200, (b"Content-Length", b"2")), {"body": b"ok"}), head) == (
        [b"HTTP/1.1 200 OK", b"content-length: 2"],
        b"",
    )
    assert await asked(saying(start(), {"body": b"ok"}), head) == ([b"HTTP/1.1 200 OK"], b"")


@on_uvloop
async def test_a_connection_that_is_to_end_is_said_to_once() -> None:
    closing = [b"HTTP/1.1 200 OK", b"content-length: 0", b"connection: close"]
    length = (b"content-length", b"0")
    for connection in ((b"Connection", b"close"), (b"connection", b"keep-alive, Close")):
        lines, _ = await asked(saying(start(200, length, connection), {}))
        assert lines == closing
    lines, _ = await asked(saying(start(200, length), {}), GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert lines == closing


@on_uvloop
async def test_an_error_before_the_first_of_the_body_still_has_an_answer() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        raise KeyError("something")

    lines, body = await asked(application)
    assert (lines[0], body) == (b"HTTP/1.1 500 Internal Server Error", b"Internal Server Error")


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\nb", b"a\rb", b"a\0b"])
def test_no_value_begins_a_line_of_its_own(value: bytes) -> None:
    @on_uvloop
    async def run() -> None:
        lines, _ = await asked(saying(start(200, (b"x-told", value)), {}))
        assert lines[0] == b"HTTP/1.1 500 Internal Server Error"
        assert b"x-told" not in b"".join(lines)

    run()


@on_uvloop
async def test_a_body_that_is_not_as_long_as_its_head_says_never_passes_for_whole() -> None:
    two = start(200, (b"content-length", b"2"))
    for messages in (({"body": b"o", "more_body": True}, {"body": b""}), ({"body": b"o", "more_body": True}, {"body": b"kay"})):
        lines, body = await asked(saying(two, *messages))
        assert (lines[1], body) == (b"content-length: 2", b"o")


@on_uvloop
async def test_a_body_that_was_not_called_for_ends_the_connection() -> None:
    """It may come or not: what follows could be either (RFC 9110 §10.1.1)."""
    expecting = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    lines, _ = await asked(saying(start(413, (b"content-length", b"0")), {}), expecting)
    assert lines == [b"HTTP/1.1 413 Request Entity Too Large", b"content-length: 0", b"connection: close"]

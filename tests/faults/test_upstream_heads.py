"""The heads of upstreams' answers: what HTTP allows is understood, and what it does not is a 502, never a guess.

Source: RFC 9112 (message syntax and framing), RFC 9110 §15.2 (interim answers).
"""

import pytest

from tests.faults.wire import CHUNKED, CUT, EVENTS, JSON, chunk, outcome, sized, upstream, writing
from tests.flows.dataplane_fixtures import PING, PONG, Served, post

pytestmark = [pytest.mark.asyncio, pytest.mark.whichever_database]

LENGTH = b"Content-Length: 36\r\n"
REST = b"\r\nContent-Type: application/json\r\n" + LENGTH + b"\r\n" + PONG
LAST = b"0\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
MANY = b"".join(b"X-Header-%d: %s\r\n" % (number, b"a" * 500) for number in range(60))


SOUND = {
    "no reason": b"HTTP/1.1 200 " + REST,
    "no space behind the status": b"HTTP/1.1 200" + REST,
    "a reason of any bytes": b"HTTP/1.1 200 Gr\xfc\xdfe\tan alle" + REST,
    "HTTP/1.0": b"HTTP/1.0 200 OK" + REST,
    "names in any case": b"HTTP/1.1 200 OK\r\ncontent-TYPE: application/json\r\nCONTENT-length: 36\r\n\r\n" + PONG,
    "no space behind the colon": b"HTTP/1.1 200 OK\r\nContent-Type:application/json\r\nContent-Length:36\r\n\r\n" + PONG,
    "space around values": b"HTTP/1.1 200 OK\r\nContent-Type: \t application/json \t\r\nContent-Length:  36 \r\n\r\n" + PONG,
    "an empty value": sized(PONG, JSON + b"X-Empty:\r\n"),
    "a value of any bytes": sized(PONG, JSON + b"X-Latin: Gr\xfc\xdfe\r\n"),
    "30 kB": sized(PONG, JSON + MANY),
    "several interim answers": INTERIM + INTERIM + b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" + sized(PONG),
    "chunks": JSON + CHUNKED + chunk(PONG[:9]) + chunk(PONG[9:]) + LAST,
    "a coding in any case": JSON + b"Transfer-Encoding: Chunked\r\n\r\n" + chunk(PONG) + LAST,
    "sizes in any case": JSON + CHUNKED + b"0000001A\r\n" + PONG[:26] + b"\r\n" + chunk(PONG[26:]) + LAST,
    "extensions of chunks": JSON + CHUNKED + b'24;name=value;other="x"\r\n' + PONG + b"\r\n0;last\r\n\r\n",
    "trailers": JSON + CHUNKED + chunk(PONG) + b"0\r\nX-Checksum: 1\r\nSet-Cookie: a=b\r\n\r\n",
    "not compressed, in words": sized(PONG, JSON + b"Content-Encoding: identity\r\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", SOUND)
async def test_what_http_allows_is_an_answer(served: Served, case: str) -> None:
    async with upstream(served, writing(SOUND[case])):
        answer = await post(served, PING)
        assert (answer.status, await answer.content()) == (200, PONG)
        assert not {"x-checksum", "set-cookie", "link"} & {name for name, _ in answer.headers}


FRAMES = {
    "no number": [b"Content-Length: abc"],
    "a negative number": [b"Content-Length: -36"],
    "a signed number": [b"Content-Length: +36"],
    "a hexadecimal number": [b"Content-Length: 0x24"],
    "a number in two parts": [b"Content-Length: 3 6"],
    "an underscore": [b"Content-Length: 3_6"],
    "a number beyond 64 bits": [b"Content-Length: 18446744073709551652"],
    "a list of one number": [b"Content-Length: 36, 36"],
    "the same number twice": [b"Content-Length: 36", b"Content-Length: 36"],
    "two numbers": [b"Content-Length: 36", b"Content-Length: 35"],
    "no number at all": [b"Content-Length:"],
    "chunks behind a length": [b"Content-Length: 36", b"Transfer-Encoding: chunked"],
    "chunks before a length": [b"Transfer-Encoding: chunked", b"Content-Length: 36"],
    "a coding nobody asked for": [b"Transfer-Encoding: gzip, chunked"],
    "chunks within another coding": [b"Transfer-Encoding: chunked, gzip"],
    "a coding that is none": [b"Transfer-Encoding: xchunked"],
    "chunks twice": [b"Transfer-Encoding: chunked, chunked"],
}


@pytest.mark.parametrize("case", FRAMES)
async def test_a_body_that_could_end_in_two_places_is_a_502(served: Served, case: str) -> None:
    body = chunk(PONG) + LAST if b"Transfer" in b"".join(FRAMES[case]) else PONG
    async with upstream(served, writing(JSON + b"\r\n".join([*FRAMES[case], b"", body]))):
        assert await outcome(served) == 502


CHUNKS = {
    "no size": b"\r\n" + PONG,
    "no number": b"xyz\r\n" + PONG,
    "a negative size": b"-24\r\n" + PONG,
    "a signed size": b"+24\r\n" + PONG,
    "a size with a prefix": b"0x24\r\n" + PONG,
    "a size beyond 64 bits": b"10000000000000024\r\n" + PONG,
    "a size of twenty digits": b"f" * 20 + b"\r\n" + PONG,
    "a line break in an extension": b"24;x\ny\r\n" + PONG,
    "a bare line feed": b"24\n" + PONG,
}


@pytest.mark.parametrize("case", CHUNKS)
async def test_a_chunk_whose_size_cannot_be_told_is_a_502(served: Served, case: str) -> None:
    async with upstream(served, writing(JSON + CHUNKED + CHUNKS[case] + b"\r\n" + LAST)):
        assert await outcome(served) == 502


@pytest.mark.parametrize("behind", [b"XX0\r\n\r\n", b"xyz\r\n", b"-1\r\n", b"\r\n\r\n"])
async def test_and_one_behind_others_ends_the_answer_before_its_end(served: Served, behind: bytes) -> None:
    cut = chunk(PONG)[:-2] + behind if behind.startswith(b"XX") else chunk(PONG) + behind
    async with upstream(served, writing(JSON + CHUNKED + cut)):
        assert await outcome(served) in (CUT, 502)


UNSOUND = {
    "a NUL in a value": sized(PONG, JSON + b"Retry-After: 1\x002\r\n"),
    "a CR in a value": sized(PONG, JSON + b"Retry-After: 1\rSet-Cookie: a=b\r\n"),
    "a folded first header": sized(PONG, b"HTTP/1.1 200 OK\r\n Content-Type: application/json\r\n"),
    "a line without a colon": sized(PONG, JSON + b"Retry-After\r\n"),
    "a header without a name": sized(PONG, JSON + b": 1\r\n"),
    "a space before the colon": sized(PONG, JSON + b"Retry-After : 1\r\n"),
    "a name that is none": sized(PONG, JSON + b"Retry(After): 1\r\n"),
    "a long value": sized(PONG, JSON + b"X-Long: " + b"a" * 100_000 + b"\r\n"),
    "a long name": sized(PONG, JSON + b"a" * 100_000 + b": x\r\n"),
    "a long reason": b"HTTP/1.1 200 " + b"a" * 100_000 + REST,
    "many headers": sized(PONG, JSON + b"X-Many: a\r\n" * 20_000),
    "a long head in small pieces": sized(PONG, JSON + MANY * 3),
    "a long interim answer": b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </x>\r\n" * 20_000 + b"\r\n" + sized(PONG),
    "an endless line": b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1_000_000,
    "a status of two digits": b"HTTP/1.1 20 OK" + REST,
    "a status of four digits": b"HTTP/1.1 2000 OK" + REST,
    "a status in words": b"HTTP/1.1 OK 200" + REST,
    "a negative status": b"HTTP/1.1 -200 OK" + REST,
    "status 000": b"HTTP/1.1 000 OK" + REST,
    "status 099": b"HTTP/1.1 099 OK" + REST,
    "status 600": b"HTTP/1.1 600 OK" + REST,
    "status 999": b"HTTP/1.1 999 OK" + REST,
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + PONG,
    "no head": PONG,
    "a page without a head": b"<html><body>It works!</body></html>\r\n\r\n",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00\x03\x00\x00\x00\x64" * 3,
    "HTTP/2, in words": b"HTTP/2.0 200 OK" + REST,
    "HTTP/9": b"HTTP/9.9 200 OK" + REST,
    "a word for HTTP": b"HTTQ/1.1 200 OK" + REST,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "a mail server": b"220 mail.example ESMTP\r\n",
    "a request": b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 36\r\n\r\n" + PONG,
    "compressed": sized(b"\x1f\x8b" + PONG, JSON + b"Content-Encoding: gzip\r\n"),
    "compressed otherwise": sized(PONG, JSON + b"Content-Encoding: br\r\n"),
    "compressed twice": sized(PONG, JSON + b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"),
    "compressed events": sized(b"\x1f\x8b", EVENTS + b"Content-Encoding: gzip\r\n"),
    "two types": sized(PONG, JSON + b"Content-Type: text/event-stream\r\n"),
    "a list of types": sized(PONG, b"HTTP/1.1 200 OK\r\nContent-Type: application/json, text/html\r\n"),
    "no type": sized(PONG, b"HTTP/1.1 200 OK\r\n"),
    "another type": sized(PONG, b"HTTP/1.1 200 OK\r\nContent-Type: text/json\r\n"),
}


@pytest.mark.parametrize("case", UNSOUND)
async def test_what_http_does_not_allow_is_a_502(served: Served, case: str) -> None:
    async with upstream(served, writing(UNSOUND[case])):
        assert await outcome(served) == 502


@pytest.mark.parametrize("value", [b"1\r\n 2", b"1\r\n\t2", b"1\x1b[31m", b"1\x7f"])
async def test_a_value_that_no_server_may_send_is_no_longer_one_in_the_clients_answer(served: Served, value: bytes) -> None:
    """RFC 9112 §5.2: a folded value is refused or unfolded. RFC 9110 §5.5: other control characters may be tolerated, but not passed on."""
    async with upstream(served, writing(sized(PONG, JSON + b"Retry-After: " + value + b"\r\n"))):
        answer = await post(served, PING)
        assert answer.status in (200, 502)
        assert answer.header("retry-after") in (None, "1  2", "1 2", "1\t2")


@pytest.mark.parametrize("status", [b"300", b"301", b"302", b"303", b"304", b"305", b"307", b"308"])
async def test_a_redirect_is_not_followed(served: Served, status: bytes) -> None:
    elsewhere = b"Location: http://127.0.0.1:%d/elsewhere\r\nContent-Length: 0\r\n\r\n" % served.upstream_port
    async with upstream(served, writing(b"HTTP/1.1 " + status + b" Elsewhere\r\n" + elsewhere)) as connections:
        assert await outcome(served) == 502
    assert [len(connection.requests) for connection in connections] == [1]


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 204 No Content\r\n" + LENGTH, b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n"]
)
async def test_an_answer_that_has_no_body_is_not_waited_for(served: Served, head: bytes) -> None:
    """RFC 9112 §6.3: a 204 ends with its head, whatever that says."""
    async with upstream(served, writing(head + b"\r\n")):
        assert await outcome(served) == int(head[9:12])

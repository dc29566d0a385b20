"""The guarded client: what it gets, and everything it is not to be led to."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oauthgw.guard import fetch as guarded
from oauthgw.guard.fetch import CouldNotFetch, fetch
from tests.support import tls
from tests.support.documents import Documents, published
from tests.support.processes import free_port
from tests.unit.guard.conftest import Resolve, Trust

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture
def pretend_public(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Lets one loopback address pass for a public one: a test reaches no other."""

    def call(public: str) -> None:
        monkeypatch.setattr(guarded, "is_public", lambda address: address == public)

    return call


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "TOTAL_SECONDS", 0.6)


def refusal(url: str) -> CouldNotFetch:
    with pytest.raises(CouldNotFetch) as caught:
        fetch(url)
    assert caught.value.sentence.endswith(".")
    return caught.value


# What it gets


def test_a_document_comes_with_its_type_and_headers(documents: Documents) -> None:
    url = documents.publish("/client.json?v=1", {"a": 1}, Cache_Control="max-age=60", ETag='"x"')
    fetched = fetch(url)
    assert (fetched.content, fetched.content_type) == (b'{"a": 1}', "application/json")
    assert (fetched.headers["cache-control"], fetched.headers["etag"]) == ("max-age=60", '"x"')


def test_a_request_says_who_asks_and_nothing_else(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nobody there: a client that heeds it fails
    fetch(documents.publish("/client.json", {}))
    (head,) = documents.asked
    assert head.split("\r\n") == [
        "GET /client.json HTTP/1.1",
        f"Host: {documents.authority}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "User-Agent: mcp-gateway",
        "Connection: close",
        "",
        "",
    ]


def test_repeated_headers_are_joined(documents: Documents) -> None:
    url = documents.write("/x", HEAD + b"Cache-Control: private\r\ncache-control: max-age=5\r\nContent-Length: 2\r\n\r\n{}")
    assert fetch(url).headers["cache-control"] == "private, max-age=5"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 2\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        HEAD + b"\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["counted", "chunked", "until the end", "after an interim answer"],
)
def test_a_body_is_read_however_it_is_framed(documents: Documents, answer: bytes) -> None:
    assert fetch(documents.write("/x", answer)).content == b"{}"


def test_64_kilobytes_are_read(documents: Documents) -> None:
    assert len(fetch(documents.serve("/x", b"x" * 65_536)).content) == 65_536


# How much, and for how long


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"Content-Length: 65537\r\n\r\n" + b"x" * 65_537,
        HEAD + b"\r\n" + b"x" * 65_537,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b"x" * 0x8000 + b"\r\n8001\r\n" + b"x" * 0x8001 + b"\r\n0\r\n\r\n",
    ],
    ids=["counted", "until the end", "chunked"],
)
def test_a_byte_more_is_too_much(documents: Documents, answer: bytes) -> None:
    assert str(refusal(documents.write("/x", answer))) == "too large"


def test_an_endless_body_ends(documents: Documents) -> None:
    def endless(stopping: threading.Event) -> Iterator[bytes]:
        yield HEAD + b"\r\n"
        while not stopping.is_set():
            yield b"x" * 10_000

    assert str(refusal(documents.stream("/x", endless))) == "too large"


def test_a_length_that_is_too_large_is_not_read(documents: Documents) -> None:
    def promised(stopping: threading.Event) -> Iterator[bytes]:
        yield HEAD + b"Content-Length: 1000000\r\n\r\n"
        stopping.wait(10)

    assert str(refusal(documents.stream("/x", promised))) == "too large"


@pytest.mark.parametrize(
    ("begun", "repeated"),
    [
        (HEAD + b"\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "chunks", "a chunk's length", "a header", "interim answers"],
)
def test_an_answer_that_trickles_ends_in_time(documents: Documents, hurried: None, begun: bytes, repeated: bytes) -> None:
    def trickle(stopping: threading.Event) -> Iterator[bytes]:
        yield begun
        while not stopping.wait(0.1):
            yield repeated

    assert str(refusal(documents.stream("/x", trickle))) == "too slow"


def test_a_host_that_says_nothing_is_given_up(documents: Documents, hurried: None) -> None:
    def silence(stopping: threading.Event) -> Iterator[bytes]:
        stopping.wait(10)
        yield b""

    assert "within 0.6 seconds" in refusal(documents.stream("/x", silence)).sentence


def test_a_name_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, hurried: None) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(10) and [])
    try:
        assert str(refusal("https://slow.example/client.json")) == "too slow"
    finally:
        released.set()


# Answers that are none


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "status 304"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", "status 404"),
        (b"HTTP/1.1 206 Partial\r\nContent-Length: 2\r\n\r\n{}", "status 206"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}", "status 500"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP: BadStatusLine"),
        (b"", "HTTP: RemoteDisconnected"),
        (HEAD + b"Content-Length: 10\r\n\r\n{}", "connection: the body ended early"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", "HTTP: IncompleteRead"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", "HTTP: IncompleteRead"),
        (HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n", "HTTP: LineTooLong"),
        (HEAD + b"X: x\r\n" * 101 + b"\r\n", "HTTP: HTTPException"),
    ],
    ids=str,
)
def test_anything_but_a_whole_document_is_refused(documents: Documents, answer: bytes, reason: str) -> None:
    assert str(refusal(documents.write("/x", answer))) == reason


def test_a_redirect_is_not_followed(documents: Documents) -> None:
    documents.publish("/inside", {"secret": 1})
    url = documents.serve("/x", b"", status=301, Location=f"{documents.url}/inside")
    assert "redirect (301)" in refusal(url).sentence
    assert documents.paths() == ["/x"]


def test_a_compressed_bomb_is_not_opened(documents: Documents) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    assert len(bomb) < 65_536
    assert str(refusal(documents.serve("/x", bomb, Content_Encoding="gzip"))) == "compressed"


# TLS


@pytest.fixture
def secure(tmp_path: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    """An HTTPS server whose authority the machine knows, at a name that an operator trusts."""
    pem = tls.certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with published(pem, name="localhost") as server:
        trust(server.authority)
        yield server


def test_a_certificate_for_the_name_is_accepted(secure: Documents) -> None:
    assert fetch(secure.publish("/client.json", {"a": 1})).content == b'{"a": 1}'


def test_a_certificate_for_another_name_is_refused(secure: Documents, trust: Trust, resolve: Resolve) -> None:
    url = secure.publish("/client.json", {}).replace("localhost", "elsewhere.test")
    trust("elsewhere.test")
    resolve("elsewhere.test", ["127.0.0.1"])
    assert "no certificate that is valid for this name" in refusal(url).sentence
    assert secure.asked == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    assert str(refusal(secure.publish("/client.json", {}))).startswith("certificate: self-signed")


def test_a_server_without_tls_is_no_https_server(documents: Documents) -> None:
    url = documents.publish("/client.json", {}).replace("http:", "https:")
    assert "does not speak TLS" in refusal(url).sentence


# Which hosts


def test_a_name_whose_answer_changes_leads_nowhere_else(
    tmp_path: Path, resolve: Resolve, pretend_public: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tls.certificate(tmp_path, "rebinding.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with published(pem, host="127.0.0.2", name="rebinding.test") as outside:
        url = outside.publish("/client.json", {"from": "outside"})
        pretend_public("127.0.0.2")
        asked = resolve("rebinding.test", ["127.0.0.2"], ["127.0.0.1"])
        assert fetch(url).content == b'{"from": "outside"}'
        assert asked == ["rebinding.test"]
        assert refusal(url).sentence == "The name rebinding.test leads to no address on the public internet."
        assert len(outside.asked) == 1


def test_one_private_address_among_public_ones_is_enough_to_refuse(resolve: Resolve) -> None:
    resolve("mixed.test", ["93.184.216.34", "10.0.0.5"])
    assert str(refusal("https://mixed.test/client.json")) == "not public: 10.0.0.5"


def test_the_next_address_is_tried_when_one_takes_no_connection(documents: Documents, trust: Trust, resolve: Resolve) -> None:
    trust("several.test")
    resolve("several.test", ["127.0.0.3", "127.0.0.1"])
    assert fetch(documents.publish("/x", {}).replace("127.0.0.1", "several.test")).content == b"{}"


def test_a_name_that_nobody_has_reads_like_a_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    missing = refusal("https://nobody.test/client.json")
    assert str(missing).startswith("name look-up")
    assert missing.sentence == "The name nobody.test leads to no address on the public internet."


def test_nobody_listening_is_told_as_such(trust: Trust) -> None:
    port = free_port()
    trust(f"127.0.0.1:{port}")
    assert "refused the connection" in refusal(f"http://127.0.0.1:{port}/x").sentence


def test_trust_in_a_port_is_not_trust_in_the_host(documents: Documents, trust: Trust) -> None:
    url = documents.publish("/x", {})
    trust("127.0.0.1:1")
    assert str(refusal(url)) == "not https"
    assert str(refusal(url.replace("http:", "https:"))) == "not public: 127.0.0.1"
    trust("127.0.0.1")
    assert fetch(url).content == b"{}"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/x", "not https"),
        ("ftp://example.com/x", "not https"),
        ("file:///etc/passwd", "malformed host"),
        ("https:///x", "malformed host"),
        ("/x", "malformed host"),
        ("https://user@example.com/x", "URL with user information"),
        ("https://user:pw@example.com/x", "URL with user information"),
        ("https://example.com/x#", "URL with a fragment"),
        ("https://example.com/x#y", "URL with a fragment"),
        ("https://example.com:/x", "malformed host"),
        ("https://example.com:99999/x", "malformed URL"),
        ("https://example.com:22/x", "port 22"),
        ("https://example.com:80/x", "port 80"),
        ("https://example.com:0/x", "port 0"),
        ("https://example.com./x", "malformed host"),
        ("https://exa%6dple.com/x", "malformed host"),
        ("https://[::1%25lo]/x", "malformed host"),
        ("https://[::1/x", "malformed URL"),
        ("https://example.com\\@127.0.0.1/x", "malformed URL"),
        ("https://exämple.com/x", "malformed URL"),
        ("https://example.com/x y", "malformed URL"),
        ("https://example.com/\r\nX: y", "malformed URL"),
        (f"https://example.com/{'x' * 2000}", "malformed URL"),
    ],
    ids=str,
)
def test_a_url_that_programs_read_in_different_ways_is_not_asked(url: str, reason: str) -> None:
    assert str(refusal(url)) == reason


@pytest.mark.parametrize("port", [":443", ":1024", ":8443", ""])
def test_the_ports_of_web_servers_are_asked(resolve: Resolve, port: str) -> None:
    resolve("inside.test", ["10.0.0.1"])
    assert str(refusal(f"https://inside.test{port}/x")) == "not public: 10.0.0.1"  # as far as a test may go

"""HTTP/1.1 towards clients: uvicorn's protocol on httptools, with what it leaves open closed.

Knows bytes and headers; knows nothing of what they ask for. Source: RFC 9112, RFC 9110 §6.5 and §7.8.
"""

import re
from collections.abc import Callable

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcp_routes.proxy.connected import LEAVING

MAX_HEAD_BYTES = 64 * 1024
"""Of request line and headers, and of what frames a body or trails it. Clients of the gateway send a few hundred bytes."""

_FRAMING_PER_BYTE = 8  # a chunk of one byte costs five to frame it
_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class GuardedHttp(HttpToolsProtocol):
    """Bounds the head, drops trailers, ignores offers to upgrade, and takes the host of an absolute target for the Host.

    Without it: a head may grow until memory ends; a trailer is appended to the headers, where it would pass for a credential; the body
    of a request that offers to upgrade is lost.
    """

    _framing = 0  # bytes of the present message that were no body
    _body = 0
    _head_is_read = False
    _upgrade_offered = False
    _tell: Callable[[], None] | None = None  # once the connection is lost
    _again = False  # the head is parsed a second time, without the offer: its callbacks have run

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._framing += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._go_on_without_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            return self._refuse("Invalid HTTP request received.")
        if self._framing > MAX_HEAD_BYTES + _FRAMING_PER_BYTE * self._body:
            self._refuse("The request's headers are too large.")

    def on_message_begin(self) -> None:
        if not self._again:
            self._head_is_read = self._upgrade_offered = False
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_is_read:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._framing = self._body = 0
        if self._again:
            return
        self._head_is_read = True
        self._upgrade_offered = self.parser.should_upgrade()
        absolute = _ABSOLUTE_FORM.match(self.url)
        if absolute is not None:  # RFC 9112 §3.2.2: the Host header does not count then
            self.headers[:] = [(b"host", absolute[1]), *(header for header in self.headers if header[0] != b"host")]
        self.scope[LEAVING] = self._when_lost  # type: ignore[literal-required]  # a scope may hold keys of the server's own
        super().on_headers_complete()

    def _when_lost(self, tell: Callable[[], None] | None) -> None:
        """Has this called once the connection is lost; at once, where it already is. One request of a connection runs at a time."""
        self._tell = tell
        if tell is not None and self.parser is None:
            tell()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._tell is not None:
            self._tell()

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrade_offered and not self._again:
            return  # the parser takes what follows for another protocol; its body is still to come
        self._framing = self._body = 0
        super().on_message_complete()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Reads on as if the offer had not been made, as RFC 9110 §7.8 allows: by a new parser that is shown the head once more."""
        kept = [(name, value) for name, value in self.headers if name not in (b"upgrade", b"connection", b"http2-settings")]
        target = self.url if not _ABSOLUTE_FORM.match(self.url) else b"/"
        head = [self.scope["method"].encode(), b" ", target, b" HTTP/1.1\r\n"]
        for name, value in kept:
            head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self._again = True
        try:
            self.parser.feed_data(b"".join([*head, b"\r\n"]))
        except httptools.HttpParserError:
            return self._refuse("Invalid HTTP request received.")
        finally:
            self._again = False
            self._upgrade_offered = False
        if rest:
            self.data_received(rest)

    def _refuse(self, sentence: str) -> None:
        """A 400 and the end of the connection; only the end where an answer has begun."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()
        else:
            self.send_400_response(sentence)

"""HTTP/1.1 towards clients: uvicorn's protocol on httptools, with what it leaves open closed.

Knows bytes, headers and how long a client may keep us waiting for them; knows nothing of what they ask for. Source: RFC 9112, RFC 9110
§6.5, §7.8 and §15.5.9.
"""

import asyncio
import enum
import re
import select
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gatewaysite.cycle import Cycle
from mcp_routes.proxy.wanted import LEAVING

MAX_HEAD_BYTES = 64 * 1024
"""Of request line and headers, and of what frames a body or trails it. Clients of the gateway send a few hundred bytes."""

HEAD_SECONDS = 20
"""For a request's head to be whole, from its first byte or, for the first on a connection, from the connection's begin."""

MESSAGE_SECONDS = 75
"""For its body after that, wanted or not. The applications give up earlier, and answer."""

UNREAD_SECONDS = 60
"""For which a client may take nothing of what waits to be sent to it."""

_WAITING_REQUESTS = 32  # on one connection, behind the one that is served; a single read may hold thousands
_FRAMING_PER_BYTE = 8  # a chunk of one byte costs five to frame it
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\nretry-after: 5\r\n\r\n"
_ABSOLUTE_FORM = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")


class Wait(enum.Enum):
    """What a connection waits for; all but `US` is its client's to do."""

    US = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    NEXT = enum.auto()  # a further request
    READER = enum.auto()


class GuardedHttp(HttpToolsProtocol):
    """Bounds the head, drops trailers, ignores offers to upgrade, and takes the host of an absolute target for the Host.

    Without it: a head may grow until memory ends; a trailer is appended to the headers, where it would pass for a credential; the body
    of a request that offers to upgrade is lost. And it gives up clients that keep it waiting: `check` is called about once a second, so
    that no request has to wind up a timer of its own.
    """

    _framing = 0  # bytes of the present message that were no body
    _body = 0
    _head_is_read = False
    _upgrade_offered = False
    _is_lost = False
    _tell: Callable[[], None] | None = None  # once the connection is lost
    _again = False  # the head is parsed a second time, without the offer: its callbacks have run
    _messages = 0  # begun on this connection
    _is_whole = True  # nothing is missing of the latest
    _waited_for = (Wait.US, 0)  # at the last check, and in which message
    _waits_since = 0.0
    _unsent = 0  # bytes, at the last check
    _served: RequestResponseCycle | None = None  # the one in work, or the last that was
    _has_read = False  # so much since the last check that more was sent at once

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class narrows it
        super().connection_made(transport)
        most, self.limit_concurrency = self.limit_concurrency, None  # uvicorn would refuse requests of those who are there, too
        if most is not None and len(self.connections) > most:
            transport.write(_FULL)
            transport.close()

    def check(self, clock: float) -> None:
        """Ends the connection if its client has kept it waiting for too long. `clock` counts seconds, from wherever."""
        if self.flow.read_paused and self._has_left():
            return self.transport.abort()
        unsent = self.transport.get_write_buffer_size()
        wait = Wait.READER if unsent else self._wait()
        if (wait, self._messages) != self._waited_for or unsent < self._unsent or self._has_read:  # it did something
            self._waited_for, self._waits_since = (wait, self._messages), clock
            self._has_read = False
        elif wait is not Wait.US and clock - self._waits_since >= self._patience(wait):
            self._give_up(wait)
        self._unsent = unsent

    def _wait(self) -> Wait:
        if self.flow.read_paused:
            return Wait.US
        if not self._is_whole and self._head_is_read:
            return Wait.BODY
        if self.cycle is not None and not self.cycle.response_complete:
            return Wait.US
        return Wait.HEAD if not self._is_whole or not self._messages else Wait.NEXT

    def _has_left(self) -> bool:
        """Whether the client closed its end: what is not read from cannot tell of it by itself."""
        if not hasattr(select, "POLLRDHUP"):  # Linux has it
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def connection_lost(self, exc: Exception | None) -> None:
        served = self._served
        if served is not None and served is not self.cycle and not served.response_complete:
            served.disconnected = True  # uvicorn tells the latest request only, also where that waits behind another
            served.message_event.set()
        super().connection_lost(exc)
        self._is_lost = True
        if self._tell is not None:
            self._tell()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def _patience(self, wait: Wait) -> float:
        limits = {Wait.HEAD: HEAD_SECONDS, Wait.BODY: MESSAGE_SECONDS, Wait.READER: UNREAD_SECONDS}
        return limits.get(wait, self.timeout_keep_alive)

    def _give_up(self, wait: Wait) -> None:
        if wait is Wait.READER:
            self.transport.abort()  # closing would wait for the reader
        elif wait is Wait.HEAD and not self._is_whole:
            self.transport.write(_TIMEOUT)
            self.transport.close()
        else:
            self.transport.close()

    def resume_writing(self) -> None:
        self._has_read = True
        super().resume_writing()

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer for what comes next."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def data_received(self, data: bytes) -> None:
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
            self._head_is_read = self._upgrade_offered = self._is_whole = False
            self._messages += 1
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._again:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_is_read:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._framing = self._body = 0
        if self._again:
            return
        self._head_is_read = True
        version = self.parser.get_http_version()
        # The parser takes what calls itself 2.0 for 1.1, and chunks in 1.0, where nobody before us has read them (RFC 9112 §6.1).
        if version not in ("1.0", "1.1") or (version == "1.0" and any(name == b"transfer-encoding" for name, _ in self.headers)):
            raise ValueError(version)
        if len(self.pipeline) >= _WAITING_REQUESTS:
            raise ValueError("too many requests in a row")
        self._upgrade_offered = self.parser.should_upgrade()
        absolute = _ABSOLUTE_FORM.match(self.url)
        if absolute is not None:  # RFC 9112 §3.2.2: the Host header does not count then
            self.headers[:] = [(b"host", absolute[1]), *(header for header in self.headers if header[0] != b"host")]
        self._begin(version)

    def _begin(self, version: str) -> None:
        """Starts the request whose head is read, or has it wait for those before it."""
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        scope = cast("dict[str, Any]", self.scope)
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = target.path
        scope["query_string"] = target.query or b""
        scope[LEAVING] = self._when_lost
        earlier = self.cycle
        self.cycle = Cycle(
            self.scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            False,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version == "1.1" and self.parser.should_keep_alive(),
            self.on_response_complete,
        )
        if earlier is None or earlier.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _when_lost(self, tell: Callable[[], None] | None) -> None:
        """Has this called once the connection is lost; at once, where it already is. One request of a connection runs at a time."""
        self._tell = tell
        if tell is not None and self._is_lost:
            tell()

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrade_offered and not self._again:
            return  # the parser takes what follows for another protocol; its body is still to come
        self._framing = self._body = 0
        self._is_whole = True
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
        """A 400 and the end of the connection; only the end where it would be taken for the answer to an earlier request, or part of it."""
        is_of_the_latest = self._head_is_read and not self._is_whole
        answered = self.cycle is None or self.cycle.response_complete or (is_of_the_latest and not self.cycle.response_started)
        if answered and not self.pipeline:
            self.send_400_response(sentence)
        else:
            self.transport.close()

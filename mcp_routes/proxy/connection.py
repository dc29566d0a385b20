"""One HTTP/1.1 connection to an upstream: a request goes out, its answer comes in, and nothing that was not asked for is believed.

Strict where a lenient reader could be led to another end of an answer than the upstream meant: what is unclear breaks the connection.
Knows bytes and framing; knows nothing of MCP, routes or what an answer means. Source: RFC 9112, RFC 9110 §15.2 (interim answers).
"""

import asyncio
import select
from collections.abc import Callable
from typing import cast

import httptools

MAX_HEAD_BYTES = 64 * 1024
"""Of an answer's status line and headers, interim answers included, and of what frames its body or trails it."""

_FRAMING_PER_BYTE = 8  # a chunk of one byte costs five to frame it
_HELD_BYTES = 128 * 1024  # of a body that nobody has taken yet
_SENT_AT_ONCE_BYTES = 16 * 1024  # of a request; as much as any system takes for a connection on which nothing else is under way

RawHeaders = list[tuple[bytes, bytes]]


class BrokenOff(Exception):
    """The connection ended, or what came is not HTTP, before the answer was whole. The text is for the log.

    `may_be_repeated`: it had served before and ended without a byte of the answer, so that it was most likely closed for being idle.
    """

    def __init__(self, why: str, *, may_be_repeated: bool = False) -> None:
        super().__init__(why)
        self.may_be_repeated = may_be_repeated


class Answer:
    """The answer to one request, as it comes in. `headers` have names in lower case; `length` is None where the head names none."""

    __slots__ = ("_connection", "_waiter", "broken", "ends_with_connection", "headers", "held", "is_whole", "length", "pieces", "status")

    def __init__(self, connection: "Connection") -> None:
        self.status = 0  # until the head is here
        self.headers: RawHeaders = []
        self.length: int | None = None
        self.ends_with_connection = False
        self.is_whole = False
        self.pieces: list[bytes] = []  # of the body, not yet taken
        self.held = 0  # bytes of them
        self.broken: BrokenOff | None = None
        self._connection = connection
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Waits for status and headers. Raises BrokenOff."""
        while not self.status:
            await self._more()

    async def read(self) -> bytes:
        """The next bytes of the body, empty at its end. Raises BrokenOff, after all that came before the break was read."""
        while not self.pieces and not self.is_whole:
            await self._more()
        return self.take()

    async def whole(self) -> bytes:
        """The body, once all of it is here: for one whose `length` is known to be small. Raises BrokenOff."""
        while not self.is_whole:
            await self._more()
        return self.take()

    def take(self) -> bytes:
        """What is here of the body and was not taken yet."""
        pieces = self.pieces
        if not pieces:
            return b""
        taken = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.pieces = []
        if self.held > _HELD_BYTES:
            self._connection.resume()
        self.held = 0
        return taken

    @property
    def has_more(self) -> bool:
        """Whether something can be read without waiting."""
        return bool(self.pieces) or self.is_whole

    @property
    def is_read(self) -> bool:
        """Whether the body is whole and all of it was taken."""
        return self.is_whole and not self.pieces

    def close(self) -> None:
        """Ends it: the connection is used again where the answer came to its proper end, and closed where it did not."""
        self._connection.release(self)

    def break_off(self, broken: BrokenOff) -> None:
        """Nothing more will come, unless all of it is here. Called by its connection."""
        if not self.is_whole and self.broken is None:
            self.broken = broken
            self.wake()

    def wake(self) -> None:
        """Something has changed. Called by its connection."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> None:
        """Until anything has changed."""
        if self.broken is not None:
            raise self.broken
        self._waiter = self._connection.loop.create_future()
        await self._waiter


class Connection(asyncio.Protocol):
    """One connection; one request at a time. `give_back` is called with it when it may be used for another."""

    def __init__(self, give_back: Callable[["Connection"], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self._give_back = give_back
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._unread: select.poll
        self._answer: Answer | None = None
        self._headers: RawHeaders = []
        self._head = 0  # bytes of the present answer's reason and headers
        self._framing = 0  # of all of it that was no body
        self._body = 0
        self._in_trailers = False
        self._is_interim = False
        self._heard = False  # a byte of the present answer
        self._keep = False  # the present answer ended properly, and said nothing against another
        self._served = False  # an answer before this one
        self._may_be_unsent = False  # the end of the present request, unseen

    def ask(self, request: bytes) -> Answer:
        """Sends a request, head and body, and gives its answer, of which nothing is there yet."""
        self._framing = self._body = self._head = 0
        self._keep = self._heard = False
        answer = self._answer = Answer(self)
        # The transport does not tell: the system takes megabytes to send them later, and within TLS it knows of what is not encrypted yet.
        self._may_be_unsent = len(request) > _SENT_AT_ONCE_BYTES
        if self._transport.is_closing():  # since it was made or taken: no call of the loop tells of it again
            answer.break_off(BrokenOff("the connection was over before it was used", may_be_repeated=self._served))
        else:
            self._transport.write(request)
        return answer

    def release(self, answer: Answer) -> None:
        """The answer is done with. A connection with anything left to read or to write is closed."""
        if self._answer is not answer:
            return
        self._answer = None
        is_sent = not self._may_be_unsent and not self._transport.get_write_buffer_size()
        if self._keep and answer.is_read and is_sent and not self._transport.is_closing():
            self._served = True
            self._give_back(self)
        else:
            self.close()

    def resume(self) -> None:
        """The body was taken: the upstream may send on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def is_silent(self) -> bool:
        """Whether nothing waits to be read, neither the end nor an answer that nobody asked for.

        A busy event loop reads late: what came meanwhile would pass for the answer to the next request.
        """
        return not self._unread.poll(0)

    def close(self) -> None:
        """At once: what was not sent yet is not wanted any more."""
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._unread = select.poll()
        self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None or answer.is_whole:  # nobody asked: it must never pass for the answer to the next request
            self._keep = False
            return self.close()
        self._heard = True
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return self._break_off("it switches protocols")
        except httptools.HttpParserError as error:
            return self._break_off(f"not HTTP ({error.__context__ or error})")
        if self._framing > MAX_HEAD_BYTES + _FRAMING_PER_BYTE * self._body:
            return self._break_off("its headers do not end")
        answer.wake()

    def connection_lost(self, error: Exception | None) -> None:
        answer = self._answer
        if answer is None:
            return
        if answer.ends_with_connection and error is None:
            answer.is_whole = True
            return answer.wake()
        why = "it closed the connection" if error is None else f"the connection broke ({type(error).__name__})"
        answer.break_off(BrokenOff(why, may_be_repeated=self._served and not self._heard))

    def _break_off(self, why: str) -> None:
        self._keep = False
        if self._answer is not None:
            self._answer.break_off(BrokenOff(why))
            self._answer.wake()
        self.close()

    # httptools

    def on_message_begin(self) -> None:
        self._headers = []
        self._in_trailers = False
        if self._answer is None or self._answer.is_whole:
            self._keep = False  # bytes after the end

    def on_status(self, reason: bytes) -> None:
        self._head += len(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_trailers:
            self._head += len(name) + len(value)
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_trailers = True
        answer, status = self._answer, self._parser.get_status_code()
        if answer is None or answer.status:
            return
        if self._head > MAX_HEAD_BYTES or status < 100:
            raise BrokenOff("its head is too long" if status else "it has no status")
        self._is_interim = 100 <= status < 200 and status != 101
        if self._is_interim:
            return
        self._framing = 0
        answer.length, ends_with_connection = _framed(self._headers, self._parser.get_http_version())
        answer.ends_with_connection = ends_with_connection and status not in (204, 304)
        answer.headers, answer.status = self._headers, status

    def on_body(self, body: bytes) -> None:
        answer = self._answer
        if answer is None or answer.is_whole:
            return
        self._framing -= len(body)
        self._body += len(body)
        answer.pieces.append(body)
        answer.held += len(body)
        if answer.held > _HELD_BYTES:  # the upstream waits
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._answer is None or self._answer.is_whole or self._is_interim:
            return
        self._keep = self._parser.should_keep_alive()
        self._answer.is_whole = True


def _framed(headers: RawHeaders, version: str) -> tuple[int | None, bool]:
    """The length of the body where the head names it, and whether it lasts until the connection ends (RFC 9112 §6.3).

    Raises BrokenOff for a framing that readers take differently.
    """
    length: int | None = None
    is_chunked = False
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            if is_chunked or value.lower() != b"chunked" or version != "1.1":  # §6.1
                raise BrokenOff("it frames its answer in a way that readers take differently")
            is_chunked = True
    if version not in ("1.0", "1.1"):
        raise BrokenOff(f"it speaks HTTP/{version}")
    return length, length is None and not is_chunked

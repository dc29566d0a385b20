"""One request and its answer, as bytes towards the client: uvicorn's, but for how the answer is written.

The head leaves with the first piece of the body, as ASGI has it ("Response Start"): one system call for a short answer instead of two.
Knows ASGI's messages and HTTP's framing; knows nothing of what is answered. Source: RFC 9112 §6 and §9.6, RFC 9110 §10.1.1.
"""

import socket
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_WITHOUT_BODY = (204, 304)


class Cycle(RequestResponseCycle):
    """`response_started` says that the head was written. Without that, and after an error, there can still be another answer."""

    _head = b""  # of the answer, not yet written
    _ends_with_connection = False

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.response_complete:
            raise RuntimeError(f"The answer is complete: no {message['type']} can follow.")
        if message["type"] == "http.response.start":
            if self.response_started:
                raise RuntimeError("The answer has begun: there can be no other.")
            self._head = self._begun(message["status"], message.get("headers", ()))
        else:
            self._write(message.get("body", b""), is_last=not message.get("more_body", False))

    def _begun(self, status: int, headers: Any) -> bytes:
        """The head's bytes, and how its body is framed. Raises RuntimeError for a value that would end its line."""
        self.expected_content_length, self.chunked_encoding, self._ends_with_connection = 0, None, False
        if self.waiting_for_100_continue:  # the body may come or not: what follows on this connection could be either
            self.keep_alive = self.waiting_for_100_continue = False
        parts = [STATUS_LINE[status]]
        lines = 2
        for name, value in (*self.default_headers, *headers):
            if name == b"content-length":
                self.expected_content_length, self.chunked_encoding = int(value), False
            elif name == b"connection":
                self.keep_alive = self.keep_alive and b"close" not in value.lower()
                continue
            parts += (name, b": ", value, b"\r\n")
            lines += 1
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY:
            if self.scope["http_version"] == "1.1":
                self.chunked_encoding = True
                parts.append(b"transfer-encoding: chunked\r\n")
                lines += 1
            else:  # no chunks before 1.1 (RFC 9112 §6.1): the body ends with the connection
                self._ends_with_connection, self.keep_alive = True, False
                self._break_means_reset(True)
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
            lines += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise RuntimeError("A header holds a line break.")
        return head

    def _framed(self, body: bytes, is_last: bool) -> bytes:
        """A piece of the body as it is written."""
        if self.scope["method"] == "HEAD":
            return b""
        if self.chunked_encoding:
            end = b"0\r\n\r\n" if is_last else b""
            return b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end
        if not self._ends_with_connection:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (is_last and self.expected_content_length):
                raise RuntimeError("The body is not as long as its head says.")
        return body

    def _write(self, body: bytes, *, is_last: bool) -> None:
        body = self._framed(body, is_last)
        if not self.response_started:
            if not self._head:
                raise RuntimeError("An answer begins with its head.")
            body, self.response_started = self._head + body, True
        if body:
            self.transport.write(body)
        if is_last:
            self.response_complete = True
            self.message_event.set()
            if self._ends_with_connection:
                self._break_means_reset(False)
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _break_means_reset(self, on: bool) -> None:
        """How the connection ends if it is closed now: where nothing else marks a body's end, half of it would pass for a whole (§8)."""
        linger = struct.pack("ii", int(on), 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

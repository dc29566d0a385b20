"""Requests as bytes on a socket, and their answers. A connection is kept for as long as the server keeps it.

Frames every request properly (what comes of false framing is proven in `tests/attacks_wire`), so that whatever is odd in it gets as far as
the application.
"""

import socket
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

DEADLINE = 30.0  # seconds; whoever needs longer for an answer hangs


class Hung(BaseException):
    """There was no answer in time. No Exception, so that nobody tries another thousand requests of its kind before telling."""


class NoAnswer(Exception):
    """The connection was closed instead of an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `target` goes on the wire as it is."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def written(self, port: int) -> bytes:
        names = {name.lower() for name, _ in self.headers}
        lines = [self.method.encode() + b" " + self.target + b" HTTP/1.1"]
        lines += [] if b"host" in names else [b"Host: localhost:%d" % port]
        lines += [b"Content-Length: %d" % len(self.body)] if self.body or self.method not in ("GET", "HEAD") else []
        return b"\r\n".join([*lines, *(name + b": " + value for name, value in self.headers), b"", self.body])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower-case; of an event stream only the head was read."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def cookie(self, name: str) -> str:
        """The value of a cookie that this answer sets; empty when it sets none of that name."""
        pairs = (value.partition(";")[0].partition("=") for key, value in self.headers if key == "set-cookie")
        return next((value for key, _, value in pairs if key == name), "")


class Connection:
    """One client of one server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: Request) -> Answer:
        """Raises Hung, and NoAnswer when a new connection was closed without one."""
        was_used = self._socket is not None
        try:
            return self._ask(request)
        except (NoAnswer, ConnectionError):
            self.close()
            if not was_used:
                raise NoAnswer from None
        return self.ask(request)  # the server had given up the connection that was kept

    def _ask(self, request: Request) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=DEADLINE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        response = HTTPResponse(self._socket, method=request.method)
        try:
            self._socket.sendall(request.written(self._port))
            response.begin()
            headers = tuple((name.lower(), value) for name, value in response.getheaders())
            streams = response.headers.get_content_type() == "text/event-stream"
            answer = Answer(response.status, headers, b"" if streams else response.read())
        except TimeoutError:
            self.close()
            raise Hung from None
        except HTTPException as error:
            raise NoAnswer from error
        finally:
            response.close()
        if streams or response.will_close:
            self.close()
        return answer

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

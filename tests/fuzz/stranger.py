"""A web server that answers what it was last told to: as an MCP server, an identity provider or a publisher of documents that means harm.

Knows HTTP just enough to read a request to its end.
"""

import contextlib
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support.processes import PATIENCE

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def http(content: bytes, kind: str = "application/json", status: int = 200, *lines: bytes) -> bytes:
    """A well-formed answer."""
    head = [b"HTTP/1.1 %d Answer" % status, b"Content-Type: " + kind.encode(), b"Content-Length: %d" % len(content), *lines]
    return b"\r\n".join([*head, b"", content])


@dataclass
class Stranger:
    """A running server. `answer` makes the bytes of an answer from the request's path, after which the connection is closed."""

    port: int = 0
    answer: Callable[[bytes], bytes] = lambda path: http(b"{}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def stranger() -> Iterator[Stranger]:
    """Serves until the block ends."""
    told = Stranger()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(PATIENCE)
            with contextlib.suppress(OSError):
                read = b""
                while b"\r\n\r\n" not in read and (piece := self.request.recv(65536)):
                    read += piece
                head, _, body = read.partition(b"\r\n\r\n")
                length = _LENGTH.search(head)
                while length and len(body) < int(length[1]) and (piece := self.request.recv(65536)):
                    body += piece
                self.request.sendall(told.answer(head.split(b" ", 2)[1] if head.count(b" ") > 1 else b""))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 100

    with Server(("127.0.0.1", 0), Handler) as server:
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()

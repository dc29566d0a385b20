"""A web server of the tests that publishes documents, over HTTP or HTTPS, and misbehaves when told to.

It writes the bytes that it is given, so that it can also break HTTP. Knows which paths were asked for, and with which headers.
"""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.processes import PATIENCE

Pieces = Callable[[threading.Event], Iterable[bytes]]
"""The bytes of an answer, piece by piece; the event is set when the server stops."""


@dataclass
class Documents:
    """A running server. `url` is its origin, `authority` its host and port; `asked` holds the head of each request, in order."""

    url: str
    answers: dict[str, Pieces] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def authority(self) -> str:
        return self.url.partition("://")[2]

    def publish(self, path: str, document: Any, **headers: str) -> str:
        """Serves a JSON document from now on; its URL. Header names are written with underscores."""
        return self.serve(path, json.dumps(document).encode(), 200, **{"Content_Type": "application/json", **headers})

    def serve(self, path: str, body: bytes, status: int = 200, **headers: str) -> str:
        """Serves an answer of this status and body; its URL."""
        lines = [f"HTTP/1.1 {status} Answer", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return self.write(path, "\r\n".join([*lines, "", ""]).encode() + body)

    def write(self, path: str, *pieces: bytes) -> str:
        """Serves exactly these bytes; the URL."""
        return self.stream(path, lambda stopping: pieces)

    def stream(self, path: str, pieces: Pieces) -> str:
        """Serves bytes as they come; the URL."""
        self.answers[path] = pieces
        return f"{self.url}{path}"

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [head.split(" ")[1] for head in self.asked]


@contextlib.contextmanager
def published(pem: Path | None = None, host: str = "127.0.0.1", name: str = "") -> Iterator[Documents]:
    """Serves until the block ends: over HTTPS with the certificate and key of `pem`. `name` is what the URL calls the host."""
    with socket.create_server((host, 0)) as server:
        server.settimeout(0.05)
        stopping = threading.Event()
        scheme = "http" if pem is None else "https"
        documents = Documents(f"{scheme}://{name or host}:{server.getsockname()[1]}")
        thread = threading.Thread(target=_accept, args=(server, _context(pem), documents, stopping), daemon=True)
        thread.start()
        try:
            yield documents
        finally:
            stopping.set()
            thread.join(10)


def _context(pem: Path | None) -> ssl.SSLContext | None:
    if pem is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def _accept(server: socket.socket, context: ssl.SSLContext | None, documents: Documents, stopping: threading.Event) -> None:
    threads: list[threading.Thread] = []
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            taken, _ = server.accept()
            taken.settimeout(PATIENCE)
            threads.append(threading.Thread(target=_answer, args=(taken, context, documents, stopping), daemon=True))
            threads[-1].start()
    for thread in threads:
        thread.join(10)


def _answer(taken: socket.socket, context: ssl.SSLContext | None, documents: Documents, stopping: threading.Event) -> None:
    with contextlib.suppress(OSError), taken if context is None else context.wrap_socket(taken, server_side=True) as connection:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = connection.recv(4096)
            head += piece
            if not piece or not head.startswith(b"GET "[: len(head)]):  # a TLS greeting, say
                return connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        documents.asked.append(head.decode("latin-1"))
        missing: Pieces = lambda _: (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",)  # noqa: E731
        for piece in documents.answers.get(documents.paths()[-1], missing)(stopping):
            connection.sendall(piece)

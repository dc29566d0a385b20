"""A client's token, held for a client that knows none: every request that passes gets it, and nothing else is touched.

Stands on another port of the gateway's host. Bytes pass as they come, in both directions, so that neither a header's spelling nor a
stream's timing is this module's. A connection carries one request: whoever has another opens another.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.support.processes import PATIENCE


@contextlib.contextmanager
def holding(token: str, port: int, behind: int) -> Iterator[None]:
    """Listens on `port` and passes requests with the token to the gateway on port `behind`, until the block ends."""
    own_lines = f"Authorization: Bearer {token}\r\nConnection: close\r\n".encode()

    class Passage(StreamRequestHandler):
        def handle(self) -> None:
            head = b""
            for line in self.rfile:
                if line == b"\r\n":
                    break
                head += b"" if line.lower().startswith(b"connection:") else line
            else:
                return  # the client left
            with socket.create_connection(("127.0.0.1", behind), PATIENCE) as gateway:
                gateway.settimeout(None)  # a stream may be quiet
                gateway.sendall(head + own_lines + b"\r\n")
                answers = threading.Thread(target=_pass, args=(gateway, self.connection), daemon=True)
                answers.start()
                with contextlib.suppress(OSError):
                    while chunk := self.rfile.read1():
                        gateway.sendall(chunk)
                _end(gateway)  # the client left, or has its answer
                answers.join()

    class Front(ThreadingTCPServer):
        daemon_threads = True

    with Front(("127.0.0.1", port), Passage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join(PATIENCE)


def _pass(source: socket.socket, target: socket.socket) -> None:
    """Passes an answer on until it ends, and then hangs up on its client."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
    _end(target)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other end was faster
        connection.shutdown(socket.SHUT_RDWR)

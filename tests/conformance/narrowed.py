"""A gateway seen by somebody who knows only some ways for a client to authenticate.

Stands before a gateway and passes everything on, except that metadata loses the methods that are not among the given ones. The
conformance suite (0.2.0-alpha.12) never shows a secret to a server that lists `none`, although it holds one; narrowed metadata makes it.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from tests.support.processes import PATIENCE

_METHODS = "token_endpoint_auth_methods_supported"
_OF_THE_CONNECTION = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


@contextlib.contextmanager
def narrowed(port: int, behind: int, methods: tuple[str, ...]) -> Iterator[None]:
    """Listens on `port` and passes requests to the gateway on port `behind`, until the block ends."""

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def log_message(self, *_: object) -> None:
            """Says nothing: the gateway logs."""

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = requests.request(
                self.command,
                f"http://127.0.0.1:{behind}{self.path}",
                headers=dict(self.headers.items()),
                data=body,
                allow_redirects=False,
                timeout=PATIENCE,
            )
            content = _narrow(answer.content, methods) if self.path.startswith("/.well-known/") else answer.content
            self.send_response(answer.status_code)
            for name, value in answer.raw.headers.items():
                if name.lower() not in _OF_THE_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", port), Front)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)


def _narrow(content: bytes, methods: tuple[str, ...]) -> bytes:
    document = json.loads(content)
    if _METHODS in document:
        document[_METHODS] = [method for method in document[_METHODS] if method in methods]
    return json.dumps(document).encode()

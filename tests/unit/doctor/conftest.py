"""The actors of the unit tests, and servers that answer wrongly."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.unit.conftest import add_encryption_key, decide, demo, http, register, replace_encryption_key, website
from tests.unit.identity.conftest import configure, signing_keys, standin, with_workos, without_workos

__all__ = [
    "add_encryption_key",
    "configure",
    "decide",
    "demo",
    "http",
    "register",
    "replace_encryption_key",
    "signing_keys",
    "standin",
    "website",
    "with_workos",
    "without_workos",
]

Answer = tuple[int, dict[str, str], bytes]
Answers = Callable[[str, str, dict[str, str]], Answer]


def json_answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(body).encode()


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    """A server that gives `answers(method, path, headers)`; its origin."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, body = answers(self.command, self.path, dict(self.headers))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _any  # noqa: N815  (the base class's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], str]]:
    with ExitStack() as stack:
        yield lambda answers: stack.enter_context(serving(answers))

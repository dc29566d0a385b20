"""An MCP client program on this machine: registers, waits for the browser at a port of its own, redeems, calls.

Knows HTTP; the browser and who sits before it are the test's.
"""

import json
import queue
import secrets
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE

_MCP = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
_INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


@dataclass
class Listener:
    """Where a program waits for the browser to come back. `page` is what it answers everybody with."""

    url: str
    page: str = "<!doctype html><title>Done</title><h1>You can close this page</h1>"
    visits: "queue.Queue[dict[str, str]]" = field(default_factory=queue.Queue)

    def answer(self) -> dict[str, str]:
        """The parameters of the next visit to the redirect URI."""
        return self.visits.get(timeout=PATIENCE)


@contextmanager
def listening() -> Iterator[Listener]:
    """Listens on a free loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if urlsplit(self.path).path == "/callback":
                listener.visits.put(parameters(self.path))
            body = listener.page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener = Listener(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Program:
    """A registered client. `state` and `verifier` are those of its one attempt."""

    gateway: Gateway
    client_id: str
    redirect_uri: str
    state: str = field(default_factory=secrets.token_urlsafe)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def authorize_url(self, slug: str = "demo", **changed: str) -> str:
        """What it opens in the browser. Without a slug it names no route; a parameter changed to "" is left out."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "state": self.state,
            "resource": self.gateway.route_url(slug) if slug else "",
            **changed,
        }
        path = f"/oauth/authorize/mcp/{slug}" if slug else "/oauth/authorize"
        return f"{self.gateway.url}{path}?{urlencode({name: value for name, value in query.items() if value})}"

    def redeem(self, answer: dict[str, str]) -> str:
        """The access token for what the browser brought."""
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        answered = self.gateway.post("/oauth/token", data=form)
        assert answered.status_code == 200, answered.text
        return str(answered.json()["access_token"])

    def call(
        self, token: str, method: str, params: dict[str, Any] | None = None, *, slug: str = "demo", session: str = ""
    ) -> requests.Response:
        """One request to a route."""
        headers = {**_MCP, "Authorization": f"Bearer {token}", **({"Mcp-Session-Id": session} if session else {})}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        return self.gateway.post(f"/mcp/{slug}", json=message, headers=headers)

    def tools(self, token: str, slug: str = "demo") -> set[str]:
        """Connects and lists the tools of a route; their names."""
        begun = self.call(token, "initialize", _INITIALIZE, slug=slug)
        assert begun.status_code == 200, begun.text
        listed = self.call(token, "tools/list", slug=slug, session=begun.headers.get("Mcp-Session-Id", ""))
        assert listed.status_code == 200, listed.text
        return {tool["name"] for tool in _result(listed)["tools"]}


def register(gateway: Gateway, redirect_uri: str, name: str = "Weather Station", **metadata: Any) -> Program:
    """A program that has just registered itself."""
    answered = gateway.post("/oauth/register", json={"client_name": name, "redirect_uris": [redirect_uri], **metadata})
    assert answered.status_code == 201, answered.text
    return Program(gateway, answered.json()["client_id"], redirect_uri)


def parameters(url: str) -> dict[str, str]:
    """The query of a URL, of which each name occurs once."""
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


def _result(answered: requests.Response) -> dict[str, Any]:
    """The result in a JSON answer, or in one event of a stream."""
    text = answered.text
    if answered.headers["Content-Type"].startswith("text/event-stream"):
        text = next(line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {"))
    return dict(json.loads(text)["result"])

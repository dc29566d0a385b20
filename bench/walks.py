"""How far six requests travel through our own code: files, functions and depth of a warm request.

`python -m bench.walks` runs the ASGI application in this process on a throw-away SQLite database, with the demo MCP server as upstream,
and prints each walk beside its ceiling and its goal. "Files" are those that tell the story; guard, journal and models are the vocabulary
it is told in, and counted apart. `-v` names every file and function. It fails when a walk is longer than its ceiling.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
OURS = tuple(str(ROOT / package) for package in ("gatewaysite", "oauthgw", "mcp_routes"))
ORIGIN = "http://localhost:9000"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:9999/callback"
FORM = ("content-type", "application/x-www-form-urlencoded")
VOCABULARY = ("oauthgw/guard/", "oauthgw/journal/", "oauthgw/models/", "mcp_routes/models/")
GOALS = {
    "401": "4 files",
    "metadata": "5 files",
    "register": "5 files",
    "authorize": "6 files",
    "token": "5 files",
    "call": "9 files, 30 functions, depth 6",
}


@dataclass(frozen=True, slots=True)
class Length:
    """How long a walk is, or may be."""

    files: int
    functions: int
    depth: int

    def exceeds(self, ceiling: "Length") -> bool:
        return self.files > ceiling.files or self.functions > ceiling.functions or self.depth > ceiling.depth

    def __str__(self) -> str:
        return f"{self.files}/{self.functions}/{self.depth}"


CEILINGS = {
    # Each with the log's own room as its last step: a line is gathered there, which once was a record of the library's, uncounted.
    # And with the question whether browsers are told to stay with TLS, on refusals too.
    "401": Length(6, 27, 7),
    "metadata": Length(8, 28, 8),
    # These three with the question whether it is too often, before anything else: one file, and five functions of the guard. A client
    # secret's digest is sealed, one step deeper than when it was keyed; and a website's host is judged as browsers read it.
    "register": Length(15, 70, 14),
    "authorize": Length(25, 94, 12),
    "token": Length(19, 81, 14),
    # With the list of open exchanges, by which a revocation cuts them, and with the client towards upstreams: 3 files and some 28 functions
    # of ours where a library's were not counted.
    "call": Length(16, 92, 11),
}
"""What the walks measured when they were last changed. Lower them with every walk that gets shorter; a longer one needs a reason here."""


@dataclass
class Walk:
    """What one request touched: our files, our functions in the order of their first call, and the deepest nesting of them."""

    files: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    deepest: int = 0
    _depths: dict[int, int] = field(default_factory=dict)

    @property
    def vocabulary(self) -> list[str]:
        return [file for file in self.files if file.startswith(VOCABULARY)]

    @property
    def length(self) -> Length:
        return Length(len(self.files) - len(self.vocabulary), len(self.functions), self.deepest)

    def watch(self, frame: FrameType, event: str, _: Any) -> None:
        """A profile function for `sys.setprofile`."""
        code = frame.f_code
        if not code.co_filename.startswith(OURS) or code.co_name.startswith("<"):
            return
        thread = threading.get_ident()
        depth = self._depths.get(thread, 0)
        if event == "return":
            self._depths[thread] = max(0, depth - 1)
        elif event == "call":
            file = str(Path(code.co_filename).relative_to(ROOT))
            function = f"{Path(file).stem}.{code.co_qualname}"
            if file not in self.files:
                self.files.append(file)
            if function not in self.functions:
                self.functions.append(function)
            self._depths[thread] = depth + 1
            self.deepest = max(self.deepest, depth + 1)


@dataclass
class Answer:
    status: int
    body: bytes


async def ask(method: str, path: str, headers: tuple[tuple[str, str], ...] = (), body: bytes = b"", query: str = "") -> Answer:
    """One request to the ASGI application, as a server would make it."""
    from gatewaysite.asgi import application

    sent: list[dict[str, Any]] = []
    inbox = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if inbox:
            return inbox.pop(0)
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (("host", "localhost:9000"), *headers)]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": raw,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 9000),
    }
    await application(scope, receive, send)
    return Answer(sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]))


async def watched(request: Callable[[], Awaitable[Answer]], status: int) -> Walk:
    """Runs a request twice and watches the second."""
    from oauthgw.guard import database

    await request()
    # A profile function reaches threads that are started under it: the pool's are started anew.
    database._executor = ThreadPoolExecutor(max_workers=1)
    walk = Walk()
    threading.setprofile(walk.watch)
    sys.setprofile(walk.watch)
    try:
        answer = await request()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if answer.status != status:
        raise SystemExit(f"expected {status}, got {answer.status}: {answer.body[:300]!r}")
    return walk


def prepared(upstream: str) -> tuple[str, Callable[[], str], str]:
    """A migrated database with one route, client and signed-in user; the client's id, a maker of fresh codes, the user's session key."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client as Browser

    from mcp_routes.models import McpRoute
    from oauthgw import consent
    from oauthgw.authorization import AuthorizationRequest
    from oauthgw.clients import metadata, registration
    from oauthgw.resources import backend

    call_command("migrate", verbosity=0)
    McpRoute.objects.create(slug="demo", name="Demo tools", upstream_url=upstream)
    client = registration.register(metadata.read({"redirect_uris": [REDIRECT]})).client
    user = User.objects.create_user("walker")
    resource = backend().find("/mcp/demo")
    assert resource is not None

    def new_code() -> str:
        issuer = f"{ORIGIN}/mcp/demo"
        request = AuthorizationRequest(client.client_id, REDIRECT, "", "mcp:tools", CHALLENGE, ORIGIN, issuer, "/mcp/demo")
        url = consent.approve(consent.ask(request), client, user, resource, impersonated=False)
        return url.partition("code=")[2].partition("&")[0]

    browser = Browser()
    browser.force_login(user)
    return client.client_id, new_code, str(browser.session.session_key)


async def walk_all(client_id: str, codes: list[str], session: str) -> dict[str, Walk]:
    """Each walk, on the application and its upstream."""
    from mcp_routes.proxy import upstream

    await upstream.start()
    form = {"grant_type": "authorization_code", "client_id": client_id, "code_verifier": VERIFIER, "redirect_uri": REDIRECT}
    tokens: list[str] = []

    async def redeem() -> Answer:
        import json

        answer = await ask("POST", "/oauth/token", (FORM,), urlencode({**form, "code": codes.pop()}).encode())
        tokens.append(json.loads(answer.body)["access_token"])
        return answer

    json_body = ("content-type", "application/json")
    registration = b'{"redirect_uris": ["http://127.0.0.1/cb"]}'
    ping = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "resource": f"{ORIGIN}/mcp/demo",
    }
    cookie = ("cookie", f"gateway_session={session}")
    walks = {
        "401": await watched(lambda: ask("POST", "/mcp/demo", (json_body,), ping), 401),
        "metadata": await watched(lambda: ask("GET", "/.well-known/oauth-authorization-server/mcp/demo"), 200),
        "register": await watched(lambda: ask("POST", "/oauth/register", (json_body,), registration), 201),
        "authorize": await watched(lambda: ask("GET", "/oauth/authorize/mcp/demo", (cookie,), query=urlencode(query)), 200),
        "token": await watched(redeem, 200),
    }
    headers = (json_body, ("accept", "application/json, text/event-stream"), ("authorization", f"Bearer {tokens[-1]}"))
    initialize = (
        b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",'
        b' "capabilities": {}, "clientInfo": {"name": "walks", "version": "1"}}}'
    )
    walks["call"] = await watched(lambda: ask("POST", "/mcp/demo", headers, initialize), 200)
    await upstream.stop()
    return walks


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(DEBUG="true", GATEWAY_ORIGIN=ORIGIN, ENV_FILE=os.devnull, DATABASE_URL=f"sqlite:///{folder}/walks.sqlite3")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
        import logging

        import django

        django.setup()
        logging.disable(logging.INFO)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "mcp_routes.demo", "--port", str(port)]
        demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            wait_for(port)
            client_id, new_code, session = prepared(f"http://127.0.0.1:{port}/mcp")
            walks = asyncio.run(walk_all(client_id, [new_code(), new_code()], session))
        finally:
            demo.terminate()
            demo.wait()
    report(walks, verbose="-v" in sys.argv)
    longer = [f"{name} is {walk.length}, at most {CEILINGS[name]}" for name, walk in walks.items() if walk.length.exceeds(CEILINGS[name])]
    if longer:
        raise SystemExit(f"Longer than its ceiling (files/functions/depth): {'; '.join(longer)}. See CEILINGS in bench/walks.py.")


def wait_for(port: int) -> None:
    """Until somebody listens there; at most ten seconds."""
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}")


def report(walks: dict[str, Walk], *, verbose: bool) -> None:
    print(f"{'walk':<10}{'files':>7}{'vocabulary':>12}{'functions':>11}{'depth':>7}{'ceiling':>12}   goal")
    for name, walk in walks.items():
        length = walk.length
        counted = f"{length.files:>7}{len(walk.vocabulary):>12}{length.functions:>11}{length.depth:>7}"
        print(f"{name:<10}{counted}{CEILINGS[name]!s:>12}   {GOALS[name]}")
        if verbose:
            print("   ", ", ".join(walk.files), "\n   ", " → ".join(walk.functions))


if __name__ == "__main__":
    main()

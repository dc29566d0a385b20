"""Real parts for the data plane's tests: a served gateway, an upstream that is told byte by byte what to do, and a client on a socket.

Rows are made by a script in the gateway's own settings, so that these tests need no sign-in.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import databases
from tests.support.gateway import Gateway, configuration, manage, serve
from tests.support.processes import PATIENCE, free_port
from tests.support.upstream import demo_upstream

_SEED = """
import json, sys
from datetime import timedelta
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from mcp_routes.models import FormerSlug, McpRoute
from oauthgw import tokens
from oauthgw.models import AccessToken, Client, Grant, Identity

def route(slug, url, headers=None):
    made = McpRoute(slug=slug, name=slug, upstream_url=url, auth_mode="headers" if headers else "none")
    made.set_headers(headers or {})
    made.save()
    return made

@transaction.atomic
def token(user, client, route, **changed):
    resource = "http://localhost/mcp/" + route.slug
    grant = Grant.objects.create(user=user, client=client, resource_id=route.pk, resource=resource, scope="mcp:tools")
    value = tokens._answer(grant, None, None, timezone.now()).access_token.reveal()
    AccessToken.objects.filter(grant=grant).update(**changed)
    refresh[value] = tokens.REFRESH_PREFIX + value
    tokens._store_refresh_token(grant, 0, refresh[value], "", "", timezone.now())
    return value

refresh = {}

raw, demo, others = sys.argv[1:4]
told, admin, sdk = route("told", raw, {"X-Api-Key": "k-123"}), route("told-admin", raw), route("demo", demo)
FormerSlug.objects.create(slug="told-before", route=told)
alice, bob = User.objects.create(username="alice"), User.objects.create(username="bob")
signs_in = User.objects.create(username="demo-user")  # whom the list of demo users offers
Identity.objects.create(user=signs_in, provider="dev", subject="demo-user")
cursor, claude = (Client.objects.create(client_id=name, name=name, redirect_uris="http://localhost/cb", client_type="public",
                  authorization_grant_type="authorization-code") for name in ("cursor", "claude"))
print(json.dumps({
    "alice": token(alice, cursor, told), "bob": token(bob, cursor, told), "alice_claude": token(alice, claude, told),
    "alice_admin": token(alice, cursor, admin), "alice_demo": token(alice, cursor, sdk),
    "expired": token(alice, cursor, told, expires=timezone.now() - timedelta(seconds=1)),
    "demo_user": token(signs_in, cursor, told), "demo_user_claude": token(signs_in, claude, told), "bob_claude": token(bob, claude, told),
    "alice_refresh": refresh[list(refresh)[0]],
    **{slug: token(alice, cursor, route(slug, url)) for slug, url in json.loads(others).items()},
}))
"""


@dataclass
class Served:
    """A gateway in processes of its own, with nothing but a laptop's settings unless told otherwise. `tokens` are by name."""

    gateway: Gateway
    upstream_port: int
    tokens: dict[str, str]

    @property
    def origin(self) -> str:
        return self.gateway.url

    @property
    def port(self) -> int:
        return self.gateway.port

    @property
    def sqlite_path(self) -> str:
        """The database's file, for tests that change it under a running gateway: they run on SQLite only."""
        return self.gateway.database_url.removeprefix("sqlite:///")

    def log(self) -> str:
        return self.gateway.log()

    def publish(self, topic: str, table: str) -> None:
        """Tells every process of a change of each row of a table, as whoever changes one through the product does."""
        columns = f"SELECT CURRENT_TIMESTAMP, '{topic}', id FROM {table}"  # noqa: S608  (the test's own words)
        databases.run(self.gateway.database_url, f"INSERT INTO journal_change (at, topic, key) {columns}")

    async def logged(self, *parts: str) -> str:
        """Waits for a log line with all of these parts, and gives it: a request's line is written after its answer."""
        async with asyncio.timeout(PATIENCE):
            while True:
                line = next((line for line in self.log().splitlines() if all(part in line for part in parts)), None)
                if line is not None:
                    return line
                await asyncio.sleep(0.02)


_LAPTOP = {"DEBUG": "true", "GATEWAY_ORIGIN": "", "MCP_UPSTREAM_TIMEOUT_SECONDS": "2", "MCP_MAX_BODY_BYTES": "100000"}


@contextlib.contextmanager
def gateway(directory: Path, server: str = "runserver", routes: Mapping[str, str] | None = None, /, **settings: str) -> Iterator[Served]:
    """Serves a gateway beside the demo upstream until the block ends, over a fresh database of this run's kind unless told DATABASE_URL.

    Of further routes, by slug and upstream URL, the slug is also the name of alice's token.
    """
    with contextlib.ExitStack() as parts:
        url = settings.pop("DATABASE_URL", None) or parts.enter_context(databases.fresh(directory))
        settings = {**_LAPTOP, **settings}
        demo = parts.enter_context(demo_upstream(directory))
        manage(configuration(url, 9000, **settings), "migrate", "--verbosity", "0")
        running = parts.enter_context(serve(directory, url, server, **settings))
        upstream_port = free_port()
        told = f"import sys; sys.argv = ['', 'http://127.0.0.1:{upstream_port}/mcp', {demo.url!r}, {json.dumps(routes or {})!r}]\n"
        seeded = running.manage("shell", "-v0", "-c", told + _SEED)
        yield Served(running, upstream_port, json.loads(seeded.splitlines()[-1]))


@dataclass
class Received:
    """A request as it reached the upstream, and the connection to answer it on."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name.lower()), None)

    async def answer(self, content: bytes = b"", status: str = "200 OK", kind: str | None = "application/json", **headers: str) -> None:
        """A whole answer. Header names are written with underscores."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
        lines += [f"Content-Type: {kind}"] if kind else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.write("\r\n".join([*lines, "", ""]).encode() + content)
        await self.writer.drain()

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def begin_stream(self, kind: str = "text/event-stream") -> None:
        self.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def closed_by_gateway(self) -> float:
        """Waits until the gateway closes this connection, and tells when (monotonic seconds)."""
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(self.reader.read(1), PATIENCE) == b""
        return time.monotonic()


async def received_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Received:
    """The next request's head, as it reached the upstream; its body is still to come."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in head[1:] if line]
    return Received(method, path, headers, b"", reader, writer)


Behaviour = Callable[[Received], Awaitable[None]]


@dataclass
class Upstream:
    """An upstream that does to each request what the test says."""

    behaviour: Behaviour
    received: list[Received] = field(default_factory=list)
    busy: set["asyncio.Task[None]"] = field(default_factory=set)

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.busy.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await received_head(reader, writer)
                request.body = await reader.readexactly(int(request.header("content-length") or 0))
                self.received.append(request)
                await self.behaviour(request)
                if writer.is_closing():
                    break


@contextlib.asynccontextmanager
async def upstream(served: Served, behaviour: Behaviour) -> AsyncIterator[Upstream]:
    """Listens as the upstream of the routes `told` and `told-admin`."""
    told = Upstream(behaviour)
    server = await asyncio.start_server(told, "127.0.0.1", served.upstream_port)
    try:
        yield told
    finally:
        server.close()
        for task in told.busy:
            task.cancel()
        for outcome in await asyncio.gather(*told.busy, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        await server.wait_closed()


@dataclass
class Answer:
    """What a client on a plain socket got so far. Header names are lower-case."""

    status: int
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    async def chunk(self) -> bytes:
        """The next chunk of a chunked body; empty at its proper end. Raises IncompleteReadError when the connection is cut."""
        async with asyncio.timeout(PATIENCE):
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def content(self) -> bytes:
        """The whole body."""
        length = self.header("content-length")
        if length is not None:
            async with asyncio.timeout(PATIENCE):
                return await self.reader.readexactly(int(length))
        if self.header("transfer-encoding") != "chunked":
            return b""
        whole = b""
        while chunk := await self.chunk():
            whole += chunk
        return whole

    async def json(self) -> Any:
        return json.loads(await self.content())


_opened: list[asyncio.StreamWriter] = []


async def hang_up() -> None:
    """Closes every connection a test opened."""
    while _opened:
        writer = _opened.pop()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(served: Served) -> Connection:
    """A connection on which nothing has been asked yet."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    _opened.append(writer)
    return reader, writer


async def send(
    served: Served, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"", on: Connection | None = None
) -> Connection:
    """Sends a request, on a connection of its own unless told which, without waiting for the answer."""
    reader, writer = on or await connect(served)
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [] if "host" in names else [f"Host: localhost:{served.port}"]
    lines += [] if names & {"content-length", "transfer-encoding"} or not body else [f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    return reader, writer


async def call(
    served: Served, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"", on: Connection | None = None
) -> Answer:
    """Sends a request and waits for the head of its answer."""
    reader, writer = await send(served, method, path, headers, body, on)
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    answered = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in head[1:] if line]
    return Answer(int(head[0].split(" ")[1]), answered, reader, writer)


async def post(served: Served, message: Any, token: str | None = "alice", path: str = "/mcp/told", **headers: str) -> Answer:
    """Posts a message as the owner of a named token. Header names are written with underscores."""
    sent = [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")]
    sent += [("Authorization", f"Bearer {served.tokens.get(token, token)}")] if token else []
    sent += [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await call(served, "POST", path, sent, message if isinstance(message, bytes) else json.dumps(message).encode())


PING = {"jsonrpc": "2.0", "id": 7, "method": "ping"}
PONG = b'{"jsonrpc":"2.0","id":7,"result":{}}'

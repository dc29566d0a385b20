"""A gateway before a server that has every feature, and the official Python client with its ears open."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from cryptography.fernet import Fernet
from mcp import Client, types
from mcp.client import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client

from tests.flows import dataplane_fixtures
from tests.flows.dataplane_fixtures import Answer, Connection, connect
from tests.support import databases
from tests.support.features import features_upstream
from tests.support.gateway import configuration, manage, serve
from tests.support.processes import PATIENCE, children, holder, until

ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28"}
"""How the official Python client is told to connect, and the revision it then speaks with a server that speaks both."""

_SEED = """
import json, sys
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from mcp_routes.models import McpRoute
from oauthgw import tokens
from oauthgw.models import Client, Grant

@transaction.atomic
def token(slug):
    route = McpRoute.objects.create(slug=slug, name=slug, upstream_url=ORIGIN + PATHS[slug], auth_mode="none")
    resource = "http://localhost/mcp/" + slug
    grant = Grant.objects.create(user=alice, client=client, resource_id=route.pk, resource=resource, scope="mcp:tools")
    return tokens._answer(grant, None, None, timezone.now()).access_token.reveal()

alice = User.objects.create(username="alice")
client = Client.objects.create(client_id="sdk", name="sdk", redirect_uris="http://localhost/cb", client_type="public",
                               authorization_grant_type="authorization-code")
print(json.dumps({slug: token(slug) for slug in PATHS}))
"""
PATHS = {"events": "/mcp", "json": "/json"}
"""The routes, and where each leads: to a server that answers with event streams, and to one that answers with JSON."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What all gateways of these tests share: the upstream's origin, a database with its keys, and a token for each route."""

    upstream: str
    database_url: str
    settings: dict[str, str]
    tokens: dict[str, str]


@contextlib.contextmanager
def installation(folder: Path, migrated: str) -> Iterator[Installation]:
    """An upstream and a database (a copy of a migrated one) until the block ends."""
    with features_upstream(folder) as upstream, databases.fresh(folder, migrated) as url:
        keys = {"SECRET_KEY": secrets.token_urlsafe(50), "TOKEN_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
        settings = {"DEBUG": "true", "GATEWAY_ORIGIN": "", **keys}
        environment = configuration(url, 9000, **settings)
        told = f"ORIGIN, PATHS = {upstream!r}, {PATHS!r}\n"
        seeded = manage(environment, "shell", "-v0", "-c", told + _SEED)
        yield Installation(upstream, url, settings, json.loads(seeded.splitlines()[-1]))


@dataclass
class Served(dataplane_fixtures.Served):
    """A gateway of an installation; `tokens` are by route."""

    upstream: str

    def url(self, route: str = "events") -> str:
        return self.gateway.route_url(route)

    def direct(self, route: str = "events") -> str:
        """The same server without the gateway."""
        return self.upstream + PATHS[route]


@contextlib.contextmanager
def served_by(server: str, installed: Installation, folder: Path) -> Iterator[Served]:
    """Serves an installation until the block ends; `server` is `runserver` or `gunicorn`."""
    with serve(folder, installed.database_url, server, **installed.settings) as running:
        yield Served(running, 0, installed.tokens, installed.upstream)


@dataclass
class Ears:
    """What a client program is told and asked on its own.

    `listening` is set once its GET stream is open, `session` is its session's id, `kinds` are the content types that it was answered in,
    and `resumed` the events after which it asked for the rest of a stream.
    """

    heard: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)
    asked: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    session: str = ""
    kinds: set[str] = field(default_factory=set)

    async def next(self) -> Any:
        """The next notification: a log message as level and text, progress as its two numbers, any other as its method and `uri`."""
        return await asyncio.wait_for(self.heard.get(), PATIENCE)

    async def on_log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.heard.put_nowait((params.level, params.data))

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.put_nowait((progress, total))

    async def on_message(self, message: types.ServerNotification | Exception) -> None:
        have_callbacks = types.LoggingMessageNotification | types.ProgressNotification
        if not isinstance(message, Exception | have_callbacks):
            self.heard.put_nowait((message.method, getattr(message.params, "uri", None)))

    async def elicited(self, context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.asked.append(params.message)
        return types.ElicitResult(action="accept", content={"colour": "green"})

    async def sampled(self, context: ClientRequestContext, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        self.asked.append(str(params.messages[0].content.text))  # type: ignore[union-attr]
        return types.CreateMessageResult(role="assistant", content=types.TextContent(text="gateway"), model="a-model")

    async def roots(self, context: ClientRequestContext) -> types.ListRootsResult:
        self.asked.append("roots")
        return types.ListRootsResult(roots=[types.Root(uri="file:///home/alice", name="home")])  # type: ignore[arg-type]

    async def on_answer(self, answer: httpx2.Response) -> None:
        if answer.request.method == "GET" and answer.status_code == 200:
            came_back = answer.request.headers.get("last-event-id")
            self.resumed += [came_back] if came_back else []
            self.listening.set()
        if answer.request.method == "POST" and answer.status_code == 200:
            self.kinds.add(answer.headers["content-type"])
        self.session = answer.headers.get("mcp-session-id", self.session)


@contextlib.asynccontextmanager
async def connected(
    url: str, token: str | None, era: str, ears: Ears | None = None, level: types.LoggingLevel | None = None
) -> AsyncIterator[Client]:
    """The official client, connected. Each of its requests has a connection of its own, so that any worker may get it."""
    ears = ears or Ears()
    one_each = httpx2.Limits(max_keepalive_connections=0)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE, limits=one_each, event_hooks={"response": [ears.on_answer]}) as http,
        Client(
            streamable_http_client(url, http_client=http),
            mode=era,
            read_timeout_seconds=PATIENCE,
            cache=None,
            log_level=level,
            logging_callback=ears.on_log,
            message_handler=ears.on_message,
            elicitation_callback=ears.elicited,
            sampling_callback=ears.sampled,
            list_roots_callback=ears.roots,
        ) as client,
    ):
        assert client.protocol_version == ERAS[era]
        yield client


Events = AsyncGenerator[tuple[str, Any], None]


async def events(answer: Answer) -> Events:
    """The messages of a stream as they come, each with its event's id; events without one only mark where the stream stands."""
    rest = ""
    while chunk := await answer.chunk():
        rest += chunk.decode().replace("\r\n", "\n")
        *whole, rest = rest.split("\n\n")
        for event in whole:
            fields = dict(line.split(": ", 1) for line in event.split("\n") if ": " in line)
            if fields.get("data"):
                yield fields.get("id", ""), json.loads(fields["data"])


async def next_of(stream: Events) -> tuple[str, Any]:
    """The next message of a stream."""
    return await asyncio.wait_for(anext(stream), PATIENCE)


async def all_of(stream: Events) -> list[Any]:
    """What a stream still says until it ends."""
    async with asyncio.timeout(PATIENCE):
        return [message async for _, message in stream]


async def last_of(answer: Answer) -> Any:
    """What a request was answered in the end, in either form. Its connection may then be asked again."""
    if answer.header("content-type") != "text/event-stream":
        return await answer.json()
    said = await all_of(events(answer))
    assert "method" not in said[-1], "the stream ended without an answer"
    return said[-1]


async def one_at_each_worker(served: Served) -> list[Connection]:
    """Idle connections, one at each of the gateway's two workers."""
    workers = children(served.gateway.process.pid)
    assert len(workers) == 2
    held: dict[int, Connection] = {}
    async with asyncio.timeout(PATIENCE):
        while len(held) < len(workers):
            for connection in [await connect(served) for _ in range(4)]:
                port = connection[1].get_extra_info("sockname")[1]
                held[await asyncio.to_thread(_accepted_by, workers, served.port, port)] = connection
    return list(held.values())


def _accepted_by(workers: list[int], port: int, peer_port: int) -> int:
    until(lambda: holder(workers, port, peer_port) is not None, "no worker took the connection")
    worker = holder(workers, port, peer_port)
    assert worker is not None
    return worker

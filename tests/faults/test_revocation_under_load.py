"""Rights that are taken away while their tokens are in use on every process of several nodes: how long each goes on being accepted.

Two nodes as they are run, and one that hears of no change, with two workers each, on one PostgreSQL.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.flows.dataplane_fixtures import PONG, Received, Served, gateway, upstream
from tests.flows.workers import Line, a_line_to_each
from tests.support.gateway import Gateway, serve
from tests.support.processes import PATIENCE, ROOT

pytestmark = [pytest.mark.asyncio, pytest.mark.postgresql]

HEALTHY, DEAF = "two nodes", "a node that hears of no change"
AT_MOST = {HEALTHY: 1.5, DEAF: 5.5}  # a second and five, and half a one for the measurement
LOSSES = {
    "a grant": ["alice"],
    "another grant": ["bob"],
    "a user": ["demo_user", "demo_user_claude"],
    "a client": ["alice_claude", "bob_claude"],
}
UNTOUCHED = "alice_admin"
ROUTES = {UNTOUCHED: "/mcp/told-admin"}

# Reads what to take away, does it by the product's own means, and says when it was committed.
OPERATOR = """
import json, sys, time
from django.contrib.auth.models import User
from django.test import Client as Browser
from oauthgw import tokens
from oauthgw.clients import decisions
from oauthgw.guard.sealed import digest
from oauthgw.journal.changes import told_here
from oauthgw.models import AccessToken, Client

root = User.objects.create_superuser("root")
admin = Browser(HTTP_HOST="localhost")
admin.force_login(root)

def shut_out(user):
    form = {"action": "shut_out", "_selected_action": [user.pk], "confirmed": "yes"}
    assert admin.post("/admin/auth/user/", form).status_code == 302

for line in sys.stdin:
    what, value = json.loads(line)
    grant = AccessToken.objects.get(token_checksum=digest(value)).grant
    moments = []
    with told_here(lambda _: moments.append(time.monotonic())):
        if what == "a user":
            shut_out(grant.user)
        elif what == "a client":
            decisions.disable(Client.objects.filter(pk=grant.client_id), root)
        else:
            tokens.revoke(grant, "A test.")
    print(json.dumps(moments[-1]), flush=True)
"""


@dataclass
class Nodes:
    """The first node, whose tokens and upstream are everybody's, and all of them by what they are."""

    first: Served
    by_kind: dict[str, list[Gateway]]


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, either_database: str) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("nodes")
    with contextlib.ExitStack() as parts:
        first = parts.enter_context(gateway(folder, "gunicorn"))
        names = ("SECRET_KEY", "TOKEN_ENCRYPTION_KEYS", "DEBUG", "GATEWAY_ORIGIN")
        same = {name: first.gateway.environment[name] for name in names}

        def another(server: str) -> Gateway:
            return parts.enter_context(serve(folder, first.gateway.database_url, server, **same))

        yield Nodes(first, {HEALTHY: [first.gateway, another("gunicorn")], DEAF: [another("gunicorn, deaf")]})


@dataclass
class Load:
    """Every token, over and over, on a line to a process. Moments are monotonic, and those at which a request was sent."""

    line: Line
    tokens: dict[str, str]
    accepted: dict[str, float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)

    async def run(self) -> None:
        while True:
            for name, token in self.tokens.items():
                sent = time.monotonic()
                status = await self.line.ask(token, ROUTES.get(name, "/mcp/told"))
                assert status in (200, 401), (name, status)
                if status == 401:
                    self.refused.setdefault(name, sent)
                    continue
                assert name not in self.refused, f"{name} was refused by this process, and is accepted again"
                self.accepted[name] = sent


@contextlib.asynccontextmanager
async def under_load(nodes: Nodes, tokens: dict[str, str]) -> AsyncIterator[dict[str, list[Load]]]:
    """A steady load on each process, until the block ends. Fails with it."""
    loads: dict[str, list[Load]] = defaultdict(list)
    async with contextlib.AsyncExitStack() as parts, asyncio.TaskGroup() as running:
        for kind, gateways in nodes.by_kind.items():
            for node in gateways:
                lines = await parts.enter_async_context(a_line_to_each(node))
                loads[kind] += [Load(line, tokens) for line in lines]
        tasks = [running.create_task(load.run()) for of_kind in loads.values() for load in of_kind]
        yield loads
        for task in tasks:
            task.cancel()


async def until_each(loads: list[Load], has: str, names: list[str]) -> None:
    """Until each process has accepted, or refused, each of these tokens."""
    async with asyncio.timeout(PATIENCE):
        while not all(name in getattr(load, has) for load in loads for name in names):  # noqa: ASYNC110  (nobody tells)
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def an_operator(node: Gateway) -> Iterator[Any]:
    """`take_away(what, token)`, in a process of its own; when it was committed."""
    command = [sys.executable, "manage.py", "shell", "-v0", "-c", OPERATOR]
    with subprocess.Popen(command, cwd=ROOT, env=node.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def take_away(what: str, token: str) -> float:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps([what, token]) + "\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield take_away


async def pong(received: Received) -> None:
    await received.answer(PONG)


async def test_what_is_taken_away_is_accepted_nowhere_a_second_later_and_in_no_case_after_five(
    nodes: Nodes, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    names = [*(name for lost in LOSSES.values() for name in lost), UNTOUCHED]
    tokens = {name: nodes.first.tokens[name] for name in names}
    committed: dict[str, float] = {}
    async with upstream(nodes.first, pong), under_load(nodes, tokens) as loads:
        everybody = [*loads[HEALTHY], *loads[DEAF]]
        assert len({load.line.pid for load in everybody}) == 6
        with an_operator(nodes.first.gateway) as take_away:
            await until_each(everybody, "accepted", names)
            for what, lost in LOSSES.items():
                moment = await asyncio.to_thread(take_away, what, tokens[lost[0]])
                committed |= dict.fromkeys(lost, moment)
                await until_each(loads[HEALTHY], "refused", lost)
        await until_each(loads[DEAF], "refused", list(committed))
        ended = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while min(load.accepted[UNTOUCHED] for load in everybody) < ended:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    latest = {
        kind: max(load.accepted[name] - moment for load in of_kind for name, moment in committed.items()) for kind, of_kind in loads.items()
    }
    for kind, seconds in latest.items():
        record_property(kind, round(seconds, 3))
        with capsys.disabled():
            print(
                f"\n  {kind}: the latest accepted use was {seconds:.2f} s after its right was taken away (at most {AT_MOST[kind]})", end=""
            )
    assert {kind: seconds for kind, seconds in latest.items() if seconds > AT_MOST[kind]} == {}

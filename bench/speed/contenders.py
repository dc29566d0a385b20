"""What is measured, and how each is started: a server process of its own, pinned to one processor where there are two.

The gateway runs as in production (no DEBUG, gunicorn.conf.py), on a throw-away database that `bench.speed.seed` fills.
"""

import contextlib
import json
import secrets
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from bench.speed.load import EVENTS, JSON
from bench.speed.processes import Processors
from tests.support import environment
from tests.support.processes import ROOT, free_port, listens, running

KINDS = {"JSON": JSON, "SSE": EVENTS}
COLD_TOKENS = 6000


@dataclass(frozen=True)
class Contender:
    """Where to ask, and with which tokens; `pid` is the process that answers, `colder` that each request takes a token of its own."""

    name: str
    url: str
    pid: int = 0
    tokens: list[str] = field(default_factory=list)
    colder: bool = False


class Stage:
    """Starts servers, and keeps them until it is left."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processors = folder, Processors()
        self.servers = contextlib.ExitStack()
        self.probe_port = free_port()
        self.upstream = Contender("upstream", "")

    def __enter__(self) -> Self:
        port = free_port()
        pid = self.start("upstream", [sys.executable, "-m", "bench.speed.upstream", str(port)], port, self.processors.upstream)
        self.upstream = Contender("upstream", f"http://127.0.0.1:{port}/mcp", pid)
        return self

    def __exit__(self, *_: object) -> None:
        self.servers.close()

    def start(self, name: str, command: Sequence[str], port: int, where: set[int], **settings: str) -> int:
        """A server's pid, once it listens."""
        log = self.folder / f"{name}-{port}.log"
        with self.processors.pinned(where):
            process = self.servers.enter_context(running(command, lambda: listens(port), log, environment.clean(**settings)))
        return process.pid

    def gunicorn(self, name: str, application: str, port: int, workers: int = 1, *options: str, **settings: str) -> int:
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "-w", str(workers), "-b", f"127.0.0.1:{port}", *options]
        return self.start(name, [*command, application], port, self.processors.served(workers), **{**production(port), **settings})


def production(port: int) -> dict[str, str]:
    """The settings of a gateway on this port."""
    return {
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "TOKEN_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "GATEWAY_ORIGIN": f"http://localhost:{port}",
        "SIGN_IN_ALLOW": "*",  # nobody signs in
        "WORKOS_CLIENT_ID": "client_bench",
        "WORKOS_CLIENT_SECRET": "sk_bench",
    }


def bare(stage: Stage) -> Iterator[Contender]:
    port = free_port()
    pid = stage.gunicorn("bare", "bench.speed.passthrough:application", port, BENCH_UPSTREAM=stage.upstream.url)
    yield Contender("bare", f"http://127.0.0.1:{port}/mcp", pid)


def gateway(stage: Stage, name: str = "gateway", workers: int = 1, database: str = "", upstream: str = "") -> Iterator[Contender]:
    """A gateway, twice: with one token that it knows, and with another token for each request."""
    port = free_port()
    settings = {**production(port), "DATABASE_URL": database or f"sqlite:///{stage.folder}/{name}-{port}.sqlite3"}
    probe = f"http://127.0.0.1:{stage.probe_port}/mcp"
    seed = [sys.executable, "-m", "bench.speed.seed", upstream or stage.upstream.url, probe, str(COLD_TOKENS)]
    seeded = subprocess.run(seed, cwd=ROOT, env=environment.clean(**settings), check=True, stdout=subprocess.PIPE)  # noqa: S603
    tokens = json.loads(seeded.stdout)
    pid = stage.gunicorn(name, "gatewaysite.asgi:application", port, workers, **settings)
    warm = Contender(name, f"http://localhost:{port}/mcp/bench", pid, tokens["bench"][:1])
    yield warm
    yield replace(warm, name=f"{name}-cold", tokens=tokens["bench"][1:], colder=True)


def assembled(stage: Stage, wanted: Sequence[str]) -> list[Contender]:
    """Those of the contenders that are wanted, in the order of the table, all running."""
    makers = {"bare": bare, "gateway": gateway}
    made = [stage.upstream]
    for name, maker in makers.items():
        if any(each.startswith(name) for each in wanted):
            made += maker(stage)
    return [contender for contender in made if contender.name in wanted]

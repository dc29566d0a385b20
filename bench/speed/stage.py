"""Where contenders run: a folder, processors, an upstream, and servers that stop when the stage is left."""

import contextlib
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from bench.speed.processes import Processors
from tests.support import environment, postgresql
from tests.support.processes import free_port, listens, running


class Absent(Exception):
    """A contender that cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Contender:
    """Where to ask and how. `pid` is the process that answers, `upstream_pid` the one behind it.

    `colder`: each request takes a token of its own, which the server has not seen. `modern`: requests of revision 2026-07-28.
    """

    name: str
    url: str
    pid: int
    upstream_pid: int
    tokens: list[str] = field(default_factory=list)
    colder: bool = False
    modern: bool = False


class Stage:
    """Starts servers, and keeps them until it is left. Each gateway gets so many `tokens`; `may_install` what is missing."""

    def __init__(self, folder: Path, *, tokens: int, may_install: bool) -> None:
        self.folder, self.tokens, self.may_install = folder, tokens, may_install
        self.processors = Processors()
        self.probe_port = free_port()
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.upstream = self.behind("upstream", "bench.speed.upstream")
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def start(self, name: str, command: Sequence[str], port: int, where: set[int], **settings: str) -> int:
        """A server's pid, once it listens."""
        log = self.folder / f"{name}-{port}.log"
        with self.processors.pinned(where):
            process = self._running.enter_context(running(command, lambda: listens(port), log, environment.clean(**settings)))
        return process.pid

    def behind(self, name: str, module: str) -> Contender:
        """An upstream, which is a contender too: nothing before it can be faster."""
        port = free_port()
        pid = self.start(name, [sys.executable, "-m", module, str(port)], port, self.processors.upstream)
        return Contender(name, f"http://127.0.0.1:{port}/mcp", pid, pid)

    def gunicorn(self, name: str, application: str, port: int, *options: str, workers: int = 1, **settings: str) -> int:
        """The pid of gunicorn with the project's own configuration, and the settings of a gateway on this port."""
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "-w", str(workers), "-b", f"127.0.0.1:{port}"]
        settings = {**production(port), **settings}
        return self.start(name, [*command, *options, application], port, self.processors.served(workers), **settings)

    def postgresql(self) -> str:
        """The URL of an empty database that is gone afterwards."""
        server = postgresql.running()
        if server is None:
            raise Absent("no PostgreSQL server answers (TEST_DATABASE_URL names one)")
        name = f"gateway_bench_{secrets.token_hex(6)}"
        _execute(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self._running.callback(_execute, server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        return server.rpartition("/")[0] + f"/{name}"


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


def _execute(server: str, statement: sql.Composed) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)

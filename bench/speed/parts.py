"""What is measured, and how it is started: each contender is a server process of its own, pinned to one processor where there are two.

The gateway's rows are made by its own code in a throw-away SQLite file, so that no sign-in is needed.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVED, ASKING = 0, 1  # processors: what is measured has one to itself; upstream and load share the other
SEED = """
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from mcp_routes.models import McpRoute
from oauthgw import tokens
from oauthgw.clients import metadata, registration
from oauthgw.models import Grant
route = McpRoute.objects.create(slug="bench", name="Bench", upstream_url={upstream!r})
client = registration.register(metadata.read({{"redirect_uris": ["http://127.0.0.1/cb"]}})).client
user = User.objects.create_user("bench")
with transaction.atomic():
    grant = Grant.objects.create(user=user, client=client, resource_id=route.pk, resource="http://localhost/mcp/bench", scope="mcp:tools")
    print(tokens._answer(grant, None, None, timezone.now()).access_token.reveal())
"""


@dataclass(frozen=True)
class Contender:
    """Where to ask, and with which token."""

    name: str
    url: str
    token: str = ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def pinned(processor: int, command: list[str]) -> list[str]:
    """The command on one processor, where the machine can say so."""
    if (os.cpu_count() or 1) < 2 or not Path("/usr/bin/taskset").exists():
        return command
    return ["/usr/bin/taskset", "-c", str(processor), *command]


@contextlib.contextmanager
def running(processor: int, command: list[str], port: int, **environment: str) -> Iterator[None]:
    """A server until the block ends; it begins once somebody listens."""
    process = subprocess.Popen(  # noqa: S603  (our own words)
        pinned(processor, command),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(400):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.05)
        else:
            raise SystemExit(f"{' '.join(command)} does not listen on {port}")
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def contenders(folder: Path, workers: int = 1) -> Iterator[list[Contender]]:
    """The upstream itself, the bare pass-through, and the gateway, all running."""
    upstream_port, bare_port, gateway_port = free_port(), free_port(), free_port()
    upstream = f"http://127.0.0.1:{upstream_port}/mcp"
    settings = {"DEBUG": "true", "ENV_FILE": os.devnull, "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"}
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "-w", str(workers), "-b"]
    with contextlib.ExitStack() as parts:
        parts.enter_context(running(ASKING, [sys.executable, "-m", "bench.speed.upstream", str(upstream_port)], upstream_port))
        bare = [*gunicorn, f"127.0.0.1:{bare_port}", "bench.speed.passthrough:application"]
        parts.enter_context(running(SERVED, bare, bare_port, BENCH_UPSTREAM=upstream, **settings))
        manage = [sys.executable, "manage.py"]
        environment = {**os.environ, **settings}
        subprocess.run([*manage, "migrate", "-v0"], cwd=ROOT, env=environment, check=True)  # noqa: S603
        seeded = subprocess.run(  # noqa: S603
            [*manage, "shell", "-v0", "-c", SEED.format(upstream=upstream)], cwd=ROOT, env=environment, check=True, capture_output=True
        )
        token = seeded.stdout.decode().split()[-1]
        parts.enter_context(
            running(SERVED, [*gunicorn, f"127.0.0.1:{gateway_port}", "gatewaysite.asgi:application"], gateway_port, **settings)
        )
        yield [
            Contender("the upstream itself", upstream),
            Contender("bare pass-through", f"http://127.0.0.1:{bare_port}/mcp"),
            Contender("gateway, warm token", f"http://localhost:{gateway_port}/mcp/bench", token),
        ]

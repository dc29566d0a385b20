"""`manage.py rundemo`: the gateway with a demo upstream behind the route `demo`, ready to be tried. What `make run` starts.

Starts, prints and stops; what a route is, and how clients connect, is `mcp_routes`' business.
"""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from mcp_routes.models import McpRoute
from mcp_routes.snippets import snippets
from oauthgw.guard.conf import gateway

_SLUG = "demo"
_SHOWN = ("Claude Code", "Cursor", "MCP Inspector")  # the landing page has them all
_SECONDS_TO_START = 20.0
_SECONDS_TO_STOP = 5.0


class Command(BaseCommand):
    help = "Starts the gateway with a demo upstream, and says how to connect."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=9000, help="the gateway's (default: 9000)")
        parser.add_argument("--demo-port", type=int, default=9100, help="the demo upstream's (default: 9100)")

    def handle(self, *args: Any, port: int, demo_port: int, **options: Any) -> None:
        for wanted, option in ((port, "port"), (demo_port, "demo-port")):
            if _listens(wanted):
                raise CommandError(f"Port {wanted} is already in use: stop what runs there, or choose another with --{option}.")
        call_command("migrate", verbosity=0)
        self._ensure_route(f"http://127.0.0.1:{demo_port}/mcp")
        for number in (signal.SIGTERM, signal.SIGHUP):  # uvicorn hands SIGTERM on when it has finished, and the demo must end too
            signal.signal(number, lambda *_: sys.exit(0))
        with _demo_upstream(demo_port):
            self._say_how_to_connect(f"{gateway().origin or f'http://localhost:{port}'}/mcp/{_SLUG}")
            call_command("runserver", str(port), use_reloader=False)

    def _ensure_route(self, upstream_url: str) -> None:
        """Adds the route, or leaves it as it is: it may have been changed on purpose."""
        route = McpRoute.objects.filter(slug=_SLUG).first()
        if route is None:
            call_command("mcproute", "add", _SLUG, upstream_url, "--name", "Demo tools")
        elif route.upstream_url != upstream_url:
            self.stderr.write(f"The route {_SLUG} leads elsewhere than to the demo upstream at {upstream_url}: left as it is.")

    def _say_how_to_connect(self, url: str) -> None:
        """Prints what to paste into which client."""
        self.stdout.write(self.style.MIGRATE_HEADING(f"\nA demo MCP server is behind {url}. Connect a client:"))
        for snippet in snippets(_SLUG, url):
            if snippet.client not in _SHOWN:
                continue
            self.stdout.write(self.style.SUCCESS(f"\n{snippet.client}"))
            if snippet.link:
                self.stdout.write(f"  Open this link:\n    {snippet.link}")
            for step in snippet.steps:
                self.stdout.write(f"  {step.text}")
                for line in step.code.splitlines():
                    self.stdout.write(f"    {line}")
        self.stdout.write("")
        self.stdout.flush()


@contextlib.contextmanager
def _demo_upstream(port: int) -> Iterator[None]:
    """Runs the demo MCP server until the block ends. Raises CommandError when it does not start."""
    log = settings.VAR_DIR / "demo-upstream.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "mcp_routes.demo", "--port", str(port)],
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_started(demo, port)
        yield
    except _NotStarted as error:
        raise CommandError(f"The demo upstream does not start:\n{log.read_text(errors='replace')}") from error
    finally:
        demo.terminate()
        try:
            demo.wait(_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            demo.kill()
            demo.wait()


class _NotStarted(Exception):
    """The demo upstream ended, or does not listen in time."""


def _wait_until_started(demo: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while not _listens(port):
        if demo.poll() is not None or time.monotonic() > deadline:
            raise _NotStarted
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True

"""A gateway in processes of its own, as an operator runs it.

By default it is configured as for production (DEBUG off), except that its origin is a loopback one.
"""

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet

from tests.support import environment
from tests.support.processes import PATIENCE, ROOT, answers, free_port, running


def _gunicorn(application: str, port: int) -> list[str]:
    settings = ("-c", "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}", "--workers", "2")
    return [sys.executable, "-m", "gunicorn", f"{application}:application", *settings]


SERVERS: dict[str, Callable[[int], list[str]]] = {
    "runserver": lambda port: [sys.executable, "manage.py", "runserver", "--noreload", str(port)],
    "reloading runserver": lambda port: [sys.executable, "manage.py", "runserver", str(port)],
    "gunicorn": lambda port: _gunicorn("gatewaysite.asgi", port),
    "gunicorn, deaf": lambda port: _gunicorn("tests.support.deaf", port),
}
"""How each server is started on a port."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway. `url` is its origin, `port` where it listens, `log_path` holds everything that its processes have written."""

    url: str
    port: int
    server: str
    log_path: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]

    def route_url(self, slug: str) -> str:
        """The MCP endpoint of a route, and its resource."""
        return f"{self.url}/mcp/{slug}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        """Runs a management command in the gateway's environment; what it printed. Raises CalledProcessError when it fails."""
        return manage(self.environment, *arguments)

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET without following redirects. Options are those of `requests`."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        """POST without following redirects."""
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, timeout: float = PATIENCE, **options: Any) -> requests.Response:
        return requests.request(method, f"{self.url}{path}", timeout=timeout, **{"allow_redirects": False, **options})


def manage(gateway_environment: dict[str, str], *arguments: str) -> str:
    """Runs a management command; what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=gateway_environment, check=True, stdout=subprocess.PIPE, text=True, timeout=120).stdout


def configuration(database_url: str, port: int = 9000, **settings: str) -> dict[str, str]:
    """The environment of a gateway at this port; `settings` come last."""
    return environment.clean(
        **{
            "GATEWAY_ORIGIN": f"http://localhost:{port}",
            "DATABASE_URL": database_url,
            "SECRET_KEY": secrets.token_urlsafe(50),
            "TOKEN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "SIGN_IN_ALLOW": "*",
            **settings,
        }
    )


@contextlib.contextmanager
def serve(folder: Path, database_url: str, server: str = "runserver", **settings: str) -> Iterator[Gateway]:
    """Serves a gateway over a migrated database until the block ends. `server` is one of SERVERS."""
    port = free_port()
    configured = configuration(database_url, port, **settings)
    log_path = folder / f"{server}-{port}.log"
    url = configured["GATEWAY_ORIGIN"] or f"http://localhost:{port}"
    with running(SERVERS[server](port), lambda: answers(f"http://127.0.0.1:{port}/healthz"), log_path, configured) as process:
        yield Gateway(url, port, server, log_path, configured, process)

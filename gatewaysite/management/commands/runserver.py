"""`manage.py runserver [[ADDRESS:]PORT]`: Django's command, served by uvicorn so that event streams stream.

On its own WSGI handler Django reads a streaming answer to its end before it sends a byte.
"""

import errno
import os
import socket
import sys
import threading
from typing import Any

import uvicorn
from django.core.management.base import CommandError
from django.core.management.commands.runserver import Command as DjangoRunserver
from django.db import connections
from django.utils import autoreload

from gatewaysite.protocol import GuardedHttp
from gatewaysite.server import SECONDS_AFTER_GRACE, GatewayServer

_GRACE_SECONDS = 3  # for calls under way when it is stopped
_PROBLEMS = {
    errno.EACCES: "You don't have permission to access that port.",
    errno.EADDRINUSE: "That port is already in use.",
    errno.EADDRNOTAVAIL: "That IP address can't be assigned to.",
}


class Command(DjangoRunserver):
    """Starts the gateway for development, with automatic reload."""

    help = "Starts the gateway for development (streaming intact), by default on http://localhost:9000."
    addr: str
    port: str
    _raw_ipv6: bool
    default_addr = "localhost"
    default_port = "9000"

    _server: GatewayServer | None = None
    _serving: threading.Thread | None = None

    def run(self, **options: Any) -> None:
        """Also ends a server that the reloader keeps in a thread of its own, where no signal reaches it."""
        try:
            super().run(**options)
        finally:
            if self._server is not None and self._serving is not None and self._serving is not threading.current_thread():
                self._server.should_exit = True
                self._serving.join(_GRACE_SECONDS + SECONDS_AFTER_GRACE)

    def inner_run(self, *args: Any, **options: Any) -> None:
        autoreload.raise_last_exception()
        if not options["skip_checks"]:
            self.check(display_num_errors=True)
        self.check_migrations()
        for connection in connections.all(initialized_only=True):
            connection.close()
        try:
            sockets = self._bind()
        except OSError as error:
            self.stderr.write(f"Error: {_PROBLEMS.get(error.errno or 0, error)}")
            os._exit(1)  # under the reloader this is not the main thread, where sys.exit would end nothing
        self._serve(sockets)

    def _bind(self) -> list[socket.socket]:
        """Listens on every address of the host: for `localhost` on IPv4 and, where the machine has it, IPv6."""
        # Browsers take localhost for both without asking; some machines' hosts file knows only one.
        hosts = ["127.0.0.1", "::1"] if self.addr == "localhost" else [self.addr]
        try:
            found = [address for host in hosts for address in socket.getaddrinfo(host, int(self.port), type=socket.SOCK_STREAM)]
        except socket.gaierror as error:
            raise CommandError(f"{self.addr} is not an address of this machine.") from error
        bound: dict[Any, socket.socket] = {}
        for family, _, _, _, address in found:
            try:
                bound[address] = socket.create_server(address[:2], family=family, backlog=2048)
            except OSError:
                if not bound:  # IPv4 comes first; a machine without IPv6 may go on without it
                    raise
        return list(bound.values())

    def _serve(self, sockets: list[socket.socket]) -> None:
        shown = f"[{self.addr}]" if self._raw_ipv6 else self.addr
        self.stdout.write(f"The gateway is at http://{shown}:{self.port}/  (stop with CONTROL-C)")
        config = uvicorn.Config(
            "gatewaysite.asgi:application",
            log_config=None,
            log_level="warning",
            http=GuardedHttp,
            lifespan="on",
            ws="none",
            proxy_headers=False,
            access_log=False,
            server_header=False,
        )
        self._server, self._serving = GatewayServer(config, _GRACE_SECONDS), threading.current_thread()
        try:
            self._server.run(sockets=sockets)
        except KeyboardInterrupt:
            sys.exit(0)

"""gunicorn's worker class and logger: uvicorn with what production needs and its own defaults lack.

Imported by gunicorn's master too, whose workers inherit it through a reload: so it imports no settings, and little of ours.
"""

import asyncio
import contextlib
import resource
import signal
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from uvicorn_worker import UvicornWorker

from gatewaysite.logs import LineFormatter

_OWN_FILES = 100  # of a process that serves nobody; a client takes two, as its stream goes on to an upstream


class GatewayWorker(UvicornWorker):
    """Serves `gatewaysite.asgi:application`; named in `gunicorn.conf.py`."""

    CONFIG_KWARGS = {  # noqa: RUF012  (the base class's own, as an instance attribute)
        "loop": "auto",
        "http": "gatewaysite.protocol:GuardedHttp",
        "ws": "none",
        "lifespan": "on",
        "proxy_headers": False,  # uvicorn believes `X-Forwarded-*` from any loopback peer; `TRUSTED_PROXIES` is ours
        "server_header": False,
        "access_log": False,  # it prints queries; the dispatcher writes our line
    }

    def init_process(self) -> None:
        self.config.limit_concurrency = min(self.cfg.worker_connections, _connections_that_files_allow())
        super().init_process()  # type: ignore[no-untyped-call]

    async def _serve(self) -> None:
        from gatewaysite.server import SECONDS_AFTER_GRACE, GatewayServer  # noqa: PLC0415  (not in the master)

        self.config.app = self.wsgi
        server = GatewayServer(self.config, grace=max(0, self.cfg.graceful_timeout - SECONDS_AFTER_GRACE))
        # gunicorn's quick shutdown; the base class's handler for it stops nothing
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.hurry)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


class LineLogger(Logger):
    """gunicorn's own log, with the same care for what strangers wrote as the gateway's."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)  # type: ignore[no-untyped-call]
        for handler in self.error_log.handlers:
            handler.setFormatter(LineFormatter(self.error_fmt, self.datefmt))


def _connections_that_files_allow() -> int:
    """How many clients this process can serve, with as many open files as it may have: many systems allow 1,024 unless asked for more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems name a limit that they do not give
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (allowed - _OWN_FILES) // 2) if allowed != resource.RLIM_INFINITY else sys.maxsize

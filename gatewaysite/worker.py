"""gunicorn's worker class: uvicorn with what production needs and its own defaults lack.

Measured: as it comes, uvicorn-worker never cancels open streams at SIGTERM nor runs the lifespan's end, and gunicorn kills it; and uvicorn
believes `X-Forwarded-*` from any loopback peer (`TRUSTED_PROXIES` is ours).
"""

from typing import Any

from uvicorn_worker import UvicornWorker

# Of gunicorn's graceful timeout, kept for cancelled requests and the lifespan's end.
_SECONDS_TO_FINISH = 5


class GatewayWorker(UvicornWorker):
    """Serves `gatewaysite.asgi:application`; named in `gunicorn.conf.py`."""

    CONFIG_KWARGS = {  # noqa: RUF012  (the base class's own, as an instance attribute)
        "loop": "auto",
        "http": "gatewaysite.protocol:GuardedHttp",
        "ws": "none",
        "lifespan": "on",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,  # it prints queries; the dispatcher writes our line
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - _SECONDS_TO_FINISH)

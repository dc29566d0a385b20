"""gunicorn's settings for `gunicorn gatewaysite.asgi:application -c gunicorn.conf.py`.

Change them with gunicorn's own means: `WEB_CONCURRENCY` (workers, default 2), `GUNICORN_CMD_ARGS` or the command line
(`--bind 0.0.0.0:9000`).
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

worker_class = "gatewaysite.worker.GatewayWorker"
logger_class = "gatewaysite.worker.LineLogger"
bind = "127.0.0.1:9000"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))  # two, so that one worker's restart is no outage
keepalive = 75  # seconds; above the idle time of common load balancers, which else reuse a connection that is just being closed
worker_connections = 10_000  # of one worker; who comes beyond them is told 503, and those who are there are served
timeout = 30  # seconds without a sign of life from a worker's event loop, after which it is killed
graceful_timeout = 30  # seconds for a worker to end: 25 for calls to finish, 5 to tell the rest and to close
max_requests = 0  # a recycled worker accepts nothing until its last stream has ended
control_socket_disable = True  # it would be written into $HOME

_CHECK = """
import sys
from django.core.exceptions import ImproperlyConfigured
try:
    import gatewaysite.asgi
except ImproperlyConfigured as error:
    sys.exit(str(error))
"""


def on_starting(server: Any) -> None:
    """Refuses a misconfiguration before any worker starts.

    In a process of its own: whatever the master imported, its workers would inherit, and a reload (SIGHUP) would bring no new settings.
    """
    command = [sys.executable, "-c", _CHECK]
    refused = subprocess.run(command, cwd=Path(__file__).resolve().parent, check=False).returncode  # noqa: S603  (our own words)
    if refused:
        sys.exit(refused)

"""What is measured, and how each is started: a server process of its own, pinned to one processor where there are two.

The gateway runs as in production (no DEBUG, gunicorn.conf.py), on a throw-away database that `bench.speed.seed` fills.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from bench.speed.load import EVENTS, JSON
from bench.speed.stage import Absent, Contender, Stage, production
from tests.support import environment, machine
from tests.support.processes import ROOT, free_port

KINDS = {"JSON": JSON, "SSE": EVENTS}
STREAMING = ("upstream", "nginx", "bare", "bare-stock", "gateway")
"""Those that are measured with event streams, too."""

_NGINX_NAMES = ("nginx", "/usr/sbin/nginx")  # outside of most users' PATH
_BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_requests 1000000000;
    upstream behind {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
    }}
}}
"""


def nginx(stage: Stage) -> list[Contender]:
    """A plain reverse proxy that keeps its connections: the way there and back, in C."""
    try:
        program = machine.program(_NGINX_NAMES, "nginx", "nginx") if stage.may_install else machine.find(*_NGINX_NAMES)
    except machine.Missing as missing:
        raise Absent(str(missing)) from missing
    if program is None:
        raise Absent("nginx is not installed")
    port, file = free_port(), stage.folder / "nginx.conf"
    upstream = stage.upstream.url.removeprefix("http://").removesuffix("/mcp")
    user = "user root;" if os.geteuid() == 0 else ""  # else it becomes somebody who may not read the folder
    file.write_text(_NGINX.format(folder=stage.folder, user=user, upstream=upstream, port=port))
    pid = stage.start("nginx", [program, "-c", str(file)], port, stage.processors.served())
    return [Contender("nginx", f"http://127.0.0.1:{port}/mcp", pid, stage.upstream.pid)]


def bare(stage: Stage, name: str = "bare", *options: str) -> list[Contender]:
    """The base of every ratio: the worker of the gateway, an ASGI application, aiohttp, and no check of anything."""
    port = free_port()
    pid = stage.gunicorn(name, "bench.speed.passthrough:application", port, *options, BENCH_UPSTREAM=stage.upstream.url)
    return [Contender(name, f"http://127.0.0.1:{port}/mcp", pid, stage.upstream.pid)]


def gateway(stage: Stage, name: str, workers: int = 1, database: str = "", behind: str = "") -> list[Contender]:
    """A gateway: with a token that it knows, with requests of the modern era, and with another token for each request."""
    port = free_port()
    url = stage.postgresql() if database else f"sqlite:///{stage.folder}/{name}.sqlite3"
    upstream = stage.behind("sdk", behind) if behind else stage.upstream
    settings = {**production(port), "DATABASE_URL": url}
    probe = f"http://127.0.0.1:{stage.probe_port}/mcp"
    seed = [sys.executable, "-m", "bench.speed.seed", upstream.url, probe, str(stage.tokens)]
    seeded = subprocess.run(seed, cwd=ROOT, env=environment.clean(**settings), check=True, stdout=subprocess.PIPE)  # noqa: S603
    tokens = json.loads(seeded.stdout)
    pid = stage.gunicorn(name, "gatewaysite.asgi:application", port, workers=workers, **settings)
    warm = Contender(name, f"http://localhost:{port}/mcp/bench", pid, upstream.pid, tokens["bench"][:1])
    streams = replace(warm, name=f"{name}-streams", url=f"http://localhost:{port}/mcp/streams", tokens=tokens["streams"])
    cold = replace(warm, name=f"{name}-cold", tokens=tokens["bench"][1:], colder=True)
    return [warm, replace(warm, name=f"{name}-modern", modern=True), cold, streams, *([upstream] if behind else [])]


def fastmcp(stage: Stage) -> list[Contender]:
    """FastMCP's proxy with one client for all requests, its fastest form."""
    if not (ROOT / ".venv-bench" / ".done").exists():
        raise Absent("FastMCP is not installed (make bench does it)")
    port = free_port()
    command = [str(_BENCH_PYTHON), "-m", "bench.speed.fastmcp_proxy", str(port), stage.upstream.url]
    pid = stage.start("fastmcp", command, port, stage.processors.served())
    return [Contender("fastmcp", f"http://127.0.0.1:{port}/mcp", pid, stage.upstream.pid, modern=True)]


def django(stage: Stage) -> list[Contender]:
    """What one would write first: see `bench.speed.obvious`."""
    port, token = free_port(), secrets.token_urlsafe(32)
    settings = {"SECRET_KEY": token, "DATABASE_URL": str(stage.folder / "obvious.sqlite3"), "BENCH_UPSTREAM": stage.upstream.url}
    made = [sys.executable, "-m", "bench.speed.obvious", token]
    subprocess.run(made, cwd=ROOT, env=environment.clean(**settings), check=True)  # noqa: S603
    alone = ["-c", os.devnull]  # gunicorn would take the project's configuration from the folder
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        *alone,
        "-k",
        "gthread",
        "--keep-alive",
        "75",
        "--threads",
        "32",
        "-w",
        "1",
        "-b",
        f"127.0.0.1:{port}",
    ]
    pid = stage.start("django", [*command, "bench.speed.obvious:application"], port, stage.processors.served(), **settings)
    return [Contender("django", f"http://127.0.0.1:{port}/mcp", pid, stage.upstream.pid, [token])]


MAKERS: dict[str, Callable[[Stage], list[Contender]]] = {
    "upstream": lambda stage: [stage.upstream],
    "nginx": nginx,
    "bare": bare,
    "bare-stock": lambda stage: bare(stage, "bare-stock", "-k", "uvicorn_worker.UvicornWorker"),
    "gateway": partial(gateway, name="gateway"),
    "gateway-2": partial(gateway, name="gateway-2", workers=2),
    "gateway-postgresql": partial(gateway, name="gateway-postgresql", database="postgresql"),
    "gateway-sdk": partial(gateway, name="gateway-sdk", behind="bench.speed.sdk_server"),
    "fastmcp": fastmcp,
    "django": django,
}
_OF_ANOTHER = {"sdk": "gateway-sdk"}
ORDER = (
    *("upstream", "nginx", "bare", "bare-stock", "gateway", "gateway-modern", "gateway-cold", "gateway-2"),
    *("gateway-postgresql", "gateway-postgresql-cold", "fastmcp", "django", "sdk", "gateway-sdk"),
)
"""The names of all rows, as the table has them."""


def maker(name: str) -> str:
    """Whoever starts this contender."""
    return _OF_ANOTHER.get(name) or max((known for known in MAKERS if name == known or name.startswith(f"{known}-")), key=len)


def assembled(stage: Stage, wanted: Sequence[str]) -> tuple[dict[str, Contender], dict[str, str]]:
    """Those that are wanted, by name, all running; and those that cannot be, with the reason."""
    names = sorted({maker(name) for name in wanted})
    made: dict[str, Contender] = {}
    absent: dict[str, str] = {}
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1) as starting:
        for name, future in [(name, starting.submit(MAKERS[name], stage)) for name in names]:
            try:
                made.update({contender.name: contender for contender in future.result()})
            except Absent as reason:
                absent[name] = str(reason)
    return {name: made[name] for name in [*wanted, *(n for n in made if n.endswith("-streams"))] if name in made}, absent

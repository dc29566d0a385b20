"""A Redis for the tests: the one that runs, else one of our own from what is installed, else installed now."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import redis

from tests.support import machine
from tests.support.processes import free_port, running

_STANDARD_URL = "redis://127.0.0.1:6379/0"
_PROGRAMS = ("redis-server", "valkey-server")


def answering() -> str | None:
    """The URL of a server that answers: that of TEST_REDIS_URL and no other if it is set."""
    url = os.environ.get("TEST_REDIS_URL") or _STANDARD_URL
    return url if _answers(url) else None


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A server's URL until the block ends. Raises machine.Missing when there is none to be had."""
    url = answering()
    if url is not None:
        machine.say("Redis runs")
        yield url
        return
    if os.environ.get("TEST_REDIS_URL"):
        raise machine.Missing("TEST_REDIS_URL names a server that does not answer.")
    program = machine.program(_PROGRAMS, "redis-server", "Redis")
    machine.say(f"Redis is installed but does not run: starting one of our own ({program})")
    port = free_port()
    own = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory(prefix="gateway-redis-") as folder:
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder]
        with running(command, lambda: _answers(own), Path(folder) / "log"):
            yield own


def further(url: str, number: int) -> str:
    """The same server's database this many further on, of the sixteen that a server has unless told otherwise."""
    parts = urlsplit(url)
    return parts._replace(path=f"/{(int(parts.path.strip('/') or 0) + number) % 16}").geturl()


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()

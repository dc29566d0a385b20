"""Programs that tests start, and waiting until something is so.

Whatever is started here is stopped when its block ends, however that ends.
"""

import contextlib
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0  # seconds until a condition that should come true counts as failed


_PORTS = range(15_000, 30_000)  # below what systems give to outgoing connections, any of which could take it in the meantime


def free_port() -> int:
    """A port of this machine on which nobody listens (it was just given back)."""
    while True:
        with socket.socket() as probe:
            port = random.choice(_PORTS)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def until(condition: Callable[[], bool], otherwise: Callable[[], str] | str, seconds: float = PATIENCE) -> None:
    """Waits for a condition. Raises AssertionError with the text of `otherwise` when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise() if callable(otherwise) else otherwise)
        time.sleep(0.02)  # between two looks


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def holder(pids: Sequence[int], port: int, peer_port: int) -> int | None:
    """Which of these processes holds the connection of this port of the machine with that one; None when none does (yet)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = [(int(row[1].rpartition(":")[2], 16), int(row[2].rpartition(":")[2], 16), row[9]) for row in rows]
    sockets = {f"socket:[{inode}]" for own, other, inode in ends if (own, other) == (port, peer_port)}
    return next((pid for pid in pids if sockets & _files_of(pid)), None)


def _files_of(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed in the meantime
            found.add(str(file.readlink()))
    return found


def listens(port: int) -> bool:
    """Whether a connection to this port of the machine is taken."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether the URL answers with success."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


@contextlib.contextmanager
def running(
    command: Sequence[str], ready: Callable[[], bool], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program from the project's folder until the block ends; the block begins once `ready` says so.

    Its output is appended to `log`. Raises AssertionError with that output when it ends early or is not ready in time.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        until(
            lambda: process.poll() is not None or ready(),
            lambda: f"{' '.join(command)} did not get ready:\n{log.read_text(errors='replace')}",
        )
        assert process.poll() is None, f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text(errors='replace')}"
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a program: asks first, and insists after a while."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

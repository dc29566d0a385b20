"""The fuzzing runs beside the other tests: it begins with the first of them, and its own test, which asks how it went, is the last.

It is a program of its own, at a low priority, so that it uses what the other tests leave of the machine.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import ROOT, stop

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
"""On each of the two databases."""
_PATIENCE = 240  # seconds, for a loaded machine: to start, to end, and to look for a small example of what failed
# Without FUZZ_SECONDS always the same requests, so that tests that fail fail again.
_SEED = os.environ.get("FUZZ_SEED", "" if "FUZZ_SECONDS" in os.environ else "1")
_LAST = "test_nothing_breaks_meanwhile"
_running = pytest.StashKey[tuple["subprocess.Popen[bytes]", Path]]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.name == _LAST)  # the others keep their order


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    if session.config.option.collectonly or not any(item.name == _LAST for item in session.items):
        return
    file, path = tempfile.mkstemp(prefix="gateway-fuzz-", suffix=".log")
    with os.fdopen(file, "wb") as output:
        command = ["nice", "-n", "10", sys.executable, "-m", "tests.fuzz", str(SECONDS)]
        environment = {**os.environ, "FUZZ_SEED": _SEED}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    session.config.stash[_running] = process, Path(path)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _running in session.config.stash:
        process, path = session.config.stash[_running]
        stop(process)
        path.unlink()


@pytest.fixture
def fuzzed(request: pytest.FixtureRequest) -> Callable[[], tuple[int, str]]:
    """Waits for the end of the fuzzing; its exit status, and what it said."""

    def wait() -> tuple[int, str]:
        process, path = request.config.stash[_running]
        status = process.wait(SECONDS + _PATIENCE)
        return status, path.read_text()

    return wait

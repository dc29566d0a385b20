"""`python -m tests.support.services [pytest's arguments]`: every test, on SQLite and on PostgreSQL, with all they need running.

Uses what runs, else starts what is installed, else installs it, else says the one command that is missing. What it started, it stops.
The halves run side by side, since both mostly wait; what the one on PostgreSQL says is told when both are done.
TEST_DATABASE=sqlite or =postgresql runs the one half.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from types import FrameType
from typing import IO

from tests.support import machine, postgresql, redis_server
from tests.support.processes import ROOT

_NO_TESTS = 5  # pytest's exit status when it selected none


def main(arguments: list[str]) -> int:
    """Sets up, runs pytest once for each database, and answers the worst exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped then, too
    try:
        with contextlib.ExitStack() as services:
            environment = {
                **os.environ,
                "TEST_DATABASE_URL": services.enter_context(postgresql.server()),
                "TEST_REDIS_URL": services.enter_context(redis_server.server()),
                "CHROMIUM": machine.chromium(),
                "NODE": machine.node(),
            }
            for program, package in (
                ("bash", "bash"),
                ("curl", "curl"),
                ("jq", "jq"),
                ("openssl", "openssl"),
            ):  # docs/manual-oauth-testing.md
                machine.program((program,), package, program)
            told = os.environ.get("TEST_DATABASE")
            statuses = _tests([told] if told else ["sqlite", "postgresql"], environment, arguments)
    except machine.Missing as missing:
        machine.say(str(missing))
        return 1
    if arguments and any(status != _NO_TESTS for status in statuses):  # someone picked tests of which none concerns the other database
        statuses = [status for status in statuses if status != _NO_TESTS]
    return max(statuses)


def _tests(kinds: list[str], environment: dict[str, str], arguments: list[str]) -> list[int]:
    """The exit status of each half. The first says what it finds at once, the others after it."""
    machine.say(f"tests on {' and on '.join(kinds)}")
    command = [sys.executable, "-m", "pytest", *arguments]
    with contextlib.ExitStack() as open_files:
        halves: list[tuple[str, subprocess.Popen[bytes], IO[bytes] | None]] = []
        for number, kind in enumerate(kinds):
            said: IO[bytes] | None = open_files.enter_context(tempfile.TemporaryFile()) if number else None
            own = {**environment, "TEST_DATABASE": kind, "TEST_REDIS_URL": redis_server.further(environment["TEST_REDIS_URL"], number)}
            halves.append((kind, subprocess.Popen(command, cwd=ROOT, env=own, stdout=said, stderr=said and subprocess.STDOUT), said))

        def pass_on(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGTERM:  # an interrupt from the keyboard reached them already
                for _, pytest, _ in halves:
                    pytest.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            statuses = [abs(pytest.wait()) for _, pytest, _ in halves]
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        for kind, _, output in halves:
            if output:
                machine.say(f"what the tests on {kind} said:")
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.buffer.flush()
    return statuses


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

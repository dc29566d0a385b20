"""`python -m tests.support.services [pytest's arguments]`: every test, on SQLite and on PostgreSQL, with all they need running.

Uses what runs, else starts what is installed, else installs it, else says the one command that is missing. What it started, it stops.
TEST_DATABASE=sqlite or =postgresql runs the one half.
"""

import contextlib
import os
import signal
import subprocess
import sys
from types import FrameType

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
            statuses = [_tests(kind, environment, arguments) for kind in ([told] if told else ["sqlite", "postgresql"])]
    except machine.Missing as missing:
        machine.say(str(missing))
        return 1
    if arguments and any(status != _NO_TESTS for status in statuses):  # someone picked tests of which none concerns the other database
        statuses = [status for status in statuses if status != _NO_TESTS]
    return max(statuses)


def _tests(kind: str, environment: dict[str, str], arguments: list[str]) -> int:
    machine.say(f"tests on {kind}")
    pytest = subprocess.Popen([sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env={**environment, "TEST_DATABASE": kind})

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:  # an interrupt from the keyboard reached it already
            pytest.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return abs(pytest.wait())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

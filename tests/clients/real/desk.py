"""A user's desk: a home of its own, and a browser that only notes what it is asked to open, so that the test can be the user.

Clients find it as they find any browser, by $BROWSER: Python's `webbrowser` and the `xdg-open` of npm's `open` both ask there.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import requests

from tests.flows.visitor import Visitor
from tests.support.processes import PATIENCE, listens, until


@dataclass
class Desk:
    """`folder` is the home directory."""

    folder: Path
    seen: int = 0
    _notes: Path = field(init=False)

    def __post_init__(self) -> None:
        self._notes = self.folder / "opened"
        self._notes.touch()
        browser = self.folder / "browser"
        browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> "{self._notes}"\n')
        browser.chmod(0o755)

    def environment(self, **more: str) -> dict[str, str]:
        """What a program on this desk sees."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "BROWSER": str(self.folder / "browser"), **more}

    def opened(self) -> list[str]:
        """The addresses that programs have opened so far."""
        return self._notes.read_text().splitlines()

    @contextmanager
    def running(self, command: list[str], **environment: str) -> Iterator["Program"]:
        """A program of this desk until the block ends."""
        with subprocess.Popen(
            command,
            env=self.environment(**environment),
            cwd=self.folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield Program(self, process)
            finally:
                process.kill()


class Program:
    """A running client. What it says is collected, line by line."""

    def __init__(self, desk: Desk, process: subprocess.Popen[str]) -> None:
        self.desk, self.process = desk, process
        self.said: list[str] = []
        self.complained: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        for stream, lines in ((process.stdout, self.said), (process.stderr, self.complained)):
            threading.Thread(target=_collect, args=(stream, lines), daemon=True).start()

    def signs_in(self, visitor: Visitor) -> str:
        """Waits until the program opens its browser; the visitor approves, and the browser ends at the program. The address opened."""
        until(lambda: len(self.desk.opened()) > self.desk.seen, self.report)
        address = self.desk.opened()[self.desk.seen]
        self.desk.seen += 1
        back = visitor.authorize(address)
        port = urlsplit(back).port
        assert port is not None, back
        until(lambda: listens(port), self.report)  # some open the browser before they listen, and rely on a person being slow
        answer = requests.get(back, timeout=PATIENCE)
        assert answer.ok, answer.text
        return address

    def says(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ends(self) -> str:
        """Waits until the program is through; what it printed. Raises AssertionError when it failed."""
        status = self.process.wait(2 * PATIENCE)
        assert status == 0, self.report()
        return "\n".join(self.said)

    def report(self) -> str:
        return "\n".join([" ".join(map(str, self.process.args)), *self.said, *self.complained])  # type: ignore[arg-type]


def _collect(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines += [line.rstrip("\n")]  # at once: others read while the program still speaks

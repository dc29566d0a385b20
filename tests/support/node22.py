"""Node.js 22, for what asks for it: an installed one, or the one that tests/node22 brings from npm."""

import platform
import re
import subprocess
from pathlib import Path

from tests.support import machine
from tests.support.processes import ROOT

FOLDER = ROOT / "tests" / "node22"
OLDEST = (22, 19)  # what the MCP Inspector asks for
_ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}


def node() -> str:
    """The path of the program. Raises Missing."""
    bundled = FOLDER / "node_modules" / f"node-linux-{_ARCHITECTURES.get(platform.machine(), '')}" / "bin" / "node"
    found = str(bundled) if bundled.is_file() else machine.find("node")
    if found is None or _version(found) < OLDEST:
        raise machine.Missing(
            f"Node.js {OLDEST[0]}.{OLDEST[1]} or later is missing: make node brings it on Linux; else see https://nodejs.org/"
        )
    return found


def script(package: str, path: str) -> Path:
    """A file of an installed package. Raises Missing."""
    file = FOLDER / "node_modules" / package / path
    if not file.is_file():
        raise machine.Missing(f"{package} is missing. Install it with: make node")
    return file


def _version(program: str) -> tuple[int, ...]:
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in re.findall(r"\d+", printed)[:2])

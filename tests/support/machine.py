"""What the machine has, and getting what it lacks: by apt-get where this process may, else by saying the one command that is missing.

`python -m tests.support.machine` makes sure of Node.js and npm, before anything is installed with them.
"""

import os
import shutil
import subprocess
import sys

OLDEST_NODE = 20  # for the WorkOS emulator and the official clients; Debian 13 has it


class Missing(Exception):
    """Something that the tests need is neither here nor to be had. The message holds the command that brings it."""


def say(text: str) -> None:
    """Tells whoever runs the tests what is being set up."""
    print(f"services: {text}", flush=True)


def find(*names: str) -> str | None:
    """The first of these programs that is installed; its path."""
    return next((path for path in map(shutil.which, names) if path), None)


def install(packages: str, what: str) -> None:
    """Installs Debian packages. Raises Missing where that is not possible."""
    mend = f"{what} is missing. Install it with: sudo apt-get install {packages}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(mend)
    say(f"{what} is missing: apt-get install {packages}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)  # an old list may still do
    if subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages.split()], env=quiet, check=False).returncode:
        raise Missing(mend)


def program(names: tuple[str, ...], packages: str, what: str) -> str:
    """The path of a program, installed if need be. Raises Missing."""
    path = find(*names)
    if path is None:
        install(packages, what)
        path = find(*names)
    if path is None:
        raise Missing(f"{what} is missing although {packages} is installed.")
    return path


def chromium() -> str:
    """The browser that the tests drive: that of CHROMIUM, or an installed one. Raises Missing."""
    return os.environ.get("CHROMIUM") or program(("chromium", "chromium-browser", "google-chrome"), "chromium", "Chromium")


def npm() -> str:
    """The package manager of Node.js. Raises Missing."""
    return program(("npm",), "nodejs npm", "npm")


def node() -> str:
    """Node.js, recent enough. Raises Missing."""
    path = program(("node",), "nodejs npm", "Node.js")
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(printed.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        raise Missing(f"Node.js is {printed}, and the tests need {OLDEST_NODE} or later. Install it with: sudo npx --yes n 22")
    return path


def main() -> int:
    try:
        npm()
        node()
    except Missing as missing:
        say(str(missing))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

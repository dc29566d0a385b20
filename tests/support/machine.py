"""What the machine has, and getting what it lacks: by apt-get where this process may, else by saying the one command that is missing."""

import os
import re
import shutil
import subprocess

OLDEST_NODE = (20, 20)  # what the WorkOS emulator asks for


class Missing(Exception):
    """Something that the tests need is neither here nor to be had. The message holds the command that brings it."""


def say(text: str) -> None:
    """Tells whoever runs the tests what is being set up."""
    print(f"services: {text}", flush=True)


def find(*names: str) -> str | None:
    """The first of these programs that is installed; its path."""
    return next((path for path in map(shutil.which, names) if path), None)


def install(package: str, what: str) -> None:
    """Installs a Debian package. Raises Missing where that is not possible."""
    mend = f"{what} is missing. Install it with: sudo apt-get install {package}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(mend)
    say(f"{what} is missing: apt-get install {package}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)  # an old list may still do
    if subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], env=quiet, check=False).returncode:
        raise Missing(mend)


def program(names: tuple[str, ...], package: str, what: str) -> str:
    """The path of a program, installed if need be. Raises Missing."""
    path = find(*names)
    if path is None:
        install(package, what)
        path = find(*names)
    if path is None:
        raise Missing(f"{what} is missing although the package {package} is installed.")
    return path


def chromium() -> str:
    """The browser that the tests drive: that of CHROMIUM, or an installed one. Raises Missing."""
    return os.environ.get("CHROMIUM") or program(("chromium", "chromium-browser", "google-chrome"), "chromium", "Chromium")


def node() -> str:
    """Node.js, recent enough. Raises Missing."""
    path = program(("node",), "nodejs", "Node.js")
    printed = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", printed)[:2])
    if version < OLDEST_NODE:
        raise Missing(
            f"Node.js is {printed.strip()}, and the tests need {OLDEST_NODE[0]}.{OLDEST_NODE[1]} or later: see https://nodejs.org/"
        )
    return path

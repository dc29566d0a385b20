"""On what a run was made: the machine, the versions, the commit. Figures without them mean nothing."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.support import machine
from tests.support.processes import ROOT

_PACKAGES = ("Django", "gunicorn", "uvicorn", "uvicorn-worker", "uvloop", "httptools", "aiohttp", "msgspec", "mcp", "requests")


def facts() -> dict[str, str]:
    """By name, in words."""
    return {
        "processor": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": str(os.cpu_count()),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "load average before": f"{os.getloadavg()[0]:.1f}" + ("" if os.getloadavg()[0] < 1 else " (not a quiet machine: measure again)"),
        "versions": ", ".join(f"{name} {number}" for name, number in _versions().items()),
        "commit": _output("git", "rev-parse", "--short", "HEAD")
        + (" and changes" if _output("git", "status", "--porcelain", "-uno") else ""),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    program = machine.find("nginx", "/usr/sbin/nginx")
    if program:
        found["nginx"] = _output(program, "-v").rpartition("/")[2]
    for folder in ROOT.glob(".venv-bench/lib/python*/site-packages/fastmcp-*.dist-info"):
        found["FastMCP"] = folder.name.removeprefix("fastmcp-").removesuffix(".dist-info")
    return found


def _field(file: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(file).read_text(), re.MULTILINE) if Path(file).exists() else None
    return found[1] if found else ""


def _output(*command: str) -> str:
    """What a program prints, wherever it does; nothing where it is not there."""
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

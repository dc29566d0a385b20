"""The demo MCP server as an upstream."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import environment
from tests.support.processes import free_port, listens, running


@dataclass(frozen=True, slots=True)
class DemoUpstream:
    """A running demo server. `url` is its MCP endpoint."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"


@contextlib.contextmanager
def demo_upstream(folder: Path) -> Iterator[DemoUpstream]:
    """Runs the demo server until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "mcp_routes.demo", "--port", str(port)]
    with running(command, lambda: listens(port), folder / f"demo-{port}.log", environment.clean()):
        yield DemoUpstream(port)

"""What `make run` starts: a newcomer connects a client, signs in as a demo user, consents and calls a tool."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.flows.sdk import SdkClient
from tests.flows.visitor import Visitor
from tests.support import databases, environment
from tests.support.processes import answers, free_port, running


@pytest.fixture(scope="module")
def printed(workshop: Path) -> Iterator[tuple[str, str]]:
    """The address of a gateway that was just started on an empty database, and what it printed."""
    port, demo_port = free_port(), free_port()
    log = workshop / "rundemo.log"
    url = f"http://localhost:{port}"
    with databases.fresh(workshop) as database_url:
        settings = environment.clean(DEBUG="true", DATABASE_URL=database_url)
        command = [sys.executable, "manage.py", "rundemo", "--port", str(port), "--demo-port", str(demo_port)]
        with running(command, lambda: answers(f"{url}/healthz"), log, settings):
            yield url, log.read_text()


def test_it_prints_what_to_paste(printed: tuple[str, str]) -> None:
    url, text = printed
    assert f"claude mcp add --transport http demo {url}/mcp/demo" in text
    assert "Cursor" in text and "Inspector" in text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_client_connects_under_either_name_of_this_machine(printed: tuple[str, str], host: str) -> None:
    url = printed[0].replace("localhost", host)
    program = SdkClient(f"{url}/mcp/demo", Visitor().authorize)

    async def use() -> str:
        async with program.connected() as client:
            answer = await client.call_tool("echo", {"text": "hello"})
            return str(answer.content[0].text)  # type: ignore[union-attr]

    assert asyncio.run(use()) == "hello"


def test_the_landing_page_lists_the_route_with_snippets(printed: tuple[str, str]) -> None:
    page = requests.get(f"{printed[0]}/", timeout=10).text
    for client in ("Claude Code", "Claude Desktop", "Cursor", "VS Code", "Inspector"):
        assert client in page
    assert f"{printed[0]}/mcp/demo" in page


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via"])
def test_through_a_tunnel_there_is_no_demo_sign_in(printed: tuple[str, str], header: str) -> None:
    assert requests.get(f"{printed[0]}/oauth/dev-login", timeout=10).status_code == 200
    assert requests.get(f"{printed[0]}/oauth/dev-login", headers={header: "203.0.113.9"}, timeout=10).status_code == 404

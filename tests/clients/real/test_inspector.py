"""The MCP Inspector, run on its command line as its users run it: it signs in, and uses what it keeps."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.clients.real.desk import Desk
from tests.flows.conftest import House
from tests.support import node22
from tests.support.processes import free_port

pytestmark = pytest.mark.whichever_database

_LAUNCHER = ("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")


def inspect(house: House, *arguments: str) -> list[str]:
    """The command for one request to the route `demo`."""
    return [
        *(node22.node(), str(node22.script(*_LAUNCHER)), "--cli", "--server-url", house.route("demo"), "--transport", "http"),
        *("--format", "json", "--callback-url", f"http://127.0.0.1:{free_port()}/oauth/callback", *arguments),
    ]


SETTINGS = {"MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file"}


def answer(printed: str) -> Any:
    return json.loads(printed)


@pytest.mark.parametrize("era", ["legacy", "auto", "modern"])
def test_it_signs_in_and_lists_the_tools_and_later_calls_one_with_what_it_keeps(house: House, desk: Desk, era: str) -> None:
    with desk.running(inspect(house, "--method", "tools/list", "--protocol-era", era), **SETTINGS) as inspector:
        opened = inspector.signs_in(house.visitor())
        assert {tool["name"] for tool in answer(inspector.ends())["result"]["tools"]} >= {"echo", "add"}
    asked = parse_qs(urlsplit(opened).query)
    assert asked["resource"] == [house.route("demo")]
    call = inspect(house, "--method", "tools/call", "--tool-name", "echo", "--tool-arg", "text=hello", "--protocol-era", era)
    with desk.running([*call, "--stored-auth-only"], **SETTINGS) as inspector:
        assert "hello" in inspector.ends()
    assert desk.opened() == [opened]

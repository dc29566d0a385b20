"""mcp-remote, which Claude Desktop and others start to reach a remote server through standard input and output."""

import json
from typing import Any

import pytest

from tests.clients.real.desk import Desk, Program
from tests.flows.conftest import INITIALIZE, House
from tests.support import machine
from tests.support.emulator import NODE_FOLDER
from tests.support.processes import until

pytestmark = pytest.mark.whichever_database


class Host:
    """The program that started mcp-remote, and speaks JSON-RPC with it."""

    def __init__(self, remote: Program) -> None:
        self.remote = remote

    def asks(self, method: str, **params: Any) -> Any:
        number = len(self.remote.said) + 100
        self.remote.says(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        return self.hears(number)

    def hears(self, number: int) -> Any:
        until(lambda: any(message.get("id") == number for message in self._messages()), self.remote.report)
        return next(message for message in self._messages() if message.get("id") == number)["result"]

    def _messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.remote.said)]


def command(house: House, *flags: str) -> list[str]:
    return [machine.node(), str(NODE_FOLDER / "node_modules" / "mcp-remote" / "dist" / "proxy.js"), house.route("demo"), *flags]


def use(host: Host) -> None:
    assert host.hears(1)["serverInfo"]["name"]
    host.remote.says(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    assert {tool["name"] for tool in host.asks("tools/list")["tools"]} >= {"echo", "add"}
    assert host.asks("tools/call", name="echo", arguments={"text": "hello"})["content"][0]["text"] == "hello"


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
def test_it_signs_in_and_passes_messages_and_a_second_start_needs_no_browser(house: House, desk: Desk, method: str) -> None:
    asked = ("--static-oauth-client-metadata", json.dumps({"token_endpoint_auth_method": method}))
    with desk.running(command(house, *asked)) as remote:
        remote.says(json.dumps(INITIALIZE))
        opened = remote.signs_in(house.visitor())
        use(Host(remote))
    with desk.running(command(house, *asked)) as remote:
        remote.says(json.dumps(INITIALIZE))
        use(Host(remote))
    assert desk.opened() == [opened]

"""The MCP Inspector's page in Chromium: a person connects, approves, and runs a tool, all in one tab."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.clients.real.desk import Desk
from tests.flows.conftest import House
from tests.support import browsers, node22
from tests.support.processes import PATIENCE, free_port, until

PATIENTLY = PATIENCE * 1000
pytestmark = pytest.mark.whichever_database

_LAUNCHER = ("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+\?MCP_INSPECTOR_API_TOKEN=\S+")


def test_a_person_connects_approves_and_runs_a_tool(house: House, desk: Desk, page: Page) -> None:
    command = [
        *(node22.node(), str(node22.script(*_LAUNCHER)), "--web"),
        *("--server-url", house.route("demo"), "--transport", "http"),
    ]
    ports = {name: str(free_port()) for name in ("CLIENT_PORT", "MCP_SANDBOX_PORT", "MCP_APP_ORIGIN_PORT")}
    with desk.running(command, MCP_AUTO_OPEN_ENABLED="false", MCP_INSPECTOR_SECRET_STORE="memory", **ports) as inspector:
        until(lambda: _ADDRESS.search(inspector.report()) is not None, inspector.report)
        address = _ADDRESS.search(inspector.report())
        assert address is not None
        browsers.sign_in(page, house.gateway, "alice@example.com")
        page.goto(address[0])
        page.get_by_role("switch", name="Connect or disconnect").click(force=True)  # its label lies over it
        expect(page.get_by_role("heading", name="Allow this app to connect?")).to_be_visible(timeout=PATIENTLY)
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Tools", exact=True).first.click()
        page.get_by_role("button", name="echo").click()
        page.get_by_label("Text").first.fill("hello from the page")
        page.get_by_role("button", name="Execute Tool").click()
        expect(page.get_by_text("hello from the page").last).to_be_visible(timeout=PATIENTLY)
        expect(page.get_by_text("TOOLS/CALL")).to_be_visible(timeout=PATIENTLY)

"""The official Python SDK with a person in front of Chromium: sign-in at the provider, the consent page, and a tool that is called."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.program import Listener
from tests.flows.sdk import NEGOTIATED, SdkClient
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE


@pytest.fixture(scope="module", params=["runserver", "gunicorn"])
def gateway(request: pytest.FixtureRequest, start_gateway: Callable[..., Gateway]) -> Gateway:
    shared = {"CACHE_URL": request.getfixturevalue("redis_url")} if request.param == "gunicorn" else {}
    return start_gateway(request.param, **shared)


@pytest.mark.parametrize("mode", NEGOTIATED)
def test_a_person_consents_in_the_browser_that_the_sdk_opens(page: Page, gateway: Gateway, listener: Listener, mode: str) -> None:
    opened: Queue[str] = Queue()
    callback = f"{listener.url}/callback"

    def open_browser(address: str) -> str:
        opened.put(address)
        return f"{callback}?{urlencode(listener.answer())}"

    program = SdkClient(gateway.route_url("demo"), open_browser, callback)

    async def use() -> tuple[str, set[str], str]:
        async with program.connected(mode) as client:
            added = await client.call_tool("add", {"a": 2, "b": 3})
            return client.protocol_version, {tool.name for tool in (await client.list_tools()).tools}, str(added.content[0].text)  # type: ignore[union-attr]

    with ThreadPoolExecutor(1) as pool:  # the browser's own event loop is this thread's
        using = pool.submit(asyncio.run, use())
        page.goto(opened.get(timeout=PATIENCE))
        expect(page.get_by_role("heading", level=1)).to_have_text("Allow this app to connect?")
        for fact in ("Python SDK", "unverified", "Demo tools", listener.url.removeprefix("http://"), "alice@example.com"):
            expect(page.get_by_role("main")).to_contain_text(fact)
        page.get_by_role("button", name="Approve").click()
        page.wait_for_url(f"{callback}?**")
        version, tools, total = using.result(PATIENCE)
    assert version == NEGOTIATED[mode]
    assert tools >= {"echo", "add", "slow"} and total == "5"
    assert len(program.visits) == 1

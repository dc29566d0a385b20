"""A gateway whose operator is alice, programs that register there, and a browser that may not complain of anything."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.program import Listener, Program, listening, register
from tests.browser.watch import Watch
from tests.support.gateway import Gateway

LAPTOP = {"DEBUG": "true", "WORKOS_CLIENT_ID": "", "WORKOS_CLIENT_SECRET": ""}
"""Settings of a gateway without a provider, on which people are picked from a list."""


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    """Whoever opens a page that needs a user is signed in as alice, because the emulator asks nobody."""
    return start_gateway(GATEWAY_ADMINS="alice@example.com")


@pytest.fixture(scope="module")
def laptop(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway(**LAPTOP)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test when its browser complained of something that the test did not take."""
    watching = Watch()
    yield watching
    assert watching.complaints == []


@pytest.fixture
def browser(chromium: Browser, watch: Watch) -> Iterator[BrowserContext]:
    """A browser that has never been anywhere, and is watched."""
    context = chromium.new_context()
    watch.over(context)
    yield context
    context.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as ready:
        yield ready


@pytest.fixture
def program(gateway: Gateway, listener: Listener) -> Program:
    """A program that has registered and not yet asked."""
    return register(gateway, f"{listener.url}/callback")

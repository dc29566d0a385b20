"""A real browser: Debian's Chromium, without a window and without calling home."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from playwright.sync_api import Browser, sync_playwright

from tests.support import machine

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.gateway import Gateway

_FLAGS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser until the block ends; each visitor is a context of it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=machine.chromium(), args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: "Page", gateway: "Gateway", email: str, next_path: str = "/") -> None:
    """Signs a person in through the emulator, which takes whom `login_hint` names: its page has no form to choose on."""
    begun = page.request.get(f"{gateway.url}/oauth/login?next={quote(next_path)}", max_redirects=0)
    assert begun.status == 302, begun.text()
    page.goto(f"{begun.headers['location']}&login_hint={quote(email)}")

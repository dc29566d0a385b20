"""The same pages without a mouse: everything is reached with Tab, seen when it is reached, and done with Enter or Space."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.program import Listener, Program
from tests.support.gateway import Gateway

_FOCUSED = """() => {
    const element = document.activeElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
    return {
        words: element === document.body ? "" : (element.labels?.[0] ?? element).innerText.trim(),
        outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        // A page scrolls by whole pixels, and boxes begin between them.
        onScreen: box.width > 0 && box.top > -1 && box.left > -1 && box.bottom < innerHeight + 1 && box.right < innerWidth + 1,
    };
}"""


def tab(page: Page) -> dict[str, Any]:
    """Where the next Tab leads."""
    page.keyboard.press("Tab")
    return dict(page.evaluate(_FOCUSED))


def tab_to(page: Page, words: str) -> None:
    """Presses Tab until the focus is on what begins with these words."""
    passed: list[str] = []
    while not (at := str(tab(page)["words"])).startswith(words):
        assert at not in passed, f"{words} is not reached; Tab leads round {passed}"
        passed.append(at)


def stops(page: Page) -> list[str]:
    """Everything that Tab reaches, in order. Each stop must be visible while it has the focus."""
    found: list[str] = []
    while (at := tab(page))["words"] not in {"", *found}:
        assert at["outlined"] and at["onScreen"], at
        found.append(at["words"].split("\n")[0])
    return found


def test_the_consent_page_is_walked_in_the_order_it_is_read(page: Page, program: Program) -> None:
    page.goto(program.authorize_url())
    assert stops(page) == ["Skip to the content", "MCP Gateway", "Not you?", "Cancel", "Approve"]


def test_the_first_stop_skips_to_the_content(page: Page, program: Program) -> None:
    page.goto(program.authorize_url())
    tab(page)
    page.keyboard.press("Enter")
    assert tab(page)["words"] == "Not you?"


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_program_is_connected_by_keyboard(page: Page, program: Program, listener: Listener, key: str) -> None:
    page.goto(program.authorize_url())
    tab_to(page, "Approve")
    page.keyboard.press(key)
    page.wait_for_url(f"{program.redirect_uri}?**")
    assert program.tools(program.redeem(listener.answer()))


def test_cancel_is_reached_by_keyboard(page: Page, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url())
    tab_to(page, "Cancel")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{program.redirect_uri}?**")
    assert listener.answer()["error"] == "access_denied"


@pytest.mark.parametrize("slug", ["demo", ""], ids=["one route", "a choice"])
def test_enter_on_a_page_that_has_just_opened_decides_nothing(page: Page, program: Program, slug: str) -> None:
    page.goto(program.authorize_url(slug))
    here = page.url
    page.keyboard.press("Enter")
    tab(page)
    assert page.url == here
    expect(page.get_by_role("button", name="Approve")).to_be_visible()


def test_a_route_is_chosen_by_keyboard(page: Page, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url(slug=""))
    tab_to(page, "Demo administration")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Demo tools")).to_be_checked()
    tab_to(page, "Approve")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{program.redirect_uri}?**")
    assert program.tools(program.redeem(listener.answer()), "demo")


def test_enter_on_a_choice_cancels_rather_than_approves(page: Page, program: Program, listener: Listener) -> None:
    """It presses the form's first button, and Chromium passes over a disabled one."""
    page.goto(program.authorize_url(slug=""))
    tab_to(page, "Demo administration")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    assert listener.answer()["error"] == "access_denied"


@pytest.mark.parametrize("path", ["/", "/oauth/logout"])
def test_other_pages_are_walked_with_the_focus_in_sight(page: Page, gateway: Gateway, path: str) -> None:
    page.goto(f"{gateway.url}/oauth/login?next={path}")
    found = stops(page)
    assert found[:2] == ["Skip to the content", "MCP Gateway"]
    assert "Sign out" in found


def test_a_demo_user_is_picked_by_keyboard(page: Page, laptop: Gateway) -> None:
    page.goto(f"{laptop.url}/oauth/login?next=/")
    tab_to(page, "Demo User")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Signed in as user@example.com")).to_be_visible()

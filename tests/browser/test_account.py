"""A person's own page, in a browser: what they have connected and where they are signed in, ended with one press of a button."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.program import Listener, Program, register
from tests.browser.test_keyboard import stops, tab_to
from tests.browser.watch import Watch
from tests.support.gateway import Gateway

ALICE = "alice@example.com"
PHONE_WIDTH = 390


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway()


def connect(page: Page, program: Program, listener: Listener, slug: str = "demo") -> str:
    """Approves a program that asks for a route; its access token."""
    page.goto(program.authorize_url(slug))
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{program.redirect_uri}?**")
    return program.redeem(listener.answer())


@pytest.fixture
def weather(gateway: Gateway, listener: Listener) -> Program:
    return register(gateway, f"{listener.url}/callback", name="Weather Station")


@pytest.fixture
def elsewhere(chromium: Browser, watch: Watch) -> Iterator[Page]:
    """Another browser."""
    context = chromium.new_context()
    watch.over(context)
    yield context.new_page()
    context.close()


def open_account(page: Page, gateway: Gateway) -> None:
    page.goto(f"{gateway.url}/account/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


def test_who_has_connected_nothing_is_told_how(page: Page, gateway: Gateway, sign_in: Callable[..., None]) -> None:
    sign_in(page, "bob@example.com", next_path="/account/")
    expect(page.get_by_role("main")).to_contain_text("No app is connected in your name.")
    page.get_by_role("link", name="start page").click()
    expect(page.get_by_text("Demo tools", exact=True)).to_be_visible()
    page.get_by_role("link", name="Account", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


def test_an_app_is_revoked_and_the_other_goes_on(page: Page, gateway: Gateway, weather: Program, listener: Listener) -> None:
    tools, administration = connect(page, weather, listener), connect(page, weather, listener, "demo-admin")
    open_account(page, gateway)
    page.get_by_role("button", name="Revoke Weather Station on Demo tools").click()
    expect(page.get_by_role("status")).to_have_text("Weather Station can no longer use Demo tools.")
    assert weather.call(tools, "initialize", {}).status_code == 401
    assert weather.tools(administration, "demo-admin")
    page.reload()
    expect(page.get_by_role("status")).to_have_count(0)
    expect(page.get_by_role("button", name="Revoke Weather Station on Demo administration")).to_be_visible()


def test_all_are_revoked_after_a_question(page: Page, gateway: Gateway, weather: Program, listener: Listener) -> None:
    tokens = {slug: connect(page, weather, listener, slug) for slug in ("demo", "demo-admin")}
    open_account(page, gateway)
    page.get_by_role("link", name="Revoke all apps").click()
    page.get_by_role("link", name="Keep them").click()
    assert weather.tools(tokens["demo"])
    page.get_by_role("link", name="Revoke all apps").click()
    page.get_by_role("button", name="Revoke all").click()
    expect(page.get_by_role("main")).to_contain_text("No app is connected in your name.")
    assert [weather.call(token, "initialize", {}, slug=slug).status_code for slug, token in tokens.items()] == [401, 401]


def test_another_browser_is_signed_out_at_its_next_page(page: Page, elsewhere: Page, gateway: Gateway) -> None:
    open_account(elsewhere, gateway)
    open_account(page, gateway)
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_role("status")).to_contain_text("signed out")
    elsewhere.goto(f"{gateway.url}/")
    expect(elsewhere.get_by_role("link", name="Sign in with WorkOS").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your account")


def test_one_browser_of_several_is_signed_out(page: Page, elsewhere: Page, gateway: Gateway) -> None:
    open_account(page, gateway)
    if page.get_by_role("button", name="Sign out everywhere else").count():
        page.get_by_role("button", name="Sign out everywhere else").click()
    open_account(elsewhere, gateway)
    page.reload()
    page.get_by_role("button", name="Sign out Chrome on Linux").click()
    expect(page.get_by_role("status")).to_have_text("That browser is signed out.")
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
    expect(page.get_by_text("this browser")).to_be_visible()


@pytest.mark.parametrize("width", [PHONE_WIDTH, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, gateway: Gateway, listener: Listener, width: int) -> None:
    long = register(gateway, f"{listener.url}/callback", name="W" * 200)
    connect(page, long, listener)
    page.set_viewport_size({"width": width, "height": 844})
    open_account(page, gateway)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    stacked = page.get_by_role("row").nth(1).evaluate("row => getComputedStyle(row).display")
    assert stacked == ("grid" if width == PHONE_WIDTH else "table-row")


def test_a_stacked_table_is_still_one_to_who_cannot_see_it(page: Page, gateway: Gateway, weather: Program, listener: Listener) -> None:
    connect(page, weather, listener)
    page.set_viewport_size({"width": PHONE_WIDTH, "height": 844})
    open_account(page, gateway)
    table = page.get_by_role("table", name="Connected apps")
    expect(table.get_by_role("columnheader", name="Last used")).to_be_attached()
    expect(table.get_by_role("row").filter(has_text="Weather Station").get_by_role("cell").first).to_contain_text("Demo tools")


def test_it_is_walked_and_an_app_revoked_by_keyboard(page: Page, gateway: Gateway, weather: Program, listener: Listener) -> None:
    token = connect(page, weather, listener)
    open_account(page, gateway)
    found = stops(page)
    assert found[:4] == ["Skip to the content", "MCP Gateway", "Account", "Sign out"]
    assert any(words.startswith("Revoke") for words in found[4:])
    page.reload()
    tab_to(page, "Revoke\nWeather Station on Demo tools")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Weather Station can no longer use")
    assert weather.call(token, "initialize", {}).status_code == 401


def test_without_a_session_it_leads_through_the_sign_in_and_back(browser: BrowserContext, gateway: Gateway) -> None:
    page = browser.new_page()
    page.goto(f"{gateway.url}/account")
    expect(page).to_have_url(f"{gateway.url}/account/")
    expect(page.get_by_role("main")).to_contain_text(f"Signed in as {ALICE}")

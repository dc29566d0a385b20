"""Connecting a program, in Chromium: sign in, read, decide, and arrive where the program waits."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.program import Listener, Program, listening, parameters, register
from tests.support.gateway import Gateway

WEBSITE = "https://app.website.example"


def approve(page: Page) -> None:
    page.get_by_role("button", name="Approve").click()


def test_a_program_is_connected(page: Page, gateway: Gateway, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url())
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow this app to connect?")
    for fact in ("Weather Station", "unverified", "Demo tools", "/mcp/demo", listener.url.removeprefix("http://"), "alice@example.com"):
        expect(page.get_by_role("main")).to_contain_text(fact)
    approve(page)
    page.wait_for_url(f"{program.redirect_uri}?**")
    answer = listener.answer()
    assert answer.keys() == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == (program.state, gateway.route_url("demo"))
    assert program.tools(program.redeem(answer)) >= {"echo", "add", "slow"}


def test_cancelling_tells_the_program(page: Page, gateway: Gateway, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url())
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url(f"{program.redirect_uri}?**")
    answer = listener.answer()
    assert answer.keys() == {"error", "error_description", "state", "iss"}
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", program.state, gateway.route_url("demo"))


def test_a_double_click_gives_one_usable_code(page: Page, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url())
    page.get_by_role("button", name="Approve").dblclick()
    page.wait_for_url(f"{program.redirect_uri}?**")
    answer = listener.answer()
    assert program.tools(program.redeem(answer))
    assert all(listener.visits.get() == answer for _ in range(listener.visits.qsize()))


def test_going_back_to_the_page_asks_anew(page: Page, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url())
    approve(page)
    page.wait_for_url(f"{program.redirect_uri}?**")
    program.redeem(listener.answer())
    page.go_back()
    approve(page)
    page.wait_for_url(f"{program.redirect_uri}?**")
    assert program.tools(program.redeem(listener.answer()))


def test_three_tabs_come_through_at_the_same_time(browser: BrowserContext, gateway: Gateway, listener: Listener) -> None:
    programs = [register(gateway, f"{listener.url}/callback", f"Program {number}") for number in range(3)]
    tabs = [browser.new_page() for _ in programs]
    for tab, program in zip(tabs, programs, strict=True):
        tab.evaluate("address => { location.href = address }", program.authorize_url())  # goes on without waiting for the others
    for tab in tabs:
        tab.get_by_role("button", name="Approve").wait_for()
    for tab in tabs:
        approve(tab)
        tab.wait_for_url(f"{listener.url}/callback?**")
    answers = [listener.answer() for _ in tabs]
    by_state = {answer["state"]: answer for answer in answers}
    assert all(program.tools(program.redeem(by_state[program.state])) for program in programs)


def test_a_sign_in_that_ends_in_another_tab_leaves_the_consent_page_usable(
    browser: BrowserContext, gateway: Gateway, program: Program, listener: Listener
) -> None:
    begun = browser.request.get(f"{gateway.url}/oauth/login?next=/", max_redirects=0).headers["location"]
    first, second = browser.new_page(), browser.new_page()
    first.goto(program.authorize_url())
    second.goto(begun)  # changes the session's key under the first tab
    expect(second.get_by_text("Signed in as")).to_be_visible()
    approve(first)
    first.wait_for_url(f"{program.redirect_uri}?**")
    assert program.redeem(listener.answer())


def test_an_app_with_a_scheme_of_its_own_is_opened(page: Page, gateway: Gateway) -> None:
    program = register(gateway, "cursor://anysphere.cursor-mcp/oauth/callback", "Cursor")
    page.goto(program.authorize_url())
    expect(page.get_by_role("main")).to_contain_text("anysphere.cursor-mcp")
    with page.expect_request("cursor:**") as opened:  # the browser now asks whether to open the app, and lets nobody click behind that
        approve(page)
    target = opened.value.url
    assert target.startswith(f"{program.redirect_uri}?")
    expect(page.get_by_role("link", name="Continue to Cursor")).to_have_attribute("href", target)
    assert program.tools(program.redeem(parameters(target)))


def test_a_program_that_names_no_route_gets_the_one_that_is_chosen(page: Page, program: Program, listener: Listener) -> None:
    page.goto(program.authorize_url(slug=""))
    expect(page.get_by_role("radio", checked=True)).to_have_count(0)
    approve(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Allow this app to connect?")  # the browser asks for the choice
    page.get_by_label("Demo administration").check()
    approve(page)
    page.wait_for_url(f"{program.redirect_uri}?**")
    token = program.redeem(listener.answer())
    assert program.tools(token, "demo-admin")
    assert program.call(token, "tools/list").status_code == 401


@pytest.fixture
def website(browser: BrowserContext, gateway: Gateway) -> Program:
    """A client on the web: its host exists in this browser only."""
    browser.route(f"{WEBSITE}/**", lambda route: route.fulfill(body="<!doctype html><title>Done</title>", content_type="text/html"))
    return register(gateway, f"{WEBSITE}/callback", "A website")


def test_a_website_is_remembered(page: Page, website: Program) -> None:
    page.goto(website.authorize_url())
    expect(page.get_by_role("main")).to_contain_text("app.website.example")
    approve(page)
    page.wait_for_url(f"{WEBSITE}/callback?**")
    assert website.redeem(parameters(page.url))
    page.goto(website.authorize_url(), wait_until="commit")
    page.wait_for_url(f"{WEBSITE}/callback?**")
    assert website.tools(website.redeem(parameters(page.url)))


def test_a_website_is_asked_for_again_on_another_route(page: Page, website: Program) -> None:
    page.goto(website.authorize_url("demo"))
    approve(page)
    page.wait_for_url(f"{WEBSITE}/callback?**")
    page.goto(website.authorize_url("demo-admin"))
    expect(page.get_by_role("main")).to_contain_text("/mcp/demo-admin")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()


def test_a_program_on_this_computer_is_asked_for_each_time(page: Page, program: Program, listener: Listener) -> None:
    for _ in range(2):
        page.goto(program.authorize_url())
        approve(page)
        page.wait_for_url(f"{program.redirect_uri}?**")
        assert program.redeem(listener.answer())


def test_an_answer_to_a_port_other_than_the_registered_one_arrives(page: Page, gateway: Gateway, program: Program) -> None:
    with listening() as elsewhere:
        program.redirect_uri = f"{elsewhere.url}/callback"
        page.goto(program.authorize_url())
        approve(page)
        page.wait_for_url(f"{program.redirect_uri}?**")
        assert program.redeem(elsewhere.answer())

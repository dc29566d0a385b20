"""Who sits at the browser: signing in, being somebody else after all, signing out."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.program import Listener, Program
from tests.support.gateway import Gateway


def test_somebody_else_after_all(page: Page, program: Program, listener: Listener, sign_in: Callable[..., None]) -> None:
    sign_in(page, "bob@example.com")
    page.goto(program.authorize_url())
    expect(page.get_by_role("main")).to_contain_text("bob@example.com")
    page.get_by_role("link", name="Not you?").click()  # the provider now says alice
    expect(page.get_by_role("main")).to_contain_text("alice@example.com")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{program.redirect_uri}?**")
    assert program.tools(program.redeem(listener.answer()))


def test_a_page_that_was_open_for_somebody_else_approves_nothing(
    browser: BrowserContext, program: Program, listener: Listener, sign_in: Callable[..., None]
) -> None:
    first, second = browser.new_page(), browser.new_page()
    sign_in(first, "bob@example.com")
    first.goto(program.authorize_url())
    sign_in(second, "alice@example.com")
    first.get_by_role("button", name="Approve").click()
    expect(first.get_by_role("main")).to_contain_text("Nothing was")
    assert listener.visits.empty()


def test_signing_out_leads_through_the_provider_and_back(page: Page, gateway: Gateway, sign_in: Callable[..., None]) -> None:
    sign_in(page, "alice@example.com")
    page.get_by_role("link", name="Sign out").click()
    expect(page.get_by_role("main")).to_contain_text("alice@example.com")
    seen: list[str] = []
    page.on("framenavigated", lambda frame: seen.append(frame.url))
    with page.expect_request("**/user_management/sessions/logout?**"):
        page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{gateway.url}/")
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert seen[0] == f"{gateway.url}/oauth/logout"


def test_staying_signed_in_is_one_click(page: Page, gateway: Gateway, sign_in: Callable[..., None]) -> None:
    sign_in(page, "alice@example.com", next_path="/oauth/logout")
    page.get_by_role("link", name="Stay signed in").click()
    expect(page.get_by_text("Signed in as")).to_contain_text("alice@example.com")


def test_who_is_not_signed_in_is_told_so(page: Page, gateway: Gateway) -> None:
    page.goto(f"{gateway.url}/oauth/logout")
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    page.get_by_role("link", name="Sign in again").click()
    expect(page.get_by_text("Signed in as")).to_contain_text("alice@example.com")


def test_a_program_that_waits_is_served_after_signing_out(page: Page, program: Program, listener: Listener, gateway: Gateway) -> None:
    page.goto(f"{gateway.url}/oauth/login?next=/oauth/logout")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{gateway.url}/")
    page.goto(program.authorize_url())
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{program.redirect_uri}?**")
    assert program.redeem(listener.answer())

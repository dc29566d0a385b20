"""Operators at work in the admin: find, look, end. Every page is watched for what its policy would stop."""

import re
import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.program import Listener, Program
from tests.support.gateway import Gateway, manage


@pytest.fixture
def token(page: Page, program: Program, listener: Listener) -> str:
    """A token that alice, who is an operator, has just given to the program."""
    page.goto(program.authorize_url())
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url(f"{program.redirect_uri}?**")
    return program.redeem(listener.answer())


def act(page: Page, action: str) -> None:
    """Chooses an action for the rows that are ticked."""
    page.get_by_label("Action:").select_option(action)
    page.get_by_role("button", name="Go", exact=True).click()


def links_of(page: Page, pattern: str) -> list[str]:
    """The addresses on a page that match, in order."""
    found: list[str] = page.locator("a[href]").evaluate_all("links => links.map(link => link.href)")
    return sorted({address for address in found if re.search(pattern, address)})


def test_an_operator_ends_a_connection(page: Page, gateway: Gateway, program: Program, token: str) -> None:
    assert program.tools(token)
    page.goto(f"{gateway.url}/admin/")
    page.get_by_role("link", name="Clients", exact=True).first.click()
    page.locator("#searchbar").fill(program.client_id)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=re.compile("^Weather Station")).click()
    expect(page.get_by_text(program.client_id)).to_be_visible()
    page.get_by_role("link", name="1 user with a connection").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody input[type=checkbox]").check()
    act(page, "Revoke selected connections")
    expect(page.get_by_role("heading", name="Revoke these connections?")).to_be_visible()
    assert program.tools(token), "asked is not done"
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Revoked 1 connection.")).to_be_visible()
    refused = program.call(token, "tools/list")
    assert refused.status_code == 401 and 'error="invalid_token"' in refused.headers["WWW-Authenticate"]


def test_a_connections_page_tells_its_story_and_ends_it(page: Page, gateway: Gateway, program: Program, token: str) -> None:
    assert program.tools(token)
    page.goto(f"{gateway.url}/admin/oauthgw/grant/?q={program.client_id}")
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_text("It is in use: its access token is good.")).to_be_visible()
    expect(page.locator(".story")).to_contain_text("The user approved the app on the consent page.")
    expect(page.locator(".story")).to_contain_text("The app redeemed its code: the connection began.")
    page.get_by_role("button", name="Revoke…").click()
    expect(page.get_by_role("heading", name="Revoke these connections?")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Revoked 1 connection.")).to_be_visible()
    assert program.call(token, "tools/list").status_code == 401
    page.locator("#result_list tbody th a").first.click()
    expect(page.get_by_text("An operator revoked it. The user can connect again from the app.")).to_be_visible()
    expect(page.get_by_role("button", name="Revoke…")).to_have_count(0)


def test_an_operator_who_changes_their_mind_ends_nothing(page: Page, gateway: Gateway, program: Program, token: str) -> None:
    page.goto(f"{gateway.url}/admin/oauthgw/grant/?q={program.client_id}")
    page.locator("#result_list tbody input[type=checkbox]").check()
    act(page, "Revoke selected connections")
    page.get_by_role("link", name="No, take me back").click()
    page.wait_for_url(f"{gateway.url}/admin/oauthgw/grant/**")
    assert program.tools(token)


def test_every_page_of_the_admin_works_under_its_policy(page: Page, gateway: Gateway, token: str) -> None:
    page.goto(f"{gateway.url}/admin/")
    lists = links_of(page, r"/admin/[a-z_]+/[a-z_]+/$")
    assert len(lists) >= 8
    for address in lists:
        page.goto(address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        for row in links_of(page, r"/\d+/change/$")[:1]:
            page.goto(row)
            expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_route_is_added_changed_and_removed(page: Page, gateway: Gateway) -> None:
    page.goto(f"{gateway.url}/oauth/login?next=/admin/mcp_routes/mcproute/add/")
    page.get_by_label("Slug:").fill("weather")
    page.get_by_label("Name:", exact=True).fill("Weather")
    page.get_by_label("Upstream URL:").fill("http://127.0.0.1:9/mcp")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    page.locator("#result_list").get_by_role("link", name="weather", exact=True).click()
    page.get_by_label("Description:").fill("Rain and wind")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    assert gateway.get("/.well-known/oauth-protected-resource/mcp/weather").status_code == 200
    page.locator("#result_list").get_by_role("link", name="weather", exact=True).click()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_text("stay reserved")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Yes, I")).click()
    expect(page.get_by_text("ended with the removal")).to_be_visible()
    assert gateway.get("/.well-known/oauth-protected-resource/mcp/weather").status_code == 404


def test_who_is_no_operator_is_kept_out(page: Page, sign_in: Callable[..., None]) -> None:
    sign_in(page, "bob@example.com", next_path="/admin/")
    expect(page.get_by_text("not authorized to access this page")).to_be_visible()
    expect(page.get_by_role("link", name="Sign in with WorkOS")).to_be_visible()


def test_a_local_superuser_comes_in_with_a_password(page: Page, gateway: Gateway) -> None:
    password = secrets.token_urlsafe()
    environment = {**gateway.environment, "DJANGO_SUPERUSER_PASSWORD": password}
    manage(environment, "createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com")
    page.goto(f"{gateway.url}/admin/")
    page.get_by_label("Username:").fill("root")
    page.get_by_label("Password:").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Routes", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Sign out").click()  # the gateway's own way out
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    page.goto(f"{gateway.url}/admin/")
    expect(page.get_by_label("Username:")).to_be_visible()

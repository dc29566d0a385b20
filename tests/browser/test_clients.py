"""An operator adds a client in the admin, hands over its secret, replaces it and removes the client again."""

import requests
from playwright.sync_api import Page, expect

from tests.support.gateway import Gateway


def let_in(gateway: Gateway, client_id: str, secret: str) -> bool:
    """Whether the token endpoint takes this secret, and only then says that the token is unknown."""
    form = {"grant_type": "refresh_token", "refresh_token": "unknown", "client_id": client_id, "client_secret": secret}
    return bool(requests.post(f"{gateway.url}/oauth/token", data=form, timeout=10).json()["error"] == "invalid_grant")


def value(page: Page, name: str) -> str:
    """What stands beside a name on the page that shows a secret."""
    return page.get_by_role("row", name=name).locator("code").first.inner_text()


def test_a_client_is_added_its_secret_copied_replaced_and_the_client_removed(page: Page, gateway: Gateway) -> None:
    page.goto(f"{gateway.url}/oauth/login?next=/admin/oauthgw/client/")
    page.get_by_role("link", name="Add client").click()
    page.get_by_label("Name:").fill("Assistant")
    page.get_by_label("Redirect URIs:").fill("http://assistant.example.com/cb")
    page.get_by_label("Authentication:").select_option("client_secret_post")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("uses plain http on a host that is not this machine")).to_be_visible()
    page.get_by_label("Redirect URIs:").fill("https://assistant.example.com/cb\nhttp://127.0.0.1/cb")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", name="The client was added")).to_be_visible()
    client_id, secret = value(page, "Client ID"), value(page, "Client secret")
    assert let_in(gateway, client_id, secret)
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text(client_id)).to_be_visible()
    assert secret not in page.content()

    act_on(page, gateway, client_id, "Make a new secret for the selected client", "Make a new secret")
    expect(page.get_by_role("heading", name="A new secret was made")).to_be_visible()
    replaced = value(page, "Client secret")
    assert let_in(gateway, client_id, replaced) and not let_in(gateway, client_id, secret)

    act_on(page, gateway, client_id, "Remove selected clients", "Remove")
    expect(page.get_by_text("Removed 1 client; 0 connections ended.")).to_be_visible()
    assert not let_in(gateway, client_id, replaced)


def act_on(page: Page, gateway: Gateway, client_id: str, action: str, button: str) -> None:
    """Finds the client in the list, chooses an action and confirms it."""
    page.goto(f"{gateway.url}/admin/oauthgw/client/?q={client_id}")
    page.locator("#result_list tbody input[type=checkbox]").check()
    page.get_by_label("Action:").select_option(action)
    page.get_by_role("button", name="Go", exact=True).click()
    page.get_by_role("button", name=button, exact=True).click()

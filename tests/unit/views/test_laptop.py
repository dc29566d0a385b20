"""Without GATEWAY_ORIGIN each loopback name is its own issuer; with WorkOS the browser has one home."""

from dataclasses import replace
from typing import Any

import pytest
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.guard.conf import WorkOS
from oauthgw.guard.secret import Secret
from tests.unit.conftest import Party, Person, sent_to_client


@pytest.fixture
def with_workos(settings: Any) -> None:
    settings.GATEWAY = replace(settings.GATEWAY, workos=WorkOS("client_01", Secret("sk_test")))


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000"])
def test_each_loopback_name_is_an_origin_of_its_own_for_machines(http: Browser, demo: McpRoute, with_workos: None, host: str) -> None:
    answer = http.get("/.well-known/oauth-authorization-server/mcp/demo", HTTP_HOST=host)
    assert answer.json()["issuer"] == f"http://{host}/mcp/demo"


def test_a_configured_origin_is_the_only_one(http: Browser, demo: McpRoute, settings: Any) -> None:
    settings.GATEWAY = replace(settings.GATEWAY, origin="https://gateway.example")
    answer = http.get("/.well-known/oauth-authorization-server/mcp/demo", HTTP_X_FORWARDED_HOST="evil.example")
    assert answer.json()["issuer"] == "https://gateway.example/mcp/demo"


def test_browser_pages_move_to_the_registered_name_and_the_issuer_stays_the_clients(
    http: Browser, demo: McpRoute, alice: Person, editor: Party, with_workos: None
) -> None:
    alice.browser.defaults["HTTP_HOST"] = "127.0.0.1:9000"
    moved = alice.open(editor.client, resource="http://127.0.0.1:9000/mcp/demo")
    assert moved.status_code == 302 and moved["Location"].startswith("http://localhost:9000/oauth/authorize/mcp/demo?")
    alice.browser.defaults["HTTP_HOST"] = "localhost:9000"
    page = alice.browser.get(moved["Location"].removeprefix("http://localhost:9000"))
    assert sent_to_client(alice.decide(page))["iss"] == "http://127.0.0.1:9000/mcp/demo"


def test_without_workos_nothing_moves(http: Browser, demo: McpRoute, alice: Person, editor: Party) -> None:
    alice.browser.defaults["HTTP_HOST"] = "127.0.0.1:9000"
    assert alice.open(editor.client, resource=None).status_code == 200


def test_without_workos_the_address_names_no_other_issuer(demo: McpRoute, alice: Person, editor: Party) -> None:
    sent = sent_to_client(alice.decide(alice.open(editor.client, gateway_host="127.0.0.1:9000")))
    assert sent["iss"] == "http://localhost:9000/mcp/demo"


@pytest.mark.parametrize("forged", ["127.0.0.1:1", "evil.example", "localhost.evil.example", "localhost:1/x", "localhost@evil.example"])
def test_the_remembered_name_can_only_be_a_loopback_one(
    demo: McpRoute, alice: Person, editor: Party, with_workos: None, forged: str
) -> None:
    sent = sent_to_client(alice.decide(alice.open(editor.client, gateway_host=forged)))
    assert sent["iss"] == "http://localhost:9000/mcp/demo"

"""Rules about clients: how they register, publish, and come back."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.flows.conftest import LOOPBACK, House
from tests.flows.visitor import Visitor
from tests.support.documents import Documents
from tests.support.processes import PATIENCE

Asks = Callable[..., str]


def register(house: House, **metadata: Any) -> requests.Response:
    return requests.post(f"{house.url}/oauth/register", json=metadata, timeout=PATIENCE)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
@pytest.mark.parametrize("kind", ["native", "web", None])
def test_rule_01_a_loopback_redirect_may_come_back_on_any_port(
    house: House, alice: Visitor, asks: Asks, host: str, kind: str | None
) -> None:
    """microsoft/vscode#278512, github/copilot-cli#1951, atlassian/atlassian-mcp-server#246."""
    client = house.register(redirect_uris=[f"http://{host}/callback"], **({"application_type": kind} if kind else {}))
    returned = f"http://{host}:51711/callback"
    assert alice.authorize(asks(client["client_id"], returned)).startswith(f"{returned}?")
    assert alice.open(asks(client["client_id"], f"http://{host}:51711/other")).status_code == 400


def test_rule_01_of_a_metadata_document_too(house: House, alice: Visitor, asks: Asks, documents: Documents) -> None:
    """huggingface/hf-mcp-server#216: the portless loopback of Claude Code's document."""
    url = f"{documents.url}/claude-code.json"
    documents.publish("/claude-code.json", {"client_id": url, "client_name": "Claude Code", "redirect_uris": ["http://localhost/callback"]})
    assert alice.authorize(asks(url, "http://localhost:55611/callback")).startswith("http://localhost:55611/callback?")


def test_rule_02_a_mixed_set_of_redirects_is_kept_and_a_dangerous_one_named(house: House) -> None:
    """soflyy/agent-connector-for-wp#111, bytebase/bytebase#20510, makeplane/plane-mcp-server#159: Cursor's three."""
    cursor = [
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "https://www.cursor.com/agents/mcp/oauth/callback",
        "http://localhost:8787/callback",
    ]
    assert house.register(client_name="Cursor", redirect_uris=cursor)["redirect_uris"] == cursor
    assert house.register(redirect_uris=[*cursor, "unlisted://somewhere/cb"])["redirect_uris"] == cursor
    refused = register(house, redirect_uris=[*cursor, "javascript://alert/cb"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
    assert "javascript://alert/cb" in refused.json()["error_description"]


@pytest.mark.parametrize("scope", ["openid email", "claudeai", "files:read mcp:tools", "", None, "offline_access"])
def test_rule_07_no_scope_is_a_reason_to_refuse(house: House, alice: Visitor, asks: Asks, scope: str | None) -> None:
    """appstrate/appstrate#1267, volcengine/OpenViking#2920, modelcontextprotocol/go-sdk#1102: invalid_scope ends the journey."""
    client = house.register(redirect_uris=[LOOPBACK], **({} if scope is None else {"scope": scope}))
    assert client["scope"].split()[0] == "mcp:tools"
    answered = house.answered(alice.press(alice.open(asks(client["client_id"], LOOPBACK, scope=scope)), "approve").text, client)
    granted = requests.post(f"{house.url}/oauth/token", data=answered.form(), timeout=PATIENCE).json()["scope"]
    assert granted == ("mcp:tools offline_access" if scope == "offline_access" else "mcp:tools")


def test_rule_08_a_client_that_is_not_known_any_more_is_told_how_to_begin_anew(house: House, alice: Visitor, asks: Asks) -> None:
    """PrefectHQ/fastmcp#1762, anthropics/claude-code#72818, supabase/mcp#355: a dead end in the browser."""
    page = alice.open(asks("removed-long-ago", LOOPBACK))
    assert (page.status_code, page.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "removed-long-ago" in page.text
    assert "add it again" in page.text
    form = {"grant_type": "refresh_token", "refresh_token": "mcprt_x", "client_id": "removed-long-ago"}
    token = requests.post(f"{house.url}/oauth/token", data=form, timeout=PATIENCE)
    assert (token.status_code, token.json()["error"]) == (401, "invalid_client")


def test_rule_09_twins_are_known_as_one_program(house: House) -> None:
    """samanhappy/mcphub#1174: 58 registrations, 42 of them one program's. Ports and the time of day make no other program."""
    rows = [house.register(client_name="Twin", redirect_uris=[f"http://127.0.0.1:{port}/callback"]) for port in (5001, 5002, 5003)]
    other = house.register(client_name="Twin", redirect_uris=["https://elsewhere.example/callback"])
    ids = [client["client_id"] for client in [*rows, other]]
    script = f"from oauthgw.models import Client; print(*(Client.objects.get(client_id=name).fingerprint for name in {ids}))"
    fingerprints = house.gateway.manage("shell", "-v0", "-c", script).split()
    assert len(fingerprints) == 4
    assert fingerprints[0] == fingerprints[1] == fingerprints[2] != fingerprints[3]


def test_rule_09_a_registration_that_was_never_used_is_gone_after_a_day_and_one_in_use_stays(house: House) -> None:
    """bschwind/lion-reader#975, agentic-community/mcp-gateway-registry#1119: thousands that nobody remembers."""
    unused, used = house.register(redirect_uris=[LOOPBACK])["client_id"], house.tokens("demo")["client_id"]
    script = (
        "from datetime import timedelta; from oauthgw.models import Client; "
        f"[Client.objects.filter(client_id=name).update(created=row.created - timedelta(hours=25)) "
        f"for name in {[unused, used]} for row in Client.objects.filter(client_id=name)]"
    )
    house.gateway.manage("shell", "-v0", "-c", script)
    house.gateway.manage("cleanup")
    left = f"from oauthgw.models import Client; print(*(row.client_id for row in Client.objects.filter(client_id__in={[unused, used]})))"
    assert house.gateway.manage("shell", "-v0", "-c", left).split() == [used]


def test_rule_10_a_document_that_cannot_be_fetched_is_told_from_one_that_is_wrong_and_neither_is_remembered(
    house: House, alice: Visitor, asks: Asks, documents: Documents
) -> None:
    """pomerium/pomerium#6692, Altinity/altinity-mcp#118, getsentry/sentry-mcp#1271."""
    url = f"{documents.url}/ten.json"
    missing = alice.open(asks(url, LOOPBACK))
    documents.publish("/ten.json", {"client_id": "https://somebody.else/", "client_name": "Ten", "redirect_uris": [LOOPBACK]})
    wrong = alice.open(asks(url, LOOPBACK))
    assert (missing.status_code, wrong.status_code) == (400, 400)
    assert _title(missing.text) != _title(wrong.text)
    assert documents.authority in missing.text
    documents.publish("/ten.json", {"client_id": url, "client_name": "Ten", "redirect_uris": [LOOPBACK]})
    assert alice.authorize(asks(url, LOOPBACK)).startswith(LOOPBACK)


def test_rule_10_a_document_that_prefers_a_key_and_lists_none_gets_in_and_one_kept_outlives_an_outage(
    house: House, alice: Visitor, asks: Asks, documents: Documents
) -> None:
    """Gentleman-Programming/engram#1633, taylorwilsdon/google_workspace_mcp#1015: private_key_jwt demanded, or a fetch blocked later."""
    url = f"{documents.url}/chatgpt.json"
    keys = documents.publish("/jwks.json", {"keys": [{"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}]})
    document = {
        "client_id": url,
        "client_name": "ChatGPT",
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "jwks_uri": keys,
    }
    documents.publish("/chatgpt.json", document, Cache_Control="no-store")
    assert alice.open(asks(url, document["redirect_uris"][0])).status_code == 200
    documents.serve("/chatgpt.json", b"gone", 503)
    assert alice.open(asks(url, document["redirect_uris"][0])).status_code == 200


def test_rule_20_the_page_names_the_host_that_gets_the_answer_and_believes_no_name(house: House, alice: Visitor, asks: Asks) -> None:
    """modelcontextprotocol/modelcontextprotocol#544, Kilo-Org/kilocode#4111: a spoofed name, a borrowed session."""
    spoofed = house.register(
        client_name="Claude\u202e (verified)", logo_uri="https://claude.ai/logo.png", redirect_uris=["https://evil.example/cb"]
    )
    page = alice.open(asks(spoofed["client_id"], "https://evil.example/cb"))
    assert page.status_code == 200  # it asks, although she is signed in
    assert "evil.example" in page.text
    assert "unverified" in page.text.lower()
    assert "\u202e" not in page.text
    assert "claude.ai/logo.png" not in page.text


def _title(page: str) -> str:
    return page.partition("<h1")[2].partition("</h1>")[0]

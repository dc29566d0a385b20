"""Rules about what a client holds: codes, tokens, and the way it refreshes."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.flows.conftest import LOOPBACK, PING, VERIFIER, Answered, House
from tests.flows.visitor import Visitor
from tests.support.processes import PATIENCE

Asks = Callable[..., str]


@pytest.fixture
def client(house: House) -> dict[str, Any]:
    """A client of the test's own: one that connects again and again would be stopped."""
    return house.register(client_name="Editor", redirect_uris=[LOOPBACK])


def approved(house: House, alice: Visitor, url: str, client: dict[str, Any]) -> Answered:
    return house.answered(alice.press(alice.open(url), "approve").text, client)


def token(house: House, **form: str) -> requests.Response:
    return requests.post(f"{house.url}/oauth/token", data=form, timeout=PATIENCE)


def refresh(house: House, client: dict[str, Any], refresh_token: str, **more: str) -> requests.Response:
    return token(house, grant_type="refresh_token", refresh_token=refresh_token, client_id=client["client_id"], **more)


@pytest.fixture
def tokens(house: House, alice: Visitor, asks: Asks, client: dict[str, Any]) -> dict[str, Any]:
    """What a new grant holds."""
    answer = token(house, **approved(house, alice, asks(client["client_id"], LOOPBACK), client).form())
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("spelled", ["{origin}/mcp/demo", "{origin}/mcp/demo/", "{shouted}/mcp/demo", "{origin}", "{origin}/"])
def test_rule_03_every_spelling_of_a_resource_is_the_one_that_is_published(
    house: House, alice: Visitor, asks: Asks, client: dict[str, Any], spelled: str
) -> None:
    """anthropics/claude-code#52871, vercel/ai#13988, sigbit/mcp-auth-proxy#123: a slash, a capital, or the origin alone."""
    resource = spelled.format(origin=house.url, shouted=house.url.replace("http://localhost", "HTTP://LOCALHOST"))
    answered = approved(house, alice, asks(client["client_id"], LOOPBACK, resource=resource), client)
    answer = token(house, **answered.form(), resource=resource)
    assert answer.status_code == 200, answer.text
    assert house.call("demo", answer.json()["access_token"]).status_code == 200
    assert refresh(house, client, answer.json()["refresh_token"], resource=resource).status_code == 200


@pytest.mark.parametrize("resource", ["{origin}/mcp/demo#x", "{origin}/mcp/demo-admin", "https://elsewhere.example/mcp/demo"])
def test_rule_03_what_is_no_spelling_of_it_is_refused_and_never_widened(
    house: House, alice: Visitor, asks: Asks, client: dict[str, Any], resource: str
) -> None:
    page = alice.open(asks(client["client_id"], LOOPBACK, resource=resource.format(origin=house.url)))
    assert (page.status_code, "invalid_target" in page.text) == (400, True)


def test_rule_04_a_lost_answer_to_a_refresh_signs_nobody_out(house: House, client: dict[str, Any], tokens: dict[str, Any]) -> None:
    """PrefectHQ/fastmcp#4901, anthropics/claude-code#91641, github/copilot-cli#3456: two processes, one token file."""
    first = refresh(house, client, tokens["refresh_token"]).json()
    again = refresh(house, client, tokens["refresh_token"])
    assert again.status_code == 200
    assert again.json()["refresh_token"] == first["refresh_token"]
    for access in (tokens["access_token"], first["access_token"], again.json()["access_token"]):
        assert house.call("demo", access).status_code == 200


def test_rule_04_one_used_after_its_successor_was_is_theft(house: House, client: dict[str, Any], tokens: dict[str, Any]) -> None:
    second = refresh(house, client, tokens["refresh_token"]).json()
    third = refresh(house, client, second["refresh_token"]).json()
    assert refresh(house, client, tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert house.call("demo", third["access_token"]).status_code == 401


def test_rule_05_a_client_is_told_when_to_refresh(house: House, tokens: dict[str, Any]) -> None:
    """anthropics/claude-code#21333, #55055, #82513: 401 and nothing else, with the reason only where a token was shown."""
    assert tokens["expires_in"] == 900
    refused = house.call("demo", tokens["access_token"][:-1] + "x")
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    bare = requests.post(house.route("demo"), json=PING, timeout=PATIENCE)
    assert bare.status_code == 401
    assert "error" not in bare.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scope", ["mcp:tools", "mcp:tools offline_access"])
def test_rule_06_a_refresh_token_is_given_whether_or_not_it_was_asked_for(
    house: House, alice: Visitor, asks: Asks, client: dict[str, Any], scope: str
) -> None:
    """lowdefy/lowdefy#2337, anthropics/antigravity-cli#1038, can1357/oh-my-pi#9975 (SEP-2207)."""
    answered = approved(house, alice, asks(client["client_id"], LOOPBACK, scope=scope), client)
    assert token(house, **answered.form()).json()["refresh_token"]
    server = house.gateway.get("/.well-known/oauth-authorization-server/mcp/demo").json()
    resource = house.gateway.get("/.well-known/oauth-protected-resource/mcp/demo").json()
    assert ("offline_access" in server["scopes_supported"], "offline_access" in resource["scopes_supported"]) == (True, False)


def test_rule_18_a_second_click_is_the_same_decision(house: House, alice: Visitor, asks: Asks, client: dict[str, Any]) -> None:
    """geelen/mcp-remote#68, makeplane/plane#8926, anthropics/claude-ai-mcp#562: approved twice, and sent back to sign in again."""
    page = alice.open(asks(client["client_id"], LOOPBACK))
    codes = [house.answered(alice.press(page, "approve").text, client).parameters["code"] for _ in range(2)]
    assert codes[0] == codes[1]
    form = {"grant_type": "authorization_code", "code": codes[0], "client_id": client["client_id"], "code_verifier": VERIFIER}
    assert token(house, **form, redirect_uri=LOOPBACK).status_code == 200


def test_rule_18_an_approval_is_remembered_where_nobody_else_can_take_the_answer(house: House, alice: Visitor, asks: Asks) -> None:
    back = "https://app.example.com/eighteen"
    website = house.register(client_name="Website", redirect_uris=[back])
    url = asks(website["client_id"], back)
    assert alice.authorize(url).startswith(back)
    assert house.answered(alice.open(url).text, website).parameters["code"]


def test_rule_18_a_client_that_signs_in_again_and_again_is_stopped_with_an_explanation(
    house: House, alice: Visitor, asks: Asks, client: dict[str, Any]
) -> None:
    """neondatabase/mcp-server-neon#186, NousResearch/hermes-agent#96358: a tab every second, and no token ever used."""
    url = asks(client["client_id"], LOOPBACK)
    for _ in range(3):
        assert token(house, **approved(house, alice, url, client).form()).status_code == 200
    page = alice.open(url)
    assert (page.status_code, "keeps asking you to sign in" in page.text) == (429, True)


def test_rule_19_nothing_is_ever_an_insufficient_scope(house: House, tokens: dict[str, Any]) -> None:
    """modelcontextprotocol/typescript-sdk#1582, anthropics/claude-code#44652: a step up that consent cannot give, over and over."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "not-a-tool", "arguments": {}}}
    answer = house.post("demo", tokens["access_token"], call)
    assert answer.status_code != 403
    assert "insufficient_scope" not in str(answer.headers) + answer.text
    refused = house.call("demo-admin", tokens["access_token"])
    assert 'scope="mcp:tools"' in refused.headers["WWW-Authenticate"]  # whatever is challenged is all there is

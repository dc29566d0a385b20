"""Two routes, one a prefix of the other: nothing of one works on the other."""

from typing import Any

import pytest
import requests

from tests.flows.conftest import INITIALIZE, PING, House


@pytest.fixture
def demo(house: House) -> dict[str, Any]:
    return house.tokens("demo")


@pytest.fixture
def demo_admin(house: House) -> dict[str, Any]:
    return house.tokens("demo-admin")


def test_a_token_of_one_route_is_refused_on_the_other_and_served_on_its_own(
    house: House, demo: dict[str, Any], demo_admin: dict[str, Any]
) -> None:
    for own, other, tokens in (("demo", "demo-admin", demo), ("demo-admin", "demo", demo_admin)):
        refused = house.call(other, tokens["access_token"])
        assert refused.status_code == 401 and 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
        assert f"/.well-known/oauth-protected-resource/mcp/{other}" in refused.headers["WWW-Authenticate"]
        assert house.call(own, tokens["access_token"]).status_code == 200


def test_a_code_of_one_route_cannot_be_redeemed_for_the_other(house: House) -> None:
    asked = house.ask("demo")
    form = {**asked.form(), "resource": house.route("demo-admin")}
    refused = requests.post(f"{house.url}/oauth/token", data=form, timeout=10)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    served = requests.post(f"{house.url}/oauth/token", data=asked.form(), timeout=10).json()
    assert house.call("demo-admin", served["access_token"]).status_code == 401


def test_a_refresh_token_cannot_change_its_route(house: House, demo: dict[str, Any]) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": demo["refresh_token"], "client_id": demo["client_id"]}
    refused = requests.post(f"{house.url}/oauth/token", data={**form, "resource": house.route("demo-admin")}, timeout=10)
    assert refused.json()["error"] == "invalid_target"
    served = requests.post(f"{house.url}/oauth/token", data=form, timeout=10).json()
    assert house.call("demo", served["access_token"]).status_code == 200
    assert house.call("demo-admin", served["access_token"]).status_code == 401


def test_consent_to_one_route_is_none_to_the_other(house: House) -> None:
    visitor = house.visitor()
    client = house.register(redirect_uris=["https://app.example.com/cb"])
    first = house.ask("demo", visitor=visitor, client=client)
    assert first.parameters["code"]
    assert "consent" in visitor.open(house.authorize_url("demo-admin", client)).text
    assert "http-equiv" in visitor.open(house.authorize_url("demo", client)).text


def test_a_session_of_one_route_user_or_client_is_unknown_to_another(
    house: House, demo: dict[str, Any], demo_admin: dict[str, Any]
) -> None:
    opened = house.post("demo", demo["access_token"], INITIALIZE)
    session = opened.headers["Mcp-Session-Id"]
    own = house.post("demo", demo["access_token"], {"jsonrpc": "2.0", "method": "notifications/initialized"}, session)
    assert own.status_code == 202
    assert house.post("demo", demo["access_token"], PING, session).status_code == 200
    strangers = [
        ("demo-admin", demo_admin),
        ("demo", house.tokens("demo", user="bob")),
        ("demo", house.tokens("demo")),  # the same user through another client
    ]
    for route, tokens in strangers:
        assert house.post(route, tokens["access_token"], PING, session).status_code == 404
    assert house.post("demo", demo["access_token"], PING, session[:-1]).status_code == 404
    assert house.post("demo", demo["access_token"], PING, session).status_code == 200

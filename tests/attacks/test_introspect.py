"""The introspection endpoint, asked by whoever should not learn anything (RFC 7662 §4)."""

from base64 import b64encode
from typing import Any

import pytest
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.models import AccessToken, Client, Grant, RefreshToken
from tests.unit.conftest import Party, Person
from tests.unit.posting import basic, post

PATH = "/oauth/introspect"


@pytest.fixture
def issued(demo: McpRoute, alice: Person, editor: Party) -> dict[str, Any]:
    return dict(editor.redeem(alice.code(editor.client)).json())


@pytest.fixture
def watcher(website: Party) -> Party:
    """A confidential client that an operator lets introspect."""
    Client.objects.filter(pk=website.client.pk).update(may_introspect=True)
    return website


def credentials(party: Party) -> dict[str, str]:
    return {"client_id": party.client.client_id, "client_secret": party.secret}


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_a_token_in_an_address_is_not_looked_at(http: Browser, watcher: Party, issued: dict[str, Any], method: str) -> None:
    """RFC 7662 §4: a GET would leave the token in logs."""
    answer = getattr(http, method)(
        f"{PATH}?token={issued['access_token']}", headers={"Authorization": basic(f"{watcher.client.client_id}:{watcher.secret}")}
    )
    assert answer.status_code == 405 and "active" not in answer.content.decode()


def test_a_query_beside_the_form_is_refused(http: Browser, watcher: Party, issued: dict[str, Any]) -> None:
    """RFC 6749 §3.2: parameters of the endpoint are the body's."""
    answer = post(http, credentials(watcher), f"{PATH}?token={issued['access_token']}")
    assert answer.status_code == 400 and "active" not in answer.json()


@pytest.mark.parametrize("scheme", ["Bearer", "Basic", "Digest", "Negotiate"])
def test_holding_a_token_is_no_right_to_ask(http: Browser, issued: dict[str, Any], watcher: Party, scheme: str) -> None:
    """RFC 7662 §2.1: the endpoint authenticates whoever asks, lest it be scanned for tokens (§4)."""
    answer = post(http, {"token": issued["access_token"]}, PATH, Authorization=f"{scheme} {issued['access_token']}")
    assert answer.status_code in (400, 401) and "active" not in answer.json()


def test_the_client_itself_learns_nothing_of_its_own_token(editor: Party, issued: dict[str, Any]) -> None:
    """To clients tokens are opaque (RFC 6749 §1.4)."""
    answer = editor.post(PATH, {"client_id": editor.client.client_id, "token": issued["access_token"]})
    assert answer.status_code == 401 and "active" not in answer.json()


@pytest.mark.parametrize("value", ["", "mcpat_", "mcpat_" + "A" * 51, "x" * 15_000, "\U0001f600", "' OR '1'='1", "%", "null"])
def test_every_value_that_is_no_token_is_answered_alike(http: Browser, watcher: Party, issued: dict[str, Any], value: str) -> None:
    """RFC 7662 §2.2: no more than that it is not active; nothing tells junk from what ended."""
    answer = post(http, {**credentials(watcher), "token": value}, PATH)
    assert (answer.status_code, answer.json()) in [(200, {"active": False}), (400, answer.json())] and "sub" not in answer.json()
    if value:
        assert answer.json() == {"active": False}


def test_what_is_stored_is_no_token_here_either(http: Browser, watcher: Party, issued: dict[str, Any]) -> None:
    """Whoever reads the database learns nothing by asking (RFC 9700 §2.2, RFC 6819 §5.1.4.1)."""
    for value in (AccessToken.objects.get().token_checksum, RefreshToken.objects.get().token_checksum, watcher.secret):
        assert post(http, {**credentials(watcher), "token": value}, PATH).json() == {"active": False}


def test_to_ask_keeps_nothing_alive(http: Browser, watcher: Party, issued: dict[str, Any]) -> None:
    """An answer that was only looked at never arrived (rule 2 of refreshing), and a question is no use of the connection."""
    before = (AccessToken.objects.get().accepted_at, Grant.objects.get().refreshed_at, RefreshToken.objects.get().expires_at)
    for kind in ("access_token", "refresh_token"):
        assert post(http, {**credentials(watcher), "token": issued[kind]}, PATH).json()["active"]
    assert (AccessToken.objects.get().accepted_at, Grant.objects.get().refreshed_at, RefreshToken.objects.get().expires_at) == before


@pytest.mark.parametrize("name", ["token", "client_id", "client_secret", "token_type_hint"])
def test_a_repeated_parameter_is_refused(http: Browser, watcher: Party, issued: dict[str, Any], name: str) -> None:
    """RFC 6749 §3.2: request parameters MUST NOT be included more than once."""
    form = {**credentials(watcher), "token": issued["access_token"], "token_type_hint": "access_token"}
    assert post(http, [*form.items(), (name, form[name])], PATH).status_code == 400


def test_two_ways_of_proving_oneself_are_refused(http: Browser, watcher: Party, issued: dict[str, Any]) -> None:
    """RFC 6749 §2.3."""
    header = "Basic " + b64encode(f"{watcher.client.client_id}:{watcher.secret}".encode()).decode()
    assert post(http, {**credentials(watcher), "token": issued["access_token"]}, PATH, Authorization=header).status_code == 400


def test_another_clients_id_beside_ones_own_proof_is_refused(http: Browser, watcher: Party, editor: Party, issued: dict[str, Any]) -> None:
    """RFC 6749 §2.3.1: cross-client confusion."""
    header = basic(f"{watcher.client.client_id}:{watcher.secret}")
    form = {"client_id": editor.client.client_id, "token": issued["access_token"]}
    assert post(http, form, PATH, Authorization=header).status_code == 401

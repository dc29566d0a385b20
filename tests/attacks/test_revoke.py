"""The revocation endpoint, used against others or to learn something (RFC 7009 §5)."""

from typing import Any

import pytest
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.models import Grant
from tests.unit.conftest import Party, Person
from tests.unit.posting import basic, post

PATH = "/oauth/revoke"


@pytest.fixture
def issued(demo: McpRoute, alice: Person, editor: Party) -> dict[str, Any]:
    return dict(editor.redeem(alice.code(editor.client)).json())


def is_live() -> bool:
    return Grant.objects.get().revoked_at is None


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_another_public_client_ends_nothing(http: Browser, register: Any, issued: dict[str, Any], kind: str) -> None:
    """RFC 7009 §2.1: the server verifies whether the token was issued to the client making the request."""
    other = register(client_name="Other", redirect_uris=["http://127.0.0.1:1/cb"])["client_id"]
    assert post(http, {"client_id": other, "token": issued[kind]}, PATH).status_code == 200
    assert is_live()


def test_a_confidential_client_is_nobody_without_its_secret(http: Browser, demo: McpRoute, alice: Person, website: Party) -> None:
    """RFC 7009 §2.1: the server first validates the client credentials."""
    code = alice.code(website.client, redirect_uri="https://app.example.com/cb")
    token = website.redeem(code, redirect_uri="https://app.example.com/cb").json()["refresh_token"]
    for form in ({"client_id": website.client.client_id}, {"client_id": website.client.client_id, "client_secret": "wrong"}, {}):
        assert post(http, {**form, "token": token}, PATH).status_code in (400, 401)
    assert is_live()


def test_a_known_and_an_unknown_token_are_answered_alike(http: Browser, website: Party, issued: dict[str, Any]) -> None:
    """RFC 7009 §5: no oracle for guessing."""
    own = {"client_id": website.client.client_id, "client_secret": website.secret}
    answers = [post(http, {**own, "token": value}, PATH) for value in (issued["refresh_token"], "mcprt_" + "A" * 43)]
    assert len({(answer.status_code, answer.content, answer["Content-Type"]) for answer in answers}) == 1
    assert is_live()


@pytest.mark.parametrize("method", ["get", "put", "delete", "head"])
def test_a_link_or_an_image_ends_nothing(http: Browser, editor: Party, issued: dict[str, Any], method: str) -> None:
    """RFC 9110 §9.2.1: what is loaded by a page must not act."""
    query = f"client_id={editor.client.client_id}&token={issued['refresh_token']}"
    assert getattr(http, method)(f"{PATH}?{query}").status_code == 405
    assert is_live()


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_another_kind_of_body_ends_nothing(http: Browser, editor: Party, issued: dict[str, Any], kind: str) -> None:
    """RFC 7009 §2.1: application/x-www-form-urlencoded, and what a page may post across sites without asking is not read otherwise."""
    body = f'{{"client_id": "{editor.client.client_id}", "token": "{issued["refresh_token"]}"}}'
    assert http.post(PATH, body, content_type=kind).status_code == 400
    assert is_live()


def test_a_signed_in_browser_adds_nothing(alice: Person, issued: dict[str, Any]) -> None:
    """CSRF (RFC 6749 §10.12): a cookie proves nothing at an endpoint for machines."""
    assert post(alice.browser, {"token": issued["refresh_token"]}, PATH).status_code in (400, 401)
    assert is_live()


def test_ending_one_half_ends_the_other(http: Browser, editor: Party, issued: dict[str, Any]) -> None:
    """RFC 7009 §2.1: a refresh token left alive would undo the revocation of its access token."""
    assert editor.revoke(issued["access_token"]).status_code == 200
    assert editor.refresh(issued["refresh_token"]).json()["error"] == "invalid_grant"
    assert principals.resolve_now(issued["access_token"], Grant.objects.get().resource_id) is None


def test_an_id_in_the_body_does_not_borrow_the_headers_proof(http: Browser, website: Party, editor: Party, issued: dict[str, Any]) -> None:
    """RFC 6749 §2.3.1: cross-client confusion."""
    header = basic(f"{website.client.client_id}:{website.secret}")
    post(http, {"client_id": editor.client.client_id, "token": issued["refresh_token"]}, PATH, Authorization=header)
    assert is_live()


def test_it_cannot_be_repeated_to_fill_the_journal(editor: Party, issued: dict[str, Any]) -> None:
    """CWE-770: of a hundred revocations one is an event."""
    from oauthgw.journal.models import Event

    for _ in range(20):
        editor.revoke(issued["refresh_token"])
    assert Event.objects.filter(kind=Event.Kind.GRANT_REVOKED).count() == 1

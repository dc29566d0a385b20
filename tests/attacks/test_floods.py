"""Floods from one address: refused with 429 before the database is asked, and told in the way of each endpoint (RFC 6585 §4).

With the limits scaled down: three sign-ins or six token requests of a client a minute, in place of hundreds.
"""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser
from pytest_django import DjangoAssertNumQueries

from mcp_routes.models import McpRoute
from oauthgw.guard import limits
from oauthgw.models import Client
from tests.support.documents import Documents
from tests.unit.conftest import HOST, LOOPBACK, Party, Person, signed_value
from tests.unit.posting import basic, post

FLOOD = 30
Ask = Callable[[], Any]
REGISTRATION = {"client_name": "Editor", "redirect_uris": [LOOPBACK]}


class Clock:
    """The beginning of a minute, for the whole test."""

    time = staticmethod(lambda: 1_800_000_000.0)
    monotonic = staticmethod(monotonic)


@pytest.fixture
def limited(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of the limits, nothing counted yet, and a minute that does not end. Ask for it after whatever signs in or registers."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "floods"}}
    cache.clear()
    monkeypatch.setattr(limits, "_pause", limits._Pause())
    monkeypatch.setattr(limits, "time", Clock)
    settings.GATEWAY = replace(settings.GATEWAY, rate_limit_scale=0.01)


def flood(ask: Ask) -> tuple[int, Any]:
    """How many answers were no 429 before the first that was, and that one."""
    for passed in range(FLOOD):
        answer = ask()
        if answer.status_code == 429:
            return passed, answer
    raise AssertionError(f"none of {FLOOD} was refused")


def is_told_to_programs(answer: Any) -> bool:
    body = answer.json()
    assert body["error"] == "temporarily_unavailable" and "Try again in 60 seconds" in body["error_description"] and "request_id" in body
    assert answer["Access-Control-Allow-Origin"] == "*" and "Retry-After" in answer["Access-Control-Expose-Headers"]
    return bool(answer["Retry-After"] == "60" and answer["Cache-Control"] == "no-store")


def is_told_to_people(answer: Any) -> bool:
    page = answer.content.decode()
    assert "Too many requests" in page and "You are not signed out" in page and "Set-Cookie" not in answer
    assert answer["Content-Type"].startswith("text/html") and "no-store" in answer["Cache-Control"]
    return bool(answer["Retry-After"] == "60")


@pytest.mark.parametrize("path", ["/oauth/register", "/register"])
def test_registrations(http: Browser, db: None, limited: None, path: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    passed, answer = flood(lambda: http.post(path, REGISTRATION, content_type="application/json"))
    assert passed == 1 and is_told_to_programs(answer)
    with django_assert_num_queries(0):
        assert http.post(path, REGISTRATION, content_type="application/json").status_code == 429
    assert http.post(path, REGISTRATION, content_type="application/json", REMOTE_ADDR="203.0.113.9").status_code == 201


def test_a_browsers_question_before_a_registration_is_not_counted(http: Browser, db: None, limited: None) -> None:
    assert {http.options("/oauth/register").status_code for _ in range(FLOOD)} == {204}
    assert http.post("/oauth/register", REGISTRATION, content_type="application/json").status_code == 201


def test_reading_a_registration_is_no_registration(http: Browser, db: None, limited: None) -> None:
    flood(lambda: http.post("/oauth/register", REGISTRATION, content_type="application/json"))
    assert http.get("/oauth/register/unknown").status_code == 401


@pytest.mark.parametrize("path", ["/oauth/token", "/token"])
def test_guesses_at_tokens(
    http: Browser, editor: Party, limited: None, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "guessed", "client_id": editor.client.client_id}
    passed, answer = flood(lambda: post(http, form, path))
    assert passed == 6 and is_told_to_programs(answer)
    with django_assert_num_queries(0):
        assert post(http, form, path).status_code == 429


def test_a_flood_in_one_clients_name_does_not_stop_another_at_the_same_address(
    http: Browser, alice: Person, demo: McpRoute, editor: Party, website: Party, limited: None
) -> None:
    code = alice.code(editor.client)
    flood(lambda: website.refresh("guessed"))
    assert editor.redeem(code).status_code == 200


def test_a_flood_in_a_clients_name_does_not_stop_the_client_elsewhere(
    http: Browser, alice: Person, demo: McpRoute, editor: Party, limited: None
) -> None:
    code = alice.code(editor.client)
    flood(lambda: editor.refresh("guessed"))
    editor.http = Browser(HTTP_HOST=HOST, REMOTE_ADDR="203.0.113.9")
    assert editor.redeem(code).status_code == 200


def test_new_names_do_not_help_beyond_what_the_address_may(http: Browser, db: None, limited: None) -> None:
    names = iter(range(FLOOD))
    passed, answer = flood(lambda: post(http, {"grant_type": "refresh_token", "refresh_token": "r", "client_id": f"c{next(names)}"}))
    assert passed == 12 and is_told_to_programs(answer)


def test_a_client_that_names_itself_in_the_header_is_counted_as_the_same(http: Browser, website: Party, limited: None) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "guessed"}
    passed, _ = flood(lambda: post(http, form, Authorization=basic(f"{website.client.client_id}:guessed")))
    assert passed == 6
    assert website.refresh("guessed").status_code == 429


@pytest.mark.parametrize("credentials", ["Basic ????", "Basic " + "A" * 5, basic(b"\xff\xfe:x"), "Basic", "Bearer x"])
def test_credentials_that_cannot_be_read_are_no_way_past(http: Browser, db: None, limited: None, credentials: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "guessed"}
    passed, _ = flood(lambda: post(http, form, Authorization=credentials))
    assert passed == 12


def test_revoking_has_no_limit(http: Browser, editor: Party, limited: None) -> None:
    assert {editor.revoke("unknown").status_code for _ in range(FLOOD)} == {200}


def test_authorization_requests(
    alice: Person, demo: McpRoute, editor: Party, limited: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    passed, answer = flood(lambda: alice.open(editor.client))
    assert passed == 3 and is_told_to_people(answer)
    with django_assert_num_queries(0):
        assert alice.open(editor.client).status_code == 429


def test_whoever_was_told_to_wait_is_still_signed_in(alice: Person, demo: McpRoute, editor: Party, limited: None) -> None:
    flood(lambda: alice.open(editor.client))
    assert alice.browser.get("/account/").status_code == 200


def test_a_loop_of_one_app_leaves_another_app_its_sign_in(
    alice: Person, demo: McpRoute, editor: Party, register: Any, limited: None
) -> None:
    flood(lambda: alice.open(editor.client))
    editor.client.client_id = register(redirect_uris=[LOOPBACK])["client_id"]
    assert signed_value(alice.open(editor.client))


def test_clients_that_nobody_knows_are_not_fetched_one_after_another(
    alice: Person, demo: McpRoute, documents: Documents, limited: None
) -> None:
    known, unknown = (Client(client_id=f"{documents.url}{path}") for path in ("/known.json", "/unknown.json"))
    for client in (known, unknown):
        documents.publish(
            client.client_id.removeprefix(documents.url), {"client_id": client.client_id, "client_name": "A", "redirect_uris": [LOOPBACK]}
        )
    assert signed_value(alice.open(known))
    assert is_told_to_people(alice.open(unknown)) and len(documents.asked) == 1
    assert signed_value(alice.open(known)), "a client that is known needs no fetching"
    alice.browser.defaults["REMOTE_ADDR"] = "203.0.113.9"
    assert signed_value(alice.open(unknown))


def test_decisions_on_a_consent_page(alice: Person, limited: None) -> None:
    passed, answer = flood(lambda: alice.browser.post("/oauth/authorize", {"consent": "forged"}))
    assert passed == 6 and is_told_to_people(answer)


@pytest.mark.parametrize("path", ["/oauth/login", "/oauth/callback?code=guessed&state=guessed"], ids=["login", "callback"])
def test_sign_ins(
    http: Browser, with_workos: Any, db: None, limited: None, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    passed, answer = flood(lambda: http.get(path))
    assert passed == 3 and is_told_to_people(answer)
    with django_assert_num_queries(0):
        assert http.get(path).status_code == 429
    assert http.get(path, REMOTE_ADDR="203.0.113.9").status_code != 429


def test_metadata_and_probes_have_no_limit(http: Browser, demo: McpRoute, limited: None) -> None:
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp/demo", "/healthz", "/oauth/jwks"):
        assert {http.get(path).status_code for _ in range(FLOOD)} == {200}, path


def test_with_the_cache_down_nobody_is_refused(http: Browser, db: None, limited: None, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
    answers = [http.post("/oauth/register", REGISTRATION, content_type="application/json") for _ in range(FLOOD)]
    assert {answer.status_code for answer in answers} == {201}

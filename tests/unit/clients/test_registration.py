"""Dynamic registration: what real clients send, and what is refused (RFC 7591)."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from oauthgw.journal.models import Event
from oauthgw.models import Client

Register = Callable[..., dict[str, Any]]

CURSOR = [
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "http://localhost:8787/callback",
]


def test_a_public_client_gets_an_id_and_no_secret(register: Register) -> None:
    answer = register(client_name="Editor", redirect_uris=["http://127.0.0.1/cb"])
    assert answer["client_id"] and "client_secret" not in answer
    assert answer["token_endpoint_auth_method"] == "none"
    assert answer["grant_types"] == ["authorization_code", "refresh_token"]
    assert answer["response_types"] == ["code"]
    assert answer["scope"] == "mcp:tools"
    assert answer["client_id_issued_at"] > 0


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_a_confidential_client_gets_a_secret_that_never_expires_and_its_own_method_back(register: Register, method: str) -> None:
    answer = register(redirect_uris=["https://a.example/cb"], token_endpoint_auth_method=method)
    assert len(answer["client_secret"]) == 128
    assert answer["client_secret_expires_at"] == 0
    assert answer["token_endpoint_auth_method"] == method


def test_the_secret_is_stored_as_a_sealed_digest(register: Register) -> None:
    answer = register(redirect_uris=["https://a.example/cb"], token_endpoint_auth_method="client_secret_post")
    stored = Client.objects.get(client_id=answer["client_id"]).client_secret
    assert stored.startswith("sealed_digest$") and answer["client_secret"] not in stored


def test_cursors_three_kinds_of_redirect_are_kept_together(register: Register) -> None:
    assert register(client_name="Cursor", redirect_uris=CURSOR)["redirect_uris"] == CURSOR


def test_vs_codes_three_grant_types_are_cut_to_those_offered(register: Register) -> None:
    answer = register(
        redirect_uris=["http://127.0.0.1/"],
        grant_types=["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    )
    assert answer["grant_types"] == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize("asked", [["password"], ["client_credentials"], []])
def test_a_client_that_asks_only_for_other_grants_is_told_which_it_has(register: Register, asked: list[str]) -> None:
    answer = register(redirect_uris=["http://127.0.0.1/"], grant_types=asked)
    assert answer["grant_types"] == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (None, "mcp:tools"),
        ("", "mcp:tools"),
        ("files:read calendar", "mcp:tools"),
        ("mcp:tools offline_access", "mcp:tools offline_access"),
    ],
)
def test_unknown_scopes_are_dropped_and_the_kept_ones_answered(register: Register, asked: str | None, kept: str) -> None:
    assert register(redirect_uris=["http://127.0.0.1/"], **({} if asked is None else {"scope": asked}))["scope"] == kept


def test_extras_are_kept_and_answered_and_unknown_members_ignored(register: Register) -> None:
    extras = {
        "client_uri": "https://a.example",
        "logo_uri": "https://a.example/logo.png",
        "tos_uri": "https://a.example/tos",
        "policy_uri": "https://a.example/privacy",
        "software_id": "5d1c",
        "software_version": "1.2",
        "application_type": "web",
        "contacts": ["ops@a.example"],
    }
    answer = register(redirect_uris=["http://127.0.0.1/"], unheard_of={"x": 1}, **extras)
    assert {name: answer[name] for name in extras} == extras
    assert "unheard_of" not in answer


@pytest.mark.parametrize(
    ("metadata", "error", "sentence"),
    [
        ({}, "invalid_redirect_uri", "at least one"),
        ({"redirect_uris": []}, "invalid_redirect_uri", "at least one"),
        ({"redirect_uris": "https://a.example"}, "invalid_redirect_uri", "list"),
        ({"redirect_uris": [1]}, "invalid_redirect_uri", "list"),
        ({"redirect_uris": ["http://evil.example/cb"]}, "invalid_redirect_uri", "http://evil.example/cb.*Accepted are"),
        ({"redirect_uris": ["http://127.0.0.1/"], "grant_types": "code"}, "invalid_client_metadata", "list"),
        ({"redirect_uris": ["http://127.0.0.1/"], "token_endpoint_auth_method": "tls_client_auth"}, "invalid_client_metadata", "none"),
        ({"redirect_uris": ["http://127.0.0.1/"], "client_name": 7}, "invalid_client_metadata", "client_name"),
    ],
)
def test_a_bad_registration_is_refused_with_the_standards_code_and_a_sentence(
    register: Register, metadata: dict[str, Any], error: str, sentence: str
) -> None:
    answer = register(status=400, **metadata)
    assert answer["error"] == error
    import re

    assert re.search(sentence, answer["error_description"])
    assert not Client.objects.exists()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe{}", b"{" * 5000, b'{"redirect_uris": ["' + b"a" * 70_000 + b'"]}'],
    ids=["empty", "cut", "list", "string", "null", "not utf-8", "deep", "too large"],
)
def test_a_body_that_is_no_json_object_is_a_400(http: Browser, db: None, body: bytes) -> None:
    answer = http.post("/oauth/register", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_client_metadata"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("\ud800 lone surrogate", "lone surrogate"),
        ("Goo\u200bgle \u202egnp.exe", "Google gnp.exe"),
        ("soft\u00adhyphen", "softhyphen"),
        ("line\nbreak\x00nul", "line break nul"),
        ("x" * 300, "x" * 254 + "…"),
    ],
    ids=ascii,
)
def test_names_are_stored_as_one_line_of_visible_text(register: Register, name: str, kept: str) -> None:
    assert register(redirect_uris=["http://127.0.0.1/"], client_name=name)["client_name"] == kept


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:image/png;base64,AA==", "/relative", "https://", "https://exämple.com", 7, "x" * 3000]
)
def test_an_address_that_nobody_should_follow_is_left_out_and_costs_no_registration(register: Register, uri: Any) -> None:
    answer = register(redirect_uris=["http://127.0.0.1/"], client_uri=uri, logo_uri="https://a.example/logo.png")
    assert "client_uri" not in answer and answer["logo_uri"] == "https://a.example/logo.png"


def test_registering_is_journalled(register: Register) -> None:
    answer = register(redirect_uris=["http://127.0.0.1/"], client_name="Editor")
    event = Event.objects.get(kind=Event.Kind.CLIENT_REGISTERED)
    assert event.client_id == answer["client_id"]

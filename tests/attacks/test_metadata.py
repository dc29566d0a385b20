"""Discovery: nobody but the operator decides which server a client is told to trust (RFC 8414 §6, RFC 9728 §7, RFC 9207, RFC 9700 §4.4)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from tests.support.asgi import Exchange
from tests.unit.conftest import ORIGIN, Party, Person, sent_to_client

DOCUMENTS = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/mcp/demo",
    "/mcp/demo/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration/mcp/demo",
    "/.well-known/oauth-protected-resource/mcp/demo",
)
PUBLIC = "https://gateway.example"


@pytest.fixture
def public(settings: Any) -> None:
    settings.GATEWAY = replace(configured.GATEWAY, origin=PUBLIC)
    settings.ALLOWED_HOSTS = ["gateway.example"]


def addresses(document: Any) -> list[str]:
    """Every address that a document names."""
    if isinstance(document, str):
        return [document] if "://" in document else []
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return [address for child in children for address in addresses(child)]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "gateway.example@evil.example",
        "gateway.example:443@evil.example",
        "gateway.example.evil.example",
        "gateway.example, evil.example",
        "gateway.example/evil",
        "",
    ],
)
def test_a_foreign_host_gets_no_document(public: None, host: str) -> None:
    """RFC 9700 §4.4 (mix-up) begins with a wrong issuer; CWE-644. Before any page is made, and before any database is asked."""
    answer = asyncio.run(Exchange("GET", DOCUMENTS[1], host=host).run())
    assert answer.status == 400 and b"evil" not in answer.content


def test_two_hosts_are_none(public: None) -> None:
    """RFC 9112 §3.2: a cache in front may believe the one, and the gateway the other."""
    for host in ("evil.example", "gateway.example"):
        answer = asyncio.run(Exchange("GET", DOCUMENTS[1], ((b"host", host.encode()),), host="gateway.example").run())
        assert answer.status == 400


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Port: 8080",
        "X-Forwarded-Prefix: /evil",
        "X-Forwarded-Server: evil.example",
        "X-Original-URL: /.well-known/oauth-authorization-server/mcp/evil",
        "X-Rewrite-URL: /evil",
        "X-Host: evil.example",
        "X-HTTP-Host-Override: evil.example",
        "Forwarded: host=evil.example;proto=http",
        "X-Script-Name: /evil",
    ],
)
@pytest.mark.django_db(transaction=True)  # the application reads in a thread of its own
def test_no_header_moves_an_address(demo: McpRoute, public: None, header: str) -> None:
    """CWE-644, and cache poisoning (RFC 9111 §7.1): documents are cached under their path alone."""
    name, _, value = header.partition(": ")
    for path in DOCUMENTS:
        answer = asyncio.run(Exchange("GET", path, ((name.lower().encode(), value.encode()),), host="gateway.example").run())
        named = addresses(answer.json())
        assert answer.status == 200 and named and all(address.startswith(f"{PUBLIC}/") or address == PUBLIC for address in named)


@pytest.mark.parametrize(
    "query", ["resource=https://evil.example", "issuer=https://evil.example", "x=<script>", "gateway_host=127.0.0.1:1", "%00"]
)
@pytest.mark.parametrize("path", DOCUMENTS)
def test_no_query_changes_a_document(http: Browser, demo: McpRoute, path: str, query: str) -> None:
    """RFC 9111 §7.1: what a cache keeps for everybody must not be one visitor's."""
    assert http.get(f"{path}?{query}").content == http.get(path).content


@pytest.mark.parametrize(
    "path",
    [
        "/mcp/DEMO",
        "/mcp/demo/",  # the address without its slash is one, and its issuer has none
        "/mcp//demo",
        "/mcp/demo/../demo",
        "/mcp/demo/x",
        "/mcp/demo%00",
        "/mcp/demo%0a",
        "/mcp/demo%20",
        "/mcp/demo;x",
        "/mcp/demo%2fx",
        "/mcp/%2e%2e/mcp/demo",
        "/mcp/d\u0435mo",
        "/mcp/demo@evil.example",
        "//evil.example/mcp/demo",
        "/mcp/" + "a" * 64,
    ],
)
def test_no_spelling_of_an_issuer_makes_another_one(http: Browser, demo: McpRoute, path: str) -> None:
    """RFC 8414 §3.3: the issuer is compared as a string, so that one server must not answer as several."""
    for name in ("oauth-authorization-server", "openid-configuration", "oauth-protected-resource"):
        answer = http.get(f"/.well-known/{name}{path}")
        if answer.status_code == 200:
            document = answer.json()
            assert document.get("issuer", document.get("resource")) == f"{ORIGIN}/mcp/demo"
        else:
            assert answer.status_code == 404 and answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_nothing_weak_is_announced(http: Browser, demo: McpRoute, path: str) -> None:
    """RFC 9700 §2.1.1 (plain), §2.1.2 (implicit), §2.4 (password): a client takes what is on offer."""
    text = http.get(path).content.decode()
    for weak in (
        '"plain"',
        '"token"',
        '"implicit"',
        '"password"',
        '"client_credentials"',
        '"HS256"',
        '"none", "HS',
        '"fragment"',
        '"query", "',
    ):
        assert weak not in text


def test_a_route_that_is_switched_off_is_not_told_from_one_that_never_was(http: Browser, demo: McpRoute) -> None:
    """CWE-204: no telling which routes there are behind a closed door."""
    McpRoute.objects.update(enabled=False)
    off, never = (http.get(f"/.well-known/oauth-protected-resource/mcp/{slug}") for slug in ("demo", "never"))
    assert off.status_code == never.status_code == 404
    assert {**off.json(), "request_id": ""} == {**never.json(), "request_id": ""}


def test_documents_say_nothing_of_the_upstream(http: Browser, demo: McpRoute) -> None:
    """CWE-497."""
    for path in DOCUMENTS:
        assert "127.0.0.1:9" not in http.get(path).content.decode()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_readers_cookie_is_neither_needed_nor_set(http: Browser, demo: McpRoute, alice: Person, path: str) -> None:
    """RFC 9111 §7.3: an answer that is public must hold nothing of anybody."""
    answer = alice.browser.get(path)
    assert answer.content == http.get(path).content and not answer.cookies and "public" in answer["Cache-Control"]
    assert "Access-Control-Allow-Credentials" not in answer


def test_every_answer_names_its_issuer(demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> None:
    """RFC 9207 §2.4: two routes are two issuers, and a client that talks to both can tell whose answer it got."""
    answers = {
        path: sent_to_client(alice.decide(alice.open(editor.client, path, resource=f"{ORIGIN}{path}")))["iss"]
        for path in ("/mcp/demo", "/mcp/demo-admin")
    }
    assert answers == {path: f"{ORIGIN}{path}" for path in answers}

"""Every form of discovery that clients probe, to the letter."""

from typing import Any

import pytest
from django.test import Client as Browser

from mcp_routes.models import FormerSlug, McpRoute
from tests.unit.conftest import ORIGIN

ROOT = "/.well-known/oauth-authorization-server"
FORMS = [
    ("/.well-known/oauth-authorization-server/mcp/demo", False),
    ("/mcp/demo/.well-known/oauth-authorization-server", False),
    ("/.well-known/openid-configuration/mcp/demo", True),
    ("/mcp/demo/.well-known/openid-configuration", True),
]


def document(http: Browser, path: str) -> dict[str, Any]:
    answer = http.get(path, HTTP_ORIGIN="https://inspector.example")
    assert answer.status_code == 200, (path, answer.content)
    assert answer["Content-Type"] == "application/json"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "max-age=300" in answer["Cache-Control"]
    return dict(answer.json())


@pytest.mark.parametrize(("path", "oidc"), FORMS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_route_is_its_own_issuer_in_every_form(http: Browser, demo: McpRoute, path: str, oidc: bool, slash: str) -> None:
    found = document(http, path + slash)
    assert found["issuer"] == f"{ORIGIN}/mcp/demo"
    assert found["authorization_endpoint"] == f"{ORIGIN}/oauth/authorize/mcp/demo"
    assert ("jwks_uri" in found) is oidc


@pytest.mark.parametrize("path", [ROOT, "/.well-known/openid-configuration"])
def test_the_origin_is_an_issuer_too(http: Browser, db: None, path: str) -> None:
    found = document(http, path)
    assert found["issuer"] == ORIGIN
    assert found["authorization_endpoint"] == f"{ORIGIN}/oauth/authorize"


def test_the_document_announces_what_is_offered_and_nothing_else(http: Browser, demo: McpRoute) -> None:
    found = document(http, ROOT)
    assert found == {
        "issuer": ORIGIN,
        "client_id_metadata_document_supported": True,
        "authorization_endpoint": f"{ORIGIN}/oauth/authorize",
        "token_endpoint": f"{ORIGIN}/oauth/token",
        "registration_endpoint": f"{ORIGIN}/oauth/register",
        "revocation_endpoint": f"{ORIGIN}/oauth/revoke",
        "introspection_endpoint": f"{ORIGIN}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
        "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256", "ES256", "EdDSA"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["mcp:tools", "offline_access"],
        "authorization_response_iss_parameter_supported": True,
    }


def test_openid_parsers_find_the_members_they_require(http: Browser, demo: McpRoute) -> None:
    found = document(http, "/.well-known/openid-configuration/mcp/demo")
    assert found["jwks_uri"] == f"{ORIGIN}/oauth/jwks"
    assert found["subject_types_supported"] and found["id_token_signing_alg_values_supported"]
    assert document(http, "/oauth/jwks") == {"keys": []}


def test_a_route_says_who_authorizes_for_it(http: Browser, demo: McpRoute) -> None:
    assert document(http, "/.well-known/oauth-protected-resource/mcp/demo") == {
        "resource": f"{ORIGIN}/mcp/demo",
        "resource_name": "Demo tools",
        "authorization_servers": [f"{ORIGIN}/mcp/demo"],
        "scopes_supported": ["mcp:tools"],
        "bearer_methods_supported": ["header"],
    }


def test_a_former_path_keeps_its_own_issuer_and_resource(http: Browser, demo: McpRoute) -> None:
    FormerSlug.objects.create(slug="old", route=demo)
    assert document(http, "/.well-known/oauth-protected-resource/mcp/old")["resource"] == f"{ORIGIN}/mcp/old"
    assert document(http, f"{ROOT}/mcp/old")["issuer"] == f"{ORIGIN}/mcp/old"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp/nope",
        "/.well-known/oauth-protected-resource/mcp/demo/deeper",
        f"{ROOT}/mcp/nope",
        f"{ROOT}/mcp/Demo",
        "/mcp/nope/.well-known/openid-configuration",
        "/.well-known/unheard-of",
        "/oauth/unheard-of",
        "/oauth",
    ],
)
def test_what_is_not_there_is_a_404_in_json_that_nobody_caches(http: Browser, demo: McpRoute, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"
    assert answer["Cache-Control"] == "no-store"
    assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", [ROOT, "/oauth/register", "/oauth/token", "/oauth/revoke", "/oauth/introspect", "/token", "/register"])
def test_a_browsers_preflight_is_answered(http: Browser, db: None, path: str) -> None:
    answer = http.options(path, HTTP_ORIGIN="https://inspector.example", HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST")
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Access-Control-Allow-Headers"] == "Authorization, *"


@pytest.mark.parametrize(("path", "method", "allow"), [(ROOT, "post", "GET, OPTIONS"), ("/oauth/token", "get", "POST, OPTIONS")])
def test_another_method_is_a_405_that_names_the_right_one(http: Browser, db: None, path: str, method: str, allow: str) -> None:
    answer = getattr(http, method)(path)
    assert (answer.status_code, answer["Allow"], answer["Access-Control-Allow-Origin"]) == (405, allow, "*")

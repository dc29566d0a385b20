"""Discovery: who authorizes for a route, and where (RFC 8414, RFC 9728, OpenID Connect Discovery 1.0 §3).

Knows URLs and what is offered; asks the resource backend which routes exist. Issuers are compared as exact strings by clients, so that
each document is built from the one origin and the path it was asked for.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse

from oauthgw import resources, scopes
from oauthgw.clients.keys import ALGORITHMS
from oauthgw.clients.metadata import AUTH_METHODS, GRANT_TYPES
from oauthgw.guard import origin
from oauthgw.guard.conf import gateway
from oauthgw.views.endpoints import cacheable, error, machine_endpoint


@machine_endpoint("GET")
def authorization_server(request: HttpRequest, path: str = "") -> HttpResponse:
    """RFC 8414 metadata of the origin, or of one route's own issuer."""
    path = _absolute(path)
    if path and resources.backend().find(path) is None:
        return _unknown()
    return cacheable(_server_document(origin.of(request), path))


@machine_endpoint("GET")
def openid_configuration(request: HttpRequest, path: str = "") -> HttpResponse:
    """The same for clients that probe only OpenID discovery, with the members their parsers require; no ID token is issued."""
    path = _absolute(path)
    if path and resources.backend().find(path) is None:
        return _unknown()
    at = origin.of(request)
    document = _server_document(at, path)
    document |= {
        "jwks_uri": f"{at}/oauth/jwks",
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    return cacheable(document)


@machine_endpoint("GET")
def protected_resource(request: HttpRequest, path: str) -> HttpResponse:
    """RFC 9728 metadata of one route."""
    found = resources.backend().find(path)
    if found is None:
        return _unknown()
    uri = found.uri(origin.of(request))
    return cacheable(
        {
            "resource": uri,
            "resource_name": found.name,
            "authorization_servers": [uri],
            "scopes_supported": [scopes.TOOLS],
            "bearer_methods_supported": ["header"],
        }
    )


@machine_endpoint("GET")
def jwks(request: HttpRequest) -> HttpResponse:
    """An empty key set: tokens here are opaque, but OpenID parsers insist on the address."""
    return cacheable({"keys": []})


def _server_document(at: str, path: str) -> dict[str, Any]:
    closed = gateway().client_registration == "closed"
    return {
        "issuer": at + path,
        "authorization_endpoint": f"{at}/oauth/authorize{path}",
        "token_endpoint": f"{at}/oauth/token",
        **({} if closed else {"registration_endpoint": f"{at}/oauth/register", "client_id_metadata_document_supported": True}),
        "revocation_endpoint": f"{at}/oauth/revoke",
        "introspection_endpoint": f"{at}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": [method for method in AUTH_METHODS if method != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": list(scopes.SUPPORTED),
        "authorization_response_iss_parameter_supported": True,
    }


def _absolute(path: str) -> str:
    """The issuer's path, whichever form of the address it was taken from; empty for the origin."""
    return f"/{path.lstrip('/')}" if path else ""


def _unknown() -> HttpResponse:
    return error(404, "not_found", "There is no such route here. Check the route's name in the MCP server's URL.")

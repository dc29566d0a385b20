"""The authorization server's addresses. None needs a trailing slash, and none redirects to get one."""

from django.urls import path, re_path

from oauthgw.views import authorize, endpoints, introspect, metadata, register, signin, token, webhook

_SLUG = r"mcp/[a-z0-9][a-z0-9-]{0,62}"
_ROUTE = rf"(?P<path>/{_SLUG})"

urlpatterns = [
    re_path(rf"^\.well-known/oauth-authorization-server{_ROUTE}?/?$", metadata.authorization_server),
    re_path(rf"^\.well-known/openid-configuration{_ROUTE}?/?$", metadata.openid_configuration),
    re_path(rf"^\.well-known/oauth-protected-resource{_ROUTE}/?$", metadata.protected_resource),
    path("oauth/jwks", metadata.jwks),
    # RFC 8414 names the first form; clients also probe below the issuer's path.
    re_path(rf"^(?P<path>{_SLUG})/\.well-known/oauth-authorization-server/?$", metadata.authorization_server),
    re_path(rf"^(?P<path>{_SLUG})/\.well-known/openid-configuration/?$", metadata.openid_configuration),
    re_path(r"^oauth/register/?$", register.register),
    re_path(r"^oauth/register/(?P<client_id>[^/]+)/?$", register.manage),
    re_path(rf"^oauth/authorize{_ROUTE}?/?$", authorize.authorize, name="authorize"),
    re_path(r"^oauth/token/?$", token.token),
    re_path(r"^oauth/revoke/?$", token.revoke),
    re_path(r"^oauth/introspect/?$", introspect.introspect),
    # The defaults of MCP 2025-03-26 for clients that read no metadata.
    re_path(r"^register/?$", register.register),
    re_path(r"^authorize/?$", authorize.authorize),
    re_path(r"^token/?$", token.token),
    re_path(r"^oauth/login/?$", signin.login, name="login"),
    re_path(r"^oauth/callback/?$", signin.callback, name="callback"),
    re_path(r"^oauth/logout/?$", signin.logout, name="logout"),
    re_path(r"^oauth/dev-login/?$", signin.dev_login, name="dev-login"),
    re_path(r"^webhooks/workos/?$", webhook.workos),
    re_path(r"^(?:oauth|mcp|\.well-known)(?:/[\s\S]*)?\Z", endpoints.not_found),
]

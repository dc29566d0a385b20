"""Which grammar asks which endpoint, and what it must have been answered in the end: a grammar that is only ever refused proves little.

A test compares the table with the URLconf.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis.strategies import SearchStrategy

from tests.fuzz import calls, oauth, operators, pages
from tests.fuzz.house import House
from tests.fuzz.words import DATA_PLANE, Asked

ADMIN = "admin/"
"""What every address of the admin begins with: one grammar asks them all, and takes them from the URLconf itself."""
STATIC = "static/{file}"
OUTSIDE = {DATA_PLANE, STATIC}
"""What is answered in front of the URLconf."""

_SLUG = "mcp/[a-z0-9][a-z0-9-]{0,62}"
_ROUTE = f"(?P<path>/{_SLUG})"
_KNOWN = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/oauth-protected-resource")
_BELOW = tuple(f"/mcp/told{path}" for path in _KNOWN)


@dataclass(frozen=True)
class Endpoint:
    """`reached` are statuses that show the grammar got through: each is seen within some turns."""

    grammar: Callable[[House, str], SearchStrategy[Asked]]
    reached: tuple[int, ...] = (200,)


ENDPOINTS: dict[str, Endpoint] = {
    "": Endpoint(lambda house, at: pages.plain(house, at, "/")),
    "healthz": Endpoint(lambda house, at: pages.plain(house, at, "/healthz")),
    "readyz": Endpoint(lambda house, at: pages.plain(house, at, "/readyz")),
    STATIC: Endpoint(lambda house, at: pages.static(at)),
    r"^account/?$": Endpoint(lambda house, at: pages.account(house), (200, 303)),
    r"^\.well-known/oauth-authorization-server" + _ROUTE + "?/?$": Endpoint(
        lambda house, at: oauth.metadata(at, _KNOWN[0], f"{_KNOWN[0]}/mcp/told")
    ),
    r"^\.well-known/openid-configuration" + _ROUTE + "?/?$": Endpoint(
        lambda house, at: oauth.metadata(at, _KNOWN[1], f"{_KNOWN[1]}/mcp/told-before")
    ),
    r"^\.well-known/oauth-protected-resource" + _ROUTE + "/?$": Endpoint(lambda house, at: oauth.metadata(at, f"{_KNOWN[2]}/mcp/told")),
    rf"^(?P<path>{_SLUG})/\.well-known/oauth-authorization-server/?$": Endpoint(lambda house, at: oauth.metadata(at, _BELOW[0])),
    rf"^(?P<path>{_SLUG})/\.well-known/openid-configuration/?$": Endpoint(lambda house, at: oauth.metadata(at, _BELOW[1])),
    "oauth/jwks": Endpoint(lambda house, at: oauth.metadata(at, "/oauth/jwks")),
    r"^oauth/register/?$": Endpoint(lambda house, at: oauth.register(house, at, "/oauth/register"), (201, 400)),
    r"^register/?$": Endpoint(lambda house, at: oauth.register(house, at, "/register"), (201, 400)),
    r"^oauth/register/(?P<client_id>[^/]+)/?$": Endpoint(lambda house, at: oauth.manage(house), (200, 400, 401)),
    r"^oauth/authorize" + _ROUTE + "?/?$": Endpoint(
        lambda house, at: pages.authorize(house, at, "/oauth/authorize", "/oauth/authorize/mcp/told"), (200, 400)
    ),
    r"^authorize/?$": Endpoint(lambda house, at: pages.authorize(house, at, "/authorize"), (200, 400)),
    r"^oauth/token/?$": Endpoint(lambda house, at: oauth.token(house, at, "/oauth/token"), (200, 400, 401)),
    r"^token/?$": Endpoint(lambda house, at: oauth.token(house, at, "/token"), (200, 400, 401)),
    r"^oauth/revoke/?$": Endpoint(lambda house, at: oauth.about_token(house, at, "/oauth/revoke"), (200, 401)),
    r"^oauth/introspect/?$": Endpoint(lambda house, at: oauth.about_token(house, at, "/oauth/introspect"), (200, 401)),
    r"^oauth/login/?$": Endpoint(lambda house, at: pages.login(house), (302,)),
    r"^oauth/callback/?$": Endpoint(lambda house, at: pages.callback(house), (302, 400)),
    r"^oauth/logout/?$": Endpoint(lambda house, at: pages.logout(house)),
    r"^oauth/dev-login/?$": Endpoint(lambda house, at: pages.dev_login(house), (200, 303)),
    r"^webhooks/workos/?$": Endpoint(lambda house, at: oauth.webhook(house), (200, 400)),
    r"^(?:oauth|mcp|\.well-known)(?:/[\s\S]*)?\Z": Endpoint(
        lambda house, at: pages.anywhere(at, "/oauth/", "/mcp", "/.well-known/", "/oauth/token/", "/mcp/told/.well-known/"), (404,)
    ),
    DATA_PLANE: Endpoint(lambda house, at: calls.call(house), (200, 400, 401, 404, 502)),
    ADMIN: Endpoint(operators.admin, (200, 302)),
}

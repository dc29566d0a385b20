"""The routes as the data plane reads them: immutable values.

Knows the route's row; the proxy knows only what is returned here. Each look-up asks the database, so that a change acts at once.
"""

from collections.abc import Collection
from dataclasses import dataclass

from mcp_routes import upstream
from mcp_routes.models import McpRoute
from oauthgw.guard.database import in_database
from oauthgw.guard.secret import Secret


@dataclass(frozen=True, slots=True)
class Route:
    """An enabled route. `slug` is the one asked for: a former slug keeps its own path in challenges."""

    id: int
    slug: str
    upstream_url: str
    sealed_headers: str

    def headers(self) -> dict[str, Secret]:
        """What the route adds for its upstream, opened where it is sent. Raises sealed.Unsealable when no configured key opens it."""
        return upstream.opened_headers(self.sealed_headers)


async def find(slug: str) -> Route | None:
    """The enabled route with this slug or former slug. Raises DatabaseUnavailable when the database does not answer."""
    return await in_database(_find, slug)


def upstreams(route_ids: Collection[int]) -> dict[int, str]:
    """Where each of these routes leads; those that are gone or disabled are left out. Blocking."""
    return dict(McpRoute.objects.filter(pk__in=route_ids, enabled=True).values_list("pk", "upstream_url"))


def _find(slug: str) -> Route | None:
    route = McpRoute.objects.reached_by(slug)
    if route is None:
        return None
    return Route(id=route.pk, slug=slug, upstream_url=route.upstream_url, sealed_headers=route.sealed_headers)

"""The routes as the data plane reads them: immutable values.

Knows the route's row; the proxy knows only what is returned here. What is returned may be five seconds old at most, and is asked for again
as soon as a change of the route is noted.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from mcp_routes import upstream
from mcp_routes.models import McpRoute
from oauthgw.guard.database import in_database
from oauthgw.guard.recent import Recent
from oauthgw.guard.secret import Secret
from oauthgw.journal.changes import Entry, Topic


@dataclass(frozen=True, slots=True)
class Route:
    """An enabled route. `slug` is the one asked for: a former slug keeps its own path in challenges.

    `as_of` is the monotonic second before the database was asked.
    """

    id: int
    slug: str
    upstream_url: str
    sealed_headers: str
    as_of: float = field(default_factory=time.monotonic, compare=False)
    _opened: dict[str, Secret] = field(default_factory=dict, init=False, repr=False, compare=False)

    def headers(self) -> dict[str, Secret]:
        """What the route adds for its upstream, opened when first sent. Raises sealed.Unsealable when no configured key opens it."""
        if self.sealed_headers and not self._opened:
            self._opened.update(upstream.opened_headers(self.sealed_headers))
        return self._opened


async def find(slug: str) -> Route | None:
    """The enabled route with this slug or former slug. Raises DatabaseUnavailable when the database does not answer."""
    known = _recent.held(slug)
    return known.value if known is not None else await _recent.get(slug, lambda: in_database(_find, slug))


def apply(change: Entry) -> None:
    """A change that was noticed: the route it is about is asked for again."""
    _recent.changed((change.topic, change.key))


def forget() -> None:
    """Asks for every route again."""
    _recent.clear()


def upstreams(route_ids: Collection[int]) -> dict[int, str]:
    """Where each of these routes leads; those that are gone or disabled are left out. Blocking."""
    return dict(McpRoute.objects.filter(pk__in=route_ids, enabled=True).values_list("pk", "upstream_url"))


def _find(slug: str) -> Route | None:
    as_of = time.monotonic()
    route = McpRoute.objects.reached_by(slug)
    if route is None:
        return None
    return Route(id=route.pk, slug=slug, upstream_url=route.upstream_url, sealed_headers=route.sealed_headers, as_of=as_of)


_recent: Recent[str, Route] = Recent(most=1_000, rests_on=lambda route: ((Topic.ROUTE, route.id),))

"""The routes as protected resources: what the authorization server may know of them."""

import re

from mcp_routes.models import McpRoute
from mcp_routes.models.route import SLUG
from oauthgw.resources import ProtectedResource

_PATH = re.compile(rf"/mcp/({SLUG})")


class RouteResources:
    """Answers for `RESOURCE_BACKEND`."""

    def find(self, path: str) -> ProtectedResource | None:
        """The enabled route with this path, or the one that had it: then under its former path, which clients know it by."""
        matched = _PATH.fullmatch(path)
        if matched is None:
            return None
        route = McpRoute.objects.reached_by(matched[1])
        return _resource(route, path) if route is not None else None

    def by_id(self, resource_id: int) -> ProtectedResource | None:
        route = McpRoute.objects.filter(pk=resource_id, enabled=True).first()
        return _resource(route, route.path) if route is not None else None

    def listed(self) -> list[ProtectedResource]:
        return [_resource(route, route.path) for route in McpRoute.objects.filter(enabled=True).order_by("name", "slug")]


def _resource(route: McpRoute, path: str) -> ProtectedResource:
    return ProtectedResource(
        id=route.pk, path=path, name=route.name, description=route.description, access_token_ttl=route.access_token_ttl
    )

"""What of the routes hangs on TOKEN_ENCRYPTION_KEYS: their fixed headers. Running processes are told, because they hold them opened."""

from django.db.models import QuerySet

from mcp_routes.models import McpRoute
from mcp_routes.upstream import reseal_headers
from oauthgw.guard.resealing import Column
from oauthgw.journal.changes import Topic, publish


def columns() -> list[Column]:
    """Everything sealed here."""
    return [Column("routes' headers", _routes, "sealed_headers", reseal_headers, changed=lambda keys: publish(Topic.ROUTE, *keys))]


def _routes() -> QuerySet[McpRoute]:
    return McpRoute.objects.exclude(sealed_headers="")

"""The routes' tables."""

from mcp_routes.models.route import FormerSlug, McpRoute

__all__ = ["FormerSlug", "McpRoute"]

"""The operators' pages of the routes."""

from django.contrib import admin

from mcp_routes.admin.routes import RouteAdmin
from mcp_routes.models import McpRoute

admin.site.register(McpRoute, RouteAdmin)

"""Routes: where each leads, what is added on the way, and what ends when one goes."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from mcp_routes import removal
from mcp_routes.forms import RouteForm
from mcp_routes.models import McpRoute
from mcp_routes.upstream import shown
from oauthgw.admin.confirm import plural
from oauthgw.admin.readonly import CarefulAdmin, operator
from oauthgw.guard.sealed import Unsealable


class RouteAdmin(CarefulAdmin):
    form = RouteForm
    list_display = ("slug", "name", "upstream", "auth_mode", "enabled", "connection_count")
    list_filter = ("enabled", "auth_mode")
    search_fields = ("slug", "name", "upstream_url", "former_slugs__slug")
    search_help_text = "Slug, present or former, name, or part of the upstream's URL"
    readonly_fields = ("stored_headers", "former", "connections", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("slug", "former", "name", "description", "enabled", "connections")}),
        ("Upstream", {"fields": ("upstream_url", "auth_mode", "stored_headers", "headers", "remove_headers")}),
        ("Tokens", {"fields": ("access_token_ttl",)}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )

    @admin.display(description="upstream", ordering="upstream_url")
    def upstream(self, route: McpRoute) -> str:
        return shown(route.upstream_url)

    @admin.display(description="stored headers")
    def stored_headers(self, route: McpRoute) -> str:
        """Names only."""
        try:
            return ", ".join(route.headers()) or "none"
        except Unsealable:
            return "cannot be opened with the configured TOKEN_ENCRYPTION_KEYS: enter them again"

    @admin.display(description="former slugs")
    def former(self, route: McpRoute) -> str:
        return ", ".join(str(former) for former in route.former_slugs.all()) or "none" if route.pk else "none"

    @admin.display(description="connections")
    def connection_count(self, route: McpRoute) -> int:
        return removal.connections(route).count() if route.pk else 0

    @admin.display(description="connections")
    def connections(self, route: McpRoute) -> str:
        url = reverse("admin:oauthgw_grant_changelist")
        count = plural(self.connection_count(route), "live connection")
        return format_html('<a href="{}?resource_id__exact={}">{}</a>', url, route.pk, count) if route.pk else "none"

    def save_model(self, request: HttpRequest, obj: McpRoute, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "slug" in form.changed_data:
            self.message_user(request, f"{form.initial['slug']} stays an alias: clients that know it keep working.")

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        route = self.get_object(request, object_id)
        ending = plural(self.connection_count(route), "connection") if route is not None else ""
        return super().delete_view(request, object_id, {**(extra_context or {}), "ending": ending})

    def delete_model(self, request: HttpRequest, obj: McpRoute) -> None:
        self._tell(request, removal.remove(obj, operator(request)))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[McpRoute]) -> None:
        with transaction.atomic():
            ended = sum(removal.remove(route, operator(request)) for route in queryset)
        self._tell(request, ended)

    def _tell(self, request: HttpRequest, ended: int) -> None:
        self.message_user(request, f"{plural(ended, 'connection')} ended with the removal; the slugs stay reserved.")

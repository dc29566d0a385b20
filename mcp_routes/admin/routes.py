"""Routes: where each leads, what is added on the way, and what ends when one goes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from mcp_routes import removal
from mcp_routes.forms import RouteForm
from mcp_routes.models import McpRoute
from mcp_routes.probing import Upstream, probe
from mcp_routes.upstream import shown
from oauthgw.admin.confirm import plural
from oauthgw.admin.readonly import CarefulAdmin, operator
from oauthgw.guard.finding import Verdict
from oauthgw.guard.sealed import Unsealable
from oauthgw.models import Grant

_CHECKED = 20  # at once: somebody waits for the page


class RouteAdmin(CarefulAdmin):
    form = RouteForm
    empty_state = "No route yet. Add one: the name under which clients find an MCP server, and where the server is."
    actions = ("check_upstream",)
    page_actions = {"check_upstream": "Check upstream"}  # noqa: RUF012  (as Django's own options are)
    list_display = ("slug", "name", "upstream", "auth_mode", "enabled", "connection_count")
    list_filter = ("enabled", "auth_mode")
    search_fields = ("slug", "name", "upstream_url", "former_slugs__slug")
    search_help_text = "Slug, present or former, name, or part of the upstream's URL"
    readonly_fields = ("upstream", "stored_headers", "former", "connections", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("slug", "former", "name", "description", "enabled", "connections")}),
        ("Upstream", {"fields": ("upstream_url", "auth_mode", "stored_headers", "headers", "remove_headers")}),
        ("Tokens", {"fields": ("access_token_ttl",)}),
        ("Times", {"fields": ("created_at", "updated_at")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: McpRoute | None = None) -> Any:
        """Who may only look is shown no address in full: some upstreams take a key in its query."""
        if obj is None or self.has_change_permission(request, obj):
            return self.fieldsets
        instead: dict[Any, tuple[Any, ...]] = {"upstream_url": ("upstream",), "headers": (), "remove_headers": ()}
        return [
            (title, {"fields": tuple(shown for name in options["fields"] for shown in instead.get(name, (name,)))})
            for title, options in self.fieldsets
        ]

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

    def count(self, rows: Sequence[McpRoute]) -> None:
        """How many live connections each has."""
        live = Grant.objects.live().filter(resource_id__in=[route.pk for route in rows]).order_by()
        counted = dict(live.values_list("resource_id").annotate(Count("pk")))
        for route in rows:
            route.live_grants = counted.get(route.pk, 0)  # type: ignore[attr-defined]

    @admin.display(description="connections")
    def connection_count(self, route: McpRoute) -> int:
        return int(getattr(route, "live_grants", 0))

    @admin.display(description="connections")
    def connections(self, route: McpRoute) -> str:
        url = reverse("admin:oauthgw_grant_changelist")
        count = plural(self.connection_count(route), "live connection")
        return format_html('<a href="{}?resource_id__exact={}">{}</a>', url, route.pk, count) if route.pk else "none"

    @admin.action(description="Check the upstreams of selected routes", permissions=["change"])
    def check_upstream(self, request: HttpRequest, queryset: QuerySet[McpRoute]) -> None:
        """Asks each as a call would, with the route's own headers; changes nothing, so that nobody is asked first."""
        with ThreadPoolExecutor(max_workers=8) as pool:
            for finding in pool.map(probe, [Upstream.of(route) for route in queryset[:_CHECKED]]):
                level = messages.SUCCESS if finding.verdict is Verdict.OK else messages.ERROR
                self.message_user(request, f"{finding.about}: {finding.says} {finding.mend}".rstrip(), level)
        if queryset.count() > _CHECKED:
            self.message_user(request, f"Only {_CHECKED} were checked: select the others by themselves.", messages.WARNING)

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

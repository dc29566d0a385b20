"""Clients as operators see them: who registered what, and the switch that turns one off."""

from django.contrib import admin
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from oauthgw.admin.confirm import Question, ask, plural
from oauthgw.admin.readonly import ReadOnlyAdmin
from oauthgw.admin.states import ClientState
from oauthgw.clients import redirects
from oauthgw.journal.changes import Topic, publish
from oauthgw.models import Client
from oauthgw.models.tokens import live_grants

_HOSTS_SHOWN = 3


class ClientAdmin(ReadOnlyAdmin):
    """How a client was registered is its own word and read-only. It is disabled rather than deleted: that can be undone."""

    list_display = ("__str__", "source", "redirect_hosts", "client_type", "created", "users", "state")
    list_filter = (ClientState, "registration_source", "client_type")
    search_fields = ("name", "client_id", "redirect_uris")
    search_help_text = "Name, client ID, or part of a redirect URI"
    actions = ("disable", "enable")
    fields = (
        "name",
        "client_id",
        "state",
        "source",
        "client_type",
        "token_endpoint_auth_method",
        "redirect_uri_list",
        "grant_types",
        "scope",
        "metadata",
        "approved_at",
        "created",
        "updated",
        "connections",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        live = live_grants("grants__")
        clients: QuerySet[Client] = super().get_queryset(request)
        counted: QuerySet[Client] = clients.annotate(user_count=Count("grants__user", filter=live, distinct=True))
        return counted

    @admin.display(description="source", ordering="registration_source")
    def source(self, client: Client) -> str:
        return str(client.get_registration_source_display())

    @admin.display(description="redirects to")
    def redirect_hosts(self, client: Client) -> str:
        hosts = sorted({redirects.host(uri) for uri in client.redirect_uris.split()})
        more = len(hosts) - _HOSTS_SHOWN
        return ", ".join(hosts[:_HOSTS_SHOWN]) + (f" and {more} more" if more > 0 else "")

    @admin.display(description="users", ordering="user_count")
    def users(self, client: Client) -> int:
        return int(getattr(client, "user_count", 0))

    @admin.display(description="state", ordering="disabled_at")
    def state(self, client: Client) -> str:
        if client.disabled_at is not None:
            return f"disabled since {client.disabled_at:%Y-%m-%d %H:%M} UTC"
        return "waiting for approval" if client.awaits_approval else "active"

    @admin.display(description="redirect URIs")
    def redirect_uri_list(self, client: Client) -> str:
        return format_html_join("", "{}<br>", ((uri,) for uri in client.redirect_uris.split()))

    @admin.display(description="connections")
    def connections(self, client: Client) -> str:
        url = reverse("admin:oauthgw_grant_changelist")
        return format_html('<a href="{}?client__id__exact={}">{} with a connection</a>', url, client.pk, plural(self.users(client), "user"))

    @admin.action(description="Disable selected clients", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Client]) -> HttpResponse | None:
        question = Question(
            title="Disable these clients?",
            consequences=(
                "Their access tokens stop working at once, on every route and for every user, and open streams end.",
                "They can neither connect nor refresh.",
                "Nothing is deleted: enabling a client lets its connections work again, as far as they have not expired.",
            ),
            button="Disable",
        )
        page = ask(self, request, queryset, question)
        if page is None:
            self._switch(request, queryset.filter(disabled_at=None), "Disabled")
        return page

    @admin.action(description="Enable selected clients", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Client]) -> HttpResponse | None:
        question = Question(
            title="Enable these clients?",
            consequences=("They can connect again, and their connections that have not expired or been revoked work at once.",),
            button="Enable",
        )
        page = ask(self, request, queryset, question)
        if page is None:
            self._switch(request, queryset.exclude(disabled_at=None), "Enabled")
        return page

    def _switch(self, request: HttpRequest, queryset: QuerySet[Client], done: str) -> None:
        with transaction.atomic():
            clients = list(queryset)
            keys = [client.pk for client in clients]
            Client.objects.filter(pk__in=keys).update(disabled_at=timezone.now() if done == "Disabled" else None)
            for client in clients:
                self.log_change(request, client, f"{done}.")
            publish(Topic.CLIENT, *keys)
        self.message_user(request, f"{done} {plural(len(clients), 'client')}.")

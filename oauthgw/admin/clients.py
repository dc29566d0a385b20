"""Clients as operators see them: who registered what, who their twins are, and where a new one is added."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from oauthgw.admin.client_actions import ClientActions
from oauthgw.admin.client_pages import PreRegistrationForm, form_page, secret_page
from oauthgw.admin.confirm import plural
from oauthgw.admin.readonly import operator
from oauthgw.admin.states import ClientState, Twins
from oauthgw.clients import redirects, registration
from oauthgw.models import Client
from oauthgw.models.tokens import live_grants

_HOSTS_SHOWN = 3


class ClientAdmin(ClientActions):
    """How a client was registered is its own word and read-only; what operators decide about it are actions."""

    list_display = ("__str__", "source", "redirect_hosts", "created", "users", "twins", "state")
    list_filter = (ClientState, Twins, "registration_source", "client_type", "may_introspect")
    linked_by = ("fingerprint",)
    search_fields = ("name", "client_id", "redirect_uris")
    search_help_text = "Name, client ID, or part of a redirect URI"
    fields = (
        "name",
        "client_id",
        "state",
        "source",
        "document",
        "client_type",
        "token_endpoint_auth_method",
        "redirect_uri_list",
        "grant_types",
        "scope",
        "metadata",
        "twins",
        "approved_at",
        "may_introspect",
        "created",
        "updated",
        "last_used_at",
        "connections",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        live = live_grants("grants__")
        twins = Client.objects.filter(fingerprint=OuterRef("fingerprint")).exclude(fingerprint="").order_by().values("fingerprint")
        clients: QuerySet[Client] = super().get_queryset(request)
        counted: QuerySet[Client] = clients.annotate(
            user_count=Count("grants__user", filter=live, distinct=True),
            twin_count=Coalesce(Subquery(twins.annotate(count=Count("pk")).values("count"), output_field=IntegerField()), 1),
        )
        return counted

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.add_{self.opts.model_name}")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Our own view: the page after saving shows the secret, which the library's redirect would have to store somewhere."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PreRegistrationForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return form_page(self, request, form)
        with transaction.atomic():
            registered = registration.preregister(form.judged, operator(request))
            self.log_addition(request, registered.client, "Added.")
        return secret_page(self, request, registered, "The client was added")

    @admin.display(description="source", ordering="registration_source")
    def source(self, client: Client) -> str:
        by_hand = client.registration_source == Client.RegistrationSource.MANUAL
        return "Added by an operator" if by_hand else str(client.get_registration_source_display())

    @admin.display(description="metadata document")
    def document(self, client: Client) -> str:
        if client.document_fetched_at is None or client.cimd_expires_at is None:
            return "none"
        return f"fetched {client.document_fetched_at:%Y-%m-%d %H:%M} UTC, asked for again after {client.cimd_expires_at:%Y-%m-%d %H:%M} UTC"

    @admin.display(description="redirects to")
    def redirect_hosts(self, client: Client) -> str:
        hosts = sorted({redirects.host(uri) for uri in client.redirect_uris.split()})
        more = len(hosts) - _HOSTS_SHOWN
        return ", ".join(hosts[:_HOSTS_SHOWN]) + (f" and {more} more" if more > 0 else "")

    @admin.display(description="users", ordering="user_count")
    def users(self, client: Client) -> int:
        return int(getattr(client, "user_count", 0))

    @admin.display(description="twins", ordering="twin_count")
    def twins(self, client: Client) -> str:
        """Registrations that are alike: one program that registers at each issuer, or on each start."""
        count = int(getattr(client, "twin_count", 1))
        if count < 2:
            return "none"
        url = reverse("admin:oauthgw_client_changelist")
        return format_html('<a href="{}?fingerprint__exact={}">{} twins</a>', url, client.fingerprint, count)

    @admin.display(description="state", ordering="disabled_at")
    def state(self, client: Client) -> str:
        if client.disabled_at is not None:
            return f"disabled since {client.disabled_at:%Y-%m-%d %H:%M} UTC"
        if client.awaits_approval:
            return "waiting for approval"
        return "active, approved" if client.is_vouched_for else "active"

    @admin.display(description="redirect URIs")
    def redirect_uri_list(self, client: Client) -> str:
        return format_html_join("", "{}<br>", ((uri,) for uri in client.redirect_uris.split()))

    @admin.display(description="connections")
    def connections(self, client: Client) -> str:
        url = reverse("admin:oauthgw_grant_changelist")
        return format_html('<a href="{}?client__id__exact={}">{} with a connection</a>', url, client.pk, plural(self.users(client), "user"))

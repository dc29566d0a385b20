"""Clients as operators see them: who registered what, who their twins are, and where a new one is added."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from oauthgw.admin.client_actions import ClientActions
from oauthgw.admin.client_pages import PreRegistrationForm, form_page, secret_page
from oauthgw.admin.confirm import plural
from oauthgw.admin.readonly import operator
from oauthgw.admin.states import ClientState, LastUsed, Twins
from oauthgw.clients import redirects, registration
from oauthgw.models import Client, Grant

_HOSTS_SHOWN = 3


class ClientAdmin(ClientActions):
    """How a client was registered is its own word and read-only; what operators decide about it are actions."""

    empty_state = "No app has registered yet. Add a route's address to one, as the start page shows, and it registers by itself."
    list_display = ("__str__", "source", "redirect_hosts", "created", "last_used_at", "live", "users", "twins", "state")
    list_filter = (ClientState, LastUsed, Twins, "registration_source", "client_type", "may_introspect")
    date_hierarchy = "created"
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
        "more",
    )

    def count(self, rows: Sequence[Client]) -> None:
        """How many live connections each has, of how many users, and how many registrations are like it."""
        live = Grant.objects.live().filter(client__in=rows).order_by().values("client")
        counted = {row["client"]: row for row in live.annotate(users=Count("user", distinct=True), grants=Count("pk"))}
        alike = Client.objects.filter(fingerprint__in={client.fingerprint for client in rows} - {""}).order_by()
        twins = dict(alike.values_list("fingerprint").annotate(Count("pk")))
        for client in rows:
            of_it = counted.get(client.pk, {"users": 0, "grants": 0})
            client.user_count, client.grant_count = of_it["users"], of_it["grants"]
            client.twin_count = twins.get(client.fingerprint, 1)

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
        if client.is_of_document:
            return f"Metadata document of {redirects.host(client.client_id)}"
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

    @admin.display(description="users")
    def users(self, client: Client) -> int:
        return int(getattr(client, "user_count", 0))

    @admin.display(description="connections")
    def live(self, client: Client) -> str:
        count = int(getattr(client, "grant_count", 0))
        url = reverse("admin:oauthgw_grant_changelist")
        return format_html('<a href="{}?client__id__exact={}&state=live">{}</a>', url, client.pk, count) if count else "0"

    @admin.display(description="twins")
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

    @admin.display(description="more of it")
    def more(self, client: Client) -> str:
        consents, events = reverse("admin:oauthgw_consent_changelist"), reverse("admin:journal_event_changelist")
        query = urlencode({"client_id": client.client_id})
        return format_html('<a href="{}?client__id__exact={}">consents</a>, <a href="{}?{}">events</a>', consents, client.pk, events, query)

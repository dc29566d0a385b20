"""The journal, to look at: what happened, to whom, in which request."""

from urllib.parse import urlencode, urlsplit

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from oauthgw.admin.readonly import ReadOnlyAdmin
from oauthgw.admin.states import What
from oauthgw.journal.models import Event


class EventAdmin(ReadOnlyAdmin):
    """Nothing of it can be changed. A connection's own page tells its part in words."""

    empty_state = "Nothing has happened yet. Sign-ins, registrations, consents, connections and their ends are told here."
    list_display = ("at", "kind", "who", "client", "connection", "route", "address", "reason")
    list_filter = (What, "at", "kind")
    date_hierarchy = "at"
    list_select_related = ("user",)
    linked_by = ("grant_id", "user", "client_id", "resource")
    sortable_by = ("at",)  # each other column would be sorted for a page, over the whole journal
    search_fields = ("=client_id", "user__email", "user__username", "=request_id", "=grant_id", "=address")
    search_help_text = "Client ID, e-mail, address, number of a connection, or the request id of an error page"
    fields = ("at", "kind", "who", "client", "connection", "resource", "address", "request_id", "reason")

    @admin.display(description="client")
    def client(self, event: Event) -> str:
        """Where an operator goes on: the client's own list entry, found by its id."""
        if not event.client_id:
            return ""
        query = urlencode({"q": event.client_id})
        return format_html('<a href="{}?{}">{}</a>', reverse("admin:oauthgw_client_changelist"), query, event.client_id)

    @admin.display(description="connection")
    def connection(self, event: Event) -> str:
        if event.grant_id is None:
            return ""
        return format_html('<a href="{}">#{}</a>', reverse("admin:oauthgw_grant_change", args=[event.grant_id]), event.grant_id)

    @admin.display(description="route")
    def route(self, event: Event) -> str:
        path = urlsplit(event.resource).path
        query = urlencode({"resource": event.resource})
        return format_html('<a href="{}?{}">{}</a>', reverse("admin:journal_event_changelist"), query, path) if path else ""

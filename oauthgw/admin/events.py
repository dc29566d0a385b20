"""The journal, to look at: what happened, to whom, in which request."""

from oauthgw.admin.readonly import ReadOnlyAdmin


class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "who", "client_id", "resource", "address", "reason")
    list_filter = ("kind", "at")
    list_select_related = ("user",)
    linked_by = ("grant_id", "user", "client_id")
    search_fields = ("client_id", "user__email", "user__username", "request_id")
    search_help_text = "Client ID, e-mail, or the request id of an error page"
    fields = ("at", "kind", "who", "client_id", "grant_id", "resource", "address", "request_id", "reason")

"""Tokens, to look at: whose, for what, until when. Never a value and never a digest; revoking is the grant's."""

from urllib.parse import urlsplit

from django.contrib import admin

from oauthgw.admin.readonly import ReadOnlyAdmin
from oauthgw.models import AccessToken, RefreshToken


class _TokenAdmin(ReadOnlyAdmin):
    empty_state = "No token was issued yet, or all that were have run out and were cleaned up."
    list_select_related = ("application", "user", "grant", "grant__client")
    linked_by = ("grant",)
    sortable_by = ("pk",)  # newest first or last; anything else would be sorted for a page, over the whole table
    search_fields = ("user__email", "user__username", "application__name", "application__client_id", "grant__resource")
    search_help_text = "E-mail, client name or ID, or part of a route's URL"

    @admin.display(description="client")
    def client(self, token: AccessToken | RefreshToken) -> str:
        return str(token.application)

    @admin.display(description="route")
    def route(self, token: AccessToken | RefreshToken) -> str:
        return str(urlsplit(token.grant.resource).path)

    @admin.display(description="revoked", boolean=True)
    def is_revoked(self, token: AccessToken | RefreshToken) -> bool:
        return token.grant.revoked_at is not None


class AccessTokenAdmin(_TokenAdmin):
    list_display = ("pk", "client", "who", "route", "created", "expires", "accepted_at", "is_revoked")
    list_filter = ("expires",)
    fields = ("grant", "client", "who", "route", "scope", "created", "expires", "accepted_at", "is_revoked")


class RefreshTokenAdmin(_TokenAdmin):
    list_display = ("pk", "client", "who", "route", "generation", "created", "expires_at", "spent_at", "is_revoked")
    list_filter = ("expires_at",)
    fields = ("grant", "generation", "client", "who", "route", "created", "expires_at", "spent_at", "is_revoked")

"""Connections: which user allowed which client on which route, and the action that ends them."""

from urllib.parse import urlsplit

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from oauthgw import tokens
from oauthgw.admin.confirm import Question, ask, plural
from oauthgw.admin.readonly import ReadOnlyAdmin, operator
from oauthgw.admin.states import GrantState
from oauthgw.models import Grant


class GrantAdmin(ReadOnlyAdmin):
    """A grant is the family of all tokens that descend from one code: it is revoked as a whole, never token by token."""

    list_display = ("number", "who", "client", "route", "state", "issued_at", "refreshed_at", "expires_at")
    list_filter = (GrantState, "issued_at")
    list_select_related = ("client", "user")
    linked_by = ("client", "user", "resource_id")
    search_fields = ("user__email", "user__username", "client__name", "client__client_id", "resource")
    search_help_text = "E-mail, client name or ID, or part of a route's URL"
    actions = ("revoke",)
    fields = ("client", "who", "resource", "scope", "issued_at", "refreshed_at", "expires_at", "state", "tokens_issued")

    @admin.display(description="connection", ordering="pk")
    def number(self, grant: Grant) -> str:
        return f"#{grant.pk}"

    @admin.display(description="route", ordering="resource")
    def route(self, grant: Grant) -> str:
        return urlsplit(grant.resource).path

    @admin.display(description="state")
    def state(self, grant: Grant) -> str:
        if grant.revoked_at is not None:
            return f"revoked {grant.revoked_at:%Y-%m-%d %H:%M} UTC: {grant.revoked_reason}"
        return "live" if grant.expires_at is None or timezone.now() < grant.expires_at else "ended by age"

    @admin.display(description="tokens")
    def tokens_issued(self, grant: Grant) -> str:
        links = (reverse(f"admin:oauthgw_{kind}_changelist") + f"?grant__id__exact={grant.pk}" for kind in ("accesstoken", "refreshtoken"))
        return format_html('<a href="{}">access tokens</a>, <a href="{}">refresh tokens</a>', *links)

    @admin.action(description="Revoke selected connections", permissions=["operate"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Grant]) -> HttpResponse | None:
        question = Question(
            title="Revoke these connections?",
            consequences=(
                "No further request with their tokens is served, and streams that are open end. This cannot be undone.",
                "The client may ask the user to connect again; a consent that still stands may answer that without a page.",
            ),
            button="Revoke",
        )
        page = ask(self, request, queryset, question)
        if page is not None:
            return page
        with transaction.atomic():
            live = list(queryset.filter(revoked_at=None).select_related("client", "user"))
            ended = tokens.revoke_all(
                Grant.objects.filter(pk__in=[grant.pk for grant in live]), "An operator revoked it.", operator(request)
            )
            for grant in live:
                self.log_change(request, grant, "Revoked.")
        self.message_user(request, f"Revoked {plural(ended, 'connection')}.")
        return None

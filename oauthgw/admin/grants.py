"""Connections: which user allowed which client on which route, and the action that ends them."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from django.contrib import admin
from django.db import transaction
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from oauthgw import story, tokens
from oauthgw.admin.confirm import Question, ask, plural
from oauthgw.admin.readonly import ReadOnlyAdmin, operator
from oauthgw.admin.states import GrantState
from oauthgw.models import AccessToken, Grant

_NEWEST = (
    '<table class="rows"><thead><tr><th>Kind</th><th>Issued</th><th>Runs out</th><th>First used</th></tr></thead><tbody>{}</tbody></table>'
)


class GrantAdmin(ReadOnlyAdmin):
    """A grant is the family of all tokens that descend from one code: it is revoked as a whole, never token by token."""

    empty_state = "No app is connected yet. A connection begins when a user approves an app and it redeems its code."
    list_display = ("number", "who", "client", "route", "state", "issued_at", "last_used")
    list_filter = (GrantState, "issued_at")
    date_hierarchy = "issued_at"
    list_select_related = ("client", "user")
    linked_by = ("client", "user", "resource_id")
    search_fields = ("=id", "user__email", "user__username", "client__name", "client__client_id", "resource")
    search_help_text = "E-mail, client name or ID, number of a connection, or part of a route's URL"
    actions = ("revoke",)
    page_actions = {"revoke": "Revoke…"}  # noqa: RUF012  (as Django's own options are)
    fieldsets = (
        (None, {"fields": ("standing", "story")}),
        ("What was allowed", {"fields": ("client", "who", "resource", "scope", "issued_at", "refreshed_at", "expires_at", "state")}),
        ("Tokens", {"fields": ("newest_tokens", "tokens_issued")}),
    )

    def unfit(self, row: Grant) -> set[str]:
        return set() if row.is_live else {"revoke"}

    def count(self, rows: Sequence[Grant]) -> None:
        """When an access token of each was last accepted for the first time: with a lifetime of minutes, that is when it was last used."""
        accepted = AccessToken.objects.filter(grant__in=rows).order_by().values_list("grant").annotate(Max("accepted_at"))
        newest = dict(accepted)
        for grant in rows:
            grant.accepted_at = newest.get(grant.pk)  # type: ignore[attr-defined]

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

    @admin.display(description="last used")
    def last_used(self, grant: Grant) -> str:
        """By a call or a refresh; tokens that ended long ago are gone, so that only their refresh is known."""
        moments = [moment for moment in (getattr(grant, "accepted_at", None), grant.refreshed_at) if moment is not None]
        return f"{max(moments):%Y-%m-%d %H:%M} UTC" if moments else "never"

    @admin.display(description="how it stands")
    def standing(self, grant: Grant) -> str:
        return story.ending(grant)

    @admin.display(description="what happened")
    def story(self, grant: Grant) -> str:
        lines = story.told(grant)
        if not lines:
            return "The journal knows nothing of this connection any more."
        items = format_html_join("", "<li><time>{}</time>{}</li>", ((_when(line), _what(line)) for line in lines))
        return format_html('<ol class="story">{}</ol>', items)

    @admin.display(description="newest tokens")
    def newest_tokens(self, grant: Grant) -> str:
        """No value and no digest."""
        access = [("access token", token.created, token.expires, token.accepted_at) for token in grant.access_tokens.order_by("-pk")[:10]]
        refresh = [
            ("refresh token", token.created, token.expires_at, token.spent_at) for token in grant.refresh_tokens.order_by("-pk")[:10]
        ]
        newest = sorted(access + refresh, key=lambda row: row[1], reverse=True)
        rows = ((kind, *map(_moment, moments)) for kind, *moments in newest)
        cells = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        return format_html(_NEWEST, cells)

    @admin.display(description="all tokens")
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


def _when(line: story.Line) -> str:
    return _moment(line.at) if line.until is None else f"{_moment(line.at)} to {_moment(line.until)}"


def _what(line: story.Line) -> str:
    often = f" ({line.times} times)" if line.times > 1 else ""
    said = f"{line.says}{often}"
    return f"{said} Request {line.request_id}." if line.request_id else said


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at is not None else "never"

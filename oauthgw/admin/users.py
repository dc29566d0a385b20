"""Users as the identity provider knows them. What they are is decided at sign-in; here they can only be shut out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from oauthgw import auditors
from oauthgw.admin.confirm import Question, ask, plural
from oauthgw.admin.readonly import ReadOnlyAdmin, operator
from oauthgw.admin.states import Auditors
from oauthgw.ending import end_grants
from oauthgw.identity import signed_in
from oauthgw.journal import recorder as journal
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Grant, Identity

if TYPE_CHECKING:
    _IdentityInline = admin.StackedInline[Identity, User]
else:
    _IdentityInline = admin.StackedInline


_SESSION_TABLE = '<table class="rows"><thead><tr><th>Browser</th><th>Address</th><th>Last seen</th></tr></thead><tbody>{}</tbody></table>'


class IdentityInline(_IdentityInline):
    model = Identity
    fields = readonly_fields = (
        "provider", "subject", "email", "email_verified", "organization_id", "role", "permissions", "signed_in_at",
    )  # fmt: skip
    can_delete = False
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class UserAdmin(ReadOnlyAdmin):
    """Rights follow `GATEWAY_ADMINS` at each sign-in; a local superuser is made with `manage.py createsuperuser`."""

    empty_state = "Nobody has signed in yet. Users come by themselves with their first sign-in."
    list_display = ("username", "email", "organization", "role", "is_superuser", "is_active", "last_login", "connection_count")
    list_filter = ("is_active", "is_superuser", Auditors)
    list_select_related = ("identity",)
    search_fields = ("email", "username", "first_name", "last_name", "identity__subject", "identity__organization_id")
    search_help_text = "E-mail, name, or an id at the identity provider (user_…, org_…)"
    ordering = ("email", "username")
    actions = ("shut_out", "let_in", "revoke_connections", "end_sessions", "make_auditors", "unmake_auditors")
    page_actions = {  # noqa: RUF012  (as Django's own options are)
        "shut_out": "Shut out…",
        "let_in": "Let in…",
        "revoke_connections": "Revoke all connections…",
        "end_sessions": "Sign out everywhere…",
        "make_auditors": "Make an auditor…",
        "unmake_auditors": "Auditor no more…",
    }
    inlines = (IdentityInline,)
    fields = (
        "username",
        "email",
        "first_name",
        "last_name",
        "is_active",
        "is_superuser",
        "is_auditor",
        "last_login",
        "date_joined",
        "connections",
        "sessions",
        "events",
    )

    def unfit(self, row: User) -> set[str]:
        return {"let_in" if row.is_active else "shut_out", "make_auditors" if auditors.includes(row) else "unmake_auditors"}

    def count(self, rows: Sequence[User]) -> None:
        """How many live connections each has."""
        live = dict(Grant.objects.live().filter(user__in=rows).order_by().values_list("user").annotate(Count("pk")))
        for user in rows:
            user.live_grants = live.get(user.pk, 0)  # type: ignore[attr-defined]

    @admin.display(description="organisation", ordering="identity__organization_id")
    def organization(self, user: User) -> str:
        identity = getattr(user, "identity", None)
        return identity.organization_id if identity else ""

    @admin.display(description="role", ordering="identity__role")
    def role(self, user: User) -> str:
        identity = getattr(user, "identity", None)
        return identity.role if identity else "local account"

    @admin.display(description="connections")
    def connection_count(self, user: User) -> int:
        return int(getattr(user, "live_grants", 0))

    @admin.display(description="connections")
    def connections(self, user: User) -> str:
        url = reverse("admin:oauthgw_grant_changelist")
        return format_html('<a href="{}?user__id__exact={}">{}</a>', url, user.pk, plural(self.connection_count(user), "connection"))

    @admin.display(description="auditor", boolean=True)
    def is_auditor(self, user: User) -> bool:
        return auditors.includes(user)

    @admin.display(description="browser sessions")
    def sessions(self, user: User) -> str:
        """Where they are signed in; never a key."""
        rows = ((place.device, place.address, f"{place.last_seen_at:%Y-%m-%d %H:%M} UTC") for place in signed_in.everywhere(user))
        cells = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", rows)
        return format_html(_SESSION_TABLE, cells) if cells else "none"

    @admin.display(description="journal")
    def events(self, user: User) -> str:
        return format_html('<a href="{}?user__id__exact={}">events of this user</a>', reverse("admin:journal_event_changelist"), user.pk)

    @admin.action(description="Shut out selected users", permissions=["operate"])
    def shut_out(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        question = Question(
            title="Shut these users out?",
            consequences=(
                "Their browser sessions end and they cannot sign in.",
                "The access tokens of all their clients stop working at once, and open streams end.",
                "Nothing is deleted: let in again, their connections work again, as far as they have not expired.",
            ),
            button="Shut out",
        )
        page = ask(self, request, queryset, question)
        if page is not None:
            return page
        if queryset.filter(pk=operator(request).pk).exists():
            self.message_user(request, "You are among these users and would shut yourself out. Nothing was changed.", "error")
            return None
        self._set_active(request, queryset, False, "Shut out")
        return None

    @admin.action(description="Let in selected users", permissions=["operate"])
    def let_in(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        question = Question(
            title="Let these users in?",
            consequences=("They can sign in again, and their connections that have not expired or been revoked work at once.",),
            button="Let in",
        )
        page = ask(self, request, queryset, question)
        if page is None:
            self._set_active(request, queryset, True, "Let in")
        return page

    @admin.action(description="Revoke all connections of selected users", permissions=["operate"])
    def revoke_connections(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        question = Question(
            title="Revoke all connections of these users?",
            consequences=("No further request with the tokens of their clients is served, for good. The users can connect again.",),
            button="Revoke",
        )
        page = ask(self, request, queryset, question)
        if page is not None:
            return page
        reason = "An operator revoked all connections of the user."
        with transaction.atomic():
            users = list(queryset)
            ended = sum(end_grants(reason, operator(request), user_id=user.pk) for user in users)
            for user in users:
                self.log_change(request, user, "Revoked all connections.")
        self.message_user(request, f"Revoked {plural(ended, 'connection')} of {plural(len(users), 'user')}.")
        return None

    @admin.action(description="Sign selected users out everywhere", permissions=["operate"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        question = Question(
            title="Sign these users out everywhere?",
            consequences=(
                "Every browser in which they are signed in here is signed out at once; they may sign in again.",
                "Their apps stay connected: to end those too, revoke their connections.",
            ),
            button="Sign out",
        )
        page = ask(self, request, queryset, question)
        if page is not None:
            return page
        with transaction.atomic():
            users = list(queryset)
            ended = sum(signed_in.end_all(user, journal.by("An operator signed the user out.", operator(request))) for user in users)
            for user in users:
                self.log_change(request, user, "Signed out everywhere.")
        self.message_user(request, f"Ended {plural(ended, 'session')} of {plural(len(users), 'user')}.")
        return None

    @admin.action(description="Make auditors of selected users", permissions=["operate"])
    def make_auditors(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        question = Question(
            title="Make auditors of these users?",
            consequences=(
                "They may open the admin and look at clients, consents, connections, users, routes and the journal.",
                "They can change nothing, and no credential is shown to anybody.",
            ),
            button="Make auditors",
        )
        page = ask(self, request, queryset, question)
        if page is None:
            self._tell(request, auditors.add(queryset, operator(request)), "Made an auditor.", "Made auditors of")
        return page

    @admin.action(description="Take the auditor's view from selected users", permissions=["operate"])
    def unmake_auditors(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        question = Question(
            title="Take the auditor's view from these users?",
            consequences=("They cannot open the admin any more, unless GATEWAY_ADMINS names them.",),
            button="Take it back",
        )
        page = ask(self, request, queryset, question)
        if page is None:
            removed = auditors.remove(queryset, journal.by("An operator took it back.", operator(request)))
            self._tell(request, removed, "An auditor no more.", "Took it from")
        return page

    def _tell(self, request: HttpRequest, users: Sequence[User], logged: str, done: str) -> None:
        for user in users:
            self.log_change(request, user, logged)
        self.message_user(request, f"{done} {plural(len(users), 'user')}.")

    def _set_active(self, request: HttpRequest, queryset: QuerySet[User], active: bool, done: str) -> None:
        kind = Kind.USER_ACTIVATED if active else Kind.USER_DEACTIVATED
        with transaction.atomic():
            users = list(queryset.exclude(is_active=active))
            keys = [user.pk for user in users]
            User.objects.filter(pk__in=keys).update(is_active=active)
            for user in users:
                record(kind, user=user, reason=journal.by("", operator(request)))
                self.log_change(request, user, f"{done}.")
                if not active:
                    signed_in.end_all(user, journal.by("An operator shut the user out.", operator(request)))
            publish(Topic.USER, *keys)
        self.message_user(request, f"{done}: {plural(len(users), 'user')}.")

"""Users as the identity provider knows them. What they are is decided at sign-in; here they can only be shut out."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from oauthgw.admin.confirm import Question, ask, plural
from oauthgw.admin.readonly import ReadOnlyAdmin, operator
from oauthgw.ending import end_grants
from oauthgw.identity import signed_in
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Identity
from oauthgw.models.tokens import live_grants

if TYPE_CHECKING:
    _IdentityInline = admin.StackedInline[Identity, User]
else:
    _IdentityInline = admin.StackedInline


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

    list_display = ("username", "email", "organization", "role", "is_superuser", "is_active", "last_login", "connection_count")
    list_filter = ("is_active", "is_superuser")
    list_select_related = ("identity",)
    search_fields = ("email", "username", "first_name", "last_name", "identity__subject", "identity__organization_id")
    search_help_text = "E-mail, name, or an id at the identity provider (user_…, org_…)"
    ordering = ("email", "username")
    actions = ("shut_out", "let_in", "revoke_connections")
    inlines = (IdentityInline,)
    fields = ("username", "email", "first_name", "last_name", "is_active", "is_superuser", "last_login", "date_joined", "connections")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        live = live_grants("grants__")
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(live_grants=Count("grants", filter=live, distinct=True))

    @admin.display(description="organisation", ordering="identity__organization_id")
    def organization(self, user: User) -> str:
        identity = getattr(user, "identity", None)
        return identity.organization_id if identity else ""

    @admin.display(description="role", ordering="identity__role")
    def role(self, user: User) -> str:
        identity = getattr(user, "identity", None)
        return identity.role if identity else "local account"

    @admin.display(description="connections", ordering="live_grants")
    def connection_count(self, user: User) -> int:
        return int(getattr(user, "live_grants", 0))

    @admin.display(description="connections")
    def connections(self, user: User) -> str:
        url = reverse("admin:oauthgw_grant_changelist")
        return format_html('<a href="{}?user__id__exact={}">{}</a>', url, user.pk, plural(self.connection_count(user), "connection"))

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

    def _set_active(self, request: HttpRequest, queryset: QuerySet[User], active: bool, done: str) -> None:
        kind = Kind.USER_ACTIVATED if active else Kind.USER_DEACTIVATED
        with transaction.atomic():
            users = list(queryset.exclude(is_active=active))
            keys = [user.pk for user in users]
            User.objects.filter(pk__in=keys).update(is_active=active)
            for user in users:
                record(kind, user=user, reason=f"by {operator(request)}")
                self.log_change(request, user, f"{done}.")
                if not active:
                    signed_in.end_all(user, f"An operator shut the user out (by {operator(request)}).")
            publish(Topic.USER, *keys)
        self.message_user(request, f"{done}: {plural(len(users), 'user')}.")

"""Filters by state: the question an operator asks first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from oauthgw import auditors
from oauthgw.journal.models import Event
from oauthgw.models.client import Client, usable_clients

_Kind = Event.Kind
_ABOUT = {
    "ends": [kind for kind in _Kind if kind.endswith(("_refused", "_reused", "_replayed", "_revoked", "_withdrawn", "_removed", "_loop"))],
    "grants": [kind for kind in _Kind if kind.startswith(("grant_", "refresh_", "consent_", "code_"))],
    "clients": [kind for kind in _Kind if kind.startswith("client_")],
    "people": [kind for kind in _Kind if kind.startswith(("sign", "user_", "auditor_"))],
}


class _StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"
    states: tuple[str, ...] = ()

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(state, state) for state in self.states]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(self.condition(self.value())) if self.value() in self.states else queryset

    def condition(self, state: str | None) -> Q:
        raise NotImplementedError


class ClientState(_StateFilter):
    states = ("active", "waiting", "disabled")

    def condition(self, state: str | None) -> Q:
        if state == "disabled":
            return Q(disabled_at__isnull=False)
        return usable_clients() if state == "active" else Q(disabled_at=None) & ~usable_clients()


class Twins(admin.SimpleListFilter):
    """Clients of which there are several alike."""

    title = "twins"
    parameter_name = "twins"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("yes", "with twins"), ("no", "without")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        counted = Client.objects.exclude(fingerprint="").order_by().values("fingerprint").annotate(alike=Count("pk"))
        of_several = Q(fingerprint__in=counted.filter(alike__gt=1).values("fingerprint"))
        return queryset.filter(of_several if self.value() == "yes" else ~of_several)


class What(admin.SimpleListFilter):
    """What an event is about, before which kind it is."""

    title = "what about"
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("ends", "ends and refusals"), ("grants", "connections"), ("clients", "clients"), ("people", "sign-ins and users")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kinds = _ABOUT.get(self.value() or "")
        return queryset.filter(kind__in=kinds) if kinds else queryset


class Auditors(admin.SimpleListFilter):
    """Who may look and not touch."""

    title = "auditor"
    parameter_name = "auditor"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("yes", "auditors")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(groups__name=auditors.NAME) if self.value() == "yes" else queryset


class LastUsed(admin.SimpleListFilter):
    """Clients that nobody seems to need."""

    title = "last used"
    parameter_name = "used"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [("lately", "within 30 days"), ("long-ago", "longer ago"), ("never", "never")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        month_ago = timezone.now() - timedelta(days=30)
        conditions = {"lately": Q(last_used_at__gte=month_ago), "long-ago": Q(last_used_at__lt=month_ago), "never": Q(last_used_at=None)}
        return queryset.filter(conditions.get(self.value() or "", Q()))


class ConsentState(_StateFilter):
    states = ("standing", "withdrawn")

    def condition(self, state: str | None) -> Q:
        return Q(withdrawn_at__isnull=state == "standing")


class GrantState(_StateFilter):
    states = ("live", "ended by age", "revoked")

    def condition(self, state: str | None) -> Q:
        if state == "revoked":
            return Q(revoked_at__isnull=False)
        over = Q(expires_at__lte=timezone.now())
        return Q(revoked_at=None) & (over if state == "ended by age" else ~over | Q(expires_at=None))

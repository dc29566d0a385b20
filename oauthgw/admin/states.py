"""Filters by state: the question an operator asks first."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from oauthgw.models.client import usable_clients


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
        return queryset.filter(twin_count__gt=1) if self.value() == "yes" else queryset.filter(twin_count=1)


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

"""The standing consent: what a user allowed a client on a route, and what they were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.urls import reverse

from oauthgw.models.client import Client
from oauthgw.models.identity import label

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class ConsentQuerySet(models.QuerySet["Consent"]):
    def standing(self, user: AbstractBaseUser, client: Client, resource_id: int, *, locked: bool = False) -> Consent | None:
        """The consent in force for this user, client and route, if there is one; `locked` keeps it so until the transaction ends."""
        rows = self.select_for_update() if locked else self.all()
        return rows.filter(user_id=user.pk, client=client, resource_id=resource_id, withdrawn_at=None).first()


class Consent(models.Model):
    """One per user, client and route; approving again renews it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="consents")
    resource_id = models.BigIntegerField()
    resource = models.CharField(max_length=2000)
    scope = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, help_text="Of all that must not change while this consent is remembered.")
    shown_hosts = models.JSONField(default=list, help_text="The redirect hosts that stood on an approved page.")
    given_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = ConsentQuerySet.as_manager()

    class Meta:
        ordering = ["-given_at"]
        constraints = [
            models.UniqueConstraint(fields=["user", "client", "resource_id"], name="one_consent_per_user_client_route"),
        ]

    def __str__(self) -> str:
        return f"{self.client} on {urlsplit(self.resource).path} for {label(self.user)}"

    def get_absolute_url(self) -> str:
        return reverse("admin:oauthgw_consent_change", args=[self.pk])

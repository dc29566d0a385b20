"""Codes, grants and tokens: django-oauth-toolkit's swapped models, and the grant that holds a family together.

Rows hold digests, never values. `oauthgw.codes` and `oauthgw.tokens` make them.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import (
    AbstractAccessToken,
    AbstractDeviceGrant,
    AbstractGrant,
    AbstractIDToken,
    AbstractRefreshToken,
)

from oauthgw.models.client import Client, usable_clients
from oauthgw.models.identity import active_users, label


def live_grants(through: str = "") -> models.Q:
    """Grants neither revoked nor past their absolute age; `through` is the look-up that leads to them (`grants__`)."""
    ageless = models.Q(**{f"{through}expires_at": None}) | models.Q(**{f"{through}expires_at__gt": timezone.now()})
    return ageless & models.Q(**{f"{through}revoked_at": None})


def tokens_in_force() -> models.Q:
    """Tokens whose grant is live, whose client may act and whose user may too; their own expiry is for each kind to say."""
    return live_grants("grant__") & usable_clients("application__") & active_users("user__")


class GrantQuerySet(models.QuerySet["Grant"]):
    def live(self) -> GrantQuerySet:
        return self.filter(live_grants())


class Grant(models.Model):
    """What one user allowed one client on one route: the family of all tokens that descend from one code.

    Revocation, the lock of a rotation and the absolute age live here, once.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="grants")
    client = models.ForeignKey(Client, on_delete=models.CASCADE, related_name="grants")
    resource_id = models.BigIntegerField(help_text="The route's immutable id: what /mcp compares.")
    resource = models.CharField(max_length=2000, help_text="The resource as issued (RFC 8707).")
    scope = models.CharField(max_length=200)
    is_signed_for = models.BooleanField(
        default=False, help_text="Whether the client proved itself by its own key when the code was redeemed: then it must each time."
    )
    issued_at = models.DateTimeField(default=timezone.now)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="The absolute end; empty means none.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=200, blank=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        ordering = ["-issued_at"]
        indexes = [
            models.Index(fields=["resource_id"], name="grant_of_route"),
            models.Index(fields=["user", "client", "resource_id"], name="grant_of_user_client_route"),
            models.Index(fields=["-issued_at"], name="grant_newest_first"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}: {self.client} on {urlsplit(self.resource).path} for {label(self.user)}"

    def get_absolute_url(self) -> str:
        return reverse("admin:oauthgw_grant_change", args=[self.pk])

    @property
    def is_live(self) -> bool:
        """Neither revoked nor past its absolute age."""
        return self.revoked_at is None and (self.expires_at is None or timezone.now() < self.expires_at)


class AuthorizationCode(AbstractGrant):
    """An authorization code (RFC 6749 §4.1.2). `code` holds its SHA-256; the value exists only on its way to the client."""

    resource_id = models.BigIntegerField()
    may_refresh = models.BooleanField(default=True, help_text="Off for an impersonated session: its grant ends with its access token.")
    used_at = models.DateTimeField(null=True, blank=True)
    issued_grant = models.OneToOneField(Grant, null=True, blank=True, on_delete=models.SET_NULL, related_name="code")

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["expires"], name="code_expiry")]


class RefreshToken(AbstractRefreshToken):
    """One link of a grant's refresh chain: derived from its predecessor and the nonce kept here, so that asking twice gives it twice."""

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="refresh_tokens")
    generation = models.PositiveIntegerField()
    nonce = models.CharField(max_length=64, blank=True)
    key_id = models.CharField(max_length=16, blank=True, help_text="The server key that derived this token.")
    expires_at = models.DateTimeField()
    spent_at = models.DateTimeField(null=True, blank=True, help_text="When this token was first exchanged.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["grant", "generation"], name="one_token_per_generation"),
            models.UniqueConstraint(fields=["token_checksum"], name="refresh_token_digest_is_unique"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="refresh_token_expiry")]

    def __str__(self) -> str:
        return f"Refresh token {self.pk} of grant {self.grant_id}"


class AccessToken(AbstractAccessToken):
    """An access token, stored as its SHA-256 (`token_checksum`); `token` stays empty."""

    grant = models.ForeignKey(Grant, on_delete=models.CASCADE, related_name="access_tokens")
    issued_with = models.ForeignKey(
        RefreshToken, null=True, blank=True, on_delete=models.SET_NULL, related_name="issued_beside", help_text="Issued in the same answer."
    )
    accepted_at = models.DateTimeField(null=True, blank=True, help_text="When /mcp first accepted it.")

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["expires"], name="access_token_expiry")]


def has_a_token_after(moment: datetime) -> models.Q:
    """Grants with a token that could still be used after this moment, as far as its own lifetime goes."""
    refresh = RefreshToken.objects.filter(grant=models.OuterRef("pk"), spent_at=None, expires_at__gt=moment)
    access = AccessToken.objects.filter(grant=models.OuterRef("pk"), expires__gt=moment)
    return models.Q(models.Exists(refresh)) | models.Q(models.Exists(access))


class IDToken(AbstractIDToken):
    """Unused: the gateway issues no ID tokens. Swapped with the others, because swapping one later is impractical."""


class DeviceGrant(AbstractDeviceGrant):
    """Unused: the gateway offers no device flow. Swapped with the others, because swapping one later is impractical."""

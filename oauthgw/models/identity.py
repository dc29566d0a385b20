"""Who a user is at the identity provider, and the sign-ins under way."""

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models

from oauthgw.identity import dev


def label(user: AbstractBaseUser) -> str:
    """What to call a user towards people: the e-mail address, or the name of a local account."""
    return str(getattr(user, "email", "") or user.get_username())


def active_users(through: str = "") -> models.Q:
    """Users whose word and tokens count: not switched off, and no demo user where there are none any more.

    `through` is the look-up that leads to them (`user__`).
    """
    active = models.Q(**{f"{through}is_active": True})
    return active if dev.exist() else active & ~models.Q(**{f"{through}identity__provider": dev.PROVIDER})


class Identity(models.Model):
    """A user as the identity provider knows them, as of their last sign-in and what it told since."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identity")
    provider = models.CharField(max_length=32)
    subject = models.CharField(max_length=255, help_text="The provider's immutable id of this user.")
    email = models.EmailField(blank=True)
    email_verified = models.BooleanField(default=False)
    organization_id = models.CharField(max_length=255, blank=True)
    role = models.CharField(max_length=255, blank=True)
    permissions = models.JSONField(default=list, blank=True)
    signed_in_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="When the newest change that the provider told of happened there.")
    profile_told_at = models.DateTimeField(null=True, blank=True, help_text="The same, of e-mail address and name.")
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When the provider was last asked whether it still knows the user.")
    unanswered_since = models.DateTimeField(
        null=True, blank=True, help_text="The first question since the provider's last answer; empty when it answered the last one."
    )

    class Meta:
        verbose_name_plural = "identities"
        constraints = [
            models.UniqueConstraint(fields=["provider", "subject"], name="one_identity_per_subject"),
            models.CheckConstraint(condition=~models.Q(subject=""), name="identity_has_a_subject"),
        ]

    def __str__(self) -> str:
        return self.email or self.subject


class EventCursor(models.Model):
    """How far the provider's list of events was read."""

    provider = models.CharField(max_length=32, unique=True)
    event_id = models.CharField(max_length=255, blank=True, help_text="The last event that was read.")
    read_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.provider} up to {self.event_id or 'nothing yet'}"


class SignIn(models.Model):
    """One attempt to sign in, from the redirect to the provider until its answer. Three tabs are three rows."""

    state_digest = models.CharField(max_length=64, unique=True)
    browser_digest = models.CharField(max_length=64, help_text="Of the cookie of the browser that began.")
    sealed_verifier = models.TextField(help_text="The PKCE verifier (RFC 7636 §4.1), encrypted.")
    next = models.TextField(help_text="The same-origin path to return to.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Sign-in {self.pk}"

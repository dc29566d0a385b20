"""What happened: one row an OAuth event, written in the transaction that causes it; and what other processes must notice."""

from django.conf import settings
from django.db import models


class Event(models.Model):
    """Something that happened to a client, a consent or a grant. Holds names and ids, never a credential."""

    class Kind(models.TextChoices):
        CLIENT_REGISTERED = "client_registered", "Client registered"
        CLIENT_CHANGED = "client_changed", "Client changed"
        CLIENT_SECRET_REPLACED = "client_secret_replaced", "Client secret replaced"
        CLIENT_APPROVED = "client_approved", "Client approved"
        CLIENT_APPROVAL_WITHDRAWN = "client_approval_withdrawn", "Client approval withdrawn"
        CLIENT_DISABLED = "client_disabled", "Client disabled"
        CLIENT_ENABLED = "client_enabled", "Client enabled"
        CLIENT_REMOVED = "client_removed", "Client removed"
        SIGNED_IN = "signed_in", "Signed in"
        SIGN_IN_REFUSED = "sign_in_refused", "Sign-in refused"
        SIGNED_OUT = "signed_out", "Signed out"
        SIGN_IN_LOOP = "sign_in_loop", "Sign-in loop stopped"
        USER_DEACTIVATED = "user_deactivated", "User shut out"
        USER_ACTIVATED = "user_activated", "User let in"
        AUDITOR_MADE = "auditor_made", "Made an auditor"
        AUDITOR_UNMADE = "auditor_unmade", "An auditor no more"
        CONSENT_GIVEN = "consent_given", "Consent given"
        CONSENT_REFUSED = "consent_refused", "Consent refused"
        CONSENT_WITHDRAWN = "consent_withdrawn", "Consent withdrawn"
        GRANT_ISSUED = "grant_issued", "Grant issued"
        GRANT_REFRESHED = "grant_refreshed", "Grant refreshed"
        REFRESH_FORGIVEN = "refresh_forgiven", "Repeated refresh forgiven"
        REFRESH_REFUSED = "refresh_refused", "Refresh refused"
        REFRESH_REUSED = "refresh_reused", "Spent refresh token used again"
        CODE_REFUSED = "code_refused", "Authorization code refused"
        CODE_REPLAYED = "code_replayed", "Authorization code used again"
        GRANT_REVOKED = "grant_revoked", "Grant revoked"

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    kind = models.CharField(max_length=32, choices=Kind.choices)
    # The event outlives what it speaks of: rows are linked by value, and the user's link is cleared, not followed.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    client_id = models.CharField(max_length=2000, blank=True)
    grant_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    resource = models.CharField(max_length=2000, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [  # what an operator has in hand
            models.Index(fields=["client_id"], name="event_of_client"),
            models.Index(fields=["request_id"], name="event_of_request"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.client_id or 'no client'})"


class Change(models.Model):
    """Something that every process must notice: what it holds about this may no longer be true. Kept for an hour."""

    at = models.DateTimeField(auto_now_add=True)
    topic = models.CharField(max_length=16, help_text="One of `changes.Topic`.")
    key = models.BigIntegerField(help_text="The id of the row it is about.")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.topic} {self.key}"

"""The OAuth client: django-oauth-toolkit's Application, with what MCP clients register and operators decide."""

from typing import Any

from django.db import models
from django.urls import reverse
from oauth2_provider.models import AbstractApplication

from oauthgw.clients import redirects
from oauthgw.guard.conf import gateway


def usable_clients(through: str = "") -> models.Q:
    """Clients that may act, as `Client.is_usable` judges one; `through` is the look-up that leads to them (`application__`)."""
    approved = models.Q(**{f"{through}approved_at__isnull": False}) if _approval_is_needed() else models.Q()
    return approved & models.Q(**{f"{through}disabled_at": None})


def _approval_is_needed() -> bool:
    return gateway().client_registration == "approval"


class Client(AbstractApplication):
    """A registered client (RFC 6749 §2, RFC 7591 §2)."""

    class AuthMethod(models.TextChoices):
        """How the client proves itself at the token endpoint (RFC 7591 §2)."""

        NONE = "none", "None (public client)"
        BASIC = "client_secret_basic", "Secret in the Authorization header"
        POST = "client_secret_post", "Secret in the request body"
        ASSERTION = "private_key_jwt", "Assertion signed with the client's own key"

    # A client ID metadata document's URL is its client_id, and redirect URIs may have 2,000 characters: so may this.
    client_id = models.CharField("client ID", max_length=2000, unique=True)
    grant_types = models.JSONField(default=list, help_text="The grant types kept at registration.")
    token_endpoint_auth_method = models.CharField(max_length=32, choices=AuthMethod.choices, default=AuthMethod.NONE)
    scope = models.CharField(max_length=200, blank=True, help_text="The scopes kept at registration, separated by spaces.")
    metadata = models.JSONField(default=dict, blank=True, help_text="What else the client said of itself; answered, never trusted.")
    fingerprint = models.CharField(
        max_length=64, blank=True, db_index=True, editable=False, help_text="Equal for twins: one program that registered more than once."
    )
    registration_token_digest = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Of the token that manages this registration (RFC 7592 §3)."
    )
    document_fetched_at = models.DateTimeField(null=True, blank=True, help_text="When the client ID metadata document was last fetched.")
    may_introspect = models.BooleanField(default=False, help_text="Whether this client may ask what a token is good for (RFC 7662).")
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="When a token was last issued to it, to the hour.")
    approved_at = models.DateTimeField(null=True, blank=True, help_text="When an operator vouched for this client.")
    disabled_at = models.DateTimeField(null=True, blank=True, help_text="When an operator switched this client off.")

    class Meta:
        ordering = ["-created"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(client_id=""), name="client_has_an_id"),
            models.UniqueConstraint(
                fields=["registration_token_digest"],
                condition=~models.Q(registration_token_digest=""),
                name="registration_token_digest_is_unique",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.client_id

    def get_absolute_url(self) -> str:
        return reverse("admin:oauthgw_client_change", args=[self.pk])

    @property
    def is_confidential(self) -> bool:
        return bool(self.client_type == self.CLIENT_CONFIDENTIAL)

    @property
    def is_of_document(self) -> bool:
        """Whether what stands here was read from the client ID metadata document at its client ID: that domain's own word."""
        return bool(self.registration_source == self.RegistrationSource.CIMD)

    @property
    def signs(self) -> bool:
        """Whether it proves itself by its own key, and so by nothing else."""
        return bool(self.token_endpoint_auth_method == self.AuthMethod.ASSERTION)

    @property
    def may_sign(self) -> bool:
        """Whether an assertion of its own counts. A document may offer a key beside going without, and such clients use either."""
        return self.signs or (self.is_of_document and not self.metadata.keys().isdisjoint(("jwks", "jwks_uri")))

    @property
    def is_vouched_for(self) -> bool:
        """Whether an operator vouches for this client, who then may be redirected with errors and is not called unverified."""
        return self.approved_at is not None

    @property
    def awaits_approval(self) -> bool:
        """Whether CLIENT_REGISTRATION asks for an operator's approval that this client does not have (yet, or any more)."""
        return _approval_is_needed() and self.approved_at is None

    def redirect_uri_allowed(self, uri: str) -> bool:
        return any(redirects.matches(uri, known) for known in self.redirect_uris.split())

    def get_allowed_schemes(self) -> list[str]:
        return [redirects.scheme(uri) for uri in self.redirect_uris.split()]

    def allows_grant_type(self, *grant_types: str) -> bool:
        """One grant is offered here, with its refresh tokens (OAuth 2.1 §4.1, §4.3); DOT asks under its own names."""
        return self.GRANT_AUTHORIZATION_CODE in grant_types

    def is_usable(self, request: Any) -> bool:
        return self.disabled_at is None and not self.awaits_approval

    def clean(self) -> None:
        """The same rules as at registration; DOT's own would refuse custom schemes and loopback redirects."""
        redirects.validate_all(self.redirect_uris.split())


class UsedAssertion(models.Model):
    """A client assertion that was accepted: its `jti` is good once, on whichever node it is shown (RFC 7523 §3, item 7)."""

    digest = models.CharField(max_length=64, unique=True, help_text="Of client ID and `jti`.")
    expires_at = models.DateTimeField(db_index=True, help_text="When the assertion itself is refused, and this row may go.")

    def __str__(self) -> str:
        return f"Assertion {self.pk}"

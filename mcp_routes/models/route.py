"""A route: the public name of one upstream MCP server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import IntegrityError, models, transaction
from django.urls import reverse

from mcp_routes import upstream
from oauthgw.guard.secret import Secret
from oauthgw.journal.changes import Topic, publish

SLUG = r"[a-z0-9][a-z0-9-]{0,62}"
MAX_ACCESS_TOKEN_TTL = 8 * 3600

valid_slug = RegexValidator(rf"\A{SLUG}\Z", "A slug is 1 to 63 lower-case letters, digits and hyphens, and does not begin with a hyphen.")


class McpRouteManager(models.Manager["McpRoute"]):
    def reached_by(self, slug: str) -> McpRoute | None:
        """The enabled route with this slug, or the one that had it before."""
        route = self.filter(slug=slug).first()
        if route is None:
            former = FormerSlug.objects.select_related("route").filter(slug=slug).first()
            route = former.route if former else None
        return route if route is not None and route.enabled else None


class McpRoute(models.Model):
    """`/mcp/{slug}`: what clients connect to, where it leads, and how the gateway proves itself there."""

    class AuthMode(models.TextChoices):
        """How requests are authorized at the upstream."""

        NONE = "none", "Nothing is added"
        HEADERS = "headers", "Fixed headers, the same for every user"

    slug = models.CharField(max_length=63, unique=True, validators=[valid_slug])
    name = models.CharField(max_length=100, help_text="Shown to people on the consent page and to clients as resource_name.")
    description = models.TextField(blank=True, help_text="What becomes possible, in a sentence: shown on the consent page.")
    upstream_url = models.CharField(max_length=2000, validators=[upstream.validate_url], help_text="The upstream's MCP endpoint.")
    auth_mode = models.CharField(max_length=16, choices=AuthMode.choices, default=AuthMode.NONE)
    sealed_headers = models.TextField(blank=True, editable=False, help_text="The fixed headers, encrypted.")
    access_token_ttl = models.PositiveIntegerField(
        "access token lifetime",
        null=True,
        blank=True,
        validators=[MinValueValidator(60), MaxValueValidator(MAX_ACCESS_TOKEN_TTL)],
        help_text="Seconds, at most 8 hours; empty for the default. Longer helps clients that do not refresh.",
    )
    enabled = models.BooleanField(default=True, help_text="A disabled route answers 404; its grants stay.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = McpRouteManager()

    class Meta:
        verbose_name = "route"
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(slug=""), name="route_has_a_slug"),
            models.CheckConstraint(
                condition=models.Q(access_token_ttl=None) | models.Q(access_token_ttl__range=(60, MAX_ACCESS_TOKEN_TTL)),
                name="route_token_lifetime_in_range",
            ),
            models.CheckConstraint(
                condition=models.Q(auth_mode="none", sealed_headers="") | (models.Q(auth_mode="headers") & ~models.Q(sealed_headers="")),
                name="route_headers_fit_the_mode",
                violation_error_message="A route with fixed headers needs at least one; a route without must have none.",
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Saves the route; a slug it had before is kept as a former one, in the same transaction.

        Raises IntegrityError for a slug that was another route's. Asked after the write: whoever takes a slug that is being given up
        waits for that transaction at the unique index, and then sees what it left behind.
        """
        with transaction.atomic():
            before = McpRoute.objects.select_for_update().filter(pk=self.pk).first()
            super().save(*args, **kwargs)
            FormerSlug.objects.filter(slug=self.slug, route=self).delete()
            if FormerSlug.objects.of_another(self).exists():
                raise IntegrityError(f"The slug {self.slug} belonged to another route before.")
            if before is not None and before.slug != self.slug:
                FormerSlug.objects.create(slug=before.slug, route=self)
            publish(Topic.ROUTE, self.pk)

    def get_absolute_url(self) -> str:
        return reverse("admin:mcp_routes_mcproute_change", args=[self.pk])

    @property
    def path(self) -> str:
        return f"/mcp/{self.slug}"

    def clean(self) -> None:
        if FormerSlug.objects.of_another(self).exists():
            raise ValidationError({"slug": "This slug belonged to another route before; clients may still hold tokens for it."})
        if self.auth_mode == self.AuthMode.HEADERS and not self.sealed_headers:
            raise ValidationError({"auth_mode": "Fixed headers are chosen but none is given: add one, or choose that nothing is added."})
        if self.auth_mode == self.AuthMode.NONE and self.sealed_headers:
            raise ValidationError({"auth_mode": "Headers are stored but would not be sent: remove them, or choose fixed headers."})

    def set_headers(self, headers: Mapping[str, str]) -> None:
        """Seals the headers sent to the upstream; an empty mapping removes them."""
        self.sealed_headers = upstream.sealed_headers(headers)

    def headers(self) -> dict[str, Secret]:
        """The headers sent to the upstream. Raises sealed.Unsealable when no configured key opens them."""
        return upstream.opened_headers(self.sealed_headers)


class FormerSlugManager(models.Manager["FormerSlug"]):
    def of_another(self, route: McpRoute) -> models.QuerySet[FormerSlug]:
        """The route's present slug as a former slug of any other route, removed ones included."""
        return self.filter(models.Q(route=None) | ~models.Q(route_id=route.pk), slug=route.slug)


class FormerSlug(models.Model):
    """A name a route had: kept for ever, so that it leads to this route and to no other.

    The row stays when its route is removed: a slug is never reused for another route.
    """

    slug = models.CharField(max_length=63, unique=True, validators=[valid_slug])
    route = models.ForeignKey(McpRoute, null=True, on_delete=models.SET_NULL, related_name="former_slugs")
    since = models.DateTimeField(auto_now_add=True)

    objects = FormerSlugManager()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

"""A gateway that a large company has used for a year, made up: clients, users, grants, tokens, sessions and the journal.

Rows are written as such, past the rules that would make them one by one. What the lists look at is spread as in use: most
grants ended, most tokens expired, a few programs registered thousands of times.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.core.management.color import no_style
from django.db import connection, models
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.guard.sealed import digest
from oauthgw.journal.models import Event
from oauthgw.models import AccessToken, Client, Consent, Grant, Identity, RefreshToken

ORIGIN = "https://gateway.example"
_BATCH = 2000
_PROGRAMS = ("Claude", "Cursor", "Visual Studio Code", "ChatGPT", "MCP Inspector", "Goose", "Zed", "Windsurf")


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows of each kind."""

    clients: int = 100_000
    users: int = 20_000
    grants: int = 250_000
    access_tokens: int = 700_000
    refresh_tokens: int = 300_000
    events: int = 1_000_000
    routes: int = 40

    def divided(self, by: int) -> "Size":
        return Size(*(max(1, count // by) for count in (self.clients, self.users, self.grants)),
                    *(max(1, count // by) for count in (self.access_tokens, self.refresh_tokens, self.events)))  # fmt: skip


def fill(size: Size, say: Callable[[str], None]) -> None:
    """Writes the rows into the empty, migrated database."""
    now = timezone.now()
    for model, rows in (
        (McpRoute, _routes(size)),
        (User, _users(size, now)),
        (Identity, _identities(size, now)),
        (Client, _clients(size, now)),
        (Grant, _grants(size, now)),
        (Consent, _consents(size, now)),
        (RefreshToken, _refresh_tokens(size, now)),
        (AccessToken, _access_tokens(size, now)),
        (Event, _events(size, now)),
    ):
        say(f"{_write(model, rows)} {model._meta.verbose_name_plural}")
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), apps.get_models()):
            cursor.execute(statement)
        cursor.execute("ANALYZE")


def _write(model: Any, rows: Iterator[models.Model]) -> int:
    """Bulk writing, with each row's own date where the field would set today's."""
    for field in model._meta.concrete_fields:
        if getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False):
            field.auto_now = field.auto_now_add = False
    written = 0
    while batch := list(islice(rows, _BATCH)):
        model.objects.bulk_create(batch)
        written += len(batch)
    return written


def _ago(now: datetime, part: int, whole: int) -> datetime:
    """A moment of the last year: the first part is a year ago, the last is now."""
    return now - timedelta(days=365) * (1 - part / whole)


def _routes(size: Size) -> Iterator[models.Model]:
    for number in range(1, size.routes + 1):
        url = f"https://mcp{number}.example/mcp"
        now = timezone.now()
        yield McpRoute(id=number, slug=f"route-{number}", name=f"Route {number}", upstream_url=url, created_at=now, updated_at=now)


def _users(size: Size, now: datetime) -> Iterator[models.Model]:
    for number in range(1, size.users + 1):
        email = f"person{number}@example.com"
        yield User(
            id=number, username=f"user_{number:08}", email=email, is_active=number % 50 > 0, last_login=_ago(now, number, size.users)
        )


def _identities(size: Size, now: datetime) -> Iterator[models.Model]:
    for number in range(1, size.users + 1):
        yield Identity(
            user_id=number,
            provider="workos",
            subject=f"user_{number:08}",
            email=f"person{number}@example.com",
            email_verified=True,
            organization_id=f"org_{number % 30}",
            role="member",
            signed_in_at=_ago(now, number, size.users),
        )


def _clients(size: Size, now: datetime) -> Iterator[models.Model]:
    sources = Client.RegistrationSource
    for number in range(1, size.clients + 1):
        program = _PROGRAMS[number % len(_PROGRAMS)]
        document = number % 20 == 0
        created = _ago(now, number, size.clients)
        yield Client(
            id=number,
            client_id=f"https://client{number}.example/oauth/metadata.json" if document else f"client-{number:08}",
            name=program if number % 3 else f"{program} {number}",
            redirect_uris=f"https://client{number}.example/callback" if document else "http://localhost:33418/callback",
            client_type="public",
            authorization_grant_type="authorization-code",
            grant_types=["authorization_code", "refresh_token"],
            registration_source=sources.CIMD if document else sources.DCR,
            fingerprint=digest(program) if number % 3 else digest(f"{program}{number}"),
            created=created,
            updated=created,
            last_used_at=None if number % 4 == 0 else created + timedelta(days=1),
            disabled_at=now if number % 100 == 0 else None,
            approved_at=created if number % 10 == 0 else None,
        )


def _grants(size: Size, now: datetime) -> Iterator[models.Model]:
    for number in range(1, size.grants + 1):
        issued = _ago(now, number, size.grants)
        ended = number % 10 == 0
        yield Grant(
            id=number,
            user_id=1 + number % size.users,
            client_id=1 + number % size.clients,
            resource_id=1 + number % size.routes,
            resource=f"{ORIGIN}/mcp/route-{1 + number % size.routes}",
            scope="mcp:tools",
            issued_at=issued,
            refreshed_at=issued + timedelta(days=2),
            expires_at=issued + timedelta(days=90),
            revoked_at=issued + timedelta(days=3) if ended else None,
            revoked_reason="The user revoked it." if ended else "",
        )


def _consents(size: Size, now: datetime) -> Iterator[models.Model]:
    for number in range(1, min(size.grants, size.clients) + 1):
        yield Consent(
            user_id=1 + number % size.users,
            client_id=1 + number % size.clients,
            resource_id=1 + number % size.routes,
            resource=f"{ORIGIN}/mcp/route-{1 + number % size.routes}",
            scope="mcp:tools",
            digest=digest(str(number)),
            given_at=_ago(now, number, size.clients),
            withdrawn_at=now if number % 20 == 0 else None,
        )


def _refresh_tokens(size: Size, now: datetime) -> Iterator[models.Model]:
    for number in range(1, size.refresh_tokens + 1):
        grant = 1 + number % size.grants
        created = _ago(now, number, size.refresh_tokens)
        yield RefreshToken(
            id=number,
            grant_id=grant,
            generation=number // size.grants,
            user_id=1 + grant % size.users,
            application_id=1 + grant % size.clients,
            token="",
            token_checksum=digest(f"refresh{number}"),
            created=created,
            updated=created,
            expires_at=created + timedelta(days=30),
            spent_at=created if number % 2 else None,
        )


def _access_tokens(size: Size, now: datetime) -> Iterator[models.Model]:
    for number in range(1, size.access_tokens + 1):
        grant = 1 + number % size.grants
        created = _ago(now, number, size.access_tokens)
        yield AccessToken(
            id=number,
            grant_id=grant,
            user_id=1 + grant % size.users,
            application_id=1 + grant % size.clients,
            token="",
            token_checksum=digest(f"access{number}"),
            scope="mcp:tools",
            created=created,
            updated=created,
            expires=created + timedelta(minutes=15),
            accepted_at=created if number % 3 else None,
        )


def _events(size: Size, now: datetime) -> Iterator[models.Model]:
    kinds: tuple[Event.Kind, ...] = (Event.Kind.GRANT_REFRESHED,) * 14 + (
        Event.Kind.SIGNED_IN,
        Event.Kind.GRANT_ISSUED,
        Event.Kind.CONSENT_GIVEN,
    )
    kinds += (Event.Kind.CLIENT_REGISTERED, Event.Kind.GRANT_REVOKED, Event.Kind.REFRESH_REFUSED)
    for number in range(1, size.events + 1):
        grant = 1 + number % size.grants
        client = 1 + grant % size.clients
        yield Event(
            id=number,
            at=_ago(now, number, size.events),
            kind=kinds[number % len(kinds)],
            user_id=1 + grant % size.users,
            client_id=f"https://client{client}.example/oauth/metadata.json" if client % 20 == 0 else f"client-{client:08}",
            grant_id=grant,
            resource=f"{ORIGIN}/mcp/route-{1 + grant % size.routes}",
            address=f"10.{number % 200}.{number % 251}.7",
            request_id=f"request-{number}",
        )

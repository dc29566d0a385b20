"""Who is calling: a bearer token becomes a Principal, or nothing.

The only module that decides whose token it is. An answer may be five seconds old at most, and is asked for again as soon as a change of
its grant, client or user is noted. Knows tokens, grants, clients and users; knows nothing of routes, HTTP or upstreams.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from oauthgw import tokens
from oauthgw.guard.database import in_database
from oauthgw.guard.recent import Recent
from oauthgw.guard.sealed import digest
from oauthgw.journal.changes import Entry, Topic
from oauthgw.models import AccessToken, Grant
from oauthgw.models.client import usable_clients
from oauthgw.models.identity import active_users
from oauthgw.models.tokens import tokens_in_force


@dataclass(frozen=True, slots=True)
class Principal:
    """A user, through a client, on one resource. `expires_at` is in Unix seconds, `client_pk` the client's row.

    `as_of` is the monotonic second before the database was asked: all of it was true then, and may have changed since.
    """

    user_id: int
    subject: str
    client_id: str
    client_pk: int
    grant_id: int
    resource_id: int
    resource: str
    scope: frozenset[str]
    expires_at: float
    organization: str
    role: str
    permissions: frozenset[str]
    as_of: float = field(default_factory=time.monotonic, compare=False)


async def resolve(token: str, resource_id: int) -> Principal | None:
    """Whose access token for this resource it is.

    None when it is unknown, expired, revoked or bound to another resource, or when its client or user is switched off. Resources are
    compared by id, so that a renamed route strands nobody (RFC 8707 §2, MCP 2026-07-28 "Token Handling").

    Raises DatabaseUnavailable when the store does not answer: an outage must never look like a sign-out.
    """
    key = (digest(token), resource_id)
    known = _recent.held(key)
    if known is not None:
        principal = known.value
    elif tokens.looks_like_access_token(token):  # the checksum refuses junk without a look-up
        principal = await _recent.get(key, lambda: in_database(_resolve, *key))
    else:
        return None
    return principal if principal is not None and time.time() < principal.expires_at else None


def apply(change: Entry) -> None:
    """A change that was noticed: whoever it is about is asked about again."""
    _recent.changed((change.topic, change.key))


def forget() -> None:
    """Asks about everybody again."""
    _recent.clear()


def resolve_now(token: str, resource_id: int) -> Principal | None:
    """Whose it is, asked of the database now; blocking, and without a look at what is held."""
    return _resolve(digest(token), resource_id)


def standing(grant_ids: Collection[int]) -> frozenset[int]:
    """Which of these grants nobody has taken away, by revoking them or by switching client or user off; blocking.

    Their age and their tokens' do not count: by how much an answer may outlive them is for whoever gives it to say.
    """
    found: set[int] = set()
    asked = sorted(grant_ids)
    for start in range(0, len(asked), _AT_ONCE):
        those = Grant.objects.filter(pk__in=asked[start : start + _AT_ONCE], revoked_at=None)
        grants = those.filter(usable_clients("client__"), active_users("user__"))
        found.update(grants.values_list("pk", flat=True))
    return frozenset(found)


# Access tokens by digest, and the resource they were shown for: no token is kept in clear.
_recent: Recent[tuple[str, int], Principal] = Recent(
    most=10_000,
    rests_on=lambda principal: (
        (Topic.GRANT, principal.grant_id),
        (Topic.CLIENT, principal.client_pk),
        (Topic.USER, principal.user_id),
    ),
)
_AT_ONCE = 500  # a query of SQLite takes so many parameters on any build
_COLUMNS = (
    "id",
    "expires",
    "accepted_at",
    "user_id",
    "application__client_id",
    "application_id",
    "grant_id",
    "grant__resource",
    "scope",
    "user__username",
    "user__identity__subject",
    "user__identity__organization_id",
    "user__identity__role",
    "user__identity__permissions",
)


def _resolve(token_digest: str, resource_id: int) -> Principal | None:
    as_of, now = time.monotonic(), timezone.now()
    row: dict[str, Any] | None = (
        AccessToken.objects.filter(
            tokens_in_force(),
            token_checksum=token_digest,
            expires__gt=now,
            grant__resource_id=resource_id,
        )
        .order_by()
        .values(*_COLUMNS)
        .first()
    )
    if row is None:
        return None
    if row["accepted_at"] is None:
        # Once a token: refreshing asks whether an answer ever arrived, and this is how it did.
        AccessToken.objects.filter(pk=row["id"], accepted_at=None).update(accepted_at=now)
    return Principal(
        user_id=row["user_id"],
        subject=row["user__identity__subject"] or row["user__username"],
        client_id=row["application__client_id"],
        client_pk=row["application_id"],
        grant_id=row["grant_id"],
        resource_id=resource_id,
        resource=row["grant__resource"],
        scope=frozenset(row["scope"].split()),
        expires_at=row["expires"].timestamp(),
        organization=row["user__identity__organization_id"] or "",
        role=row["user__identity__role"] or "",
        permissions=frozenset(row["user__identity__permissions"] or ()),
        as_of=as_of,
    )

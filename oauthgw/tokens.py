"""Grants and their tokens: mint, rotate, forgive, detect reuse, revoke. The only writer of token rows, except that
`principals` notes when an access token was first accepted.

The five rules of refreshing live here:

1. A grant's refresh tokens are one chain. Token n+1 is derived from token n and a nonce kept with n+1, so that presenting n again gives
   the same n+1 and a fresh access token: parallel refreshes cannot branch.
2. The direct predecessor of the head is forgiven while the head was never presented, and either no access token issued with the head was
   accepted yet (its answer was lost; no time limit) or the predecessor was first used at most `REFRESH_REPLAY_SECONDS` ago.
3. Any other use of a spent token by its own authenticated client ends the grant, and is journalled.
4. A wrong client, secret, resource or verifier consumes nothing.
5. All of this under a lock on the grant. Rotation revokes nothing: earlier access tokens live to their own expiry.

Knows token, grant and code rows; knows nothing of HTTP. Every function that takes a
lock must run inside a transaction: on PostgreSQL the grant's row is locked, on SQLite the transaction itself is (IMMEDIATE).
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from oauth2_provider.models import set_token_value

from oauthgw import resources
from oauthgw.guard import sealed
from oauthgw.guard.conf import gateway
from oauthgw.guard.secret import Secret
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import AccessToken, AuthorizationCode, Client, Grant, RefreshToken

ACCESS_PREFIX = "mcpat_"
REFRESH_PREFIX = "mcprt_"
_CHAIN = "refresh chain"
_CHECKSUM_LENGTH = 8
_RANDOM_BYTES = 32  # 256 bits; RFC 6749 §10.10 asks for 128
_ACCESS_LENGTH = len(ACCESS_PREFIX) + 43 + _CHECKSUM_LENGTH


class ChainBroken(Exception):
    """A successor cannot be derived again, because the key that derived it is no longer configured."""


@dataclass(frozen=True, slots=True)
class Issued:
    """What a token answer carries (RFC 6749 §5.1). `expires_in` is in seconds; an impersonated grant has no refresh token."""

    access_token: Secret
    refresh_token: Secret | None
    expires_in: int
    scope: str


def looks_like_access_token(value: str) -> bool:
    """Whether prefix, length and checksum are those of an access token: junk is refused without a look-up."""
    if len(value) != _ACCESS_LENGTH or not value.startswith(ACCESS_PREFIX) or not value.isascii():
        return False
    return _checksum(value[:-_CHECKSUM_LENGTH]) == value[-_CHECKSUM_LENGTH:]


def mint(code: AuthorizationCode, *, with_refresh_token: bool) -> Issued:
    """The first tokens of a grant, for a code that was just redeemed (RFC 6749 §4.1.4)."""
    now = timezone.now()
    max_age = gateway().grant_max_age_days
    resource = code.resource[0]
    grant = Grant.objects.create(
        user=code.user,
        client=code.application,
        resource_id=code.resource_id,
        resource=resource,
        scope=code.scope,
        issued_at=now,
        expires_at=now + timedelta(days=max_age) if max_age else None,
    )
    AuthorizationCode.objects.filter(pk=code.pk).update(issued_grant=grant)
    record(Kind.GRANT_ISSUED, user=grant.user, client_id=grant.client.client_id, grant_id=grant.pk, resource=resource)
    if not with_refresh_token:
        return _answer(grant, None, None, now)
    value = REFRESH_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return _answer(grant, _store_refresh_token(grant, 0, value, "", "", now), value, now)


def find_refresh_token(value: str, client: Client) -> RefreshToken | None:
    """The client's refresh token with this value, with its family locked until the transaction ends (rule 5)."""
    row = RefreshToken.objects.filter(token_checksum=sealed.digest(value), application=client).values_list("pk", "grant_id").first()
    if row is None:
        return None
    Grant.objects.select_for_update().get(pk=row[1])
    locked: RefreshToken = RefreshToken.objects.select_related("grant", "grant__client", "user").get(pk=row[0])  # as it is under the lock
    return locked


def may_be_exchanged(token: RefreshToken) -> bool:
    """Whether a refresh token that its own authenticated client presents may be exchanged (rules 2 and 3).

    The head may. Its direct predecessor may while the head was never presented and the answer may have been lost. Any other spent
    token is a sign of theft (OAuth 2.1 §4.3.1, RFC 9700 §4.14.2): the family is revoked.
    """
    now = timezone.now()
    grant = token.grant
    if not grant.is_live or not token.user.is_active:
        return False
    if token.spent_at is None:
        return now < token.expires_at
    head = _successor(token)
    if head is not None and head.spent_at is None and _answer_may_be_lost(token.spent_at, head, now):
        return now < head.expires_at
    record(Kind.REFRESH_REUSED, user=token.user, client_id=grant.client.client_id, grant_id=grant.pk, resource=grant.resource)
    revoke(grant, "A spent refresh token was used again.")
    return False


def exchange(token: RefreshToken, value: str) -> Issued:
    """The next link of the chain and a fresh access token (rules 1 and 5); asked again for the same token, the same next link.

    `value` is the token that `may_be_exchanged` accepted in this transaction. Raises ChainBroken when the key that derived an existing
    successor was removed.
    """
    now = timezone.now()
    grant = token.grant
    head = _successor(token)
    kind = Kind.GRANT_REFRESHED if head is None else Kind.REFRESH_FORGIVEN
    if head is None:
        nonce, key_id = secrets.token_urlsafe(16), sealed.current_key()
        next_value = _derive(value, nonce, key_id)
        head = _store_refresh_token(grant, token.generation + 1, next_value, nonce, key_id, now)
        RefreshToken.objects.filter(pk=token.pk).update(spent_at=now)
    else:
        next_value = _derive(value, head.nonce, head.key_id)
    Grant.objects.filter(pk=grant.pk).update(refreshed_at=now)
    record(kind, user=grant.user, client_id=grant.client.client_id, grant_id=grant.pk, resource=grant.resource)
    return _answer(grant, head, next_value, now)


@transaction.atomic
def revoke(grant: Grant, reason: str, by: AbstractBaseUser | None = None) -> bool:
    """Ends a grant and every token of it; safe to repeat. Returns whether this call ended it. `by` is the operator, if one did."""
    ended = _end(grant, reason, by)
    if ended:
        publish(Topic.GRANT, grant.pk)
    return ended


@transaction.atomic
def revoke_all(grants: "QuerySet[Grant]", reason: str, by: AbstractBaseUser | None = None) -> int:
    """Ends every live grant of a queryset; returns how many."""
    live = grants.filter(revoked_at=None).select_related("user", "client")
    ended = [grant.pk for grant in live if _end(grant, reason, by)]
    publish(Topic.GRANT, *ended)
    return len(ended)


def _end(grant: Grant, reason: str, by: AbstractBaseUser | None) -> bool:
    """Marks a grant as revoked, with the journal's entry; whether it was not before."""
    ended = Grant.objects.filter(pk=grant.pk, revoked_at=None).update(revoked_at=timezone.now(), revoked_reason=reason[:200])
    if ended:
        who = f" (by {by})" if by is not None else ""
        record(
            Kind.GRANT_REVOKED,
            user=grant.user,
            client_id=grant.client.client_id,
            grant_id=grant.pk,
            resource=grant.resource,
            reason=reason + who,
        )
    return bool(ended)


def revoke_value(value: str, client: Client) -> None:
    """Revokes the grant that one of its tokens belongs to (RFC 7009 §2.1).

    Either kind of token ends the whole grant: a refresh token left alive would undo the revocation of an access token. A value that
    this client does not hold is ignored (§2.2).
    """
    digest = sealed.digest(value)
    grant = (
        Grant.objects.filter(client=client, access_tokens__token_checksum=digest).first()
        or Grant.objects.filter(client=client, refresh_tokens__token_checksum=digest).first()
    )
    if grant is not None:
        revoke(grant, "The client revoked it.")


def _answer(grant: Grant, refresh: RefreshToken | None, refresh_value: str | None, now: datetime) -> Issued:
    """A fresh access token beside a refresh token; rotation revokes nothing, earlier access tokens live to their own expiry."""
    body = ACCESS_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    value = body + _checksum(body)
    expires = _not_beyond(grant, now + timedelta(seconds=_lifetime(grant)))
    access = AccessToken(
        user_id=grant.user_id,
        application_id=grant.client_id,
        scope=grant.scope,
        expires=expires,
        resource=[grant.resource],
        grant=grant,
        issued_with=refresh,
    )
    set_token_value(access, value)
    access.save(force_insert=True)
    return Issued(
        access_token=Secret(value),
        refresh_token=Secret(refresh_value) if refresh_value is not None else None,
        expires_in=int((expires - now).total_seconds()),
        scope=grant.scope,
    )


def _store_refresh_token(grant: Grant, generation: int, value: str, nonce: str, key_id: str, now: datetime) -> RefreshToken:
    row = RefreshToken(
        user_id=grant.user_id,
        application_id=grant.client_id,
        resource=[grant.resource],
        grant=grant,
        generation=generation,
        nonce=nonce,
        key_id=key_id,
        expires_at=_not_beyond(grant, now + timedelta(seconds=gateway().refresh_token_ttl)),
    )
    set_token_value(row, value)
    row.save(force_insert=True)
    return row


def _successor(token: RefreshToken) -> RefreshToken | None:
    found: RefreshToken | None = RefreshToken.objects.filter(grant_id=token.grant_id, generation=token.generation + 1).first()
    return found


def _answer_may_be_lost(spent_at: datetime, head: RefreshToken, now: datetime) -> bool:
    """Rule 2: no access token issued with the head was accepted yet, or its predecessor was first used just now."""
    if not AccessToken.objects.filter(issued_with=head).exclude(accepted_at=None).exists():
        return True
    return now - spent_at <= timedelta(seconds=gateway().refresh_replay)


def _derive(value: str, nonce: str, key_id: str) -> str:
    """Token n+1 from token n: who holds n and asks twice gets the same; who holds n alone cannot compute it."""
    derived = sealed.mac(_CHAIN, f"{nonce}.{value}".encode(), key_id)
    if derived is None:
        raise ChainBroken(key_id)
    return REFRESH_PREFIX + sealed.b64(derived)


def _lifetime(grant: Grant) -> int:
    """The access token's lifetime on this grant's route, in seconds."""
    found = resources.backend().by_id(grant.resource_id)
    return (found.access_token_ttl if found else None) or gateway().access_token_ttl


def _not_beyond(grant: Grant, moment: datetime) -> datetime:
    return moment if grant.expires_at is None else min(moment, grant.expires_at)


def _checksum(body: str) -> str:
    return format(crc32(body.encode()), "08x")

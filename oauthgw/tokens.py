"""Grants and their tokens: mint, rotate, forgive, detect reuse, revoke.

The only maker of token rows. `principals` notes when an access token was first accepted, and clean-up removes what has ended.

The five rules of refreshing live here:

1. A grant's refresh tokens are one chain. Token n+1 is derived from token n and a nonce kept with n+1, so that presenting n again gives
   the same n+1 and a fresh access token: parallel refreshes cannot branch.
2. The direct predecessor of the head is forgiven while the head was never presented, and either no access token issued with the head was
   accepted yet (its answer was lost; no time limit) or the predecessor was first used at most `REFRESH_REPLAY_SECONDS` ago.
3. Any other use of a spent token by its own authenticated client ends the grant, and is journalled.
4. A wrong client, secret, resource or verifier consumes nothing.
5. All of this under a lock on the grant. Rotation revokes nothing: earlier access tokens live to their own expiry.

Knows token, grant and code rows; knows nothing of HTTP. Every function that takes a lock must run inside a transaction: on PostgreSQL the
grant's row is locked, on SQLite the transaction itself is (IMMEDIATE).
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
from oauthgw.clients import usage
from oauthgw.guard import sealed
from oauthgw.guard.conf import gateway
from oauthgw.guard.secret import Secret
from oauthgw.identity import people
from oauthgw.journal import recorder as journal
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.models import Event
from oauthgw.journal.recorder import Kind, record, record_once
from oauthgw.models import AccessToken, AuthorizationCode, Client, Grant, RefreshToken
from oauthgw.models.client import usable_clients

ACCESS_PREFIX = "mcpat_"
REFRESH_PREFIX = "mcprt_"
_CHAIN = "refresh chain"
_CHECKSUM_LENGTH = 8
_RANDOM_BYTES = 32  # 256 bits; RFC 6749 §10.10 asks for 128
_ACCESS_LENGTH = len(ACCESS_PREFIX) + 43 + _CHECKSUM_LENGTH


class ChainBroken(Exception):
    """A successor cannot be derived again, because the key that derived it is no longer configured."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A refresh token in its client's hand: its locked family, the newest link, and the presented one if it is that or the one before.

    The head is the one link that was never exchanged.
    """

    grant: Grant
    head: RefreshToken
    token: RefreshToken | None

    @property
    def is_spent(self) -> bool:
        return self.token != self.head


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


def mint(code: AuthorizationCode, *, with_refresh_token: bool, signed_for: bool) -> Issued:
    """The first tokens of a grant, for a code that is hereby redeemed (RFC 6749 §4.1.4).

    `signed_for` says that the client proved itself by its own key: some may go without, but whoever did it once must do it each time, so
    that a refresh token that leaked is worth nothing without the key.
    """
    now = timezone.now()
    max_age = gateway().grant_max_age_days
    grant = Grant.objects.create(
        user=code.user,
        client=code.application,
        resource_id=code.resource_id,
        resource=code.resource[0],
        scope=code.scope,
        is_signed_for=signed_for,
        issued_at=now,
        expires_at=now + timedelta(days=max_age) if max_age else None,
    )
    AuthorizationCode.objects.filter(pk=code.pk).update(issued_grant=grant, used_at=now)
    _journal(Kind.GRANT_ISSUED, grant)
    if not with_refresh_token:
        return _answer(grant, None, None, now)
    value = REFRESH_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return _answer(grant, _store_refresh_token(grant, 0, value, "", "", now), value, now)


def find_refresh_token(value: str, client: Client) -> Presented | None:
    """The client's refresh token with this value, with its family locked until the transaction ends (rule 5)."""
    digest = sealed.digest(value)
    families = Grant.objects.select_related("user", "user__identity").filter(client=client, refresh_tokens__token_checksum=digest)
    grant = families.select_for_update(of=("self",)).first()
    if grant is None:
        return None
    grant.client = client  # as it was just authenticated
    # Read once the lock is held: of two refreshes at once, the second sees what the first has made.
    newest = list(RefreshToken.objects.filter(grant=grant).order_by("-generation")[:2])
    token = next((link for link in newest if link.token_checksum == digest), None)
    return Presented(grant, newest[0], token)


def may_be_exchanged(presented: Presented) -> bool:
    """Whether a refresh token that its own authenticated client presents may be exchanged (rules 2 and 3).

    The head may. Its direct predecessor may while the head was never presented and the answer may have been lost. Any other spent
    token is a sign of theft (OAuth 2.1 §4.3.1, RFC 9700 §4.14.2): the family is revoked.
    """
    now = timezone.now()
    grant, head = presented.grant, presented.head
    if grant.revoked_at is not None:  # the journal says why since then
        return False
    if not grant.is_live:
        return _refuse(grant, "The connection has reached its greatest age (GRANT_MAX_AGE_DAYS).")
    if presented.is_spent and not _is_forgiven(presented, now):
        _journal(Kind.REFRESH_REUSED, grant)
        revoke(grant, "A spent refresh token was used again.")
        return False
    if now >= head.expires_at:
        return _refuse(grant, "The refresh token was not used within its lifetime (REFRESH_TOKEN_TTL_SECONDS).")
    if not people.may_still_act(grant.user):
        return _refuse(grant, "The user is shut out.")
    return True


def exchange(presented: Presented, value: str) -> Issued:
    """The next link of the chain and a fresh access token (rules 1 and 5); asked again for the same token, the same next link.

    `presented` is what `may_be_exchanged` accepted in this transaction, `value` its token. Raises ChainBroken when the key that derived
    an existing successor was removed.
    """
    now = timezone.now()
    grant, head = presented.grant, presented.head
    if presented.is_spent:  # forgiven: the head stays, and its life begins anew, because its predecessor was used now
        next_value = _derive(value, head.nonce, head.key_id)
        RefreshToken.objects.filter(pk=head.pk).update(expires_at=_refresh_expiry(grant, now))
        kind = Kind.REFRESH_FORGIVEN
    else:
        nonce, key_id = secrets.token_urlsafe(16), sealed.current_key()
        next_value = _derive(value, nonce, key_id)
        RefreshToken.objects.filter(pk=head.pk).update(spent_at=now)
        head = _store_refresh_token(grant, head.generation + 1, next_value, nonce, key_id, now)
        kind = Kind.GRANT_REFRESHED
    Grant.objects.filter(pk=grant.pk).update(refreshed_at=now)
    _journal(kind, grant)
    return _answer(grant, head, next_value, now)


def note_client_may_not_act(value: str) -> None:
    """Journals that a refresh failed because its client is switched off or not approved, if that is so.

    Such a client is refused before its token is looked at. Whoever has no token of it writes nothing here: client ids are public.
    """
    grants = Grant.objects.live().select_related("user", "client").exclude(usable_clients("client__"))
    grant = grants.filter(refresh_tokens__token_checksum=sealed.digest(value)).first() if value else None
    if grant is not None:
        waits = grant.client.disabled_at is None
        _refuse(grant, "The client waits for an operator's approval." if waits else "The client is switched off.")


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
        _journal(Kind.GRANT_REVOKED, grant, journal.by(reason, by))
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
    usage.note(grant.client, now)
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
        expires_at=_refresh_expiry(grant, now),
    )
    set_token_value(row, value)
    row.save(force_insert=True)
    return row


def _is_forgiven(presented: Presented, now: datetime) -> bool:
    """Rule 2, for a spent token."""
    predecessor, head = presented.token, presented.head
    if predecessor is None or predecessor.spent_at is None:
        return False
    answer_arrived = AccessToken.objects.filter(issued_with=head).exclude(accepted_at=None).exists()
    return not answer_arrived or now - predecessor.spent_at <= timedelta(seconds=gateway().refresh_replay)


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


def _refresh_expiry(grant: Grant, now: datetime) -> datetime:
    return _not_beyond(grant, now + timedelta(seconds=gateway().refresh_token_ttl))


def _not_beyond(grant: Grant, moment: datetime) -> datetime:
    return moment if grant.expires_at is None else min(moment, grant.expires_at)


def _journal(kind: Event.Kind, grant: Grant, reason: str = "") -> None:
    record(kind, user=grant.user, client_id=grant.client.client_id, grant_id=grant.pk, resource=grant.resource, reason=reason)


def _refuse(grant: Grant, reason: str) -> bool:
    """No, and the journal says why, once a day: the answer to "why was I logged out?"."""
    record_once(
        Kind.REFRESH_REFUSED,
        within=timedelta(days=1),
        user=grant.user,
        client_id=grant.client.client_id,
        grant_id=grant.pk,
        resource=grant.resource,
        reason=reason,
    )
    return False


def _checksum(body: str) -> str:
    return format(crc32(body.encode()), "08x")

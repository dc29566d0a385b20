"""Authorization codes: given after consent, redeemed once (RFC 6749 §4.1.2, RFC 7636, OAuth 2.1 §4.1).

The only writer of code rows, except that `tokens.mint` marks the code it turns into a grant. Rows hold the code's SHA-256. Redemption
must run inside a transaction: the row is locked.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from oauthgw import resources, tokens
from oauthgw.authorization import AuthorizationRequest, Bound
from oauthgw.guard import sealed
from oauthgw.guard.secret import Secret
from oauthgw.identity import people
from oauthgw.journal.recorder import Kind, record_once
from oauthgw.models import AuthorizationCode, Client

LIFETIME = timedelta(seconds=60)  # RFC 6749 §4.1.2 allows ten minutes; a client redeems at once
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1


class AlreadyRedeemed(Exception):
    """This decision was already turned into a code, and the client has used it."""


@dataclass(frozen=True, slots=True)
class Given:
    """The code of a decision; not `is_new` when the decision was a double click's second half."""

    code: Secret
    is_new: bool


def give(asked: AuthorizationRequest, client: Client, user: AbstractBaseUser, resource: Bound, *, nonce: str, may_refresh: bool) -> Given:
    """The code for one decision, derived from the decision's nonce: a double click gives the same usable code.

    Raises AlreadyRedeemed once that code was used: handing it out again would look like a replay and end the grant.
    """
    derived = sealed.mac("authorization code", nonce.encode(), sealed.current_key())
    if derived is None:
        raise AssertionError("the current key is always configured")
    code = sealed.b64(derived)
    with transaction.atomic():
        row, is_new = AuthorizationCode.objects.get_or_create(
            code=sealed.digest(code),
            defaults={
                "user_id": user.pk,
                "application": client,
                "expires": timezone.now() + LIFETIME,
                "redirect_uri": asked.redirect_uri,
                "scope": asked.scope,
                "code_challenge": asked.code_challenge,
                "code_challenge_method": AuthorizationCode.CODE_CHALLENGE_S256,
                "resource_id": resource.id,
                "resource": [resource.uri],
                "may_refresh": may_refresh,
            },
        )
    if row.used_at is not None or row.is_expired() or row.resource_id != resource.id:
        raise AlreadyRedeemed
    return Given(Secret(code), is_new)


def find(code: str, client: Client) -> AuthorizationCode | None:
    """The client's code with this value, locked until the transaction ends."""
    found: AuthorizationCode | None = (
        AuthorizationCode.objects.select_for_update(of=("self",))
        .select_related("application", "user")
        .filter(code=sealed.digest(code), application=client)
        .first()
    )
    return found


def proves(row: AuthorizationCode, verifier: str | None) -> bool:
    """Whether the verifier is the one behind the code's challenge (RFC 7636 §4.6)."""
    if verifier is None or not _VERIFIER.fullmatch(verifier):
        return False
    return bool(sealed.b64(sha256(verifier.encode("ascii")).digest()) == row.code_challenge)


def may_be_redeemed(row: AuthorizationCode, verifier: str | None) -> bool:
    """Whether a code that its own authenticated client presents may be redeemed.

    A second use with the right verifier revokes what the first gave (RFC 6749 §4.1.2), also when both came at the same moment: nobody can
    tell a client's double request from a thief's. Without the verifier it is only refused, so that who merely saw a code can end nothing.
    """
    if row.used_at is not None:
        _judge_replay(row, verifier)
        return False
    reason = _reason_to_refuse(row, verifier)
    if reason:
        record_once(
            Kind.CODE_REFUSED,
            within=LIFETIME,
            user=row.user,
            client_id=row.application.client_id,
            resource=row.resource[0],
            reason=reason,
        )
    return not reason


def _judge_replay(row: AuthorizationCode, verifier: str | None) -> None:
    grant = row.issued_grant
    if grant is None or not proves(row, verifier):
        return
    record_once(
        Kind.CODE_REPLAYED,
        within=timedelta(days=1),
        user=row.user,
        client_id=row.application.client_id,
        grant_id=grant.pk,
        resource=grant.resource,
    )
    tokens.revoke(grant, "Its authorization code was used again.")


def _reason_to_refuse(row: AuthorizationCode, verifier: str | None) -> str:
    if row.is_expired():
        return "It had expired, or the consent it rests on was withdrawn."
    if not people.may_still_act(row.user):
        return "The user is shut out."
    if resources.backend().by_id(row.resource_id) is None:
        return "The route is switched off."
    return "" if proves(row, verifier) else "The code verifier is wrong."


def void(**about: int) -> None:
    """Ends the codes on their way that are about this user, client or resource: what they rest on has ended."""
    AuthorizationCode.objects.filter(used_at=None, **about).update(expires=timezone.now())

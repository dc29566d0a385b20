"""Authorization codes: given after consent, redeemed once (RFC 6749 §4.1.2, RFC 7636, OAuth 2.1 §4.1).

The only writer of code rows, except that `tokens.mint` notes which grant a code became. Rows hold the code's SHA-256. Redemption must
run inside a transaction: the row is locked.
"""

import re
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
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import AuthorizationCode, Client

LIFETIME = timedelta(seconds=60)  # RFC 6749 §4.1.2 allows ten minutes; a client redeems at once
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1


class AlreadyRedeemed(Exception):
    """This decision was already turned into a code, and the client has used it."""


def give(asked: AuthorizationRequest, client: Client, user: AbstractBaseUser, resource: Bound, *, nonce: str, may_refresh: bool) -> Secret:
    """The code for one decision, derived from the decision's nonce: a double click gives the same usable code.

    Raises AlreadyRedeemed once that code was used: handing it out again would look like a replay and end the grant.
    """
    derived = sealed.mac("authorization code", nonce.encode(), sealed.current_key())
    if derived is None:
        raise AssertionError("the current key is always configured")
    code = sealed.b64(derived)
    with transaction.atomic():
        row, _ = AuthorizationCode.objects.get_or_create(
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
    return Secret(code)


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

    A second use with the right verifier revokes what the first gave (RFC 6749 §4.1.2); without it, it is only refused, so that who
    merely saw a code can end nothing.
    """
    if row.used_at is None:
        in_force = not row.is_expired() and people.may_still_act(row.user) and resources.backend().by_id(row.resource_id) is not None
        return in_force and proves(row, verifier)
    if proves(row, verifier) and row.issued_grant is not None:
        record(
            Kind.CODE_REPLAYED,
            user=row.user,
            client_id=row.application.client_id,
            grant_id=row.issued_grant_id,
            resource=row.resource[0],
        )
        tokens.revoke(row.issued_grant, "Its authorization code was used again.")
    return False


def void(**about: int) -> None:
    """Ends the codes on their way that are about this user, client or resource: what they rest on has ended."""
    AuthorizationCode.objects.filter(used_at=None, **about).update(expires=timezone.now())


def redeem(row: AuthorizationCode) -> None:
    """Marks a code as used. The row stays until clean-up, so that a replay is recognised."""
    AuthorizationCode.objects.filter(pk=row.pk).update(used_at=timezone.now())

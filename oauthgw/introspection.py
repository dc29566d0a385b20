"""What a token is good for, told to those whom an operator lets ask (RFC 7662).

Reads and writes nothing: to be asked about is not to be used, so that a refresh is still forgiven. Knows tokens, grants, clients and users;
who may ask is the view's question.
"""

from typing import Any

from django.utils import timezone

from oauthgw import resources, tokens
from oauthgw.guard.sealed import digest
from oauthgw.models import AccessToken, RefreshToken
from oauthgw.models.tokens import tokens_in_force

INACTIVE: dict[str, Any] = {"active": False}  # and nothing else: not even why (RFC 7662 §2.2)
_OWNERS = ("application", "grant", "user", "user__identity")


def of(value: str) -> dict[str, Any]:
    """The introspection response for a token value, whichever kind it is."""
    row = _access_token(value) or _refresh_token(value)
    if row is None or resources.backend().by_id(row.grant.resource_id) is None:
        return INACTIVE
    return _answer(row)


def _access_token(value: str) -> AccessToken | None:
    if not tokens.looks_like_access_token(value):
        return None
    found: AccessToken | None = (
        AccessToken.objects.filter(tokens_in_force(), token_checksum=digest(value), expires__gt=timezone.now())
        .select_related(*_OWNERS)
        .first()
    )
    return found


def _refresh_token(value: str) -> RefreshToken | None:
    """Only the head of its chain: of a spent one nobody can say beforehand whether it will be forgiven."""
    if not value.startswith(tokens.REFRESH_PREFIX):
        return None
    found: RefreshToken | None = (
        RefreshToken.objects.filter(tokens_in_force(), token_checksum=digest(value), expires_at__gt=timezone.now(), spent_at=None)
        .select_related(*_OWNERS)
        .first()
    )
    return found


def _answer(row: AccessToken | RefreshToken) -> dict[str, Any]:
    """The members of RFC 7662 §2.2.

    A refresh token is no bearer token, and says so (`N_A`, RFC 8693 §2.2.1), so that a resource server that is shown one by mistake can
    tell. The issuer is the resource's own, the one that its metadata names.
    """
    is_access_token = isinstance(row, AccessToken)
    identity = getattr(row.user, "identity", None)
    return {
        "active": True,
        "scope": row.grant.scope,
        "client_id": row.application.client_id,
        "username": row.user.email or row.user.get_username(),
        "token_type": "Bearer" if is_access_token else "N_A",
        "exp": int((row.expires if is_access_token else row.expires_at).timestamp()),
        "iat": int(row.created.timestamp()),
        "sub": identity.subject if identity is not None else row.user.get_username(),
        "aud": row.grant.resource,
        "iss": row.grant.resource,
    }

"""Consent: the signed request that stands on the page, the decision, and what is remembered of it.

The whole request is one signed value, so that nothing on the form can be swapped; a double click is the same decision twice. A consent is
remembered only where the redirect cannot be borrowed by another program (RFC 8252 §8.6, RFC 9700 §4.1).
"""

import json
import secrets
from dataclasses import dataclass
from hashlib import sha256

from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db import transaction
from django.utils import timezone

from oauthgw import codes
from oauthgw.authorization import AuthorizationRequest, Bound
from oauthgw.clients import redirects
from oauthgw.ending import end_grants
from oauthgw.journal import recorder as journal
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Client, Consent
from oauthgw.resources import ProtectedResource

MAX_AGE = 10 * 60  # seconds a person has to read the page
_SALT = "oauthgw.consent"


class Stale(Exception):
    """The signed request is older than ten minutes, was altered, or belongs to another user or browser."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One consent page: the request, and the nonce that makes its decision happen once."""

    request: AuthorizationRequest
    nonce: str


def ask(request: AuthorizationRequest) -> Asked:
    """A new question."""
    return Asked(request, secrets.token_urlsafe(16))


def sign(asked: Asked, user: AbstractBaseUser, browser: str) -> str:
    """The one value of the form, bound to the user and to the browser (a digest of its cookie)."""
    payload = {"request": asked.request.as_dict(), "nonce": asked.nonce, "user": user.pk, "browser": browser}
    return signing.dumps(payload, salt=_SALT, compress=True)


def unsign(value: str, user: AbstractBaseUser, browsers: frozenset[str]) -> Asked:
    """The question that was on the page; `browsers` are the digests the browser answers to. Raises Stale."""
    try:
        payload = signing.loads(value, salt=_SALT, max_age=MAX_AGE)
        if payload["user"] != user.pk or payload["browser"] not in browsers:
            raise Stale
        return Asked(AuthorizationRequest.from_dict(payload["request"]), payload["nonce"])
    except (signing.BadSignature, KeyError, TypeError, ValueError) as error:
        raise Stale from error


def repeat(asked: Asked, client: Client, user: AbstractBaseUser, resource: ProtectedResource) -> str | None:
    """The URL that carries the code, when an earlier approval covers this request; None when the user has to be asked."""
    if not redirects.is_website(asked.request.redirect_uri):
        return None  # any local program can present a public client id and listen on a loopback port or scheme
    with transaction.atomic():  # the consent is locked: a withdrawal finds the code, or the code finds the withdrawal
        standing = Consent.objects.standing(user, client, resource.id, locked=True)
        if standing is None or not _covers(standing, asked.request, client, resource):
            return None
        return asked.request.success_url(_code(asked, client, user, resource, may_refresh=True).code.reveal())


def _covers(standing: Consent, request: AuthorizationRequest, client: Client, resource: ProtectedResource) -> bool:
    return redirects.host(request.redirect_uri) in standing.shown_hosts and standing.digest == digest(request, client, resource)


def digest(request: AuthorizationRequest, client: Client, resource: ProtectedResource) -> str:
    """Of all that must stay as it was when the user said yes."""
    facts = [
        client.name,
        sorted(client.redirect_uris.split()),
        client.metadata.get("client_uri", ""),
        client.metadata.get("jwks", ""),
        client.metadata.get("jwks_uri", ""),
        client.token_endpoint_auth_method,
        request.scope,
        resource.id,
    ]
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@transaction.atomic
def approve(asked: Asked, client: Client, user: AbstractBaseUser, resource: ProtectedResource, *, impersonated: bool) -> str:
    """The user's yes: remembered, and turned into the URL that carries the code. Raises codes.AlreadyRedeemed.

    An impersonator's yes is not the user's: it is not remembered, and its grant cannot be refreshed.
    """
    if not impersonated:
        _remember(asked, client, user, resource)
    given = _code(asked, client, user, resource, may_refresh=not impersonated)
    if given.is_new:
        record(Kind.CONSENT_GIVEN, user=user, client_id=client.client_id, resource=resource.uri(asked.request.origin))
    return asked.request.success_url(given.code.reveal())


def _remember(asked: Asked, client: Client, user: AbstractBaseUser, resource: ProtectedResource) -> None:
    Consent.objects.get_or_create(
        user_id=user.pk, client=client, resource_id=resource.id, defaults={"given_at": timezone.now(), "scope": asked.request.scope}
    )
    consent = Consent.objects.select_for_update().get(user_id=user.pk, client=client, resource_id=resource.id)
    shown = redirects.host(asked.request.redirect_uri)
    new_digest = digest(asked.request, client, resource)
    known_hosts = consent.shown_hosts if consent.withdrawn_at is None and consent.digest == new_digest else []
    consent.shown_hosts = sorted({*known_hosts, shown})
    consent.digest, consent.resource, consent.scope = new_digest, resource.uri(asked.request.origin), asked.request.scope
    consent.given_at, consent.withdrawn_at = timezone.now(), None
    consent.save()


def _code(asked: Asked, client: Client, user: AbstractBaseUser, resource: ProtectedResource, *, may_refresh: bool) -> codes.Given:
    bound = Bound(resource.id, resource.uri(asked.request.origin))
    return codes.give(asked.request, client, user, bound, nonce=asked.nonce, may_refresh=may_refresh)


def refuse(asked: Asked, client: Client, user: AbstractBaseUser) -> str:
    """The user's no: the URL that tells the client (RFC 6749 §4.1.2.1)."""
    path = asked.request.resource_path  # empty when the page still offered the choice of a route
    resource = asked.request.origin + path if path else ""
    record(Kind.CONSENT_REFUSED, user=user, client_id=client.client_id, resource=resource)
    return asked.request.error_url("access_denied", "The user did not approve the connection.")


@transaction.atomic
def withdraw(consent: Consent, reason: str, by: AbstractBaseUser | None = None) -> int:
    """Takes a consent back and ends every code and grant that rests on it; returns how many grants ended."""
    return withdraw_all(reason, by, user_id=consent.user_id, client_id=consent.client_id, resource_id=consent.resource_id)


@transaction.atomic
def withdraw_all(reason: str, by: AbstractBaseUser | None = None, **about: int) -> int:
    """Takes back every consent about this `user_id`, `client_id` or `resource_id` (row ids, all that are given), and ends every code and
    grant about it, those that rest on no consent too; returns how many grants ended.

    The change log is written once and last, however many there are.
    """
    standing = Consent.objects.filter(withdrawn_at=None, **about)
    taken = list(standing.select_for_update(of=("self",)).select_related("client", "user"))
    Consent.objects.filter(pk__in=[consent.pk for consent in taken]).update(withdrawn_at=timezone.now())
    why = journal.by(reason, by)
    for consent in taken:
        record(Kind.CONSENT_WITHDRAWN, user=consent.user, client_id=consent.client.client_id, resource=consent.resource, reason=why)
    return end_grants(reason, by, **about)

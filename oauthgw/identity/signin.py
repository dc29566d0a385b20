"""A sign-in under way: from the redirect to the provider until its answer.

Each attempt is a row of its own, so that three tabs do not overwrite each other. Knows the row, PKCE and the browser's digest; knows no
provider, no person and no page.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from urllib.parse import unquote

from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from oauthgw.guard.sealed import Unsealable, b64, digest, reseal, seal, unseal
from oauthgw.guard.secret import Secret
from oauthgw.models import SignIn

LIFETIME = timedelta(minutes=15)
NEXT_LENGTH = 16_000  # below what Django redirects to
_STATE_BYTES = 32
_VERIFIER_BYTES = 32  # 43 characters, as RFC 7636 §4.1 recommends
_PURPOSE = "sign-in verifier"
_NEVER_NEXT = ("/oauth/login", "/oauth/callback", "/oauth/dev-login")  # would go round for ever


@dataclass(frozen=True, slots=True)
class Begun:
    """What the redirect to the provider carries."""

    state: str = field(repr=False)
    challenge: str


@dataclass(frozen=True, slots=True)
class Finished:
    """What the answer to an attempt needs."""

    verifier: Secret
    next: str


class Why(StrEnum):
    """Why an answer of the provider belongs to no attempt of this browser."""

    UNKNOWN = "unknown"
    OTHER_BROWSER = "other browser"
    EXPIRED = "expired"
    USED = "used"


class NotYours(Exception):
    """The attempt cannot be finished here. `next` is set only where this browser began it."""

    def __init__(self, why: Why, next_path: str = "/") -> None:
        super().__init__(str(why))
        self.why = why
        self.next = next_path


def begin(next_path: str, browser: str) -> Begun:
    """Starts an attempt for the browser with this cookie value. It lives 15 minutes."""
    state = b64(secrets.token_bytes(_STATE_BYTES))
    verifier = Secret(b64(secrets.token_bytes(_VERIFIER_BYTES)))
    SignIn.objects.create(
        state_digest=digest(state),
        browser_digest=digest(browser),
        sealed_verifier=seal(_PURPOSE, verifier),
        next=safe_next(next_path),
        expires_at=timezone.now() + LIFETIME,
    )
    return Begun(state=state, challenge=_challenge(verifier))


def finish(state: str, browsers: frozenset[str]) -> Finished:
    """Ends the attempt with this state, once; `browsers` are the digests the browser answers to. Raises NotYours.

    A stranger's browser ends nothing: whoever learns a state can neither use the attempt nor use it up.
    """
    attempt = SignIn.objects.filter(state_digest=digest(state)).first()
    if attempt is None:
        raise NotYours(Why.UNKNOWN)
    if attempt.browser_digest not in browsers:
        raise NotYours(Why.OTHER_BROWSER)
    if attempt.used_at is not None:
        raise NotYours(Why.USED, attempt.next)
    now = timezone.now()
    if attempt.expires_at <= now:
        raise NotYours(Why.EXPIRED, attempt.next)
    # The condition is in the UPDATE: of two answers at the same moment one wins, on every database.
    if not SignIn.objects.filter(pk=attempt.pk, used_at=None).update(used_at=now, sealed_verifier=""):
        raise NotYours(Why.USED, attempt.next)
    try:
        return Finished(unseal(_PURPOSE, attempt.sealed_verifier), attempt.next)
    except Unsealable:  # the encryption key was changed within these minutes
        raise NotYours(Why.EXPIRED, attempt.next) from None


def safe_next(path: str) -> str:
    """A path of this origin to return to, or `/` for anything else (RFC 9700 §4.11: no open redirector).

    A browser reads two slashes, or a slash and a backslash, as the start of another host, and drops tabs and line breaks before it looks.
    """
    if not path.startswith("/") or path.startswith("//") or "\\" in path or len(path) > NEXT_LENGTH:
        return "/"
    before_query = path.partition("?")[0]  # Django's check stops at 2,048 characters, which authorization requests exceed
    if not path.isprintable() or not url_has_allowed_host_and_scheme(before_query, allowed_hosts=None):
        return "/"
    if unquote(before_query.partition("#")[0]).rstrip("/") in _NEVER_NEXT:
        return "/"
    return path


def _challenge(verifier: Secret) -> str:
    """RFC 7636 §4.2, S256."""
    return b64(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def reseal_verifier(stored: str) -> str:
    """The same verifier under the current key. Raises Unsealable."""
    return reseal(_PURPOSE, stored)

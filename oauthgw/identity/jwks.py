"""The provider's signing keys (RFC 7517): fetched, kept, and fetched again when a token names a key not seen before.

Kept in this process and in the shared cache, so that a new process or node need not ask. Knows key sets; knows no claims.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from django.core.cache import cache
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from oauthgw.guard.sealed import digest
from oauthgw.identity import wire
from oauthgw.identity.provider import Kind, ProviderError

REFETCH_SECONDS = 60  # an unknown key id asks again at most this often
MAX_AGE_SECONDS = 3600  # a key withdrawn by the provider is forgotten after this long
MIN_BITS = 2048  # NIST SP 800-131A rev. 2 §3: below this RSA signatures are disallowed

_MEND = (
    "Check that WORKOS_CLIENT_ID and WORKOS_CLIENT_SECRET are the client id and the API key of one and the same WorkOS environment "
    "(dashboard, API Keys)."
)

log = logging.getLogger(__name__)
now = time.time  # wall-clock seconds, because the moment of the fetch is shared between processes


class UnknownKey(Exception):
    """The key set, as fresh as it may be, has no such key."""


@dataclass(frozen=True, slots=True)
class _Held:
    keys: dict[str, dict[str, Any]]  # by key id, as published
    fetched_at: float

    @property
    def age(self) -> float:
        return now() - self.fetched_at


_process: dict[str, _Held] = {}


def fetch_key(url: str, key_id: str) -> RSAPublicKey:
    """The RSA key with this id. Raises UnknownKey, or ProviderError when the set had to be fetched and could not be.

    No lock is held while the network answers: two requests that find the set stale both fetch it, and either result will do.
    """
    held = _process.get(url)
    if held is None or key_id not in held.keys or held.age > MAX_AGE_SECONDS:
        held = _shared(url) or held
    if held is None or held.age > MAX_AGE_SECONDS or (key_id not in held.keys and held.age >= REFETCH_SECONDS):
        held = _Held(_fetch(url), now())
        _share(url, held)
    _process[url] = held
    if key_id not in held.keys:
        raise UnknownKey(key_id)
    key = _rsa(held.keys[key_id])
    if key is None:
        raise UnknownKey(key_id)
    return key


def is_shared(url: str) -> bool:
    """Whether the shared cache holds the set at this URL; never fetches it."""
    return _shared(url) is not None


def count(url: str) -> int:
    """How many keys that can sign for us the set at this URL holds; fetches it, and keeps nothing. Raises ProviderError."""
    return len(_fetch(url))


def _fetch(url: str) -> dict[str, dict[str, Any]]:
    answer = wire.ask("GET", url)
    if answer.status >= 500 or answer.status == 429:
        raise ProviderError(
            Kind.FAILING,
            "The sign-in service could not give the keys that prove its answers.",
            detail=f"JWKS status {answer.status}",
            retry_after=answer.retry_after,
        )
    published = answer.body.get("keys") if answer.body else None
    if answer.status != 200 or not isinstance(published, list):
        raise ProviderError(
            Kind.MISCONFIGURED,
            "The keys that prove the sign-in service's answers are not where they should be.",
            mend=_MEND,
            detail=f"JWKS status {answer.status}",
        )
    # What cannot sign for us is left out; a set may hold keys of kinds we do not use (RFC 7517 §5).
    return {key["kid"]: key for key in published if _usable(key)}


def _usable(key: object) -> bool:
    return (
        isinstance(key, dict)
        and key.get("kty") == "RSA"
        and isinstance(key.get("kid"), str)
        and bool(key["kid"])
        and key.get("use", "sig") == "sig"
        and key.get("alg", "RS256") == "RS256"
        and _rsa(key) is not None
    )


def _rsa(published: dict[str, Any]) -> RSAPublicKey | None:
    try:
        key = PyJWK(published, algorithm="RS256").key
    except (PyJWTError, ValueError, TypeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= MIN_BITS else None


def _shared(url: str) -> _Held | None:
    try:
        stored = cache.get(_cache_key(url))
    except Exception as error:  # noqa: BLE001  (whatever a cache server raises when it is down: sign-in does not depend on it)
        log.warning("The cache did not answer: %s", type(error).__name__)
        return None
    if not (isinstance(stored, tuple) and len(stored) == 2):
        return None
    return _Held(keys=stored[0], fetched_at=stored[1])


def _share(url: str, held: _Held) -> None:
    try:
        cache.set(_cache_key(url), (held.keys, held.fetched_at), MAX_AGE_SECONDS)
    except Exception as error:  # noqa: BLE001  (as above)
        log.warning("The cache did not answer: %s", type(error).__name__)


def _cache_key(url: str) -> str:
    return f"jwks:{digest(url)}"

"""Where a client's public keys come from: its own metadata, or the URL that it named (RFC 7591 §2, `jwks` and `jwks_uri`).

A fetched set is kept in the shared cache, and so is for a minute why there is none; without the cache it is fetched each time. Never called
inside a transaction: it may wait for a stranger's server. Knows the guarded client and the cache; `keys` knows what a set may hold.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.cache import cache

from oauthgw.clients import keys
from oauthgw.guard import fetch
from oauthgw.guard.database import give_connection_back
from oauthgw.guard.sealed import digest
from oauthgw.models import Client

FRESH_SECONDS = 3600  # a key that its owner withdrew is forgotten after this long
REFETCH_SECONDS = 60  # an unknown key id asks again at most this often
STALE_SECONDS = 24 * 3600  # while the set cannot be fetched, the last one serves for so long

log = logging.getLogger(__name__)
now = time.time  # wall-clock seconds, because the moment of the fetch is shared between processes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Held:
    keys: list[dict[str, Any]]
    fetched_at: float

    def answers(self, key_id: str | None) -> bool:
        """Whether it need not be fetched again for this key id. A key without an id answers to any, as in `keys.fitting`."""
        age = now() - self.fetched_at
        known = key_id is None or any(key.get("kid", key_id) == key_id for key in self.keys)
        return age < (FRESH_SECONDS if known else REFETCH_SECONDS)


def obtain(client: Client, key_id: str | None) -> keys.KeySet:
    """The client's keys, fetched if need be. Raises CouldNotFetch or UnfitKeys when there are none to judge by."""
    by_value, uri = client.metadata.get("jwks"), client.metadata.get("jwks_uri")
    if by_value is not None:
        return keys.read(by_value)
    return _fetched(uri, key_id) if uri else []


def _fetched(uri: str, key_id: str | None) -> keys.KeySet:
    held = _recalled(uri)
    if held is not None and held.answers(key_id):
        return held.keys
    if held is not None and not _may_ask_again(uri):
        return held.keys
    if held is None:
        _fail_as_before(uri)
    try:
        fresh = keys.read(_document(uri))
    except (fetch.CouldNotFetch, keys.UnfitKeys) as problem:
        log.warning("the key set at %s cannot be used: %s", uri, problem)
        if held is None:
            _remember(uri, problem)
            raise
        return held.keys
    _try_the_cache(lambda: cache.set(_name(uri), (fresh, now()), STALE_SECONDS))
    return fresh


def _remember(uri: str, problem: fetch.CouldNotFetch | keys.UnfitKeys) -> None:
    """For whoever asks within the next minute. That we were busy ourselves is no failure of the client's."""
    if isinstance(problem, fetch.TooBusy):
        return
    failure = (str(problem), problem.sentence if isinstance(problem, fetch.CouldNotFetch) else None)
    _try_the_cache(lambda: cache.set(f"{_name(uri)}:failed", failure, REFETCH_SECONDS))


def _fail_as_before(uri: str) -> None:
    """Raises what the last attempt ended with, if that was within the last minute."""
    failure = _try_the_cache(lambda: cache.get(f"{_name(uri)}:failed"))
    if failure is None:
        return
    reason, sentence = failure
    raise keys.UnfitKeys(reason) if sentence is None else fetch.CouldNotFetch(reason, sentence)


def _document(uri: str) -> Any:
    give_connection_back()
    content = fetch.fetch(uri, accept="application/jwk-set+json, application/json", purpose=fetch.Purpose.KEYS).content
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise keys.UnfitKeys("The key set is not JSON.") from error


def _recalled(uri: str) -> _Held | None:
    stored = _try_the_cache(lambda: cache.get(_name(uri)))
    return _Held(*stored) if isinstance(stored, tuple) and len(stored) == 2 else None


def _may_ask_again(uri: str) -> bool:
    """Once a minute, also when nothing came of it: who makes up key ids must not make us knock at a stranger's door."""
    return _try_the_cache(lambda: cache.add(f"{_name(uri)}:asked", True, REFETCH_SECONDS)) is not False


def _try_the_cache(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001  (whatever a cache server raises when it is down: keys are then fetched again)
        log.warning("The cache did not answer: %s", type(error).__name__)
        return None


def _name(uri: str) -> str:
    return f"client-keys:{digest(uri)}"

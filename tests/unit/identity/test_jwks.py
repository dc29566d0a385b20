"""The provider's keys: when they are fetched, and which of them count."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from django.core.cache import cache
from django.core.cache.backends.locmem import LocMemCache

from oauthgw.identity import jwks
from oauthgw.identity.provider import Kind, ProviderError
from tests.unit.identity.conftest import Reply, Standin, public_key

Clock = Callable[[float], None]


def another_process() -> None:
    """Forgets what this process holds; the shared cache stays."""
    jwks._process.clear()


def fetch(standin: Standin, key_id: str = "key-1") -> Any:
    return jwks.fetch_key(standin.endpoints.jwks, key_id)


def test_a_known_key_is_asked_for_once(standin: Standin) -> None:
    assert fetch(standin).public_numbers() == standin.key.public_key().public_numbers()
    fetch(standin)
    assert standin.key_requests == 1


def test_another_process_finds_the_keys_in_the_shared_cache(standin: Standin) -> None:
    fetch(standin)
    another_process()
    fetch(standin)
    assert standin.key_requests == 1


def test_without_shared_cache_each_process_asks(standin: Standin) -> None:
    fetch(standin)
    another_process()
    cache.clear()
    fetch(standin)
    assert standin.key_requests == 2


def test_an_unknown_key_id_asks_again_at_most_once_a_minute(standin: Standin, clock: Clock) -> None:
    fetch(standin)
    for _ in range(5):
        with pytest.raises(jwks.UnknownKey):
            fetch(standin, "key-9")
    assert standin.key_requests == 1
    clock(61)
    for _ in range(5):
        with pytest.raises(jwks.UnknownKey):
            fetch(standin, "key-9")
    assert standin.key_requests == 2


def test_a_new_key_is_found_after_a_minute(standin: Standin, clock: Clock) -> None:
    fetch(standin)
    standin.published.append(public_key(standin.key, "key-2"))
    clock(61)
    assert fetch(standin, "key-2") is not None


def test_a_withdrawn_key_is_forgotten_within_the_hour(standin: Standin, clock: Clock) -> None:
    fetch(standin)
    standin.published[:] = [public_key(standin.key, "key-2")]
    clock(3590)
    fetch(standin)  # still held
    clock(20)
    with pytest.raises(jwks.UnknownKey):
        fetch(standin)


def test_a_failed_fetch_is_not_remembered(standin: Standin) -> None:
    standin.answer_keys = lambda: Reply(503)
    with pytest.raises(ProviderError) as caught:
        fetch(standin)
    assert caught.value.kind is Kind.FAILING
    standin.answer_keys = lambda: Reply(body={"keys": standin.published})
    assert fetch(standin) is not None


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(404, {"message": "Not found"}), id="the client id is of another environment"),
        pytest.param(Reply(200, b"<html>"), id="a page"),
        pytest.param(Reply(200, {"keys": "none"}), id="no list"),
        pytest.param(Reply(302, b"", {"Location": "/elsewhere"}), id="a redirect, not followed"),
    ],
)
def test_keys_that_are_not_there_name_the_settings(standin: Standin, reply: Reply) -> None:
    standin.answer_keys = lambda: reply
    with pytest.raises(ProviderError) as caught:
        fetch(standin)
    assert caught.value.kind is Kind.MISCONFIGURED
    assert "WORKOS_CLIENT_ID" in caught.value.mend
    assert standin.key_requests == 1


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"use": "enc"}, id="for encryption"),
        pytest.param({"alg": "RS512"}, id="for another algorithm"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="a shared secret"),
        pytest.param({"kid": ""}, id="without a name"),
        pytest.param({"kid": 7}, id="with a number for a name"),
        pytest.param({"n": "AQAB"}, id="far too small"),
        pytest.param({"n": "!!"}, id="unreadable"),
    ],
)
def test_only_rsa_signing_keys_with_a_name_count(standin: Standin, changed: dict[str, Any]) -> None:
    standin.published[:] = [public_key(standin.key, "key-1") | changed, "junk", public_key(standin.key, "key-2")]  # type: ignore[list-item]
    with pytest.raises(jwks.UnknownKey):
        fetch(standin)
    assert fetch(standin, "key-2") is not None


def test_a_short_key_does_not_count(standin: Standin) -> None:
    weak: RSAPrivateKey = generate_private_key(65537, 1024)  # noqa: S505
    standin.published.append(public_key(weak, "weak"))
    with pytest.raises(jwks.UnknownKey):
        fetch(standin, "weak")


def test_a_cache_that_is_down_changes_nothing(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*args: object, **kwargs: object) -> None:
        raise ConnectionError("cache")

    monkeypatch.setattr(LocMemCache, "get", down)
    monkeypatch.setattr(LocMemCache, "set", down)
    assert fetch(standin) is not None

"""Encryption at rest: what is sealed opens only with its key, for its purpose, unaltered."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from oauthgw.guard import sealed
from oauthgw.guard.secret import Secret

CANARY = "canary-7f3a"


def test_what_was_sealed_is_opened_again() -> None:
    assert sealed.unseal("a purpose", sealed.seal("a purpose", Secret(CANARY))).reveal() == CANARY


def test_sealing_twice_gives_two_values_and_neither_shows_the_secret() -> None:
    one, two = (sealed.seal("a purpose", Secret(CANARY)) for _ in range(2))
    assert one != two and CANARY not in one


def test_a_value_sealed_for_one_purpose_does_not_open_for_another() -> None:
    with pytest.raises(sealed.Unsealable):
        sealed.unseal("another purpose", sealed.seal("a purpose", Secret(CANARY)))


@pytest.mark.parametrize("alter", [lambda v: v[:-2] + "AA", lambda v: "v2" + v[2:], lambda v: v.replace(".", ""), lambda v: ""])
def test_an_altered_value_does_not_open(alter: Callable[[str], str]) -> None:
    with pytest.raises(sealed.Unsealable):
        sealed.unseal("a purpose", alter(sealed.seal("a purpose", Secret(CANARY))))


def test_a_new_key_in_front_seals_from_now_on_and_old_values_still_open(add_encryption_key: Callable[[], None]) -> None:
    old = sealed.seal("a purpose", Secret(CANARY))
    before = sealed.current_key()
    add_encryption_key()
    assert sealed.current_key() != before
    assert sealed.unseal("a purpose", old).reveal() == CANARY
    assert sealed.seal("a purpose", Secret(CANARY)).split(".")[1] == sealed.current_key()


def test_without_its_key_a_value_stays_closed_and_a_mac_cannot_be_made(replace_encryption_key: Callable[[], None]) -> None:
    old = sealed.seal("a purpose", Secret(CANARY))
    key = sealed.current_key()
    replace_encryption_key()
    with pytest.raises(sealed.Unsealable, match="TOKEN_ENCRYPTION_KEYS"):
        sealed.unseal("a purpose", old)
    assert sealed.mac("a purpose", b"message", key) is None


def test_each_purpose_has_a_mac_of_its_own() -> None:
    key = sealed.current_key()
    assert sealed.mac("one", b"message", key) != sealed.mac("two", b"message", key)


def test_a_secret_prints_as_a_placeholder_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(CANARY)
    logging.getLogger("any").warning("%s %r", secret, {"key": secret})
    shown: list[Any] = [str(secret), repr(secret), f"{secret}", repr([secret]), caplog.text]
    assert all(CANARY not in text for text in shown)
    assert secret.reveal() == CANARY

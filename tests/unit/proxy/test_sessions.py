"""Signed session ids."""

from dataclasses import replace

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from hypothesis import given
from hypothesis import strategies as st

from mcp_routes.proxy import sessions
from oauthgw.guard.secret import Secret
from oauthgw.principals import Principal

ALICE = Principal(1, "alice", "cursor", 3, 5, 9, "http://localhost/mcp/demo", frozenset(), 0.0, "", "", frozenset())


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_an_id_comes_back_to_its_owner_as_visible_ascii(upstream_id: str) -> None:
    signed = sessions.sign(upstream_id, ALICE)
    assert sessions.is_valid(signed)
    assert sessions.open_signed(signed, ALICE) == upstream_id


@pytest.mark.parametrize("other", [replace(ALICE, user_id=2), replace(ALICE, client_id="claude"), replace(ALICE, resource_id=10)])
def test_an_id_is_nobody_elses(other: Principal) -> None:
    assert sessions.open_signed(sessions.sign("up-1", ALICE), other) is None


def test_a_new_token_of_the_same_owner_keeps_its_session() -> None:
    assert sessions.open_signed(sessions.sign("up-1", ALICE), replace(ALICE, grant_id=6, expires_at=1.0)) == "up-1"


@pytest.mark.parametrize("forged", ["", "up-1", "a.b", "..", "00000000.AAAA.up-1", "a b.c.d"])
def test_what_was_never_signed_is_refused(forged: str) -> None:
    assert sessions.open_signed(forged, ALICE) is None


def test_an_altered_id_is_refused() -> None:
    assert sessions.open_signed(sessions.sign("up-1", ALICE) + "0", ALICE) is None


def test_an_id_outlives_a_new_key_and_ends_with_its_own(settings: object) -> None:
    old, new = (Secret(Fernet.generate_key().decode()) for _ in range(2))
    django_settings.GATEWAY = replace(django_settings.GATEWAY, encryption_keys=(old,))
    signed = sessions.sign("up-1", ALICE)
    django_settings.GATEWAY = replace(django_settings.GATEWAY, encryption_keys=(new, old))
    assert sessions.open_signed(signed, ALICE) == "up-1"
    django_settings.GATEWAY = replace(django_settings.GATEWAY, encryption_keys=(new,))
    assert sessions.open_signed(signed, ALICE) is None

"""What an operator may set about the life of tokens, each setting at another value than its default (`.env.example` documents them)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.models import AccessToken, Grant, RefreshToken
from tests.unit.conftest import Party, Person

Connect = Callable[..., dict[str, Any]]


@pytest.fixture
def connect(demo: McpRoute, alice: Person, editor: Party, settings: Any) -> Connect:
    """`connect(access_token_ttl=61)`: a client's first tokens under these settings."""

    def go(**changed: int) -> dict[str, Any]:
        settings.GATEWAY = replace(settings.GATEWAY, **changed)
        return dict(editor.redeem(alice.code(editor.client)).json())

    return go


def served(token: str) -> bool:
    return principals.resolve_now(token, McpRoute.objects.get().pk) is not None


def lasts(until: Any, since: Any, seconds: int) -> bool:
    """Whether this much time is between two moments, but for what a test takes on a busy machine."""
    return bool(abs((until - since).total_seconds() - seconds) < 60)


def test_an_access_token_lives_as_long_as_it_is_set(connect: Connect) -> None:
    """ACCESS_TOKEN_TTL_SECONDS"""
    answer = connect(access_token_ttl=3600)
    assert answer["expires_in"] == 3600
    assert lasts(AccessToken.objects.get().expires, timezone.now(), 3600)
    AccessToken.objects.update(expires=timezone.now() + timedelta(seconds=60))
    assert served(answer["access_token"])
    AccessToken.objects.update(expires=timezone.now())
    assert not served(answer["access_token"])


def test_a_refresh_token_lives_as_long_as_it_is_set_from_each_use(connect: Connect, editor: Party) -> None:
    """REFRESH_TOKEN_TTL_SECONDS"""
    answer = connect(refresh_token_ttl=3600)
    assert lasts(RefreshToken.objects.get().expires_at, timezone.now(), 3600)
    RefreshToken.objects.update(expires_at=timezone.now() + timedelta(seconds=60))
    second = editor.refresh(answer["refresh_token"])
    assert second.status_code == 200
    assert lasts(RefreshToken.objects.get(spent_at=None).expires_at, timezone.now(), 3600)
    RefreshToken.objects.update(expires_at=timezone.now())
    assert editor.refresh(second.json()["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_grant_ends_at_its_age_and_nothing_of_it_lives_longer(connect: Connect, editor: Party) -> None:
    """GRANT_MAX_AGE_DAYS"""
    answer = connect(grant_max_age_days=1)
    grant = Grant.objects.get()
    assert grant.expires_at == grant.issued_at + timedelta(days=1)
    assert RefreshToken.objects.get().expires_at == grant.expires_at  # its own 30 days would be longer
    assert served(answer["access_token"])
    Grant.objects.update(expires_at=timezone.now())
    assert not served(answer["access_token"])
    assert editor.refresh(answer["refresh_token"]).json()["error"] == "invalid_grant"


def test_without_an_age_a_grant_lives_as_long_as_it_is_used(connect: Connect, editor: Party) -> None:
    """GRANT_MAX_AGE_DAYS=0"""
    answer = connect(grant_max_age_days=0)
    assert Grant.objects.get().expires_at is None
    Grant.objects.update(issued_at=timezone.now() - timedelta(days=20 * 365))
    second = editor.refresh(answer["refresh_token"])
    assert second.status_code == 200 and served(second.json()["access_token"])
    assert lasts(RefreshToken.objects.get(spent_at=None).expires_at, timezone.now(), 30 * 24 * 3600)


@pytest.mark.parametrize(("allowed", "ago", "status"), [(600, 590, 200), (600, 610, 400), (60, 30, 200), (60, 90, 400), (0, 1, 400)])
def test_a_repeated_refresh_whose_answer_arrived_is_forgiven_for_as_long_as_it_is_set(
    connect: Connect, editor: Party, allowed: int, ago: int, status: int
) -> None:
    """REFRESH_REPLAY_SECONDS"""
    first = connect(refresh_replay=allowed)
    second = editor.refresh(first["refresh_token"]).json()
    assert served(second["access_token"])  # the answer arrived
    RefreshToken.objects.exclude(spent_at=None).update(spent_at=timezone.now() - timedelta(seconds=ago))
    assert editor.refresh(first["refresh_token"]).status_code == status
    assert served(second["access_token"]) is (status == 200)

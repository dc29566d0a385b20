"""A grant in use: its first answer, what the token endpoint says, and a clock that can be moved."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals
from tests.unit.conftest import Party, Person


class Clock:
    """What time the gateway thinks it is: it stands still until moved."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one part that cannot be had for real."""
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def decide(settings: Any) -> Callable[..., None]:
    """What an operator decides in the settings: `decide(refresh_replay=0)`."""

    def change(**changed: Any) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, **changed)

    return change


@pytest.fixture
def first(demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> dict[str, Any]:
    """A grant's first answer."""
    return ok(editor.redeem(alice.code(editor.client)))


def ok(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def refused(answer: Any, error: str = "invalid_grant") -> bool:
    assert answer.status_code in (400, 401), answer.content
    return bool(answer.json()["error"] == error)


def served(token: str, slug: str = "demo") -> bool:
    """Whether the data plane would accept this access token now (and marks it as accepted)."""
    return principals.resolve_now(token, McpRoute.objects.get(slug=slug).pk) is not None

"""A grant in use: its first answer, and what the token endpoint says."""

from typing import Any

import pytest

from mcp_routes.models import McpRoute
from oauthgw import principals
from tests.unit.conftest import Party, Person


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

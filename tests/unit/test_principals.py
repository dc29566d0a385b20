"""Whose token it is, asked again: what is answered without asking, and what is not."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals, tokens
from oauthgw.guard import recent
from oauthgw.guard.database import DatabaseUnavailable
from oauthgw.journal.changes import Entry
from oauthgw.models import AccessToken, Client, Grant
from oauthgw.principals import Principal
from tests.support.processes import PATIENCE
from tests.unit.conftest import Party, Person

pytestmark = pytest.mark.django_db(transaction=True)  # the data plane looks rows up in threads of its own

TAKEAWAYS: dict[str, Callable[[], Any]] = {
    "grant": lambda: Grant.objects.update(revoked_at=timezone.now()),
    "client": lambda: Client.objects.update(disabled_at=timezone.now()),
    "user": lambda: Grant.objects.get().user.__class__.objects.update(is_active=False),
}


@pytest.fixture
def token(demo: McpRoute, alice: Person, editor: Party) -> str:
    """Alice's, on the route `demo`."""
    return str(editor.redeem(alice.code(editor.client)).json()["access_token"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the database was asked for."""
    questions: list[tuple[str, int]] = []
    real = principals._resolve

    def resolve(digest: str, resource_id: int) -> Principal | None:
        questions.append((digest, resource_id))
        return real(digest, resource_id)

    monkeypatch.setattr(principals, "_resolve", resolve)
    return questions


def owner(token: str, route: McpRoute) -> Principal | None:
    return asyncio.run(principals.resolve(token, route.pk))


def what_changed(about: str) -> Entry:
    grant = Grant.objects.get()
    return Entry(1, about, {"grant": grant.pk, "client": grant.client_id, "user": grant.user_id}[about])


def test_a_token_in_use_is_asked_about_once(demo: McpRoute, token: str, asked: list[Any]) -> None:
    before = time.monotonic()
    first = owner(token, demo)
    assert first is not None
    assert before <= first.as_of <= time.monotonic()
    assert owner(token, demo) is first
    assert len(asked) == 1


def test_it_is_not_kept_in_clear(demo: McpRoute, token: str) -> None:
    owner(token, demo)
    assert token not in repr(vars(principals._recent))


@pytest.mark.parametrize("what", sorted(TAKEAWAYS))
def test_what_was_taken_away_ends_it_once_that_is_noted(demo: McpRoute, token: str, what: str) -> None:
    assert owner(token, demo) is not None
    entry = what_changed(what)
    TAKEAWAYS[what]()
    assert owner(token, demo) is not None, "nobody has been told"
    principals.apply(entry)
    assert owner(token, demo) is None


@pytest.mark.parametrize("what", sorted(TAKEAWAYS))
def test_somebody_elses_loss_is_nothing_to_it(demo: McpRoute, token: str, asked: list[Any], what: str) -> None:
    owner(token, demo)
    principals.apply(Entry(1, what, what_changed(what).key + 1))
    assert owner(token, demo) is not None
    assert len(asked) == 1


@pytest.mark.parametrize("what", sorted(TAKEAWAYS))
def test_what_nobody_told_of_ends_it_after_five_seconds(demo: McpRoute, token: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recent.KEPT_SECONDS == 5
    owner(token, demo)
    TAKEAWAYS[what]()
    monkeypatch.setattr(recent, "KEPT_SECONDS", 0.0)
    assert owner(token, demo) is None


def test_it_ends_on_time_although_it_is_held(demo: McpRoute, token: str, asked: list[Any]) -> None:
    AccessToken.objects.update(expires=timezone.now() + timedelta(seconds=1.5))
    held = owner(token, demo)
    assert held is not None

    async def until_over() -> None:
        async with asyncio.timeout(PATIENCE):
            while await principals.resolve(token, demo.pk) is not None:  # noqa: ASYNC110  (what is waited for is time)
                await asyncio.sleep(0.02)

    asyncio.run(until_over())
    assert timezone.now().timestamp() >= held.expires_at
    assert len(asked) == 1, "nobody had to be asked"


def test_a_token_of_nobody_is_asked_about_once_too(demo: McpRoute, asked: list[Any]) -> None:
    stranger = tokens.ACCESS_PREFIX + "x" * 43
    stranger += tokens._checksum(stranger)
    assert [owner(stranger, demo), owner(stranger, demo)] == [None, None]
    assert len(asked) == 1


def test_on_another_route_it_is_nobodys(demo: McpRoute, demo_admin: McpRoute, token: str) -> None:
    assert owner(token, demo) is not None
    assert owner(token, demo_admin) is None


def test_who_is_let_in_again_is_so_once_that_is_noted(demo: McpRoute, token: str) -> None:
    entry = what_changed("client")
    TAKEAWAYS["client"]()
    assert owner(token, demo) is None
    Client.objects.update(disabled_at=None)
    principals.apply(entry)
    assert owner(token, demo) is not None


@contextlib.contextmanager
def outage() -> Iterator[None]:
    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    rename("oauthgw_accesstoken", "away")
    try:
        yield
    finally:
        rename("away", "oauthgw_accesstoken")


def test_in_an_outage_a_warm_token_works_for_five_seconds_and_then_it_is_an_outage(
    demo: McpRoute, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner(token, demo)
    with outage():
        assert owner(token, demo) is not None
        monkeypatch.setattr(recent, "KEPT_SECONDS", 0.0)
        with pytest.raises(DatabaseUnavailable):
            owner(token, demo)


def test_an_outage_of_a_token_that_is_not_known_is_one_at_once(demo: McpRoute, token: str) -> None:
    with outage(), pytest.raises(DatabaseUnavailable):
        owner(token, demo)


def test_the_first_use_is_noted(demo: McpRoute, token: str) -> None:
    """By which a refresh that is repeated knows that its answer had arrived."""
    assert AccessToken.objects.get().accepted_at is None
    owner(token, demo)
    assert AccessToken.objects.get().accepted_at is not None

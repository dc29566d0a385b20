"""The watch over what is under way: it asks by itself, asks at once when it is told to, and does not wait for an answer for ever."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from mcp_routes.models import McpRoute
from mcp_routes.proxy import refusals, streams, watch
from mcp_routes.proxy.streams import Exchange
from mcp_routes.snapshot import Route, find, upstreams
from oauthgw import principals, tokens
from oauthgw.guard.database import in_database
from oauthgw.journal.changes import Entry
from oauthgw.models import Client, Grant
from tests.unit.proxy.test_streams import principal

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 30.0


class Stage:
    """One grant on one route, and rows that can be changed behind the watch's back."""

    def __init__(self) -> None:
        self.user = User.objects.create(username="alice")
        self.client = Client.objects.create(client_id="cursor", client_type="public", client_secret="")
        self.route = McpRoute.objects.create(slug="demo", name="Demo", upstream_url="https://upstream.example.com/mcp")
        self.grant = Grant.objects.create(
            user=self.user, client=self.client, resource_id=self.route.pk, resource="http://localhost/mcp/demo", scope="mcp:tools"
        )
        with transaction.atomic():
            self.token = tokens._answer(self.grant, None, None, timezone.now()).access_token.reveal()
        self.takeaways: dict[str, Callable[[], Any]] = {
            "grant revoked": lambda: Grant.objects.update(revoked_at=timezone.now()),
            "grant deleted": lambda: Grant.objects.all().delete(),
            "client switched off": lambda: Client.objects.update(disabled_at=timezone.now()),
            "user shut out": lambda: User.objects.update(is_active=False),
            "route switched off": lambda: McpRoute.objects.update(enabled=False),
        }

    async def would_be_let_in(self) -> bool:
        """Whether a new request with the same token would be."""
        route = await find("demo")
        return route is not None and await principals.resolve(self.token, route.id) is not None

    def open(self) -> "contextlib.AbstractContextManager[Exchange]":
        who = principal(
            user_id=self.user.pk,
            client_pk=self.client.pk,
            grant_id=self.grant.pk,
            resource_id=self.route.pk,
            expires_at=timezone.now().timestamp(),
        )
        route = Route(self.route.pk, "demo", self.route.upstream_url, "")
        return streams.under_way(who, route, lasting=True)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 0.01)


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[watch.Watch]:
    one = watch.Watch()
    keeping = asyncio.ensure_future(one.keep())
    try:
        async with asyncio.timeout(PATIENCE):
            yield one
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def rename(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


async def asked_again(exchange: Exchange) -> None:
    """Until the exchange has been confirmed once more, and once again: what was under way in between is over."""
    for _ in range(2):
        before = exchange.confirmed
        while exchange.confirmed == before:  # noqa: ASYNC110  (nobody is told of a confirmation)
            await asyncio.sleep(0.01)


TAKEAWAYS = ["grant revoked", "grant deleted", "client switched off", "user shut out", "route switched off"]


@pytest.mark.parametrize("what", TAKEAWAYS)
def test_what_nobody_told_of_is_found_by_asking(stage: Stage, what: str) -> None:
    async def story() -> None:
        async with watching():
            with stage.open() as exchange:
                await asked_again(exchange)
                assert not exchange.cut.done()
                assert await stage.would_be_let_in()
                await in_database(stage.takeaways[what])
                why = await exchange.cut
                assert not await stage.would_be_let_in(), "whose stream ends comes back at once"
        assert why is (refusals.UNKNOWN_ROUTE if what == "route switched off" else refusals.INVALID_TOKEN)

    run(story)


@pytest.mark.parametrize("what", ["another user's", "the client's name", "the route's description"])
def test_what_takes_nothing_away_ends_nothing(stage: Stage, what: str) -> None:
    change: dict[str, Callable[[], Any]] = {
        "another user's": lambda: User.objects.create(username="bob", is_active=False),
        "the client's name": lambda: Client.objects.update(name="Cursor"),
        "the route's description": lambda: McpRoute.objects.update(description="Echoes and adds."),
    }

    async def story() -> None:
        async with watching() as one:
            with stage.open() as exchange:
                await in_database(change[what])
                one.apply(Entry(1, "client", stage.client.pk))
                await asked_again(exchange)
                assert not exchange.cut.done()

    run(story)


def test_it_asks_at_once_when_a_change_concerns_what_is_under_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY_SECONDS", 2 * PATIENCE)

    async def story() -> None:
        async with watching() as one:
            with stage.open() as exchange:
                await in_database(stage.takeaways["client switched off"])
                one.apply(Entry(1, "client", stage.client.pk))
                assert await exchange.cut is refusals.INVALID_TOKEN

    run(story)


def test_a_revoked_grant_needs_no_asking(stage: Stage) -> None:
    async def story() -> None:
        with stage.open() as exchange:
            watch.Watch().apply(Entry(1, "grant", stage.grant.pk))
            assert exchange.cut.done()

    run(story)


def test_where_nothing_is_under_way_nobody_is_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    real = watch._still

    def still(*about: Any) -> Any:
        asked.append(about)
        return real(*about)

    monkeypatch.setattr(watch, "_still", still)

    async def story() -> None:
        async with watching():
            await asyncio.sleep(0.2)  # many times the interval: that nothing happens is what is tested
            assert asked == []
            with stage.open() as exchange:
                await asked_again(exchange)
            assert asked

    run(story)


class TestAnOutage:
    def test_a_short_one_ends_nothing(self, stage: Stage) -> None:
        async def story() -> None:
            async with watching():
                with stage.open() as exchange:
                    await in_database(rename, "oauthgw_grant", "away")
                    await asyncio.sleep(0.2)  # a fraction of what may go unconfirmed
                    await in_database(rename, "away", "oauthgw_grant")
                    await asked_again(exchange)
                    assert not exchange.cut.done()

        run(story)

    def test_a_long_one_ends_what_nobody_could_ask_about(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "UNCONFIRMED_SECONDS", 0.3)

        async def story() -> None:
            async with watching():
                with stage.open() as exchange:
                    await in_database(rename, "oauthgw_grant", "away")
                    try:
                        assert await exchange.cut is refusals.UNAVAILABLE
                    finally:
                        await in_database(rename, "away", "oauthgw_grant")

        run(story)

    def test_a_silent_database_is_one(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "UNCONFIRMED_SECONDS", 0.1)
        monkeypatch.setattr(watch, "_PATIENCE_SECONDS", 0.1)
        spoken = threading.Event()
        monkeypatch.setattr(watch, "_still", lambda *_: spoken.wait(PATIENCE))

        async def story() -> None:
            async with watching():
                with stage.open() as exchange:
                    try:
                        assert await exchange.cut is refusals.UNAVAILABLE
                    finally:
                        spoken.set()

        run(story)

    def test_an_answer_that_is_there_counts_although_this_process_is_late(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a pause of the whole process, streams go on."""
        monkeypatch.setattr(streams, "UNCONFIRMED_SECONDS", 0.1)

        async def story() -> None:
            with stage.open() as exchange:
                exchange.confirmed -= 10
                await watch._ask_about_all()
                assert not exchange.cut.done()

        run(story)


def test_who_stands_is_found_among_many(stage: Stage) -> None:
    many = [Grant(user=stage.user, client=stage.client, resource_id=1, resource="x", scope="") for _ in range(1200)]
    grants = {grant.pk for grant in Grant.objects.bulk_create(many)}
    revoked = sorted(grants)[::2]
    Grant.objects.filter(pk__in=revoked).update(revoked_at=timezone.now())
    assert principals.standing(grants) == grants - set(revoked)
    assert principals.standing(set()) == frozenset()


def test_a_grant_of_any_age_stands(stage: Stage) -> None:
    """Time is judged by what an answer may outlive, not here."""
    Grant.objects.update(expires_at=timezone.now())
    assert principals.standing({stage.grant.pk}) == {stage.grant.pk}


def test_only_enabled_routes_lead_anywhere(stage: Stage) -> None:
    off = McpRoute.objects.create(slug="off", name="Off", upstream_url="https://upstream.example.com/mcp", enabled=False)
    assert upstreams({stage.route.pk, off.pk, off.pk + 1}) == {stage.route.pk: stage.route.upstream_url}

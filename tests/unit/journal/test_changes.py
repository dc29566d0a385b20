"""The change log: whatever takes a right away publishes it in its own transaction, and a reader misses nothing."""

import asyncio
import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from mcp_routes import removal
from mcp_routes.models import McpRoute
from oauthgw import connected, tokens
from oauthgw.guard import database
from oauthgw.identity import people
from oauthgw.identity.provider import Person
from oauthgw.journal import changes, poller
from oauthgw.journal.changes import Entry, Reader, Topic, publish
from oauthgw.journal.models import Change
from oauthgw.models import BrowserSession, Client, Grant, Identity
from tests.unit.admin.conftest import Operator, Scene
from tests.unit.test_house import PACKAGES, shown, sources


def entries(*ids: int) -> list[Entry]:
    return [Entry(number, Topic.GRANT, number) for number in ids]


def ids(found: list[Entry]) -> list[int]:
    return [entry.id for entry in found]


class TestAReader:
    """A read that takes place at second 0, 1, … of the reader's own clock."""

    def test_each_entry_is_applied_once(self) -> None:
        reader = Reader()
        assert ids(reader.take(entries(1, 2), 0)) == [1, 2]
        assert ids(reader.take(entries(1, 2, 3), 0.5)) == [3]

    def test_one_that_appears_below_those_already_read_is_not_lost(self) -> None:
        reader = Reader()
        reader.take(entries(1, 3), 0)
        assert ids(reader.take(entries(1, 2, 3), 0.5)) == [2]

    def test_it_looks_again_at_what_appeared_in_the_last_half_minute_and_not_before(self) -> None:
        reader = Reader()
        for second, highest in enumerate(range(1, 61)):
            reader.take(entries(*range((reader.floor or 0) + 1, highest + 1)), second)
        assert reader.floor == 30  # the highest id it had seen at second 29
        assert ids(reader.take(entries(*range(31, 61)), 60)) == []

    def test_after_an_outage_it_looks_at_everything_that_can_have_appeared_meanwhile(self) -> None:
        reader = Reader()
        reader.take(entries(1), 0)
        reader.take(entries(1, 3), 40)
        before = reader.floor
        assert ids(reader.take(entries(2, 3, 4), 4000)) == [2, 4]  # 2 was committed just after the last read
        assert before == 1
        assert reader.floor == 3

    def test_what_it_was_told_of_is_not_read_again(self) -> None:
        reader = Reader()
        reader.take(entries(1), 0)
        assert ids(reader.hear(entries(1, 3))) == [3]
        assert ids(reader.take(entries(1, 2, 3), 0.5)) == [2]
        reader.take([], 31)
        assert reader.floor == 3

    def test_it_keeps_no_more_than_what_it_may_see_again(self) -> None:
        reader = Reader()
        for second in range(200):
            reader.take(entries(*range((reader.floor or 0) + 1, second + 2)), second)
        assert len(reader._applied) <= 31
        assert len(reader._marks) <= 31


class TestAReaderOfMoreThanAPage:
    @pytest.fixture(autouse=True)
    def short_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(changes, "PAGE", 3)

    def test_it_goes_on_where_a_full_page_ends_and_begins_again_at_its_floor(self) -> None:
        reader = Reader()
        reader.take([], 0)
        places = []
        for page in (entries(1, 2, 3), entries(4, 5, 7), entries(8)):
            assert reader.take(page, 1) == page
            places.append((reader.after, reader.has_more_to_read))
        assert places == [(3, True), (7, True), (0, False)]
        assert ids(reader.take(entries(1, 2, 3), 2)) == []
        assert ids(reader.take(entries(4, 5, 6), 2)) == [6], "it was committed late, below what had been read"

    def test_its_floor_stays_until_the_look_is_at_its_end(self) -> None:
        reader = Reader()
        reader.take(entries(1), 0)
        reader.take(entries(1, 2, 3), 40)
        assert (reader.floor, reader.has_more_to_read) == (0, True)
        reader.take(entries(4), 41)
        assert (reader.floor, reader.after) == (1, 1)

    def test_a_look_counts_from_its_beginning(self) -> None:
        reader = Reader()
        reader.take(entries(3), 0)
        reader.take(entries(3, 4, 5), 20)
        reader.take(entries(6), 40)
        assert reader.floor == 0, "what was committed at second 25 below 3 was not looked at"
        assert ids(reader.take(entries(2, 3, 4), 41)) == [2]
        reader.take(entries(5, 6), 41)
        assert reader.floor == 3

    def test_nothing_is_lost_or_applied_twice_while_entries_appear_late_during_long_looks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ten entries a second for two minutes, each committed up to 19 seconds late; a page takes half a second to read."""
        monkeypatch.setattr(changes, "PAGE", 20)
        chance = random.Random(4)
        commits = [(number, number / 10 + chance.choice([0, 0, 0, chance.uniform(0, 19)])) for number in range(1, 1201)]
        reader, applied, floors, now = Reader(), [], [], 0.0
        while now < 240:
            visible = [number for number, committed in commits if committed <= now and number > (reader.after or 0)]
            applied += ids(reader.take(entries(*visible[:20]), now))
            floors.append(reader.floor)
            now += 0.5
        assert sorted(applied) == [number for number, _ in commits]
        assert len(set(floors)) > 5, "it looked several times"
        assert reader.floor == 1200
        assert reader._applied == set()


@pytest.mark.django_db
class TestReading:
    def test_it_reads_a_page_at_a_time(self) -> None:
        publish(Topic.GRANT, 0)
        (first,) = changes.above(None)
        publish(Topic.GRANT, *range(1, changes.PAGE + 3))
        page = changes.above(first.id)
        assert [len(page), page[-1].key] == [changes.PAGE, changes.PAGE]
        assert [entry.key for entry in changes.above(page[-1].id)] == [changes.PAGE + 1, changes.PAGE + 2]

    def test_it_begins_with_what_is_there_and_goes_on_above_its_floor(self) -> None:
        publish(Topic.GRANT, 7, 8)
        found = changes.above(None)
        assert [(entry.topic, entry.key) for entry in found] == [("grant", 7), ("grant", 8)]
        assert changes.above(found[0].id) == found[1:]

    def test_it_begins_with_the_newest_where_there_are_many(self) -> None:
        publish(Topic.GRANT, *range(1, 1011))
        found = changes.above(None)
        assert [found[0].key, found[-1].key, len(found)] == [11, 1010, 1000]
        reader = Reader()
        reader.take(found, 0)
        assert reader.floor == found[0].id - 1

    def test_clean_up_is_told_of_old_entries_and_of_no_young_one(self) -> None:
        publish(Topic.GRANT, 7, 8)
        Change.objects.filter(key=7).update(at=timezone.now() - changes.KEPT - timedelta(seconds=1))
        assert [entry.key for entry in changes.old()] == [7]


class TestPublishing:
    @pytest.mark.django_db(transaction=True)
    def test_outside_a_transaction_it_is_refused(self) -> None:
        with pytest.raises(RuntimeError, match="transaction"):
            publish(Topic.GRANT, 7)
        with transaction.atomic():
            publish(Topic.GRANT, 7)
        assert len(changes.above(None)) == 1

    @pytest.mark.django_db(transaction=True)
    def test_what_is_rolled_back_was_never_published(self) -> None:
        with transaction.atomic():
            publish(Topic.GRANT, 7)
            transaction.set_rollback(True)
        assert changes.above(None) == []

    @pytest.mark.postgresql
    @pytest.mark.django_db(transaction=True)
    def test_the_transaction_is_bounded_from_then_on_and_the_next_is_not(self) -> None:
        def limits() -> tuple[str, ...]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')")
                return tuple(map(str, cursor.fetchone()))

        with transaction.atomic():
            publish(Topic.GRANT, 7)
            assert limits() == ("10s", "10s")
        assert limits() == ("30s", "0")


def published(act: Callable[[], Any]) -> set[tuple[str, int]]:
    """What an act publishes."""
    before = {entry.id for entry in changes.above(None)}
    act()
    return {(entry.topic, entry.key) for entry in changes.above(None) if entry.id not in before}


@pytest.mark.django_db
class TestWhoPublishes:
    def test_a_revoked_grant(self, scene: Scene) -> None:
        grant = scene.grant
        assert published(lambda: tokens.revoke(grant, "A test.")) == {("grant", grant.pk)}
        assert published(lambda: tokens.revoke(grant, "Again.")) == set()

    def test_every_grant_of_a_user_who_revokes_all(self, scene: Scene) -> None:
        second = Grant.objects.create(user=scene.alice, client=scene.client, resource_id=99, resource="https://x.example/mcp/x", scope="")
        assert published(lambda: connected.disconnect_all(scene.alice)) == {("grant", scene.grant.pk), ("grant", second.pk)}

    @pytest.mark.parametrize("action", ["disable", "enable"])
    def test_a_client_that_is_switched(self, operator: Operator, scene: Scene, action: str) -> None:
        Client.objects.update(disabled_at=None if action == "disable" else timezone.now())
        assert published(lambda: operator.act("oauthgw/client/", action, scene.client.pk)) == {("client", scene.client.pk)}

    @pytest.mark.parametrize("action", ["shut_out", "let_in"])
    def test_a_user_who_is_shut_out_or_let_in(self, operator: Operator, scene: Scene, action: str) -> None:
        User.objects.filter(pk=scene.alice.pk).update(is_active=action == "shut_out")
        assert published(lambda: operator.act("auth/user/", action, scene.alice.pk)) == {("user", scene.alice.pk)}

    def test_a_user_who_signs_in_as_something_else(self, scene: Scene) -> None:
        """What a token's owner is, and may do, is known with it."""

        def signs_in(**changed: Any) -> Callable[[], Any]:
            identity = Identity.objects.get(user=scene.alice)
            person = Person(identity.subject, identity.email, True, "", "", **{"role": "member", "organization_id": "org_1", **changed})
            return lambda: people.admit(identity.provider, person, admin=False)

        signs_in()()
        assert published(signs_in()) == set()
        for changed in ({"role": "auditor"}, {"organization_id": "org_2"}, {"permissions": ("posts:read",)}):
            assert published(signs_in(**changed)) == {("user", scene.alice.pk)}

    @pytest.mark.parametrize("bulk", [False, True])
    def test_a_client_or_user_that_is_removed(self, scene: Scene, bulk: bool) -> None:
        client, user, grant = scene.client.pk, scene.alice.pk, scene.grant.pk
        assert published(Client.objects.all().delete if bulk else scene.client.delete) == {("grant", grant), ("client", client)}
        assert published(User.objects.filter(pk=user).delete if bulk else scene.alice.delete) == {("user", user)}

    def test_a_route_that_is_made_changed_or_switched_off(self, db: None) -> None:
        route = McpRoute(slug="tools", name="Tools", upstream_url="https://upstream.example.com/mcp")
        published(route.save)
        route.enabled = False
        assert published(route.save) == {("route", route.pk)}

    def test_a_route_that_is_removed_with_its_grants(self, scene: Scene) -> None:
        route = scene.route.pk
        assert published(lambda: removal.remove(scene.route)) == {("grant", scene.grant.pk), ("route", route)}

    def test_routes_that_are_removed_in_bulk(self, scene: Scene) -> None:
        route = scene.route.pk
        assert published(lambda: McpRoute.objects.all().delete()) == {("grant", scene.grant.pk), ("route", route)}

    def test_a_refresh_publishes_nothing(self, scene: Scene) -> None:
        """Rotation ends no stream."""
        assert published(lambda: tokens._answer(scene.grant, None, None, timezone.now())) == set()

    def test_whoever_writes_a_right_in_bulk_publishes(self) -> None:
        """`update()` sends no signal: nothing but this test remembers it."""
        takes_a_right = re.compile(r"(\.update|_decide)\([^)]*\b(disabled_at|approved_at|is_active|revoked_at|enabled)\s*=")
        writers = [path for path in sources(*PACKAGES) if takes_a_right.search(path.read_text())]
        assert len(writers) >= 3, "the pattern finds no one: this test would prove nothing"
        assert [shown(path) for path in writers if "publish(" not in path.read_text()] == []


@pytest.mark.django_db
def test_a_user_who_is_shut_out_is_signed_out_everywhere(operator: Operator, scene: Scene) -> None:
    session = BrowserSession.objects.create(
        user=scene.alice, session_key="k" * 64, session_data="", expire_date=timezone.now() + timedelta(1)
    )
    operator.act("auth/user/", "shut_out", scene.alice.pk)
    assert not BrowserSession.objects.filter(pk=session.pk).exists()
    assert BrowserSession.objects.filter(user=operator.user).exists()


def written_elsewhere(*keys: int) -> None:
    """As another process publishes."""
    Change.objects.bulk_create(Change(topic=Topic.GRANT, key=key) for key in keys)


@pytest.mark.django_db(transaction=True)
class TestFollowing:
    def test_what_is_published_arrives_and_an_outage_is_caught_up_with(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(poller, "EVERY_SECONDS", 0.01)
        monkeypatch.setattr(poller, "_AFTER_OUTAGE_SECONDS", 0.01)
        arrived: asyncio.Queue[int]

        def rename(old: str, new: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

        async def said(words: str) -> None:
            while words not in caplog.text:  # noqa: ASYNC110  (a log has no event)
                await asyncio.sleep(0.01)

        async def story() -> None:
            nonlocal arrived
            arrived = asyncio.Queue()
            following = asyncio.ensure_future(poller.follow(lambda entry: arrived.put_nowait(entry.key)))
            async with asyncio.timeout(30):
                await database.in_database(written_elsewhere, 1, 2)
                assert [await arrived.get(), await arrived.get()] == [1, 2]
                await database.in_database(rename, "journal_change", "away")
                await said("cannot be read")
                await database.in_database(rename, "away", "journal_change")
                await database.in_database(written_elsewhere, 3)
                assert await arrived.get() == 3
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

        caplog.set_level("INFO", "oauthgw.journal.poller")
        asyncio.run(story())
        assert caplog.text.count("cannot be read") == 1
        assert caplog.text.count("is read again") == 1

    def test_what_is_left_of_many_is_read_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(poller, "EVERY_SECONDS", 0.01)
        monkeypatch.setattr(changes, "PAGE", 10)

        async def story() -> None:
            arrived: asyncio.Queue[int] = asyncio.Queue()

            def apply(entry: Entry) -> None:
                arrived.put_nowait(entry.key)
                if entry.key == 1:
                    monkeypatch.setattr(poller, "EVERY_SECONDS", 3600)

            following = asyncio.ensure_future(poller.follow(apply))
            async with asyncio.timeout(30):
                await database.in_database(written_elsewhere, 0)
                assert await arrived.get() == 0
                await database.in_database(written_elsewhere, *range(1, 36))
                assert [await arrived.get() for _ in range(1, 36)] == list(range(1, 36))
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

        asyncio.run(story())

    def test_what_this_process_publishes_is_applied_when_it_is_committed_without_being_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(poller, "EVERY_SECONDS", 3600)
        arrived: asyncio.Queue[int]

        def tell(*keys: int) -> None:
            with transaction.atomic():
                publish(Topic.GRANT, *keys)
                assert arrived.empty()

        async def story() -> None:
            nonlocal arrived
            arrived = asyncio.Queue()
            await database.in_database(written_elsewhere, 1)
            following = asyncio.ensure_future(poller.follow(lambda entry: arrived.put_nowait(entry.key)))
            async with asyncio.timeout(30):
                assert await arrived.get() == 1, "it has read, and reads no more"
                await database.in_database(tell, 2, 3)
                assert [await arrived.get(), await arrived.get()] == [2, 3]
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            assert changes._listeners == []

        asyncio.run(story())

    def test_a_change_that_cannot_be_applied_keeps_no_other_back(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(poller, "EVERY_SECONDS", 0.01)
        with transaction.atomic():
            publish(Topic.GRANT, 1, 2)
        arrived = asyncio.Event()

        def apply(entry: Entry) -> None:
            if entry.key == 1:
                raise ValueError("no")
            arrived.set()

        async def story() -> None:
            following = asyncio.ensure_future(poller.follow(apply))
            await asyncio.wait_for(arrived.wait(), 30)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

        asyncio.run(story())
        assert "could not be applied" in caplog.text

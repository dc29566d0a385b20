"""Client ID metadata documents as rows: when they are fetched, how long they count, and what a change does."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from oauthgw.clients import documents as subject
from oauthgw.clients import freshness
from oauthgw.clients.cimd import InvalidDocument, NotAccepted
from oauthgw.clients.documents import fetch_if_due
from oauthgw.guard import database
from oauthgw.guard.fetch import CouldNotFetch, Fetched, fetch
from oauthgw.journal.models import Event
from oauthgw.models import Client
from tests.support.documents import Documents

REDIRECT = "http://127.0.0.1/callback"
Publish = Callable[..., str]

pytestmark = pytest.mark.django_db


@pytest.fixture
def publish(documents: Documents) -> Publish:
    """Publishes the app's document, with these members changed; its address."""

    def call(headers: dict[str, str] | None = None, **members: Any) -> str:
        url = f"{documents.url}/client.json"
        document = {"client_id": url, "client_name": "App", "redirect_uris": [REDIRECT], **members}
        return documents.publish("/client.json", document, **(headers or {}))

    return call


@pytest.fixture
def mode(settings: Any) -> Callable[[str], None]:
    """Sets CLIENT_REGISTRATION."""

    def call(value: str) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, client_registration=value)

    return call


def row(url: str) -> Client:
    found: Client = Client.objects.get(client_id=url)
    return found


def age(url: str, by: timedelta) -> None:
    """Lets this much time pass for a document."""
    client = row(url)
    assert client.document_fetched_at is not None and client.cimd_expires_at is not None
    Client.objects.filter(pk=client.pk).update(
        document_fetched_at=client.document_fetched_at - by, cimd_expires_at=client.cimd_expires_at - by
    )


def events() -> list[tuple[str, str]]:
    return [(event.kind, event.reason) for event in Event.objects.order_by("id")]


class TestAnUnknownClient:
    def test_becomes_a_row(self, publish: Publish) -> None:
        url = publish(
            client_name="App\u202e", client_uri="https://app.example.com/", scope="mcp:tools other", logo_uri="https://l.example/l"
        )
        fetch_if_due(url)
        client = row(url)
        assert (client.name, client.redirect_uris, client.scope) == ("App", REDIRECT, "mcp:tools")
        assert (client.registration_source, client.token_endpoint_auth_method, client.client_type) == ("cimd", "none", "public")
        assert client.metadata == {"client_uri": "https://app.example.com/", "logo_uri": "https://l.example/l"}
        assert not client.is_vouched_for and events() == [("client_registered", "App")]

    def test_is_kept_as_long_as_http_says(self, publish: Publish) -> None:
        url = publish({"Cache_Control": "max-age=7200"})
        fetch_if_due(url)
        client = row(url)
        assert client.document_fetched_at is not None and client.cimd_expires_at is not None
        assert client.cimd_expires_at - client.document_fetched_at == timedelta(hours=2)
        assert timezone.now() - client.document_fetched_at < timedelta(minutes=1)

    def test_whose_document_cannot_be_fetched_is_not_remembered(self, documents: Documents, publish: Publish) -> None:
        url = documents.serve("/client.json", b"", status=503)
        with pytest.raises(CouldNotFetch, match="status 503"):
            fetch_if_due(url)
        assert not Client.objects.exists() and not events()
        publish()
        fetch_if_due(url)
        assert Client.objects.exists()

    def test_whose_document_is_not_valid_is_not_remembered(self, publish: Publish) -> None:
        url = publish(redirect_uris=[])
        with pytest.raises(InvalidDocument):
            fetch_if_due(url)
        assert not Client.objects.exists() and not events()
        publish()
        fetch_if_due(url)
        assert Client.objects.exists()

    @pytest.mark.parametrize("content_type", ["text/html", "application/json; charset=latin1", "application/ld+json", ""])
    def test_may_serve_its_document_under_any_type(self, documents: Documents, publish: Publish, content_type: str) -> None:
        url = publish({"Content_Type": content_type})
        fetch_if_due(url)
        assert row(url).name == "App"

    def test_is_not_even_asked_where_registration_is_closed(
        self, documents: Documents, publish: Publish, mode: Callable[[str], None]
    ) -> None:
        mode("closed")
        with pytest.raises(NotAccepted, match="operator"):
            fetch_if_due(publish())
        assert not documents.asked and not Client.objects.exists()

    def test_waits_where_an_operator_has_to_approve(self, publish: Publish, mode: Callable[[str], None]) -> None:
        mode("approval")
        url = publish()
        fetch_if_due(url)
        assert row(url).awaits_approval

    @pytest.mark.parametrize("client_id", ["", "x7Gh2k", "urn:x:y", "cursor://anysphere"])
    def test_with_an_ordinary_id_is_left_alone(self, client_id: str) -> None:
        fetch_if_due(client_id)
        assert not Client.objects.exists()

    def test_that_proves_itself_by_a_key_has_no_empty_secret(self, publish: Publish) -> None:
        url = publish()
        fetch_if_due(url)
        assert not row(url).client_secret.endswith("$") and len(row(url).client_secret) > 40


class TestAKnownClient:
    @pytest.fixture
    def url(self, documents: Documents, publish: Publish) -> str:
        url = publish()
        fetch_if_due(url)
        documents.asked.clear()
        Event.objects.all().delete()
        return url

    def test_is_not_asked_for_again_while_its_document_is_fresh(self, documents: Documents, url: str) -> None:
        age(url, timedelta(minutes=59))
        fetch_if_due(url)
        assert not documents.asked

    def test_is_asked_for_again_after_that(self, documents: Documents, publish: Publish, url: str) -> None:
        age(url, timedelta(minutes=61))
        fetch_if_due(url)
        fetch_if_due(url)
        assert documents.paths() == ["/client.json"] and not events()

    def test_is_not_fetched_twice_by_one_who_comes_a_moment_late(self, documents: Documents, url: str) -> None:
        subject._renew(url, "")  # it was due when they looked, and is not any more
        assert not documents.asked

    def test_keeps_its_time_of_change_when_nothing_changed(self, url: str) -> None:
        before = row(url).updated
        age(url, timedelta(hours=2))
        fetch_if_due(url)
        assert row(url).updated == before

    def test_goes_on_when_its_document_cannot_be_fetched(self, documents: Documents, url: str) -> None:
        documents.serve("/client.json", b"", status=500)
        age(url, timedelta(hours=50))
        fetch_if_due(url)
        client = row(url)
        assert client.name == "App" and client.cimd_expires_at is not None
        assert client.cimd_expires_at - timezone.now() > timedelta(seconds=30), "the failing server is left in peace for a while"
        fetch_if_due(url)
        assert len(documents.asked) == 1

    def test_but_for_no_longer_than_a_week(self, documents: Documents, publish: Publish, url: str) -> None:
        documents.serve("/client.json", b"", status=500)
        age(url, freshness.STALE)
        with pytest.raises(CouldNotFetch, match="status 500"):
            fetch_if_due(url)
        publish()
        fetch_if_due(url)

    def test_is_refused_once_its_document_is_not_valid_any_more(self, documents: Documents, publish: Publish, url: str) -> None:
        publish(client_name="")
        age(url, timedelta(hours=2))
        for _ in range(2):
            with pytest.raises(InvalidDocument):
                fetch_if_due(url)
        assert len(documents.asked) == 2
        publish(client_name="App")
        fetch_if_due(url)

    def test_is_asked_for_again_when_it_wants_to_be_reached_elsewhere(self, documents: Documents, publish: Publish, url: str) -> None:
        added = "https://app.example.com/callback"
        publish(redirect_uris=[REDIRECT, added])
        fetch_if_due(url, added)
        assert not documents.asked, "its document is a moment old"
        age(url, timedelta(minutes=6))
        fetch_if_due(url, REDIRECT.replace("127.0.0.1", "127.0.0.1:5000"))
        assert not documents.asked, "the redirect URI is a known one"
        fetch_if_due(url, added)
        assert row(url).redirect_uri_allowed(added)

    def test_stays_switched_off(self, documents: Documents, url: str) -> None:
        Client.objects.filter(client_id=url).update(disabled_at=timezone.now())
        age(url, timedelta(hours=2))
        fetch_if_due(url)
        assert not documents.asked and row(url).disabled_at is not None

    def test_is_kept_up_to_date_where_registration_is_closed(self, publish: Publish, url: str, mode: Callable[[str], None]) -> None:
        mode("closed")
        publish(client_name="Renamed")
        age(url, timedelta(hours=2))
        fetch_if_due(url)
        assert row(url).name == "Renamed"

    def test_is_refused_when_its_host_is_no_longer_listed(self, url: str, settings: Any) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, cimd_allowed_hosts=("app.example.com",))
        with pytest.raises(NotAccepted):
            fetch_if_due(url)

    def test_that_an_operator_registered_by_hand_is_never_fetched(self, documents: Documents, url: str) -> None:
        Client.objects.filter(client_id=url).update(registration_source="manual")
        age(url, timedelta(hours=2))
        fetch_if_due(url, "https://app.example.com/callback")
        assert not documents.asked


class TestAChange:
    @pytest.fixture
    def url(self, publish: Publish) -> str:
        """A client that an operator approved."""
        url = publish(redirect_uris=[REDIRECT, "https://app.example.com/cb"], logo_uri="https://l.example/l")
        fetch_if_due(url)
        Client.objects.filter(client_id=url).update(approved_at=timezone.now())
        Event.objects.all().delete()
        age(url, timedelta(hours=2))
        return url

    def test_is_journalled_by_the_members_that_changed(self, publish: Publish, url: str) -> None:
        publish(redirect_uris=[REDIRECT], logo_uri="https://l.example/other")
        fetch_if_due(url)
        assert events() == [("client_changed", "Its metadata document changed redirect_uris, logo_uri.")]
        assert row(url).redirect_uris == REDIRECT

    @pytest.mark.parametrize(
        "members",
        [
            {"redirect_uris": [REDIRECT, "https://app.example.com/cb", "https://evil.example/cb"]},
            {"redirect_uris": ["https://evil.example/cb"]},
            {"client_name": "Another"},
            {"client_uri": "https://another.example"},
            {"jwks_uri": "https://another.example/keys"},
        ],
        ids=str,
    )
    def test_of_what_an_operator_vouched_for_takes_the_approval_back(self, publish: Publish, url: str, members: dict[str, Any]) -> None:
        publish(**{"redirect_uris": [REDIRECT, "https://app.example.com/cb"], "logo_uri": "https://l.example/l", **members})
        fetch_if_due(url)
        assert not row(url).is_vouched_for
        assert [kind for kind, _ in events()] == ["client_changed", "client_approval_withdrawn"]

    @pytest.mark.parametrize(
        "members",
        [
            {"redirect_uris": [REDIRECT]},
            {"logo_uri": "https://l.example/other"},
            {"contacts": ["help@app.example.com"]},
            {"scope": "offline_access"},
        ],
        ids=str,
    )
    def test_of_anything_else_does_not(self, publish: Publish, url: str, members: dict[str, Any]) -> None:
        publish(**{"redirect_uris": [REDIRECT, "https://app.example.com/cb"], "logo_uri": "https://l.example/l", **members})
        fetch_if_due(url)
        assert row(url).is_vouched_for
        assert [kind for kind, _ in events()] == ["client_changed"]


@pytest.mark.django_db(transaction=True)
class TestManyAtOnce:
    @pytest.fixture
    def ask(self, documents: Documents, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[BaseException | None]]:
        """Asks for a document so many times at once, and lets its server answer when all wait; what each met."""
        url, go, waiting = publish(), threading.Event(), threading.Semaphore(0)
        answer = documents.answers["/client.json"]

        def give_connection_back() -> None:
            database.give_connection_back()
            waiting.release()

        monkeypatch.setattr(subject, "give_connection_back", give_connection_back)

        def one() -> None:
            try:
                fetch_if_due(url)
            finally:
                connection.close()

        def call(count: int, status: bytes) -> list[BaseException | None]:
            def held_back(stopping: threading.Event) -> Iterator[bytes]:
                go.wait(20)
                yield from (piece.replace(b" 200 ", b" " + status + b" ") for piece in answer(stopping))

            documents.stream("/client.json", held_back)
            with ThreadPoolExecutor(count) as pool:
                asking = [pool.submit(one) for _ in range(count)]
                assert all(waiting.acquire(timeout=20) for _ in range(count))
                go.set()
                return [outcome.exception(20) for outcome in asking]

        return call

    def test_are_one_fetch_and_one_row(self, documents: Documents, ask: Callable[..., list[BaseException | None]]) -> None:
        assert ask(6, b"200") == [None] * 6
        assert len(documents.asked) == 1 and len(events()) == 1
        assert not subject._under_way

    def test_share_a_failure_which_then_is_forgotten(self, documents: Documents, ask: Callable[..., list[BaseException | None]]) -> None:
        assert [type(error) for error in ask(6, b"500")] == [CouldNotFetch] * 6
        assert len(documents.asked) == 1 and not subject._under_way
        with pytest.raises(CouldNotFetch):
            fetch_if_due(f"{documents.url}/client.json")
        assert len(documents.asked) == 2

    def test_hold_no_connection_and_no_transaction_while_they_wait(self, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[tuple[bool, bool]] = []

        def spy(url: str) -> Fetched:
            seen.append((connection.connection is None, connection.in_atomic_block))
            return fetch(url)

        monkeypatch.setattr(subject, "fetch", spy)
        fetch_if_due(publish())
        assert seen == [(True, False)]

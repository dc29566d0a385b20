"""Where a user is signed in: seen from one browser, ended from another."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauthgw.guard.sealed import digest
from oauthgw.identity import signed_in, visits
from oauthgw.identity.devices import described
from oauthgw.identity.session_store import SessionStore
from oauthgw.journal.models import Event
from oauthgw.models import BrowserSession
from tests.unit.conftest import Person

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def another(person: Person) -> Browser:
    """A second browser of theirs."""
    browser = Browser(HTTP_HOST="localhost:9000")
    browser.force_login(person.user)
    return browser


def is_signed_in(browser: Browser, **headers: str) -> bool:
    return bool(browser.get("/oauth/logout", **headers).wsgi_request.user.is_authenticated)  # type: ignore[arg-type]


def store(browser: Browser) -> SessionStore:
    return SessionStore(browser.cookies["gateway_session"].value)


def row_of(browser: Browser) -> BrowserSession:
    return BrowserSession.objects.get(session_key=digest(str(store(browser).session_key)))


def places(person: Person) -> list[signed_in.Place]:
    return signed_in.places(person.user, store(person.browser))


def a_while_ago() -> None:
    """Makes the last visit to every session one of some minutes ago."""
    BrowserSession.objects.update(last_seen_at=timezone.now() - visits.EVERY)


@contextmanager
def updates() -> Iterator[list[str]]:
    found: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield found
    found += [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]


class TestPlaces:
    def test_every_browser_of_the_user_is_one_and_the_asking_one_is_first(self, alice: Person, bob: Person) -> None:
        another(alice)
        assert [place.is_here for place in places(alice)] == [True, False]
        assert [place.is_here for place in places(bob)] == [True]

    def test_an_expired_session_is_none(self, alice: Person) -> None:
        another(alice)
        BrowserSession.objects.exclude(pk=places(alice)[0].id).update(expire_date=timezone.now())
        assert len(places(alice)) == 1

    def test_it_shows_from_where_and_with_what(self, alice: Person) -> None:
        a_while_ago()
        assert is_signed_in(alice.browser, HTTP_USER_AGENT=FIREFOX, REMOTE_ADDR="192.0.2.7")
        (place,) = places(alice)
        assert (place.device, place.address, place.is_impersonated) == ("Firefox on Linux", "192.0.2.7", False)


class TestEnding:
    def test_one_browser_is_signed_out_and_the_others_are_not(self, alice: Person) -> None:
        second, third = another(alice), another(alice)
        assert signed_in.end(alice.user, row_of(second).pk)
        assert [is_signed_in(browser) for browser in (alice.browser, second, third)] == [True, False, True]

    def test_what_is_somebody_elses_stays(self, alice: Person, bob: Person) -> None:
        assert not signed_in.end(alice.user, places(bob)[0].id)
        assert is_signed_in(bob.browser)

    def test_everywhere_else_leaves_this_browser_and_other_people(self, alice: Person, bob: Person) -> None:
        others = [another(alice), another(alice)]
        assert signed_in.end_others(alice.user, store(alice.browser)) == 2
        assert [is_signed_in(browser) for browser in (alice.browser, bob.browser, *others)] == [True, True, False, False]

    def test_all_leaves_none(self, alice: Person, bob: Person) -> None:
        another(alice)
        assert signed_in.end_all(alice.user, "An operator shut the user out.") == 2
        assert [is_signed_in(browser) for browser in (alice.browser, bob.browser)] == [False, True]

    def test_each_is_in_the_journal(self, alice: Person) -> None:
        another(alice)
        signed_in.end_others(alice.user, store(alice.browser))
        assert list(Event.objects.values_list("kind", "user_id", "reason")) == [
            ("signed_out", alice.user.pk, "From another browser."),
        ]

    def test_clean_up_is_told_of_the_expired_and_of_no_other(self, alice: Person, bob: Person) -> None:
        BrowserSession.objects.filter(user=bob.user).update(expire_date=timezone.now() - timedelta(seconds=1))
        assert list(signed_in.expired().values_list("user_id", flat=True)) == [bob.user.pk]


class TestVisits:
    def test_the_first_is_noted_and_the_next_is_not(self, alice: Person) -> None:
        browser = another(alice)
        a_while_ago()
        with updates() as first:
            assert is_signed_in(browser)
        with updates() as second:
            assert is_signed_in(browser)
        assert (len(first), second) == (1, [])

    def test_one_after_a_while_is(self, alice: Person) -> None:
        a_while_ago()
        assert is_signed_in(alice.browser, REMOTE_ADDR="192.0.2.7")
        a_while_ago()
        assert is_signed_in(alice.browser, REMOTE_ADDR="192.0.2.8")
        (place,) = places(alice)
        assert place.address == "192.0.2.8"
        assert timezone.now() - place.last_seen_at < timedelta(minutes=1)

    def test_a_page_that_asks_for_no_session_is_none(self, alice: Person) -> None:
        a_while_ago()
        with updates() as noted:
            assert alice.browser.get("/.well-known/oauth-authorization-server").status_code == 200
        assert noted == []

    def test_what_a_browser_says_of_itself_is_kept_short_and_visible(self, alice: Person) -> None:
        a_while_ago()
        assert is_signed_in(alice.browser, HTTP_USER_AGENT="Fire\u202efox\x00" + "x" * 60_000)
        kept = BrowserSession.objects.get().user_agent
        assert len(kept) <= 300
        assert kept.startswith("Firefox xxx")

    def test_an_outage_while_it_is_noted_costs_nobody_the_page(self, alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
        a_while_ago()

        def gone(*_: Any) -> None:
            raise OperationalError("the connection is closed")

        monkeypatch.setattr(visits, "note", gone)
        assert alice.browser.get("/oauth/logout").status_code == 200


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36", "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15", "Safari on Mac"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 CriOS/140.0 Mobile Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Something (Linux)", "A browser on Linux"),
        ("curl/8.5.0", "An unknown browser"),
        ("", "An unknown browser"),
    ],
)
def test_a_browser_is_described_in_its_users_words(user_agent: str, words: str) -> None:
    assert described(user_agent) == words


def test_neither_key_nor_digest_is_part_of_a_place(alice: Person) -> None:
    shown = repr(places(alice))
    assert str(store(alice.browser).session_key) not in shown
    assert row_of(alice.browser).session_key not in shown

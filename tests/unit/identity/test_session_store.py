"""Django's sessions over our rows: the cookie's value is stored nowhere, and a row that is gone ends the session."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import IntegrityError, connection
from django.test import Client as Browser
from django.utils import timezone

from oauthgw.guard.sealed import digest
from oauthgw.identity.session_store import SessionStore
from oauthgw.models import BrowserSession
from tests.unit.identity.conftest import Reply, Standin, begin, come_back

pytestmark = pytest.mark.django_db

EIGHT_HOURS = timedelta(hours=8)


def cookie(browser: Browser) -> str:
    return str(browser.cookies["gateway_session"].value)


def rows() -> list[dict[str, Any]]:
    return [dict(row) for row in BrowserSession.objects.values()]


def is_signed_in(browser: Browser) -> bool:
    return bool(browser.get("/oauth/logout").wsgi_request.user.is_authenticated)


def presenting(key: str) -> Browser:
    """A browser with this cookie and no other."""
    browser = Browser(HTTP_HOST="localhost:9000")
    browser.cookies["gateway_session"] = key
    return browser


@pytest.fixture
def signed_in(browser: Browser, with_workos: Standin) -> Browser:
    assert come_back(browser, begin(browser)).status_code == 302
    return browser


def test_the_row_holds_the_digest_of_the_cookie_and_never_its_value(signed_in: Browser) -> None:
    (row,) = rows()
    assert row["session_key"] == digest(cookie(signed_in))
    assert cookie(signed_in) not in str(row)


def test_what_is_stored_is_no_cookie(signed_in: Browser) -> None:
    assert not is_signed_in(presenting(rows()[0]["session_key"]))
    assert is_signed_in(presenting(cookie(signed_in)))


def test_djangos_own_table_is_not_there(db: None) -> None:
    tables = connection.introspection.table_names()
    assert "oauthgw_browsersession" in tables
    assert "django_session" not in tables


def test_a_session_is_its_users_and_known_by_the_providers(signed_in: Browser) -> None:
    (row,) = rows()
    assert (row["user_id"], row["sid"], row["impersonated"]) == (User.objects.get().pk, "session_01", False)


def test_an_impersonated_session_says_so(browser: Browser, with_workos: Standin) -> None:
    with_workos.answer = lambda: Reply(body=with_workos.signed_in(impersonator={"email": "support@example.com", "reason": "a ticket"}))
    come_back(browser, begin(browser))
    assert [row["impersonated"] for row in rows()] == [True]


def test_a_session_of_nobody_has_no_user(browser: Browser) -> None:
    session = browser.session
    session["seen"] = True
    session.save()
    assert [(row["user_id"], row["sid"]) for row in rows()] == [(None, "")]


def test_signing_in_again_leaves_one_row_under_another_key(signed_in: Browser) -> None:
    first = cookie(signed_in)
    come_back(signed_in, begin(signed_in))
    assert [row["session_key"] for row in rows()] == [digest(cookie(signed_in))]
    assert not is_signed_in(presenting(first))


def test_signing_out_removes_the_row(signed_in: Browser) -> None:
    signed_in.get("/oauth/logout")
    signed_in.post("/oauth/logout", {"csrfmiddlewaretoken": signed_in.cookies["gateway_csrf"].value})
    assert rows() == []


@pytest.mark.parametrize("key", ["k" * 32, "", "short", "\x00" * 32, "ü" * 32])
def test_a_key_that_was_not_made_here_is_no_session_and_never_becomes_one(db: None, key: str) -> None:
    store = SessionStore(key)
    assert dict(store.items()) == {}
    store["planted"] = True
    store.save()
    assert store.session_key != key
    assert [row["session_key"] for row in rows()] == [digest(str(store.session_key))]


def test_a_row_that_is_gone_ends_the_session_with_the_next_request(signed_in: Browser) -> None:
    BrowserSession.objects.all().delete()
    assert not is_signed_in(signed_in)


def test_a_request_under_way_does_not_bring_an_ended_session_back(signed_in: Browser) -> None:
    store = SessionStore(cookie(signed_in))
    assert "sid" in store
    BrowserSession.objects.all().delete()
    store["late"] = True
    with pytest.raises(UpdateError):
        store.save()
    assert rows() == []


class TestItsEnd:
    def test_it_is_so_long_after_the_sign_in(self, signed_in: Browser) -> None:
        (row,) = rows()
        assert abs(row["expire_date"] - row["created_at"] - EIGHT_HOURS) < timedelta(seconds=10)
        assert not is_signed_in(presenting(cookie(self.shortened(signed_in, -1))))

    def test_a_change_in_it_does_not_prolong_it(self, signed_in: Browser) -> None:
        store = SessionStore(cookie(self.shortened(signed_in, 60)))
        ends = rows()[0]["expire_date"]
        store["changed"] = True
        store.save()
        assert rows()[0]["expire_date"] == ends
        assert 0 < store.get_expiry_age() <= 60  # what the cookie is told
        assert SessionStore(cookie(signed_in))["changed"]

    def test_a_new_sign_in_begins_anew(self, signed_in: Browser) -> None:
        self.shortened(signed_in, 60)
        come_back(signed_in, begin(signed_in))
        assert rows()[0]["expire_date"] - timezone.now() > timedelta(hours=7)

    @staticmethod
    def shortened(browser: Browser, seconds: int) -> Browser:
        BrowserSession.objects.update(expire_date=timezone.now() + timedelta(seconds=seconds))
        return browser


def test_the_async_twins_store_and_find_digests_too() -> None:
    async def live() -> list[str]:
        store = SessionStore()
        await store.acreate()
        await store.aset("kept", 1)
        await store.asave()
        keys = [str(store.session_key)]
        assert await store.aexists(keys[0])
        again = SessionStore(keys[0])
        assert await again.aget("kept") == 1
        await again.acycle_key()
        keys.append(str(again.session_key))
        row = await again.acreate_model_instance({})
        assert row.session_key == digest(keys[1])
        return keys

    first, second = async_to_sync(live)()
    assert [row["session_key"] for row in rows()] == [digest(second)] != [digest(first)]
    async_to_sync(SessionStore(second).aflush)()
    assert rows() == []


def test_the_model_leads_back_to_its_engine(signed_in: Browser) -> None:
    row = BrowserSession.objects.get()
    assert row.get_decoded()["sid"] == "session_01"
    assert row.session_key not in str(row)


def test_a_deleted_user_takes_their_sessions_along(signed_in: Browser) -> None:
    User.objects.all().delete()
    assert rows() == []


def test_a_key_that_is_taken_is_not_taken_twice(signed_in: Browser) -> None:
    store = SessionStore(cookie(signed_in))
    with pytest.raises(CreateError):
        store.save(must_create=True)
    assert is_signed_in(signed_in)


@pytest.mark.django_db(transaction=True)
def test_a_session_for_a_user_who_is_gone_is_not_made(db: None) -> None:
    store = SessionStore()
    store["_auth_user_id"] = "4711"
    with pytest.raises(IntegrityError):
        store.save()
    assert rows() == []

"""Signing out: asked first, then done here and at the provider."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser

from oauthgw.journal.models import Event
from tests.unit.identity.conftest import Reply, Standin, begin, come_back

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_workos")]


@pytest.fixture
def signed_in(browser: Browser) -> Browser:
    assert come_back(browser, begin(browser)).status_code == 302
    return browser


def press(browser: Browser) -> Any:
    """The button of the page that asks."""
    assert browser.get("/oauth/logout").status_code == 200
    return browser.post("/oauth/logout", {"csrfmiddlewaretoken": browser.cookies["gateway_csrf"].value})


def is_signed_in(browser: Browser) -> bool:
    return bool(browser.get("/oauth/logout").wsgi_request.user.is_authenticated)


def test_asking_changes_nothing(signed_in: Browser) -> None:
    answer = signed_in.get("/oauth/logout")
    assert b"alice@example.com" in answer.content
    assert is_signed_in(signed_in)


def test_a_post_from_elsewhere_changes_nothing(signed_in: Browser) -> None:
    assert signed_in.post("/oauth/logout").status_code == 403
    assert is_signed_in(signed_in)


def test_pressing_the_button_signs_out_here(signed_in: Browser) -> None:
    press(signed_in)
    assert not is_signed_in(signed_in)
    assert [event.kind for event in Event.objects.order_by("id")] == ["signed_in", "signed_out"]


def test_the_browser_is_sent_on_to_end_the_session_at_the_provider(signed_in: Browser, standin: Standin) -> None:
    answer = press(signed_in)
    assert answer.status_code == 200  # a redirect after a form would be stopped by form-action in Chromium
    target = answer.context["target"]
    assert target.startswith(f"{standin.endpoints.logout}?")
    assert parse_qs(urlsplit(target).query) == {"session_id": ["session_01"], "return_to": ["http://localhost:9000/"]}
    page = answer.content.decode()
    assert f'http-equiv="refresh" content="0;url={target.replace("&", "&amp;")}"' in page


def test_without_a_session_at_the_provider_it_ends_here(browser: Browser, standin: Standin) -> None:
    standin.answer = lambda: Reply(body=standin.signed_in(token=standin.token(sid=None)))
    come_back(browser, begin(browser))
    answer = press(browser)
    assert answer.context["target"] == ""
    assert b"http-equiv" not in answer.content
    assert not is_signed_in(browser)


def test_what_was_begun_before_cannot_be_finished_after(signed_in: Browser) -> None:
    state = begin(signed_in)
    press(signed_in)
    assert come_back(signed_in, state).status_code == 400
    assert not is_signed_in(signed_in)


def test_somebody_not_signed_in_is_told_so(browser: Browser) -> None:
    assert b"signed out" in browser.get("/oauth/logout").content

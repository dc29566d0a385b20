"""One attempt to sign in: whose it is, how long it lives, and where it may lead."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from oauthgw.guard.sealed import b64, digest
from oauthgw.identity import signin
from oauthgw.identity.signin import NotYours, Why
from oauthgw.models import SignIn

HERE = "a" * 43
ELSEWHERE = "b" * 43


def finish(state: str, browser: str = HERE) -> signin.Finished:
    return signin.finish(state, frozenset({digest(browser)}))


def refused(state: str, browser: str = HERE) -> NotYours:
    with pytest.raises(NotYours) as caught:
        finish(state, browser)
    return caught.value


@pytest.mark.django_db
def test_an_attempt_gives_back_its_verifier_and_its_way() -> None:
    begun = signin.begin("/oauth/authorize?client_id=x", HERE)
    done = finish(begun.state)
    assert done.next == "/oauth/authorize?client_id=x"
    assert b64(hashlib.sha256(done.verifier.reveal().encode()).digest()) == begun.challenge
    assert len(done.verifier.reveal()) == 43


@pytest.mark.django_db
def test_it_works_once() -> None:
    begun = signin.begin("/account/", HERE)
    finish(begun.state)
    again = refused(begun.state)
    assert (again.why, again.next) == (Why.USED, "/account/")


@pytest.mark.django_db
def test_another_browser_can_neither_use_it_nor_use_it_up() -> None:
    begun = signin.begin("/account/", HERE)
    stranger = refused(begun.state, ELSEWHERE)
    assert (stranger.why, stranger.next) == (Why.OTHER_BROWSER, "/")
    assert finish(begun.state).next == "/account/"


@pytest.mark.django_db
def test_after_fifteen_minutes_it_has_expired() -> None:
    begun = signin.begin("/account/", HERE)
    SignIn.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(begun.state).why is Why.EXPIRED


@pytest.mark.django_db
def test_it_lives_for_fifteen_minutes() -> None:
    begun = signin.begin("/account/", HERE)
    row = SignIn.objects.get()
    assert timedelta(minutes=14, seconds=55) < row.expires_at - timezone.now() <= timedelta(minutes=15)
    SignIn.objects.update(expires_at=timezone.now() + timedelta(seconds=30))
    assert finish(begun.state).next == "/account/"


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["", "x", "\x00", "\udcff", "s" * 100_000])
def test_an_unknown_state_is_unknown(state: str) -> None:
    signin.begin("/", HERE)
    assert refused(state).why is Why.UNKNOWN


@pytest.mark.django_db
def test_three_tabs_are_three_attempts_that_end_in_any_order() -> None:
    begun = [signin.begin(f"/tab/{number}", HERE) for number in range(3)]
    assert [finish(each.state).next for each in reversed(begun)] == ["/tab/2", "/tab/1", "/tab/0"]


@pytest.mark.django_db
def test_the_row_holds_neither_state_nor_verifier_nor_cookie() -> None:
    begun = signin.begin("/account/", HERE)
    before = SignIn.objects.values().get()
    verifier = finish(begun.state).verifier.reveal()
    after = SignIn.objects.values().get()
    for row in (before, after):
        assert not any(secret in str(row) for secret in (begun.state, verifier, HERE))
    assert before["sealed_verifier"]
    assert after["sealed_verifier"] == ""
    assert begun.state not in repr(begun)


@pytest.mark.django_db(transaction=True)
def test_of_two_answers_at_the_same_moment_one_wins() -> None:
    begun = signin.begin("/account/", HERE)
    all_have_read = threading.Barrier(4, timeout=20)

    def meet_before_writing(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE"):
            all_have_read.wait()
        return execute(sql, *rest)

    def answer(_: int) -> str:
        try:
            with connection.execute_wrapper(meet_before_writing):
                finish(begun.state)
        except NotYours as lost:
            return str(lost.why)
        finally:
            connection.close()
        return "won"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(answer, range(4))) == ["used", "used", "used", "won"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/account/",
        "/oauth/authorize?client_id=https%3A%2F%2Fapp.example.com%2Fclient.json&state=%2F%2Fevil",
        "/oauth/authorize/mcp/demo?redirect_uri=http://127.0.0.1:33418/callback",
        "/oauth/logins",
        "/caf\u00e9",
        # A path never becomes a host (WHATWG URL).
        "/.//evil.example",
        "/a?b=//c",
        "/%2f%2fevil.example",
        pytest.param("/oauth/authorize?state=" + "a" * 15_000, id="a long authorization request"),
    ],
)
def test_a_path_of_this_origin_is_kept(path: str) -> None:
    assert signin.safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "account/",
        "?x",
        "#x",
        "https://evil.example/",
        "https:evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "//evil.example/",
        "//evil.example/?x=/",
        "///evil.example/",
        "//[::1]",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/account\\..\\x",
        "/\t/evil.example/",
        "/\n/evil.example/",
        "\t//evil.example/",
        " //evil.example/",
        "/\x00/evil.example",
        "/\u2028/evil.example",
        "/account/\x00",
        "/account/\x7f",
        "/account/\r\nSet-Cookie: a=b",
        "/account/\u202e",
        "/account/\udcff",
        pytest.param("/account/?x=" + "a" * 16_000, id="longer than a redirect may be"),
        "/oauth/login",
        "/oauth/login/",
        "/oauth/login/?next=/",
        "/oauth/%6cogin?next=/",
        "/oauth/callback?code=x",
        "/oauth/dev-login?next=/",
        "/oauth/dev-login#x",
    ],
)
def test_anything_else_leads_to_the_front_page(path: str) -> None:
    assert signin.safe_next(path) == "/"

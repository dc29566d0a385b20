"""The pages of a sign-in: where they lead, and what they say when it does not work out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.utils import timezone

from oauthgw.guard.conf import WorkOS
from oauthgw.identity import wire
from oauthgw.identity.session_store import SessionStore
from oauthgw.journal.models import Event
from oauthgw.models import BrowserSession, Identity, SignIn
from tests.unit.identity.conftest import ALICE, CALLBACK, Reply, Standin, begin, come_back

Configure = Callable[..., None]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_workos")]


def text(answer: Any) -> str:
    return str(answer.content.decode())


def user_of(browser: Browser) -> str:
    """Who the browser's next request comes from."""
    request = browser.get("/oauth/logout").wsgi_request
    return str(request.user.get_username())


def sign_in(browser: Browser, next_path: str = "/account/") -> Any:
    return come_back(browser, begin(browser, next_path))


def nobody_was_made() -> bool:
    return not User.objects.exists() and not Identity.objects.exists() and not BrowserSession.objects.exists()


def test_login_leads_to_the_provider_with_our_callback(browser: Browser, standin: Standin) -> None:
    answer = browser.get("/oauth/login", {"next": "/account/"})
    assert answer["Location"].startswith(f"{standin.base}/user_management/authorize?")
    assert parse_qs(urlsplit(answer["Location"]).query)["redirect_uri"] == [CALLBACK]
    assert "no-store" in answer["Cache-Control"]


def test_a_sign_in_ends_where_it_was_meant_to(browser: Browser) -> None:
    answer = sign_in(browser, "/oauth/authorize/mcp/demo?state=x%2Fy")
    assert (answer.status_code, answer["Location"]) == (302, "/oauth/authorize/mcp/demo?state=x%2Fy")
    assert user_of(browser) == ALICE["id"]


def test_a_long_authorization_request_survives_the_sign_in(browser: Browser) -> None:
    wanted = "/oauth/authorize?state=" + "s" * 6_000
    assert sign_in(browser, wanted)["Location"] == wanted


def test_another_site_is_never_returned_to(browser: Browser) -> None:
    assert sign_in(browser, "//evil.example/")["Location"] == "/"


def test_the_session_remembers_the_providers(browser: Browser) -> None:
    sign_in(browser)
    assert browser.session["sid"] == "session_01"
    assert "impersonator" not in browser.session


def test_signing_in_changes_the_session_key(browser: Browser) -> None:
    sign_in(browser)
    first = browser.session.session_key
    sign_in(browser)
    assert browser.session.session_key != first
    assert not SessionStore().exists(str(first))


def test_the_same_user_in_another_tab_leaves_open_forms_working(browser: Browser) -> None:
    sign_in(browser)
    browser.get("/oauth/logout")
    form = {"csrfmiddlewaretoken": browser.cookies["gateway_csrf"].value}
    sign_in(browser)
    assert browser.post("/oauth/logout", form).status_code == 200


def test_another_user_in_this_browser_does_not(browser: Browser, standin: Standin) -> None:
    sign_in(browser)
    browser.get("/oauth/logout")
    form = {"csrfmiddlewaretoken": browser.cookies["gateway_csrf"].value}
    standin.answer = lambda: Reply(body=standin.signed_in({"id": "user_02BOB", "email": "bob@example.com"}))
    sign_in(browser)
    assert browser.post("/oauth/logout", form).status_code == 403
    assert user_of(browser) == "user_02BOB"


def test_three_tabs_end_in_any_order(browser: Browser) -> None:
    states = [(begin(browser, f"/tab/{number}"), f"/tab/{number}") for number in range(3)]
    for state, path in reversed(states):
        assert come_back(browser, state)["Location"] == path


def test_three_tabs_that_a_browser_opens_at_once_all_end(new_browser: Callable[[], Browser]) -> None:
    browser = new_browser()
    cookies, states = [], []
    for _ in range(3):  # none has seen another's answer yet
        tab = new_browser()
        states.append(begin(tab))
        cookies.append(tab.cookies)
    for jar in cookies:
        browser.cookies.update(jar)
    assert [come_back(browser, state).status_code for state in states] == [302, 302, 302]


def test_a_tab_that_begins_between_two_others_ends_too(new_browser: Callable[[], Browser]) -> None:
    """It has seen the first one's cookie, and the third, which has not, replaces that."""
    browser, third = new_browser(), new_browser()
    begin(browser)
    state = begin(browser)
    begin(third)
    browser.cookies.update(third.cookies)
    assert come_back(browser, state).status_code == 302


def test_tabs_that_sign_in_at_once_have_one_csrf_token(new_browser: Callable[[], Browser]) -> None:
    """Each comes back before it has seen another's cookies; whichever answer is the last, the forms of all work."""
    tabs = [new_browser() for _ in range(3)]
    for tab in tabs:
        sign_in(tab)
        tab.get("/oauth/logout")
    assert len({tab.cookies["gateway_browser"].value for tab in tabs}) == 3
    assert len({tab.cookies["gateway_csrf"].value for tab in tabs}) == 1


def test_another_browser_cannot_finish_it(browser: Browser, new_browser: Callable[[], Browser]) -> None:
    state = begin(browser)
    stranger = new_browser()
    begin(stranger)
    answer = come_back(stranger, state)
    assert answer.status_code == 400
    assert "another browser" in text(answer)
    assert nobody_was_made()
    assert come_back(browser, state).status_code == 302


def test_an_answer_works_once(browser: Browser, standin: Standin) -> None:
    state = begin(browser)
    come_back(browser, state)
    again = come_back(browser, state)
    assert again.status_code == 400
    assert "already signed in" in text(again)
    assert 'href="/account/"' in text(again)
    assert len(standin.received) == 1


def test_an_old_answer_offers_another_try(browser: Browser) -> None:
    state = begin(browser)
    SignIn.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = come_back(browser, state)
    assert answer.status_code == 400
    assert 'href="/oauth/login?next=%2Faccount%2F"' in text(answer)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="nothing"),
        pytest.param("code=c", id="no state"),
        pytest.param("state=STATE", id="neither code nor error"),
        pytest.param("state=STATE&code=c&code=c", id="code twice"),
        pytest.param("state=STATE&state=STATE&code=c", id="state twice"),
        pytest.param("state=STATE&code=c&error=access_denied", id="code and error"),
        pytest.param("state=STATE&code=", id="empty code"),
        pytest.param("state=STATE&code=%00", id="NUL"),
        pytest.param("state=STATE&code=%ff%fe", id="not UTF-8"),
        pytest.param("state=STATE&code=" + "c" * 3_000, id="a code far too long"),
        pytest.param("state=STATE&code=" + "c" * 20_000, id="a parameter far too long"),
        pytest.param("state=%00&code=c", id="NUL in the state"),
        pytest.param("state=STATEx&code=c", id="another state"),
        pytest.param("error=access_denied&error_description=Call+0900-1234", id="an error without state"),
        pytest.param("&".join(f"p{number}=1" for number in range(300)), id="hundreds of parameters"),
    ],
)
def test_a_malformed_answer_is_a_page(browser: Browser, standin: Standin, query: str) -> None:
    state = begin(browser)
    answer = browser.get("/oauth/callback?" + query.replace("STATE", state))
    assert answer.status_code == 400
    assert standin.received == []
    assert "0900-1234" not in text(answer)
    assert come_back(browser, state).status_code == 302  # nothing was used up


@pytest.mark.parametrize("query", ["next=%00", "next=%ff", "next=/a&next=/b", "next=" + "a" * 20_000])
def test_a_malformed_login_is_a_page(browser: Browser, query: str) -> None:
    assert browser.get(f"/oauth/login?{query}").status_code == 400
    assert not SignIn.objects.exists()


@pytest.mark.parametrize("method", ["post", "head", "put", "delete"])
def test_only_get_begins_and_ends_a_sign_in(browser: Browser, method: str) -> None:
    browser.handler.enforce_csrf_checks = False
    assert getattr(browser, method)("/oauth/login").status_code == 405
    assert getattr(browser, method)("/oauth/callback").status_code == 405


def test_an_error_of_the_provider_is_explained_with_another_try(browser: Browser, standin: Standin) -> None:
    answer = come_back(browser, begin(browser), error="access_denied", error_description="The user <b>said</b> no\u202e.")
    assert answer.status_code == 400
    assert "cancelled" in text(answer)
    assert "The user &lt;b&gt;said&lt;/b&gt; no." in text(answer)
    assert 'href="/oauth/login?next=%2Faccount%2F"' in text(answer)
    assert standin.received == []


@pytest.mark.parametrize(
    ("reply", "status", "says"),
    [
        pytest.param(Reply(500), 503, "problem at the moment", id="500"),
        pytest.param(Reply(502, b"<html>"), 503, "problem at the moment", id="502 in HTML"),
        pytest.param(Reply(429, {}, {"Retry-After": "7"}), 503, "too many sign-ins", id="429"),
        pytest.param(Reply(200, b"<html>"), 503, "could not be read", id="no JSON"),
        pytest.param(Reply(400, {"code": "invalid_code", "message": "x"}), 502, "already used", id="code refused"),
        pytest.param(Reply(400, {"error": "invalid_client"}), 502, "WORKOS_CLIENT_SECRET", id="invalid_client"),
        pytest.param(Reply(400, {"error": "invalid_redirect_uri"}), 502, "/oauth/callback", id="Invalid redirect URI"),
        pytest.param(Reply(403, {"code": "email_verification_required"}), 502, "has to be verified", id="403 state"),
    ],
)
def test_a_provider_that_fails_is_a_page_with_another_try(browser: Browser, standin: Standin, reply: Reply, status: int, says: str) -> None:
    good = standin.answer
    standin.answer = lambda: reply
    answer = sign_in(browser)
    assert answer.status_code == status
    assert says in text(answer)
    assert 'href="/oauth/login?next=%2Faccount%2F"' in text(answer)
    assert answer.get("Retry-After") == reply.headers.get("Retry-After")
    assert nobody_was_made()
    standin.answer = good
    assert sign_in(browser).status_code == 302


def test_a_key_set_of_another_environment_is_named(browser: Browser, standin: Standin) -> None:
    standin.answer_keys = lambda: Reply(404, {"message": "Not found"})
    answer = sign_in(browser)
    assert answer.status_code == 502
    assert "same WorkOS environment" in text(answer)
    assert nobody_was_made()


def test_a_silent_provider_is_a_page(browser: Browser, standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", 0.2)
    standin.silent.set()
    answer = sign_in(browser)
    assert answer.status_code == 503
    assert "in time" in text(answer)
    assert nobody_was_made()


def test_a_forged_answer_signs_nobody_in(browser: Browser, standin: Standin) -> None:
    standin.answer = lambda: Reply(body=standin.signed_in(token=standin.token(iss="https://evil.example")))
    answer = sign_in(browser)
    assert answer.status_code == 502
    assert nobody_was_made()
    assert [event.kind for event in Event.objects.all()] == ["sign_in_refused"]


def test_somebody_who_is_not_allowed_gets_a_page_and_no_row(browser: Browser, configure: Configure) -> None:
    configure(sign_in_allow=("@elsewhere.example",))
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert "alice@example.com" in text(answer)
    assert nobody_was_made()
    configure(sign_in_allow=("@example.com",))
    assert sign_in(browser).status_code == 302


def test_a_user_who_is_switched_off_gets_a_page_and_no_session(browser: Browser) -> None:
    User.objects.create_user("placeholder")
    sign_in(browser)
    User.objects.filter(username=ALICE["id"]).update(is_active=False)
    BrowserSession.objects.all().delete()
    answer = sign_in(browser)
    assert answer.status_code == 403
    assert "switched off" in text(answer)
    assert not BrowserSession.objects.exists()


def test_admins_are_judged_at_each_sign_in(browser: Browser, configure: Configure) -> None:
    configure(admins=("alice@example.com",))
    sign_in(browser)
    assert browser.get("/admin/").status_code == 200
    configure(admins=())
    sign_in(browser)
    assert browser.get("/admin/").status_code == 302


def test_an_impersonated_session_is_marked_and_never_admin(
    browser: Browser, new_browser: Callable[[], Browser], standin: Standin, configure: Configure
) -> None:
    configure(admins=("alice@example.com",))
    own = new_browser()
    sign_in(own)
    standin.answer = lambda: Reply(body=standin.signed_in(impersonator={"email": "support@example.com", "reason": "ticket"}))
    sign_in(browser)
    assert browser.session["impersonator"] == "support@example.com"
    assert user_of(browser) == ALICE["id"]
    assert "support@example.com" in text(browser.get("/oauth/logout"))
    assert browser.get("/admin/").status_code == 302
    assert own.get("/admin/").status_code == 200  # what the person's own session may do is not changed


def test_an_impersonators_forms_are_worth_nothing_in_the_persons_own_session(
    browser: Browser, new_browser: Callable[[], Browser], standin: Standin
) -> None:
    own = new_browser()
    sign_in(own)
    standin.answer = lambda: Reply(body=standin.signed_in(impersonator={"email": "support@example.com"}))
    sign_in(browser)
    for session in (own, browser):
        session.get("/oauth/logout")
    assert own.cookies["gateway_csrf"].value != browser.cookies["gateway_csrf"].value


def test_signing_in_as_oneself_ends_the_impersonation(browser: Browser, standin: Standin) -> None:
    good = standin.answer
    standin.answer = lambda: Reply(body=standin.signed_in(impersonator={"email": "support@example.com"}))
    sign_in(browser)
    standin.answer = good
    sign_in(browser)
    assert "impersonator" not in browser.session


def test_a_laptop_moves_to_the_name_whose_callback_is_registered(db: None) -> None:
    answer = Browser(HTTP_HOST="127.0.0.1:9000").get("/oauth/login?next=/account/")
    assert answer["Location"].startswith("http://localhost:9000/oauth/login?next=%2Faccount%2F")
    assert not SignIn.objects.exists()


def test_with_an_origin_nothing_moves_and_the_callback_is_its_own(configure: Configure, settings: Any) -> None:
    configure(origin="https://mcp.example.com")
    settings.ALLOWED_HOSTS = ["mcp.example.com"]
    answer = Browser(HTTP_HOST="mcp.example.com").get("/oauth/login")
    assert parse_qs(urlsplit(answer["Location"]).query)["redirect_uri"] == ["https://mcp.example.com/oauth/callback"]
    assert answer.cookies["__Host-browser"]["secure"]


def test_without_a_provider_a_page_says_what_to_set(browser: Browser, configure: Configure) -> None:
    configure(workos=WorkOS(), debug=False)
    for path in ("/oauth/login", "/oauth/callback?code=c&state=s"):
        answer = browser.get(path)
        assert answer.status_code == 503
        assert "WORKOS_CLIENT_ID" in text(answer)


def test_logs_and_journal_show_no_credential(browser: Browser, standin: Standin, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    given = standin.signed_in(refresh_token="canary-refresh-token")
    standin.answer = lambda: Reply(body=given)
    state = begin(browser)
    come_back(browser, state)
    standin.answer = lambda: Reply(400, {"code": "invalid_code", "message": "code-1"})
    come_back(browser, begin(browser))
    verifier = standin.received[0]["code_verifier"]
    told = caplog.text + "".join(event.reason for event in Event.objects.all())
    assert told
    cookies = [browser.cookies[name].value for name in ("gateway_browser", "gateway_session")]
    for secret in (
        state,
        verifier,
        "code-1",
        standin.received[0]["client_secret"],
        given["access_token"],
        given["refresh_token"],
        *cookies,
    ):
        assert secret not in told

"""Browser sessions and cookies under attack: fixation, tossing, theft from the database, forged forms (RFC 6265 §8, RFC 6265bis §4.1.3)."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.models import BrowserSession, Consent, Grant
from tests.unit.conftest import HOST, Party, Person, signed_value
from tests.unit.identity.conftest import Standin, begin, come_back

SESSION = settings.SESSION_COOKIE_NAME


def test_what_is_stored_signs_nobody_in(alice: Person, db: None) -> None:
    """CWE-312: a reader of the database must not be able to be anybody."""
    stored = BrowserSession.objects.get().session_key
    thief = Browser(HTTP_HOST=HOST)
    thief.cookies[SESSION] = stored
    assert thief.get("/account/").status_code == 303
    assert alice.browser.get("/account/").status_code == 200


def test_a_session_planted_before_is_not_the_one_after(with_workos: Standin, db: None) -> None:
    """Session fixation (OWASP ASVS 4.0, V3.2.1; CWE-384)."""
    victim = Browser(HTTP_HOST=HOST)
    victim.cookies[SESSION] = "planted" * 5
    come_back(victim, begin(victim))
    assert victim.cookies[SESSION].value != "planted" * 5
    thief = Browser(HTTP_HOST=HOST)
    thief.cookies[SESSION] = "planted" * 5
    assert thief.get("/account/").status_code == 303


def test_signing_in_changes_the_key_each_time(with_workos: Standin, db: None) -> None:
    """OWASP ASVS 4.0, V3.2.1."""
    browser = Browser(HTTP_HOST=HOST)
    keys = set()
    for _ in range(3):
        come_back(browser, begin(browser))
        keys.add(browser.cookies[SESSION].value)
    assert len(keys) == 3


def test_signing_out_ends_the_session_on_the_server(alice: Person) -> None:
    """OWASP ASVS 4.0, V3.3.1: a copied cookie is worth nothing afterwards."""
    copied = alice.browser.cookies[SESSION].value
    alice.browser.post("/oauth/logout")
    thief = Browser(HTTP_HOST=HOST)
    thief.cookies[SESSION] = copied
    assert thief.get("/account/").status_code == 303


@pytest.mark.parametrize("path", ["/oauth/authorize", "/account/", "/oauth/logout"])
def test_a_form_of_another_site_does_nothing(alice: Person, demo: McpRoute, editor: Party, path: str) -> None:
    """CSRF (RFC 9700 §4.7; CWE-352): each form has a token of its own, and a POST without it is a page."""
    editor.redeem(alice.code(editor.client))
    value = signed_value(alice.open(editor.client))
    strict = Browser(HTTP_HOST=HOST, enforce_csrf_checks=True)
    strict.cookies = alice.browser.cookies
    forms: dict[str, dict[str, str]] = {
        "/oauth/authorize": {"consent": value, "decision": "approve"},
        "/account/": {"action": "revoke_all"},
        "/oauth/logout": {},
    }
    answer = strict.post(path, forms[path], headers={"Origin": "https://evil.example", "Referer": "https://evil.example/"})
    assert answer.status_code == 403
    assert Grant.objects.get().revoked_at is None and Consent.objects.count() <= 1
    assert alice.browser.get("/account/").status_code == 200


def test_a_csrf_token_of_another_user_is_none(alice: Person, bob: Person, demo: McpRoute, editor: Party) -> None:
    """Login CSRF and cookie tossing (CWE-352): a planted CSRF cookie is of no use without the session it belongs to."""
    value = signed_value(bob.open(editor.client))
    assert alice.browser.post("/oauth/authorize", {"consent": value, "decision": "approve"}).status_code == 400
    assert not Grant.objects.exists() and not Consent.objects.exists()


@pytest.mark.parametrize("junk", ["", "x", "A" * 4000, "..", "null", "1", "%00", "é", '"quoted"'])
def test_a_cookie_that_is_none_is_a_visitor(db: None, junk: str) -> None:
    """RFC 6265 §8.6: nothing says who set a cookie."""
    browser = Browser(HTTP_HOST=HOST)
    browser.cookies[SESSION] = junk
    answer = browser.get("/account/")
    assert answer.status_code == 303 and answer["Location"].startswith("/oauth/login")


def test_no_cookie_can_be_read_by_a_script_or_travels_with_a_foreign_post(with_workos: Standin, db: None) -> None:
    """RFC 6265bis §5.6.7: HttpOnly and SameSite=Lax on each, because a provider's redirect comes from another site."""
    browser = Browser(HTTP_HOST=HOST)
    come_back(browser, begin(browser))
    browser.get("/account/")
    assert len(browser.cookies) >= 2
    for cookie in browser.cookies.values():
        assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/" and not cookie["domain"], cookie.key


def test_pages_of_a_person_are_kept_by_nobody(alice: Person, demo: McpRoute, editor: Party) -> None:
    """Cache deception (CWE-524): also under an address that looks like a file's."""
    for path in ("/account/", "/account/x.css", "/account/%2e%2e/static/gateway.css", "/oauth/logout"):
        answer = alice.browser.get(path)
        assert answer.status_code in (303, 404) or "no-store" in answer["Cache-Control"], path
        assert "alice@example.com" not in answer.content.decode() or answer.status_code == 200
        if answer.status_code == 200:
            assert "public" not in answer["Cache-Control"]


def test_an_impersonated_session_never_becomes_the_persons_own(with_workos: Standin, db: None) -> None:
    """The contract's rule of impersonation: the mark is the session's and goes with no other sign-in."""
    browser = Browser(HTTP_HOST=HOST)

    def answered(**more: Any) -> Any:
        from tests.unit.identity.conftest import Reply

        return lambda: Reply(body=with_workos.signed_in(**more))

    with_workos.answer = answered(impersonator={"email": "support@example.com", "reason": "help"})
    come_back(browser, begin(browser))
    assert "support@example.com" in browser.get("/account/").content.decode()
    with_workos.answer = answered()
    come_back(browser, begin(browser))
    assert "support@example.com" not in browser.get("/account/").content.decode()

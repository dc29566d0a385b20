"""Signing in and out through the WorkOS emulator, redirect by redirect, as a browser goes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client as Browser

from oauthgw.guard.conf import WorkOS
from oauthgw.guard.secret import Secret
from oauthgw.models import Identity
from tests.support.emulator import emulate

HOST = "localhost:9000"
CALLBACK = f"http://{HOST}/oauth/callback"
PEOPLE = [
    {"email": "alice@example.com", "first_name": "Alice", "last_name": "Ng", "email_verified": True},
    {"email": "bob@example.com", "first_name": "Bob", "email_verified": False},
    {"email": "carol@example.com", "email_verified": True, "impersonator": {"email": "support@example.com", "reason": "ticket"}},
]

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def workos_base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator, started for this file; its base URL (which is also the issuer of its tokens)."""
    with emulate(tmp_path_factory.mktemp("workos"), PEOPLE) as emulator:
        yield emulator.url


@pytest.fixture
def configure(settings: Any, workos_base: str) -> Callable[..., None]:
    def change(**changed: Any) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, **changed)

    change(
        workos=WorkOS("client_emulate", Secret("sk_test_default"), workos_base), sign_in_allow=("*",), admins=(), origin=f"http://{HOST}"
    )
    return change


@pytest.fixture
def browser(configure: Callable[..., None]) -> Browser:
    return Browser(HTTP_HOST=HOST)


def at_the_provider(answer: Any) -> str:
    """Follows a redirect to the emulator; where it sends the browser back to."""
    assert answer.status_code == 302
    there = requests.get(answer["Location"], allow_redirects=False, timeout=10)
    assert there.status_code == 302, there.text
    return urljoin(str(answer["Location"]), there.headers["Location"])


def sign_in(browser: Browser, email: str = "alice@example.com", next_path: str = "/account/") -> Any:
    back = at_the_provider(browser.get("/oauth/login", {"next": next_path, "login_hint": email}))
    assert back.startswith(f"{CALLBACK}?")
    return browser.get(back.removeprefix(f"http://{HOST}"))


def test_a_person_signs_in_and_is_remembered(browser: Browser) -> None:
    answer = sign_in(browser, next_path="/oauth/authorize/mcp/demo?state=1")
    assert (answer.status_code, answer["Location"]) == (302, "/oauth/authorize/mcp/demo?state=1")
    user = User.objects.get()
    assert (user.email, user.first_name, user.last_name) == ("alice@example.com", "Alice", "Ng")
    identity = Identity.objects.get(user=user)
    assert identity.subject == user.username
    assert identity.subject.startswith("user_")
    assert browser.session["sid"].startswith("session_")


def test_the_same_person_is_the_same_user_in_another_browser(browser: Browser) -> None:
    sign_in(browser)
    sign_in(Browser(HTTP_HOST=HOST))
    assert User.objects.count() == 1


def test_three_tabs_sign_in_in_any_order(browser: Browser) -> None:
    backs = [at_the_provider(browser.get("/oauth/login", {"next": f"/tab/{number}"})) for number in range(3)]
    answers = [browser.get(back.removeprefix(f"http://{HOST}")) for back in reversed(backs)]
    assert [answer["Location"] for answer in answers] == ["/tab/2", "/tab/1", "/tab/0"]


def test_a_code_brought_by_another_browser_signs_nobody_in(browser: Browser) -> None:
    back = at_the_provider(browser.get("/oauth/login")).removeprefix(f"http://{HOST}")
    assert Browser(HTTP_HOST=HOST).get(back).status_code == 400
    assert not User.objects.exists()
    assert browser.get(back).status_code == 302


def test_only_the_browsers_own_verifier_redeems_the_code(browser: Browser) -> None:
    """Someone else's code, injected into one's own attempt, fails at the provider (RFC 9700 §4.5: PKCE)."""
    other = Browser(HTTP_HOST=HOST)
    stolen = at_the_provider(other.get("/oauth/login")).partition("code=")[2].partition("&")[0]
    own = at_the_provider(browser.get("/oauth/login"))
    state = own.partition("state=")[2].partition("&")[0]
    assert browser.get("/oauth/callback", {"code": stolen, "state": state}).status_code == 502
    assert not User.objects.exists()


def test_somebody_the_provider_does_not_know_is_told(browser: Browser) -> None:
    answer = sign_in(browser, "nobody@example.com")
    assert answer.status_code == 400
    assert "knows nobody with this e-mail address" in answer.content.decode()


def test_only_a_verified_address_counts_for_its_domain(browser: Browser, configure: Callable[..., None]) -> None:
    configure(sign_in_allow=("@example.com",))
    assert sign_in(browser, "bob@example.com").status_code == 403
    assert not User.objects.exists()
    assert sign_in(browser, "alice@example.com").status_code == 302


def test_an_admin_opens_the_admin_pages_and_others_do_not(browser: Browser, configure: Callable[..., None]) -> None:
    configure(admins=("alice@example.com", "bob@example.com"))
    sign_in(browser, "alice@example.com")
    assert browser.get("/admin/").status_code == 200
    sign_in(browser, "bob@example.com")  # not verified
    assert browser.get("/admin/").status_code == 302


def test_an_impersonated_session_is_no_admin(browser: Browser, configure: Callable[..., None]) -> None:
    configure(admins=("carol@example.com",))
    sign_in(browser, "carol@example.com")
    assert browser.session["impersonator"] == "support@example.com"
    assert browser.get("/admin/").status_code == 302


def test_signing_out_ends_both_sessions_and_comes_back(browser: Browser) -> None:
    sign_in(browser)
    page = browser.post("/oauth/logout")
    there = requests.get(page.context["target"], allow_redirects=False, timeout=10)
    assert (there.status_code, there.headers["Location"]) == (302, f"http://{HOST}/")
    assert "_auth_user_id" not in browser.session

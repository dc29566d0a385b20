"""Demo users: there on a laptop, and nowhere else."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.test import RequestFactory

from oauthgw.guard.conf import WorkOS
from oauthgw.identity import dev
from oauthgw.models import Identity
from tests.unit.identity.conftest import HOST

Configure = Callable[..., None]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("without_workos")]


def choose(browser: Browser, key: str, next_path: str = "/account/") -> Any:
    assert browser.get("/oauth/dev-login", {"next": next_path}).status_code == 200
    token = browser.cookies["gateway_csrf"].value
    return browser.post("/oauth/dev-login", {"user": key, "next": next_path, "csrfmiddlewaretoken": token})


def test_login_leads_there_and_keeps_the_way(browser: Browser) -> None:
    assert browser.get("/oauth/login", {"next": "/account/?a=b"})["Location"] == "/oauth/dev-login?next=%2Faccount%2F%3Fa%3Db"


def test_the_page_offers_three_people(browser: Browser) -> None:
    page = browser.get("/oauth/dev-login").content.decode()
    for name in ("Demo Admin", "Demo User", "Second User"):
        assert name in page


@pytest.mark.parametrize(("key", "admin"), [("admin", True), ("user", False), ("second", False)])
def test_a_chosen_one_is_signed_in(browser: Browser, key: str, admin: bool) -> None:
    answer = choose(browser, key)
    assert (answer.status_code, answer["Location"]) == (303, "/account/")
    user = User.objects.get()
    assert (user.is_staff, user.is_superuser, user.has_usable_password()) == (admin, admin, False)
    assert Identity.objects.get().provider == "dev"
    assert browser.get("/admin/").status_code == (200 if admin else 302)


def test_choosing_twice_makes_one_user(browser: Browser) -> None:
    choose(browser, "user")
    choose(browser, "user")
    assert User.objects.count() == 1


@pytest.mark.parametrize("key", ["", "nobody", "\x00"])
def test_anybody_else_is_not_there(browser: Browser, key: str) -> None:
    assert choose(browser, key).status_code == 400
    assert not User.objects.exists()


def test_a_form_of_another_site_is_refused(browser: Browser) -> None:
    browser.get("/oauth/dev-login")
    assert browser.post("/oauth/dev-login", {"user": "admin"}).status_code == 403
    assert not User.objects.exists()


def test_another_site_is_never_returned_to(browser: Browser) -> None:
    assert choose(browser, "user", "//evil.example/")["Location"] == "/"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"debug": False}, id="DEBUG is off"),
        pytest.param({"workos": WorkOS(client_id="client_1")}, id="WorkOS is configured"),
        pytest.param({"origin": "https://mcp.example.com"}, id="a public origin"),
    ],
)
def test_with_other_settings_there_is_nothing(browser: Browser, configure: Configure, changed: dict[str, Any]) -> None:
    configure(**changed)
    for answer in (browser.get("/oauth/dev-login"), Browser(HTTP_HOST=HOST).post("/oauth/dev-login", {"user": "admin"})):
        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/json"
    assert not User.objects.exists()


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000", "localhost"])
def test_each_loopback_host_is_served(host: str) -> None:
    assert Browser(HTTP_HOST=host).get("/oauth/dev-login").status_code == 200


def test_a_loopback_origin_is_served(browser: Browser, configure: Configure) -> None:
    configure(origin="http://localhost:9000")
    assert browser.get("/oauth/dev-login").status_code == 200


@pytest.mark.parametrize("host", ["gateway.example.com", "192.0.2.1", "localhost.evil.example", "127.0.0.1.nip.example"])
def test_another_host_is_not(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert Browser(HTTP_HOST=host).get("/oauth/dev-login").status_code == 404


@pytest.mark.parametrize("peer", ["192.0.2.7", "10.0.0.1", "::ffff:192.0.2.7", "", "unix"])
def test_another_peer_is_not(peer: str) -> None:
    assert Browser(HTTP_HOST=HOST, REMOTE_ADDR=peer).get("/oauth/dev-login").status_code == 404


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
def test_a_loopback_peer_is(peer: str) -> None:
    assert Browser(HTTP_HOST=HOST, REMOTE_ADDR=peer).get("/oauth/dev-login").status_code == 200


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Anything", "Via"])
def test_a_request_that_passed_a_proxy_is_not(header: str) -> None:
    assert Browser(HTTP_HOST=HOST).get("/oauth/dev-login", headers={header: "127.0.0.1"}).status_code == 404


def test_an_unrelated_header_is_fine() -> None:
    assert Browser(HTTP_HOST=HOST).get("/oauth/dev-login", headers={"X-Requested-With": "x"}).status_code == 200


@pytest.mark.parametrize(("peer", "permitted"), [("127.0.0.1", True), ("192.0.2.7", False), ("", False)])
def test_the_connections_own_peer_counts_not_what_proxies_told(peer: str, permitted: bool) -> None:
    request = RequestFactory().get("/oauth/dev-login", HTTP_HOST=HOST, REMOTE_ADDR="127.0.0.1")
    request.scope = {"gateway.peer": peer}  # type: ignore[attr-defined]
    assert dev.permitted(request) is permitted


def test_a_demo_session_ends_with_the_laptop(browser: Browser, configure: Configure) -> None:
    choose(browser, "admin")
    assert browser.get("/admin/").status_code == 200
    configure(workos=WorkOS(client_id="client_1"))
    assert browser.get("/admin/").status_code == 302

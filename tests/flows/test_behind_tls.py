"""Behind a TLS-terminating proxy: one public origin, whatever arrives inside. Beside it, what a laptop without TLS does otherwise."""

from collections.abc import Callable, Iterator
from http.cookiejar import Cookie, CookieJar
from pathlib import Path

import pytest
import requests

from tests.flows.conftest import House
from tests.flows.visitor import Visitor
from tests.support import databases, tls
from tests.support.emulator import Emulator
from tests.support.gateway import Gateway, serve
from tests.support.processes import free_port


@pytest.fixture(scope="module")
def pem(workshop: Path) -> Path:
    return tls.certificate(workshop)


@pytest.fixture(scope="module")
def public(workshop: Path, migrated_database: str, emulator: Emulator, pem: Path) -> Iterator[Gateway]:
    """A gateway whose origin is the proxy's."""
    outside = free_port()
    with databases.fresh(workshop, migrated_database) as url:
        settings = {**emulator.settings, "GATEWAY_ORIGIN": f"https://localhost:{outside}"}
        with serve(workshop, url, "gunicorn", **settings) as gateway, tls.terminator(outside, gateway.port, pem):
            yield gateway


@pytest.fixture
def visitor(public: Gateway, pem: Path) -> Visitor:
    person = Visitor()
    person.session.trust_env = False  # an environment's certificates would win over this one
    person.session.verify = str(pem)
    person.sign_in(public.url, "alice@example.com")
    return person


def test_sign_in_consent_and_token_work_and_everything_speaks_of_the_public_origin(public: Gateway, visitor: Visitor, pem: Path) -> None:
    house = House(public, verify=str(pem))
    asked = house.ask("demo", visitor)
    assert asked.parameters["iss"] == f"{public.url}/mcp/demo"
    answer = requests.post(f"{public.url}/oauth/token", data=asked.form(), timeout=10, verify=str(pem))
    assert house.call("demo", answer.json()["access_token"]).status_code == 200


def cookies_of(visitor: Visitor) -> list[Cookie]:
    return list(CookieJar.__iter__(visitor.session.cookies))


def test_its_cookies_are_tied_to_host_and_tls(visitor: Visitor) -> None:
    cookies = cookies_of(visitor)
    assert {cookie.name for cookie in cookies} >= {"__Host-session", "__Host-browser"}
    for cookie in cookies:
        assert cookie.name.startswith("__Host-") and cookie.secure and cookie.path == "/" and not cookie.domain_specified
        assert cookie.has_nonstandard_attr("HttpOnly")


def test_browsers_are_told_to_stay_with_tls(public: Gateway, visitor: Visitor) -> None:
    page = visitor.session.get(f"{public.url}/", timeout=10)
    assert "max-age=31536000" in page.headers["Strict-Transport-Security"]


def test_over_plain_http_no_cookie_asks_for_tls_and_no_browser_is_told_to_stay_with_it(start_gateway: Callable[..., Gateway]) -> None:
    """A `Secure` cookie would not come back over http (RFC 6265 §4.1.2.5), and HSTS would lock a laptop's other servers out."""
    laptop = House(start_gateway())
    visitor = laptop.visitor()
    cookies = cookies_of(visitor)
    assert {cookie.name for cookie in cookies} >= {"gateway_session", "gateway_browser"}
    for cookie in cookies:
        assert not cookie.name.startswith("__") and not cookie.secure and not cookie.domain_specified
        assert cookie.has_nonstandard_attr("HttpOnly")
    for path in ("/", "/healthz", "/mcp/demo", "/.well-known/oauth-authorization-server", "/admin/login/"):
        assert "Strict-Transport-Security" not in visitor.session.get(f"{laptop.url}{path}", timeout=10).headers, path


def test_no_header_of_a_request_changes_the_origin(public: Gateway, visitor: Visitor) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example;proto=http"}
    answer = visitor.session.get(f"{public.url}/.well-known/oauth-authorization-server/mcp/demo", headers=forged, timeout=10)
    assert answer.json()["issuer"] == f"{public.url}/mcp/demo"
    assert "evil.example" not in answer.text


def test_another_host_is_refused(public: Gateway, visitor: Visitor) -> None:
    for path in ("/", "/mcp/demo", "/.well-known/oauth-authorization-server", "/oauth/token"):
        answer = visitor.session.get(f"{public.url}{path}", headers={"Host": "evil.example"}, timeout=10)
        assert answer.status_code == 400, path
    assert visitor.session.get(f"{public.url}/healthz", headers={"Host": "10.0.0.7"}, timeout=10).status_code == 200


PAGES = ("/", "/oauth/authorize", "/oauth/logout", "/account/", "/admin/login/", "/no-such-page", "/oauth/callback")
MACHINES = (
    "/healthz",
    "/readyz",
    "/mcp/demo",
    "/mcp/nothing",
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource/mcp/demo",
    "/oauth/token",
    "/oauth/nothing",
    "/webhooks/workos",
    "/static/gateway.css",
    "/static/nothing.css",
)


@pytest.mark.parametrize("path", PAGES + MACHINES)
def test_every_answer_says_how_browsers_have_to_take_it(public: Gateway, visitor: Visitor, path: str) -> None:
    """RFC 6797; OWASP ASVS 4.0, V14.4: what a browser may guess, send on, embed and run is said with each answer."""
    answer = visitor.session.get(f"{public.url}{path}", timeout=10, allow_redirects=False)
    assert answer.status_code < 500
    assert answer.headers.get("Strict-Transport-Security") == "max-age=31536000", "also where no page is"
    assert answer.headers.get("X-Content-Type-Options") == "nosniff"
    assert "Server" not in answer.headers and "X-Powered-By" not in answer.headers
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'" and policy["form-action"] == "'self'"
        assert not [value for value in policy.values() if "unsafe" in value or "*" in value]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    if answer.status_code >= 400:
        assert "no-store" in answer.headers.get("Cache-Control", ""), "no error is kept"

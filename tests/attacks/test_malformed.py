"""Malformed input gets an answer for its sender, never a 500 and never a 503."""

import asyncio
import sys
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser
from django.test import RequestFactory
from django.views.debug import technical_500_response

from mcp_routes.models import McpRoute
from tests.support.asgi import Exchange
from tests.unit.conftest import CHALLENGE, LOOPBACK, ORIGIN, VERIFIER, Party, Person
from tests.unit.posting import FORM, basic, post

WEB = "https://app.example.com/cb"


@pytest.mark.parametrize("damaged", ["state=%zz", "state=%f&x=1", "%zz=1", "scope=%u0041", "x=100%&y=1"])
@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/authorize/mcp/demo", "/authorize"])
def test_invalid_percent_encoding_at_the_authorization_endpoint_is_a_page(
    demo: McpRoute, alice: Person, editor: Party, path: str, damaged: str
) -> None:
    """RFC 3986 §2.1: two hexadecimal digits follow a percent sign."""
    good = urlencode(
        {
            "response_type": "code",
            "client_id": editor.client.client_id,
            "redirect_uri": LOOPBACK,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
    )
    assert alice.browser.get(f"{path}?{good}").status_code == 200
    answer = alice.browser.get(f"{path}?{good}&{damaged}")
    assert (answer.status_code, "not properly percent-encoded" in answer.content.decode()) == (400, True)


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_a_parameter_called_encoding_does_not_choose_the_codec_of_the_basic_header(http: Browser, website: Party, path: str) -> None:
    """RFC 6749 §3.2: unrecognised parameters are ignored, also one that a library would look at."""
    form = {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
    header = basic(f"{website.client.client_id}:{website.secret}")
    expected = post(http, form, path, Authorization=header).status_code
    for codec in ("rot13", "no such codec", "utf-16"):
        assert post(http, {**form, "encoding": codec}, path, Authorization=header).status_code == expected


@pytest.mark.parametrize(
    "name", ["refresh_token_instance", "code_row", "user", "client", "scopes", "extra_credentials", "expires_in", "headers", "decoded_body"]
)
def test_a_parameter_named_like_our_own_state_does_not_become_it(demo: McpRoute, alice: Person, editor: Party, name: str) -> None:
    """RFC 6749 §3.2: unrecognised parameters are ignored, also where a library keeps each as an attribute of its request."""
    answer = editor.redeem(alice.code(editor.client), **{name: "1"})
    assert answer.status_code == 200
    assert editor.refresh(answer.json()["refresh_token"], **{name: "1"}).status_code == 200


@pytest.mark.parametrize(
    "raw", [b"a\x00:b", b"a%00:b", b"\x00:\x00", b"a:%00", b":", b"a", b"\xff:\xff", b"a:b:c", b"%zz:b", b"a" * 5000 + b":b"]
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_odd_basic_credentials_are_a_401_on_every_database(http: Browser, db: None, path: str, raw: bytes) -> None:
    """RFC 6749 §5.2. What a database cannot even be asked for is no outage: a 503 would have the client try for ever."""
    answer = post(http, {"grant_type": "refresh_token", "refresh_token": "x", "token": "x"}, path, Authorization=basic(raw))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("path", ["/", "/oauth/logout", "/oauth/authorize", "/admin/", "/oauth/login"])
def test_a_session_cookie_with_a_nul_is_no_session(http: Browser, demo: McpRoute, path: str) -> None:
    r"""In a quoted cookie (RFC 2109 §4.1) `\000` stands for it; no database can be asked for it."""
    http.raise_request_exception = False
    assert http.get(path, headers={"Cookie": 'gateway_session="\\000aaaaaaaaaaaa"'}).status_code < 500


@pytest.mark.parametrize("host", ["localhost:99999", "localhost:٣", "[::1]:70000"])
def test_a_port_that_is_none_in_the_moved_browsers_parameter_moves_nothing(demo: McpRoute, alice: Person, editor: Party, host: str) -> None:
    assert alice.open(editor.client, "", gateway_host=host).status_code == 200


@pytest.mark.parametrize("host", ["localhost:99999", "127.0.0.1:65536", "[::1]:70000"])
def test_a_host_whose_port_is_none_is_a_400(demo: McpRoute, alice: Person, editor: Party, host: str) -> None:
    """Without GATEWAY_ORIGIN every loopback host and port is an origin; one that cannot exist is none."""
    alice.browser.defaults["HTTP_HOST"] = host
    alice.browser.raise_request_exception = False
    assert alice.open(editor.client).status_code == 400
    answer = post(
        Browser(HTTP_HOST=host, raise_request_exception=False),
        {
            "grant_type": "refresh_token",
            "refresh_token": "x",
            "client_id": editor.client.client_id,
            "resource": f"{ORIGIN}/mcp/demo",
        },
    )
    assert answer.status_code == 400


def test_a_state_that_grows_when_encoded_still_reaches_the_sign_in(demo: McpRoute, http: Browser, editor: Party) -> None:
    """Each layer encodes once more: a percent sign is five characters in `next`, and a redirect carries some 16,000."""
    assert Person(None, http).open(editor.client, state="%" * 1500).status_code == 302  # type: ignore[arg-type]
    assert Person(None, http).open(editor.client, state="%" * 6000).status_code == 400  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content_type",
    [
        f"{FORM}; charset=rot13",
        f"{FORM}; charset=utf-16",
        f"{FORM}; charset=undefined",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "multipart/form-data; boundary=x; charset=rot13",
        "text/plain",
        "application/json; charset=hex",
        "a/b/c",
    ],
)
@pytest.mark.parametrize(
    "path", ["/oauth/token", "/oauth/revoke", "/oauth/register", "/oauth/authorize", "/oauth/dev-login", "/oauth/logout"]
)
def test_no_content_type_is_a_crash(http: Browser, demo: McpRoute, path: str, content_type: str) -> None:
    """RFC 9110 §15.5.1. With a CSRF cookie, so that the check for it would read the form."""
    http.cookies["gateway_csrf"] = "c" * 32
    http.handler.enforce_csrf_checks = True
    http.raise_request_exception = False
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\x00\r\n--x--\r\n'
    answer = http.generic("POST", path, body, content_type=content_type)  # post() would encode the body itself
    assert answer.status_code < 500 and (answer.status_code >= 400 or path == "/oauth/logout")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"a"',
        b"\xff",
        b'{"a":' * 9000,
        b"[" * 60_000,
        b'{"x": ' + b"9" * 5000 + b"}",
        '{"a": "é"}'.encode("utf-16"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_registration_that_is_no_json_object_is_a_400(http: Browser, db: None, body: bytes) -> None:
    answer = http.post("/oauth/register", body, content_type="application/json")
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (400, "*")


@pytest.mark.parametrize("name", ["client_name", "scope", "client_uri", "logo_uri", "software_id", "contacts", "grant_types", "jwks_uri"])
@pytest.mark.parametrize(
    "value", ["\ud800", "a\x00b", 10**300, 1e308, -1, True, [None], [[]], {"a": {}}, ["\ud800"], "https://[", "x" * 30_000]
)
def test_no_member_of_a_registration_is_a_crash_and_none_reaches_the_database_unclean(
    http: Browser, db: None, name: str, value: Any
) -> None:
    answer = http.post("/oauth/register", {"redirect_uris": [WEB], name: value}, content_type="application/json")
    assert answer.status_code in (201, 400)
    assert "\x00" not in answer.content.decode() and "\\ud800" not in answer.content.decode()


def asked(host: str, path: str, *, peer: str = "127.0.0.1", headers: tuple[tuple[bytes, bytes], ...] = ()) -> int:
    """The status that the whole application answers, dispatcher included."""
    return asyncio.run(Exchange("GET", path, headers, host=host, peer=peer).run()).status


class TestDevLoginsHost:
    """The Host that was sent must be loopback, also when ALLOWED_HOSTS lets others in."""

    def test_with_a_loopback_origin_a_foreign_host_that_is_allowed_finds_nothing(
        self, without_workos: None, configure: Any, settings: Any
    ) -> None:
        configure(origin="http://localhost:9000")
        settings.ALLOWED_HOSTS = ["localhost", "tunnel.example"]
        assert asked("localhost:9000", "/oauth/dev-login") == 200
        assert asked("tunnel.example", "/oauth/dev-login") == 404  # by the Host that was sent, not by the origin that Django sees

    def test_without_an_origin_a_foreign_host_is_refused_altogether(self, without_workos: None, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        assert asked("tunnel.example", "/oauth/dev-login") == 400

    @pytest.mark.parametrize("header", [b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-anything"])
    def test_a_request_that_came_through_something_finds_nothing(self, without_workos: None, header: bytes) -> None:
        assert asked("localhost:9000", "/oauth/dev-login", headers=((header, b"x"),)) == 404

    def test_another_machine_finds_nothing(self, without_workos: None) -> None:
        assert asked("localhost:9000", "/oauth/dev-login", peer="192.0.2.1") == 404


def test_two_host_headers_are_refused(without_workos: None) -> None:
    """RFC 9112 §3.2."""
    assert asked("localhost:9000", "/oauth/jwks", headers=((b"host", b"evil.example"),)) == 400


def test_a_verifier_of_odd_characters_is_a_refusal(demo: McpRoute, alice: Person, editor: Party) -> None:
    code = alice.code(editor.client)
    for verifier in ("\ud7ff" * 43, "%" * 43, " " * 43, "v" * 42, "v" * 129, VERIFIER + "\n"):
        assert editor.redeem(code, code_verifier=verifier).status_code == 400
    assert editor.redeem(code).status_code == 200


def test_the_page_that_debug_shows_for_a_crash_holds_no_secret_of_the_request(settings: Any) -> None:
    """DEBUG is how everybody begins, and it may stand behind a tunnel."""
    settings.DEBUG = True
    secret = b64encode(b"client:in-clear").decode()
    body = "code=in-clear&code_verifier=in-clear&refresh_token=in-clear&client_secret=in-clear&consent=in-clear"
    cookies = "gateway_session=in-clear; gateway_browser=in-clear"
    request = RequestFactory(HTTP_HOST="localhost:9000").post(
        "/oauth/token", body, content_type=FORM, headers={"Authorization": f"Basic {secret}", "Cookie": cookies}
    )
    try:
        raise RuntimeError("a defect")
    except RuntimeError:
        page = technical_500_response(request, *sys.exc_info()).content.decode()
    # This test's own frame is part of the page; what matters is what the page shows of the request.
    shown = page.partition('<div id="requestinfo">')[2].partition('id="settings-info"')[0]
    assert shown and "in-clear" not in shown and secret not in shown

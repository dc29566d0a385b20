"""Malformed input gets an answer for its sender, never a 500 and never a 503 (CWE-20, CWE-755; RFC 3986 §2.1, RFC 8259 §8)."""

import sys
from base64 import b64encode
from typing import Any

import pytest
from django.test import Client as Browser
from django.test import RequestFactory
from django.views.debug import technical_500_response

from mcp_routes.models import McpRoute
from tests.unit.conftest import ORIGIN, Party, Person
from tests.unit.posting import FORM, basic, post

WEB = "https://app.example.com/cb"


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


@pytest.mark.parametrize("path", ["/oauth/login", "/oauth/authorize", "/account/", "/admin/login/"])
@pytest.mark.parametrize(
    ("method", "query", "content_type", "body"),
    [
        ("GET", "a=1&" * 300, "", b""),
        ("POST", "", FORM, b"a=1&" * 300),
        ("POST", "", FORM, b"a" * 70_000),
        ("POST", "", "multipart/form-data; boundary=", b"x"),
    ],
    ids=["query of too many", "form of too many", "too large a form", "form without a boundary"],
)
def test_a_stranger_cannot_fill_the_log_with_tracebacks(
    http: Browser, db: None, caplog: pytest.LogCaptureFixture, path: str, method: str, query: str, content_type: str, body: bytes
) -> None:
    """CWE-779: Django logs what it calls suspicious as an error, with a traceback, forty lines for one of the request's."""
    http.handler.enforce_csrf_checks = True
    answer = http.generic(method, f"{path}?{query}", body, content_type=content_type)
    assert answer.status_code in (400, 405)
    assert [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info] == []


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

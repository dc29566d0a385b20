"""Grammars of what people's browsers ask for: authorization, consent, sign-in, the account page, and plain pages."""

import html
import json
import re
import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.fuzz import words
from tests.fuzz.house import CSRF, House, blank
from tests.fuzz.oauth import LOOPBACK, MEMBERS, VERIFIER, WEB
from tests.fuzz.stranger import http
from tests.fuzz.wire import Answer
from tests.fuzz.words import FORM, Asked, Pair
from tests.support.signing import Signer, encode

CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
_CONSENT = re.compile(rb'name="consent" value="([^"]+)"')
_CODE = re.compile(re.escape(LOOPBACK.encode()) + rb"\?(?:[^\"]*?;)?code=([^&\"]+)")  # of the client whose grammar redeems it
_signer = Signer()


def _learn_authorization(house: House, answer: Answer) -> None:
    """Keeps the consent page's value, the browser's cookie, and a code that was given."""
    if browser := answer.cookie("gateway_browser"):
        house.learn("browser", browser)
    found, code = _CONSENT.search(answer.body), _CODE.search(answer.body)
    if found:
        house.learn("consent", html.unescape(found[1].decode()))
        house.learn("consentpart", html.unescape(found[1].decode()).replace(":", "|"))
    if code and answer.status == 200:
        house.learn("code", code[1].decode())


@st.composite
def authorize(draw: st.DrawFn, house: House, endpoint: str, *paths: str) -> Asked:
    """RFC 6749 §4.1.1, by somebody who is signed in, mostly; and the consent page's form."""
    cookies = house.cookies(house.known["alice"])
    if draw(st.integers(0, 2)) == 0:
        value = blank("consent") if draw(st.integers(0, 4)) else draw(_resigned())
        fields = [("consent", value), ("decision", draw(st.sampled_from(("approve", "approve", "cancel")))), ("csrfmiddlewaretoken", CSRF)]
        return draw(words.posted(endpoint, paths, fields, (cookies,), _learn_authorization))
    client_id, redirect_uri = draw(st.sampled_from(((house.known["public"], LOOPBACK), (house.known["secret"][0], WEB))))
    stranger = http(b"")
    if draw(st.integers(0, 3)) == 0:
        client_id, stranger = draw(_document(house))
    query: list[Pair] = [
        *(("response_type", "code"), ("client_id", client_id), ("redirect_uri", redirect_uri), ("state", "s-1"), ("scope", "mcp:tools")),
        *(("code_challenge", CHALLENGE), ("code_challenge_method", "S256"), ("resource", f"{house.origin}/mcp/told")),
    ]
    query += draw(
        st.sampled_from(
            ([], [], [], [], [], [], [], [("prompt", "none")], [("request", "x")], [("response_mode", "fragment")], [("nonce", "n")])
        )
    )
    right = (cookies,) if draw(st.integers(0, 4)) else ()
    if draw(st.integers(0, 9)) == 0:
        asked = draw(words.posted(endpoint, paths, query, right, _learn_authorization))
    else:
        asked = draw(words.sent(endpoint, paths, ("GET",), right, query, None, _learn_authorization))
    return replace(asked, stranger=lambda path: stranger)


def _resigned() -> SearchStrategy[str]:
    """A consent page's value with one of its parts exchanged."""
    parts = [blank("consentpart", part) for part in range(3)]
    return st.tuples(st.integers(0, len(parts) - 1), words.odd_text).map(lambda at: ":".join([*parts[: at[0]], at[1], *parts[at[0] + 1 :]]))


@st.composite
def _document(draw: st.DrawFn, house: House) -> tuple[str, bytes]:
    """A client ID, and the answer of its host."""
    url = f"{house.stranger.url}/{draw(st.integers(0, 30))}.json{draw(st.sampled_from(('', '', '', '?a=b', '/../x', '#f')))}"
    right: dict[str, Any] = {
        "client_id": url,
        "client_name": "Document",
        "redirect_uris": [LOOPBACK, WEB],
        "token_endpoint_auth_method": "none",
    }
    content = draw(words.members(right, MEMBERS).map(words.written) | words.odd_bytes)
    return url, draw(answers(content))


@st.composite
def answers(draw: st.DrawFn, content: bytes) -> bytes:
    """An answer of a stranger's server: mostly well-formed."""
    if draw(st.booleans()):
        return http(content)
    if draw(st.integers(0, 9)) == 0:
        return draw(
            words.odd_bytes | st.sampled_from((b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 999 \xff\r\nA\r\n\r\n", b"HTTP/9 x\r\n\r\n"))
        )
    status = draw(st.sampled_from((200, 200, 200, 200, 201, 204, 301, 304, 401, 404, 418, 429, 500, 503, 599)))
    kind = draw(st.sampled_from(("application/json", "text/html", "application/json; charset=rot13", "")))
    caching = (
        b"",
        b"Cache-Control: max-age=" + b"9" * 5_000,
        b"Cache-Control: \xff",
        b"Retry-After: x",
        b"Expires: 0",
        b"Content-Encoding: gzip",
    )
    line = draw(st.sampled_from((*caching, b"Retry-After: " + b"9" * 400, b"Age: -1", b"Location: http://[", b"Date: x")))
    return http(content, kind, status, *filter(None, (line,)))


def login(house: House) -> SearchStrategy[Asked]:
    """The start of a sign-in."""
    query = [("next", "/account/"), ("login_hint", "alice@example.com"), ("prompt", "login")]
    return words.sent(r"^oauth/login/?$", ("/oauth/login", "/oauth/login/"), ("GET",), (), query, None, _learn_sign_in)


def _learn_sign_in(house: House, answer: Answer) -> None:
    state = parse_qs(urlsplit(answer.header("location") or "").query).get("state")
    cookies = [value.partition(";")[0] for name, value in answer.headers if name == "set-cookie"]
    if answer.status == 302 and state and cookies:
        house.learn("signin", f"{state[0]}|{'; '.join(cookies)}")


@st.composite
def callback(draw: st.DrawFn, house: House) -> Asked:
    """The provider's redirect back, and then its answer to the gateway's own question: of an honest provider, or something like it."""
    now = int(time.time())
    issuer = f"{house.stranger.url}/user_management/client_fuzzed"
    claims = {"iss": issuer, "sub": "user_visitor", "sid": "session_1", "iat": now, "exp": now + 300, "jti": "j"}
    names = ("org_id", "role", "roles", "permissions", "act", "aud", "client_id", "nbf", "entitlements")
    token = encode(draw(words.members(claims, names)), _signer.key, "RS256", {"kid": "key-1"})
    user = {"id": "user_visitor", "email": "visitor@example.com", "email_verified": True, "first_name": "V", "last_name": "X"}
    body = {"user": draw(words.members(user, ("object", "metadata"))), "access_token": token, "refresh_token": "r", "organization_id": None}
    given = draw(words.members(body, ("impersonator", "error", "code", "message", "authentication_method", "sealed_session")))
    answer = draw(answers(words.written(given)))
    keys = (
        draw(answers(words.written({"keys": [_signer.public]})))
        if draw(st.integers(0, 9)) == 0
        else http(json.dumps(_signer.key_set).encode())
    )
    error = [("error", "access_denied"), ("error_description", draw(words.odd_text))]
    query = [("state", blank("signin", 0)), *(error if draw(st.integers(0, 6)) == 0 else [("code", "code-1")])]
    right = (b"Cookie", blank("signin", 1).encode())
    asked = draw(words.sent(r"^oauth/callback/?$", ("/oauth/callback", "/oauth/callback/"), ("GET",), (right,), query))
    return replace(asked, failing=(502, 503, 504), stranger=lambda path: keys if b"/jwks/" in path else answer)


@st.composite
def dev_login(draw: st.DrawFn, house: House) -> Asked:
    """Demo users, on the laptop's gateway."""
    fields = [("user", draw(st.sampled_from(("user", "second")))), ("next", "/account/"), ("csrfmiddlewaretoken", CSRF)]
    right = (house.cookies("x"),)
    if draw(st.integers(0, 3)) == 0:
        return draw(words.sent(r"^oauth/dev-login/?$", ("/oauth/dev-login",), ("GET",), right, fields[1:2])).on_laptop()
    return draw(words.posted(r"^oauth/dev-login/?$", ("/oauth/dev-login",), fields, right, _learn_session)).on_laptop()


def _learn_session(house: House, answer: Answer) -> None:
    session = answer.cookie(house.known["cookie"])
    if session:
        house.learn("session", session)


@st.composite
def account(draw: st.DrawFn, house: House) -> Asked:
    """A person's own page, and its buttons."""
    right = (house.cookies(blank("session")),)
    paths = ("/account", "/account/")
    if draw(st.booleans()):
        return draw(words.sent(r"^account/?$", paths, ("GET",), right, [("ask", "revoke_all")])).on_laptop()
    number = draw(st.sampled_from(("1", "2", "1.1", "9" * 30, "1." + "9" * 30, "٣.1", "-1.1")))
    button = draw(st.sampled_from((("revoke", number), ("revoke_all", ""), ("sign_out", number), ("sign_out_others", ""))))
    return draw(words.posted(r"^account/?$", paths, [button, ("csrfmiddlewaretoken", CSRF)], right)).on_laptop()


@st.composite
def logout(draw: st.DrawFn, house: House) -> Asked:
    """Asks, and acts."""
    right = (house.cookies(blank("session")),)
    if draw(st.booleans()):
        return draw(words.sent(r"^oauth/logout/?$", ("/oauth/logout", "/oauth/logout/"), ("GET",), right)).on_laptop()
    return draw(words.posted(r"^oauth/logout/?$", ("/oauth/logout",), [("csrfmiddlewaretoken", CSRF)], right)).on_laptop()


def plain(house: House, endpoint: str, *paths: str) -> SearchStrategy[Asked]:
    """Pages and probes that take nothing, asked by somebody who is signed in."""
    return words.sent(endpoint, paths, ("GET", "HEAD"), (house.cookies(house.known["alice"]),))


def static(endpoint: str) -> SearchStrategy[Asked]:
    """Files, some of which are there."""
    nearby = (
        "/static/../manage.py",
        "/static/%2e%2e/manage.py",
        "/static//etc/passwd",
        "/static/",
        "/static/%00",
        "/static/gateway.css/",
        "/static/%ff",
    )
    return words.sent(endpoint, ("/static/gateway.css", "/static/copy.js", *nearby), ("GET", "HEAD"))


@st.composite
def anywhere(draw: st.DrawFn, endpoint: str, *beginnings: str) -> Asked:
    """Paths that may lead nowhere, and bodies that belong nowhere."""
    tail = b"/".join(map(words.quoted, draw(st.lists(words.odd_text, max_size=4))))
    path = draw(st.sampled_from(beginnings)).encode() + tail[:4_000]
    asked = draw(words.sent(endpoint, ("/",), ("GET", "POST", "PUT", "DELETE"), (FORM,), [("a", "b")]))
    return asked.at(path + asked.request.target[1:])

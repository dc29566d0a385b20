"""WorkOS's answers: which of them prove who someone is."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oauthgw.identity import wire
from oauthgw.identity.provider import Kind, ProviderError
from oauthgw.identity.workos import endpoints
from tests.unit.identity.conftest import API_KEY, CLIENT_ID, Reply, Standin


def refused_as(standin: Standin) -> Kind:
    with pytest.raises(ProviderError) as caught:
        standin.exchange()
    return caught.value.kind


def with_token(standin: Standin, token: str) -> Standin:
    standin.answer = lambda: Reply(body=standin.signed_in(token=token))
    return standin


def test_the_endpoints_follow_from_the_client_id() -> None:
    derived = endpoints("client_01KC", "https://api.workos.com")
    assert derived.issuer == "https://api.workos.com/user_management/client_01KC"
    assert derived.jwks == "https://api.workos.com/sso/jwks/client_01KC"
    assert derived.authorize == "https://api.workos.com/user_management/authorize"
    assert derived.token == "https://api.workos.com/user_management/authenticate"
    assert derived.logout == "https://api.workos.com/user_management/sessions/logout"
    assert derived.issuers == (derived.issuer, "https://api.workos.com")


def test_the_browser_is_sent_to_authkit_with_pkce(standin: Standin) -> None:
    url = standin.provider.authorize_url(state="s", challenge="c", redirect_uri="http://localhost:9000/oauth/callback")
    assert url.startswith(f"{standin.base}/user_management/authorize?")
    assert parse_qs(urlsplit(url).query) == {
        "response_type": ["code"],
        "client_id": [CLIENT_ID],
        "redirect_uri": ["http://localhost:9000/oauth/callback"],
        "provider": ["authkit"],
        "state": ["s"],
        "code_challenge": ["c"],
        "code_challenge_method": ["S256"],
    }


def test_sign_out_names_the_session_and_the_way_back(standin: Standin) -> None:
    url = standin.provider.sign_out_url(session_id="session_1&x", return_to="http://localhost:9000/")
    assert parse_qs(urlsplit(url).query) == {"session_id": ["session_1&x"], "return_to": ["http://localhost:9000/"]}


def test_the_code_is_redeemed_with_verifier_address_and_browser(standin: Standin) -> None:
    standin.exchange()
    assert standin.received == [
        {
            "client_id": CLIENT_ID,
            "client_secret": API_KEY,
            "grant_type": "authorization_code",
            "code": "code-1",
            "code_verifier": "v" * 43,
            "ip_address": "192.0.2.7",
            "user_agent": "Test/1",
        }
    ]


def test_a_person_carries_what_answer_and_token_say(standin: Standin) -> None:
    token = standin.token(org_id="org_1", role="admin", roles=["admin", "billing"], permissions=["posts:read"])
    person = with_token(standin, token).exchange()
    assert (person.subject, person.email, person.email_verified) == ("user_01ALICE", "alice@example.com", True)
    assert (person.first_name, person.last_name) == ("Alice", "Ng")
    assert (person.organization_id, person.role, sorted(person.roles)) == ("org_1", "admin", ["admin", "billing"])
    assert (person.permissions, person.session_id, person.impersonator) == (("posts:read",), "session_01", "")


def test_text_from_the_provider_is_fit_to_store(standin: Standin) -> None:
    standin.answer = lambda: Reply(
        body=standin.signed_in({"first_name": "A\x00l\u202eice", "last_name": "x" * 500, "email": "a\x00@example.com"})
    )
    person = standin.exchange()
    assert (person.first_name, len(person.last_name), person.email) == ("Alice", 150, "")


@pytest.mark.parametrize(
    ("body", "claims"),
    [
        pytest.param({"impersonator": {"email": "support@example.com", "reason": "ticket"}}, {}, id="in the answer"),
        pytest.param({}, {"act": {"sub": "support@example.com"}}, id="in the token, RFC 8693"),
    ],
)
def test_either_sign_of_impersonation_counts(standin: Standin, body: dict[str, Any], claims: dict[str, Any]) -> None:
    standin.answer = lambda: Reply(body=standin.signed_in(token=standin.token(**claims), **body))
    assert standin.exchange().impersonator == "support@example.com"


def test_an_unreadable_impersonator_is_still_one(standin: Standin) -> None:
    standin.answer = lambda: Reply(body=standin.signed_in(impersonator={"reason": "ticket"}))
    assert standin.exchange().impersonator == "unknown"


def dated(claims: dict[str, Any]) -> dict[str, Any]:
    """The claims with their times counted from now: a case is collected minutes before it runs."""
    now = int(time.time())
    return {name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value for name, value in claims.items()}


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({}, id="as real environments sign"),
        pytest.param({"iss": "BASE"}, id="the issuer WorkOS documents"),
        pytest.param({"client_id": CLIENT_ID}, id="client_id is ours"),
        pytest.param({"aud": CLIENT_ID}, id="aud is ours"),
        pytest.param({"aud": ["other", CLIENT_ID]}, id="we are among the audience"),
        pytest.param({"exp": timedelta(seconds=-30)}, id="expired within the leeway"),
        pytest.param({"iat": timedelta(seconds=30)}, id="issued by a clock that is ahead"),
        pytest.param({"sid": None}, id="without a session"),
    ],
)
def test_a_token_of_this_environment_is_accepted(standin: Standin, claims: dict[str, Any]) -> None:
    if claims.get("iss") == "BASE":
        claims = {"iss": standin.base}
    assert with_token(standin, standin.token(**dated(claims))).exchange().subject == "user_01ALICE"


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"iss": "https://api.workos.com/user_management/client_other"}, id="issuer of another environment"),
        pytest.param({"iss": "SLASH"}, id="issuer with a trailing slash"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"sub": "user_02BOB"}, id="another user than the answer"),
        pytest.param({"sub": None}, id="no subject"),
        pytest.param({"client_id": "client_other"}, id="client_id of another environment"),
        pytest.param({"client_id": ""}, id="empty client_id"),
        pytest.param({"aud": "client_other"}, id="aud of another environment"),
        pytest.param({"aud": []}, id="for nobody"),
        pytest.param({"exp": timedelta(seconds=-120)}, id="expired"),
        pytest.param({"exp": None}, id="never expires"),
        pytest.param({"iat": timedelta(seconds=600)}, id="issued in the future"),
        pytest.param({"iat": None}, id="issued at no time"),
    ],
)
def test_a_token_that_proves_nothing_is_refused(standin: Standin, claims: dict[str, Any]) -> None:
    if claims.get("iss") == "SLASH":
        claims = {"iss": standin.endpoints.issuer + "/"}
    assert refused_as(with_token(standin, standin.token(**dated(claims)))) is Kind.UNTRUSTED


def forged(standin: Standin, other: RSAPrivateKey, how: str) -> str:
    """Tokens that say what a good one says, signed in ways that prove nothing."""
    good = standin.token()
    header, payload, signature = good.split(".")
    if how == "another key under our key id":
        return standin.token(key=other)
    if how == "alg none":
        return f"{_segment({'alg': 'none', 'kid': 'key-1'})}.{payload}."
    if how == "hs256 with the public key as secret":
        public = standin.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return _hs256({"alg": "HS256", "kid": "key-1"}, payload, public)
    if how == "rs512":
        return standin.token(algorithm="RS512")
    if how == "unknown key id":
        return standin.token(headers={"kid": "key-9"})
    if how == "no key id":
        return standin.token(headers={"kid": None})
    if how == "no signature":
        return f"{header}.{payload}."
    return "not-a-token" if how == "no token at all" else f"{header}.{payload[:-4]}AAAA.{signature}"


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _hs256(header: dict[str, Any], payload: str, secret: bytes) -> str:
    signed = f"{_segment(header)}.{payload}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "how",
    [
        "another key under our key id",
        "alg none",
        "hs256 with the public key as secret",
        "rs512",
        "unknown key id",
        "no key id",
        "no signature",
        "no token at all",
        "altered payload",
    ],
)
def test_a_forged_token_is_refused(standin: Standin, signing_keys: tuple[RSAPrivateKey, RSAPrivateKey], how: str) -> None:
    assert refused_as(with_token(standin, forged(standin, signing_keys[1], how))) is Kind.UNTRUSTED


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        pytest.param(400, {"code": "invalid_code", "message": "m"}, Kind.REFUSED, id="code and message"),
        pytest.param(400, {"error": "invalid_grant", "error_description": "d"}, Kind.REFUSED, id="error and description"),
        pytest.param(400, {"error": "invalid_client"}, Kind.MISCONFIGURED, id="wrong key, as 400"),
        pytest.param(401, {"message": "Unauthorized"}, Kind.MISCONFIGURED, id="wrong key, as 401"),
        pytest.param(400, {"error": "unauthorized_client"}, Kind.MISCONFIGURED, id="key of another environment"),
        pytest.param(400, {"code": "invalid_redirect_uri"}, Kind.MISCONFIGURED, id="redirect URI"),
        pytest.param(403, {"code": "email_verification_required", "pending_authentication_token": "p"}, Kind.INCOMPLETE, id="e-mail"),
        pytest.param(403, {"code": "organization_selection_required"}, Kind.INCOMPLETE, id="organisation"),
        pytest.param(403, {"code": "mfa_enrollment"}, Kind.INCOMPLETE, id="second factor"),
        pytest.param(403, {"code": "something_new"}, Kind.INCOMPLETE, id="a state not known yet"),
        pytest.param(429, {"message": "slow down"}, Kind.BUSY, id="rate limit"),
        pytest.param(500, {"message": "oops"}, Kind.FAILING, id="500"),
        pytest.param(503, b"<html>", Kind.FAILING, id="503 in HTML"),
        pytest.param(404, b"", Kind.FAILING, id="404"),
        pytest.param(302, b"", Kind.FAILING, id="a redirect, not followed"),
        pytest.param(200, b"<html>", Kind.FAILING, id="no JSON"),
        pytest.param(200, b"[]", Kind.FAILING, id="no object"),
        pytest.param(200, b"[" * 100_000, Kind.FAILING, id="nested beyond reading"),
        pytest.param(200, {"user": {"id": "user_01ALICE"}}, Kind.FAILING, id="no token"),
        pytest.param(200, {"access_token": "x", "user": "alice"}, Kind.FAILING, id="no user"),
    ],
)
def test_every_refusal_has_a_kind(standin: Standin, status: int, body: Any, kind: Kind) -> None:
    standin.answer = lambda: Reply(status, body, {"Location": f"{standin.base}/elsewhere"} if status == 302 else {})
    assert refused_as(standin) is kind


@pytest.mark.parametrize("location", ["http://[", "https://[::1", "http://x:99999999/", "//[", "\xff"])
def test_a_redirect_to_what_is_no_address_is_a_failing_provider(standin: Standin, location: str) -> None:
    """The library that asks looks at the address although it is not to follow it."""
    standin.answer = lambda: Reply(302, b"", {"Location": location})
    with pytest.raises(ProviderError) as failed:
        standin.exchange()
    assert failed.value.kind is Kind.FAILING


@pytest.mark.parametrize(("length", "read"), [(wire.MAX_BYTES // 2, True), (wire.MAX_BYTES, False)])
def test_an_answer_is_read_up_to_a_bound(standin: Standin, length: int, read: bool) -> None:
    standin.answer = lambda: Reply(body=standin.signed_in(padding="x" * length))
    if read:
        assert standin.exchange().subject == "user_01ALICE"
    else:
        assert refused_as(standin) is Kind.FAILING


@pytest.mark.parametrize(
    ("code", "mend"),
    [
        ("invalid_client", "WORKOS_CLIENT_SECRET"),
        ("invalid_redirect_uri", "/oauth/callback"),
    ],
)
def test_what_an_operator_can_mend_is_named(standin: Standin, code: str, mend: str) -> None:
    standin.answer = lambda: Reply(400, {"error": code})
    with pytest.raises(ProviderError) as caught:
        standin.exchange()
    assert mend in caught.value.mend


def test_a_rate_limit_says_when_to_come_back(standin: Standin) -> None:
    standin.answer = lambda: Reply(429, {}, {"Retry-After": "7"})
    with pytest.raises(ProviderError) as caught:
        standin.exchange()
    assert caught.value.retry_after == 7


def test_a_silent_provider_is_not_waited_for(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", 0.2)
    standin.silent.set()
    assert refused_as(standin) is Kind.SLOW


def test_a_provider_that_is_not_there_is_unreachable(unused_port: Callable[[], int], standin: Standin) -> None:
    standin.base = f"http://127.0.0.1:{unused_port()}"
    assert refused_as(standin) is Kind.UNREACHABLE


def test_an_error_shows_no_credential(standin: Standin) -> None:
    standin.answer = lambda: Reply(400, {"code": "invalid_code", "message": f"key {API_KEY} code-1"})
    with pytest.raises(ProviderError) as caught:
        standin.exchange()
    told = f"{caught.value} {caught.value.sentence} {caught.value.mend} {caught.value.detail}"
    assert API_KEY not in told
    assert "code-1" not in told

"""Client assertions by people who do not hold the client's key, or show what they overheard (RFC 7523 §3, RFC 8725)."""

import hmac
import json
import time
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from jwt.algorithms import RSAAlgorithm

from mcp_routes.models import McpRoute
from oauthgw.guard import sealed
from oauthgw.journal.models import Event
from oauthgw.models import Client, Grant, UsedAssertion
from tests.support.signing import ASSERTION_TYPE, Signer, encode, jwk, rsa_key
from tests.unit.conftest import ORIGIN, VERIFIER, WEB, Party, Person, SigningParty

FORM = "application/x-www-form-urlencoded"
NOW = int(time.time())


@pytest.fixture
def code(demo: McpRoute, alice: Person, chatbot: SigningParty) -> dict[str, str]:
    """What only the chatbot may redeem."""
    code = alice.code(chatbot.client, redirect_uri=WEB)
    return {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": WEB}


def proof(assertion: str) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


def refused(party: Party, form: dict[str, str], status: int = 401, error: str = "invalid_client") -> str:
    """The sentence of the refusal."""
    answer = party.post("/oauth/token", form)
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.content
    assert answer["Access-Control-Allow-Origin"] == "*"
    return str(answer.json()["error_description"])


def segment(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_an_assertion_needs_a_signature(chatbot: SigningParty, code: dict[str, str]) -> None:
    claims = chatbot.signer.claims(chatbot.client.client_id, ORIGIN)
    for algorithm in ("none", "None", "NONE", ""):
        for signature in ("", "AA"):
            assertion = f"{segment({'alg': algorithm, 'kid': 'key-1'})}.{segment(claims)}.{signature}"
            assert "signed with one of" in refused(chatbot, code | proof(assertion))
    assert chatbot.token(**code).status_code == 200, "and none of it consumed the code"


def test_the_published_key_is_no_shared_secret(chatbot: SigningParty, code: dict[str, str]) -> None:
    """RFC 8725 §2.1: a verifier that lets the sender choose would take the public key for an HMAC key."""
    public = chatbot.signer.key.public_key()
    for key in (
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(chatbot.signer.public).encode(),
        chatbot.client.client_id.encode().ljust(64, b"\0"),
    ):
        text = f"{segment({'alg': 'HS256', 'kid': 'key-1'})}.{segment(chatbot.signer.claims(chatbot.client.client_id, ORIGIN))}"
        signature = urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).rstrip(b"=").decode()
        refused(chatbot, code | proof(f"{text}.{signature}"))
    assert chatbot.token(**code).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": f"{ORIGIN}.elsewhere.example"},
        {"aud": f"{ORIGIN}/mcp/unheard-of"},
        {"aud": f"{ORIGIN}/mcp/demo/deeper"},
        {"aud": f"{ORIGIN}/oauth/authorize"},
        {"aud": f"{ORIGIN}/oauth/revoke"},
        {"aud": "https://localhost:9000"},
        {"aud": "http://localhost"},
        {"aud": []},
        {"aud": [["x"]]},
        {"aud": {"x": ORIGIN}},
        {"aud": None},
        {"aud": 7},
        {"exp": None},
        {"exp": NOW - 120},
        {"exp": NOW + 24 * 3600},
        {"exp": 10**400},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"nbf": NOW + 600},
        {"iat": NOW + 600},
        {"iat": NOW - 24 * 3600},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 256},
        {"sub": "somebody else"},
        {"iss": "somebody else"},
        {"iss": None},
        {"sub": None},
        {"sub": 7, "iss": 7},
        {"sub": "\x00", "iss": "\x00"},
        {"sub": "", "iss": ""},
    ],
    ids=lambda changed: str(changed)[:40],
)
def test_each_claim_must_fit_and_a_refusal_burns_neither_code_nor_identifier(
    chatbot: SigningParty, code: dict[str, str], changed: dict[str, Any]
) -> None:
    claims = chatbot.signer.claims(chatbot.client.client_id, ORIGIN)
    wrong = {name: value for name, value in {**claims, **changed}.items() if value is not None}
    refused(chatbot, code | proof(encode(wrong, chatbot.signer.key, "RS256", {"kid": "key-1"})))
    assert not UsedAssertion.objects.exists()
    assert chatbot.post("/oauth/token", code | proof(encode(claims, chatbot.signer.key, "RS256", {"kid": "key-1"}))).status_code == 200


class TestSomebodyElsesKey:
    @pytest.fixture
    def other(self, http: Browser, register: Callable[..., dict[str, Any]]) -> SigningParty:
        signer = Signer(key_id="key-other")
        answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
        return SigningParty(http, Client.objects.get(client_id=answer["client_id"]), signer=signer)

    def test_another_clients_key_proves_only_that_client(
        self, chatbot: SigningParty, other: SigningParty, code: dict[str, str], demo: McpRoute
    ) -> None:
        forged = Signer("RS256", key_id="key-1", key=other.signer.key)
        refused(chatbot, code | forged.form(chatbot.client.client_id, ORIGIN))
        refused(chatbot, code | other.signer.form(chatbot.client.client_id, ORIGIN))
        refused(other, code | other.signer.form(other.client.client_id, ORIGIN), 400, "invalid_grant")
        refused(other, code | other.signer.form(other.client.client_id, ORIGIN) | {"client_id": chatbot.client.client_id})
        assert chatbot.token(**code).status_code == 200

    def test_a_key_that_the_assertion_brings_along_counts_for_nothing(self, chatbot: SigningParty, code: dict[str, str]) -> None:
        """RFC 8725 §3.10: `jwk`, `jku` and `x5u` name whatever their sender likes."""
        own = Signer(key_id="key-1")
        for header in ({"jwk": own.public}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example/chain", "kid": "key-1"}):
            refused(chatbot, code | own.form(chatbot.client.client_id, ORIGIN, header=header))

    def test_the_id_of_another_key_of_the_set_is_not_this_key(
        self, http: Browser, register: Callable[..., dict[str, Any]], demo: McpRoute
    ) -> None:
        first, second = Signer(key_id="1"), Signer(key_id="2")
        answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks={"keys": [first.public, second.public]})
        party = SigningParty(http, Client.objects.get(client_id=answer["client_id"]), signer=first)
        form = {"grant_type": "refresh_token", "refresh_token": "unknown"}
        refused(party, form | first.form(party.client.client_id, ORIGIN, header={"kid": "2"}))
        refused(party, form | first.form(party.client.client_id, ORIGIN, header={"kid": "3"}))
        refused(party, form | first.form(party.client.client_id, ORIGIN, header={"kid": "1"}), 400, "invalid_grant")

    @pytest.mark.parametrize("algorithm", ["PS256", "RS512", "ES256"])
    def test_a_key_signs_with_its_own_algorithm_only(
        self, http: Browser, register: Callable[..., dict[str, Any]], demo: McpRoute, algorithm: str
    ) -> None:
        signer = Signer("RS256", key_id="1")
        answer = register(
            redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks={"keys": [{**signer.public, "alg": "RS256"}]}
        )
        forged = Signer("ES256", key_id="1") if algorithm == "ES256" else Signer(algorithm, key_id="1", key=signer.key)
        party = SigningParty(http, Client.objects.get(client_id=answer["client_id"]))
        refused(party, {"grant_type": "refresh_token", "refresh_token": "x", **forged.form(party.client.client_id, ORIGIN)})


class TestReplay:
    def test_an_assertion_works_once_on_whichever_endpoint(self, chatbot: SigningParty, code: dict[str, str]) -> None:
        form = chatbot.signer.form(chatbot.client.client_id, ORIGIN)
        answer = chatbot.post("/oauth/token", code | form)
        assert answer.status_code == 200
        again = {"grant_type": "refresh_token", "refresh_token": answer.json()["refresh_token"]}
        refused(chatbot, again | form)
        assert chatbot.post("/oauth/revoke", {"token": again["refresh_token"]} | form).status_code == 401
        assert Grant.objects.live().exists(), "an overheard assertion ends nothing"
        assert chatbot.token(**again).status_code == 200

    def test_the_same_identifier_in_another_assertion_is_the_same(self, chatbot: SigningParty) -> None:
        form = {"grant_type": "refresh_token", "refresh_token": "unknown"}
        refused(chatbot, form | chatbot.signer.form(chatbot.client.client_id, ORIGIN, jti="1"), 400, "invalid_grant")
        refused(chatbot, form | chatbot.signer.form(chatbot.client.client_id, ORIGIN, jti="1", exp=NOW + 900))
        refused(chatbot, form | chatbot.signer.form(chatbot.client.client_id, ORIGIN, jti="2"), 400, "invalid_grant")

    def test_two_clients_may_happen_to_use_one_identifier(
        self, http: Browser, chatbot: SigningParty, register: Callable[..., dict[str, Any]]
    ) -> None:
        signer = Signer()
        answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
        form = {"grant_type": "refresh_token", "refresh_token": "unknown"}
        refused(chatbot, form | chatbot.signer.form(chatbot.client.client_id, ORIGIN, jti="1"), 400, "invalid_grant")
        refused(chatbot, form | signer.form(answer["client_id"], ORIGIN, jti="1"), 400, "invalid_grant")

    def test_it_is_remembered_until_its_own_age_refuses_it(self, chatbot: SigningParty) -> None:
        expires = NOW + 200
        form = chatbot.signer.form(chatbot.client.client_id, ORIGIN, exp=expires)
        refused(chatbot, {"grant_type": "refresh_token", "refresh_token": "unknown", **form}, 400, "invalid_grant")
        remembered = UsedAssertion.objects.get()
        assert remembered.expires_at.timestamp() >= expires + 60, "the leeway that an expired one is given"
        assert remembered.expires_at > timezone.now()
        assert form["client_assertion"] not in str(UsedAssertion.objects.values().get())

    @pytest.mark.django_db(transaction=True)
    def test_shown_ten_times_at_once_it_works_once(self, http: Browser, demo: McpRoute, chatbot: SigningParty) -> None:
        """Decided by the database, as between nodes: each thread has a connection of its own."""
        form = {"grant_type": "refresh_token", "refresh_token": "unknown", **chatbot.signer.form(chatbot.client.client_id, ORIGIN)}
        barrier = Barrier(10)

        def show() -> str:
            barrier.wait(timeout=30)
            try:
                return str(SigningParty(Browser(HTTP_HOST="localhost:9000"), chatbot.client).post("/oauth/token", form).json()["error"])
            finally:
                connection.close()

        with ThreadPoolExecutor(10) as pool:
            answers = [future.result() for future in [pool.submit(show) for _ in range(10)]]
        assert Counter(answers) == {"invalid_grant": 1, "invalid_client": 9}


class TestNoOtherWayIn:
    def test_a_client_that_signs_has_no_secret_not_even_an_empty_one(
        self, http: Browser, chatbot: SigningParty, code: dict[str, str]
    ) -> None:
        client_id = chatbot.client.client_id
        refused(chatbot, {**code, "client_id": client_id})
        refused(chatbot, {**code, "client_id": client_id, "client_secret": "guess"})
        stored = Client.objects.get(client_id=client_id).client_secret
        refused(chatbot, {**code, "client_id": client_id, "client_secret": stored})
        for secret in ("", "guess", stored):
            basic = "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()
            answer = http.post("/oauth/token", urlencode(code), content_type=FORM, headers={"Authorization": basic})
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert chatbot.token(**code).status_code == 200

    @pytest.mark.parametrize("kind", ["editor", "website"])
    def test_a_client_that_does_not_sign_proves_nothing_by_signing(self, request: pytest.FixtureRequest, demo: McpRoute, kind: str) -> None:
        party: Party = request.getfixturevalue(kind)
        signer = Signer()
        Client.objects.filter(pk=party.client.pk).update(metadata={"jwks": signer.key_set})
        form = {"grant_type": "refresh_token", "refresh_token": "x", **signer.form(party.client.client_id, ORIGIN)}
        assert "registered for" in refused(party, form)

    def test_two_ways_at_once_are_refused(self, http: Browser, chatbot: SigningParty, code: dict[str, str]) -> None:
        form = code | chatbot.signer.form(chatbot.client.client_id, ORIGIN)
        refused(chatbot, form | {"client_secret": "x"}, 400, "invalid_request")
        answer = http.post(
            "/oauth/token",
            urlencode(form),
            content_type=FORM,
            headers={"Authorization": "Basic " + b64encode(f"{chatbot.client.client_id}:x".encode()).decode()},
        )
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert not UsedAssertion.objects.exists()

    def test_half_an_assertion_and_another_type_are_refused(self, chatbot: SigningParty, code: dict[str, str]) -> None:
        form = chatbot.signer.form(chatbot.client.client_id, ORIGIN)
        refused(chatbot, code | {"client_assertion": form["client_assertion"]}, 400, "invalid_request")
        refused(chatbot, code | {"client_assertion_type": ASSERTION_TYPE}, 400, "invalid_request")
        saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
        assert ASSERTION_TYPE in refused(chatbot, code | form | {"client_assertion_type": saml})

    def test_a_header_cannot_claim_a_proof(self, http: Browser, chatbot: SigningParty, code: dict[str, str]) -> None:
        for name in ("oauthgw.proof", "Oauthgw-Proof", "oauthgw_proof"):
            form = urlencode({**code, "client_id": chatbot.client.client_id})
            answer = http.post("/oauth/token", form, content_type=FORM, headers={name: chatbot.client.client_id})
            assert answer.status_code == 401

    def test_a_client_switched_off_proves_nothing_any_more(self, chatbot: SigningParty, code: dict[str, str]) -> None:
        Client.objects.update(disabled_at=timezone.now())
        refused(chatbot, code | chatbot.signer.form(chatbot.client.client_id, ORIGIN))
        refused(chatbot, code | chatbot.signer.form("unknown", ORIGIN))


@pytest.mark.parametrize(
    "assertion",
    ["x", "..", "a.b.c", "a.b.c.d.e", "é.é.é", "x" * 9000, segment({"alg": "RS256"}) + ".e30." + "A" * 342, segment([]) + ".e30.AA"],
    ids=["a word", "dots", "not base64", "JWE", "not ASCII", "long", "no claims", "a list as header"],
)
def test_what_is_no_assertion_is_a_refusal_and_no_crash(chatbot: SigningParty, code: dict[str, str], assertion: str) -> None:
    assert refused(chatbot, code | proof(assertion))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256", "kid": 7},
        {"alg": ["RS256"]},
        {"alg": {"x": 1}},
        {},
    ],
    ids=str,
)
def test_a_header_that_means_something_else_is_refused(chatbot: SigningParty, code: dict[str, str], header: dict[str, Any]) -> None:
    claims = chatbot.signer.claims(chatbot.client.client_id, ORIGIN)
    refused(chatbot, code | proof(f"{segment(header)}.{segment(claims)}.{'A' * 342}"))


@pytest.mark.parametrize("critical", [["exp"], ["b64"], [], "exp"], ids=str)
def test_a_critical_header_is_refused_although_the_signature_is_good(chatbot: SigningParty, code: dict[str, str], critical: Any) -> None:
    claims = chatbot.signer.claims(chatbot.client.client_id, ORIGIN)
    text = f"{segment({'alg': 'RS256', 'kid': 'key-1', 'exp': 1, 'b64': True, 'crit': critical})}.{segment(claims)}"
    assert isinstance(chatbot.signer.key, RSAPrivateKey)
    signature = RSAAlgorithm(RSAAlgorithm.SHA256).sign(text.encode(), chatbot.signer.key)
    refused(chatbot, code | proof(f"{text}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"))


class TestRegisteringKeys:
    @pytest.mark.parametrize(
        ("keys", "why"),
        [
            ({}, "public keys"),
            ({"jwks": {"keys": [jwk(rsa_key())]}}, "private or symmetric"),
            ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}, "private or symmetric"),
            ({"jwks": {"keys": [jwk(rsa_key(1024).public_key())]}}, "2048"),
            ({"jwks": {"keys": []}}, "at least one key"),
            ({"jwks": "x"}, "at least one key"),
            ({"jwks": Signer().key_set, "jwks_uri": "https://a.example/jwks"}, "not both"),
            ({"jwks_uri": "http://a.example/jwks"}, "https"),
            ({"jwks_uri": "https://user:password@a.example/jwks"}, "user information"),
            ({"jwks_uri": "https://a.example/jwks#keys"}, "fragment"),
            ({"jwks_uri": "file:///etc/passwd"}, "no host"),
            ({"jwks_uri": "https://a.example:port/jwks"}, "valid URL"),
            ({"jwks_uri": "https://a.example:22/jwks"}, "Port 22"),
            ({"jwks_uri": "https://a.example./jwks"}, "names no host"),
            ({"jwks_uri": 7}, "string"),
        ],
    )
    def test_keys_that_prove_nothing_or_should_be_secret_are_refused(
        self, register: Callable[..., dict[str, Any]], keys: dict[str, Any], why: str
    ) -> None:
        answer = register(status=400, redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", **keys)
        assert answer["error"] == "invalid_client_metadata" and why in answer["error_description"]
        assert not Client.objects.exists()

    def test_a_private_key_is_refused_also_where_nobody_would_use_it(self, register: Callable[..., dict[str, Any]]) -> None:
        assert "Replace it" in register(status=400, redirect_uris=[WEB], jwks={"keys": [jwk(rsa_key())]})["error_description"]

    def test_an_address_inside_is_registered_and_never_asked(self, register: Callable[..., dict[str, Any]], http: Browser) -> None:
        for uri in ("https://127.0.0.1/jwks", "https://169.254.169.254/latest/meta-data", "https://localhost:8443/jwks"):
            answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)
            party = SigningParty(http, Client.objects.get(client_id=answer["client_id"]))
            refused_by = party.refresh("unknown")
            assert (refused_by.status_code, refused_by.json()["error"]) == (503, "temporarily_unavailable")


def test_no_key_and_no_assertion_is_in_the_journal_or_the_log(
    chatbot: SigningParty, code: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        form = code | chatbot.signer.form(chatbot.client.client_id, ORIGIN)
        assert chatbot.post("/oauth/token", form).status_code == 200
    text = caplog.text + str(list(Event.objects.values()))
    assert form["client_assertion"] not in text and form["client_assertion"].rpartition(".")[2] not in text
    assert sealed.digest(form["client_assertion"]) not in text

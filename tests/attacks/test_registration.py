"""Registration and its management, asked by people who mean harm (RFC 7591 §5, RFC 7592 §5, RFC 6819 §4.4.1)."""

import gzip
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.clients import decisions, management
from oauthgw.guard.secret import Secret
from oauthgw.models import Client
from tests.unit.conftest import LOOPBACK, WEB, Party, Person

Register = Callable[..., dict[str, Any]]
MINIMAL = {"redirect_uris": [WEB]}


def send(http: Browser, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
    """Sends these very bytes."""
    return http.generic("POST", "/oauth/register", body, content_type=content_type, headers=headers)


class TestWhatABodyMayBe:
    @pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32", "cp037"])
    def test_json_in_another_encoding_is_none(self, http: Browser, db: None, codec: str) -> None:
        """RFC 8259 §8.1: UTF-8. What a firewall in front reads as noise must not be a registration here (CWE-436)."""
        assert send(http, json.dumps(MINIMAL).encode()).status_code == 201
        assert send(http, json.dumps(MINIMAL, indent=1).encode(codec)).status_code == 400
        assert Client.objects.count() == 1

    def test_a_compressed_body_is_not_opened(self, http: Browser, db: None) -> None:
        """CWE-409: ten megabytes of blanks in ten kilobytes."""
        bomb = gzip.compress(json.dumps(MINIMAL).encode() + b" " * 10_000_000)
        assert send(http, bomb, **{"Content-Encoding": "gzip"}).status_code == 400

    @pytest.mark.parametrize(
        "padding", [b" " * 70_000, b'"' + b"x" * 70_000 + b'"', b"[" * 35_000 + b"]" * 35_000], ids=["blanks", "text", "deep"]
    )
    def test_more_than_64_kilobytes_are_not_read(self, http: Browser, db: None, padding: bytes) -> None:
        """CWE-400."""
        answer = send(
            http, b'{"redirect_uris": ["' + WEB.encode() + b'"], "x": ' + (padding + b"1" if padding.isspace() else padding) + b"}"
        )
        assert (answer.status_code, "64 kB" in answer.json()["error_description"]) == (400, True)

    @pytest.mark.parametrize("override", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
    def test_no_header_makes_another_method_of_it(self, http: Browser, register: Register, override: str) -> None:
        """CWE-650: some frameworks let a header turn a GET into a DELETE, past whatever judged the GET."""
        registered = register(**MINIMAL)
        headers = {"Authorization": f"Bearer {registered['registration_access_token']}", override: "DELETE"}
        assert http.get(f"/oauth/register/{registered['client_id']}", headers=headers).status_code == 200
        assert Client.objects.exists()

    def test_a_member_given_twice_means_to_the_check_what_it_means_to_the_row(self, http: Browser, db: None) -> None:
        """RFC 8259 §4 leaves it open which of two counts; one answer for both is what matters (CVE-2017-12635 had two)."""
        good, bad = json.dumps([WEB]), json.dumps(["https://evil.example/*"])
        assert send(http, f'{{"redirect_uris": {good}, "redirect_uris": {bad}}}'.encode()).status_code == 400
        answer = send(http, f'{{"redirect_uris": {bad}, "redirect_uris": {good}}}'.encode())
        assert answer.json()["redirect_uris"] == [WEB] and Client.objects.get().redirect_uris == WEB

    @pytest.mark.parametrize(
        "name", ["__proto__", "constructor", "__class__", "toString", "pk", "id", "client_secret", "_state", "objects"]
    )
    def test_a_member_that_reaches_for_the_insides_of_an_object_changes_nothing(self, register: Register, name: str) -> None:
        """CWE-915, CWE-1321."""
        answer = register(**MINIMAL, **{name: {"is_vouched_for": True, "approved_at": "2026-01-01", "client_secret": "known"}})
        client = Client.objects.get(client_id=answer["client_id"])
        assert name not in answer and not client.is_vouched_for and name not in client.metadata


class TestWhatAClientMayClaim:
    def test_a_software_statement_has_no_say(self, register: Register) -> None:
        """RFC 7591 §2.3: its claims would take precedence, if anybody had checked its signature."""
        claims = json.dumps({"redirect_uris": ["https://evil.example/cb"], "client_name": "Bank", "token_endpoint_auth_method": "none"})
        statement = ".".join(urlsafe_b64encode(part.encode()).decode() for part in ('{"alg": "none"}', claims)) + "."
        answer = register(client_name="App", redirect_uris=[WEB], software_statement=statement)
        assert (answer["client_name"], answer["redirect_uris"]) == ("App", [WEB]) and "software_statement" not in answer

    @pytest.mark.parametrize(
        "method", ["client_secret_jwt", "tls_client_auth", "self_signed_tls_client_auth", "None", " none", ["none"], {"a": 1}]
    )
    def test_a_way_to_authenticate_that_is_not_offered_is_refused_and_not_weakened(self, register: Register, method: Any) -> None:
        """RFC 9700 §2.5: a client that asked to prove itself must not become one that need not."""
        assert register(400, **MINIMAL, token_endpoint_auth_method=method)["error"] == "invalid_client_metadata"

    @pytest.mark.parametrize(
        "grants", [["implicit"], ["password"], ["client_credentials"], ["urn:ietf:params:oauth:grant-type:token-exchange"]]
    )
    def test_a_grant_that_is_not_offered_is_not_registered(self, register: Register, grants: list[str]) -> None:
        """RFC 9700 §2.1.2, §2.4."""
        assert register(**MINIMAL, grant_types=grants)["grant_types"] == ["authorization_code", "refresh_token"]

    def test_a_response_type_that_is_not_offered_is_not_registered(self, register: Register) -> None:
        """RFC 9700 §2.1.2: no implicit grant."""
        assert register(**MINIMAL, response_types=["token", "id_token", "code token"])["response_types"] == ["code"]

    @pytest.mark.parametrize("scope", ["admin", "openid profile", "*", "mcp:*", "MCP:TOOLS", "mcp:tools\u200b", "mcp:tools,admin"])
    def test_no_scope_is_had_by_asking(self, register: Register, scope: str) -> None:
        """RFC 7591 §2: the server decides; RFC 6819 §5.1.5.1."""
        assert set(register(**MINIMAL, scope=scope)["scope"].split()) <= {"mcp:tools", "offline_access"}

    def test_the_secret_is_the_gateways_and_never_the_clients_choice(self, register: Register, http: Browser) -> None:
        """RFC 6819 §5.1.4.2.2: a secret that somebody chose can be guessed."""
        answer = register(**MINIMAL, token_endpoint_auth_method="client_secret_post", client_secret="chosen", client_secret_expires_at=1)
        assert answer["client_secret"] != "chosen" and len(answer["client_secret"]) >= 43 and answer["client_secret_expires_at"] == 0

    @pytest.mark.parametrize("client_id", ["https://claude.ai/oauth/claude-code-client-metadata", "0", "admin", "../x"])
    def test_an_identity_cannot_be_chosen(self, register: Register, client_id: str) -> None:
        """draft-ietf-oauth-client-id-metadata-document §6.7: a URL as client ID is that document's, and cannot be registered."""
        made = register(**MINIMAL, client_id=client_id)["client_id"]
        assert made != client_id and len(made) == 40 and made.isalnum()

    @pytest.mark.parametrize(
        "uri",
        [
            "https://bank.example@evil.example/",
            "https://evil.example\\@bank.example/",
            "https://bank.example%2f.evil.example/",
            "https://bank.example%00.evil.example/",
            "https://[::1].bank.example/",
            "https://b\u0430nk.example/",
            "https://bank..example/",
            "javascript:alert(1)//bank.example",
            "data:text/html,<script>alert(1)</script>",
            "//bank.example/",
        ],
    )
    def test_a_website_that_page_and_browser_would_read_differently_is_not_kept(
        self, demo: McpRoute, alice: Person, register: Register, uri: str
    ) -> None:
        """RFC 7591 §5 (a rogue client uses the URIs of another); WHATWG URL §4.4. The page names `client_uri`'s host."""
        answer = register(client_name="App", redirect_uris=[LOOPBACK], client_uri=uri, logo_uri=uri, tos_uri=uri, policy_uri=uri)
        assert not {"client_uri", "logo_uri", "tos_uri", "policy_uri"} & set(answer)
        assert "as its website" not in alice.open(Client.objects.get()).content.decode()

    def test_a_logo_is_never_loaded(self, demo: McpRoute, alice: Person, register: Register) -> None:
        """RFC 7591 §5: images of a client's choice tell its server who looks, and look like another's."""
        register(client_name="App", redirect_uris=[LOOPBACK], logo_uri="https://evil.example/bank.png")
        page = alice.open(Client.objects.get())
        assert "evil.example" not in page.content.decode() and "img-src 'self' data:" in page["Content-Security-Policy"]

    @pytest.mark.parametrize(
        "uri", ["http://169.254.169.254/", "https://user@app.example.com/k", "file:///etc/passwd", "https://app.example.com:22/k"]
    )
    def test_keys_are_nowhere_that_would_not_be_asked(self, register: Register, uri: str) -> None:
        """RFC 7591 §5; CWE-918. Nothing is asked while registering."""
        assert register(400, **MINIMAL, token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)["error"] == "invalid_client_metadata"


class TestTheRegistrationToken:
    """RFC 7592 §5: whoever holds it is the client's developer, and nobody else is."""

    def test_it_does_not_count_in_the_address_or_the_body(self, http: Browser, register: Register) -> None:
        """RFC 6750 §2.3, RFC 9700 §4.3.2: addresses are logged."""
        registered = register(**MINIMAL)
        token = registered["registration_access_token"]
        address = f"/oauth/register/{registered['client_id']}"
        assert http.get(f"{address}?access_token={token}").status_code == 401
        assert http.delete(f"{address}?registration_access_token={token}").status_code == 401
        assert http.put(address, {**MINIMAL, "access_token": token}, content_type="application/json").status_code == 401

    @pytest.mark.parametrize("spoil", ["Basic {}", "Bearer {},{}", "Bearer {} {}", "bearer{}", "{}", "Bearer {}x", "DPoP {}"])
    def test_it_counts_once_whole_and_as_a_bearer_token(self, http: Browser, register: Register, spoil: str) -> None:
        """RFC 6750 §2.1; two Authorization headers arrive joined by a comma (RFC 9110 §5.3)."""
        registered = register(**MINIMAL)
        token = registered["registration_access_token"]
        headers = {"Authorization": spoil.format(token, token)}
        assert http.delete(f"/oauth/register/{registered['client_id']}", headers=headers).status_code == 401
        assert Client.objects.exists()

    def test_the_digest_that_is_stored_is_no_token(self, http: Browser, register: Register) -> None:
        """RFC 6819 §5.1.4.1: who reads the database can present nothing."""
        registered = register(**MINIMAL)
        digest = Client.objects.get().registration_token_digest
        for token in (digest, f"mcprg_{digest}"):
            assert http.get(f"/oauth/register/{registered['client_id']}", headers={"Authorization": f"Bearer {token}"}).status_code == 401

    def test_an_unknown_client_and_a_wrong_token_look_the_same(self, http: Browser, register: Register) -> None:
        """RFC 7592 §2.1, CWE-204: no telling which clients there are."""
        known = register(**MINIMAL)["client_id"]
        answers = [http.get(f"/oauth/register/{name}", headers={"Authorization": "Bearer mcprg_wrong"}) for name in (known, "nobody")]
        first, second = ({**answer.json(), "request_id": ""} for answer in answers)
        assert first == second and answers[0].headers.items() == answers[1].headers.items()

    def test_an_answer_with_credentials_is_kept_by_no_cache(self, http: Browser, db: None) -> None:
        """RFC 7591 §3.2.1."""
        assert "no-store" in send(http, json.dumps(MINIMAL).encode())["Cache-Control"]

    def test_a_secret_is_in_no_cookie_and_a_cookie_proves_nothing(self, http: Browser, alice: Person, register: Register) -> None:
        """CWE-352: any site may call this endpoint (CORS *), so that it must not know a browser by its cookie."""
        registered = register(**MINIMAL)
        User.objects.update(is_staff=True, is_superuser=True)
        answer = alice.browser.get(f"/oauth/register/{registered['client_id']}")
        assert answer.status_code == 401 and not answer.cookies
        assert "Access-Control-Allow-Credentials" not in answer


def test_closed_is_closed_on_every_path(http: Browser, db: None, settings: Any) -> None:
    """RFC 7591 §3: an open registration endpoint that nobody watches is how a rogue client gets in."""
    settings.GATEWAY = replace(settings.GATEWAY, client_registration="closed")
    for path in ("/oauth/register", "/oauth/register/", "/register", "/register/"):
        assert http.post(path, MINIMAL, content_type="application/json").status_code == 403
    assert not Client.objects.exists()


def test_a_client_that_waits_for_approval_gets_nothing_by_any_way(demo: McpRoute, alice: Person, editor: Party, settings: Any) -> None:
    """RFC 6819 §4.4.1.4 (counterfeit client). The code is from before approval was asked for."""
    code = alice.code(editor.client)
    settings.GATEWAY = replace(settings.GATEWAY, client_registration="approval")
    assert alice.open(editor.client).status_code == 400
    assert editor.redeem(code).json()["error"] == "invalid_client"


class TestAReplacedRegistration:
    def test_ends_when_the_registration_is_replaced(self, http: Browser, register: Callable[..., dict[str, Any]], operator: User) -> None:
        """RFC 7592 §5: an approval was for what stood there."""
        registered = register(client_name="App", redirect_uris=[WEB], token_endpoint_auth_method="client_secret_basic")
        row = Client.objects.filter(client_id=registered["client_id"])
        decisions.allow_introspection(row, operator, lambda _: True)
        document = {"client_id": registered["client_id"], "client_name": "Another", "redirect_uris": [WEB]}
        assert put(http, registered, document, token_endpoint_auth_method="client_secret_basic").status_code == 200
        assert not row.get().may_introspect

    def test_a_new_secret_shuts_out_whoever_managed_the_registration(
        self, http: Browser, register: Callable[..., dict[str, Any]], operator: User
    ) -> None:
        """RFC 7592 §5: the token may have leaked with the secret."""
        registered = register(client_name="App", redirect_uris=[WEB], token_endpoint_auth_method="client_secret_basic")
        decisions.replace_secret(Client.objects.get(client_id=registered["client_id"]), operator)
        assert put(http, registered, {"client_id": registered["client_id"], "redirect_uris": [WEB]}).status_code == 401

    def test_that_went_or_was_switched_off_meanwhile_is_not_replaced(self, register: Callable[..., dict[str, Any]], operator: User) -> None:
        """Between finding the client and its lock."""
        registered = register(client_name="App", redirect_uris=[WEB])
        client, token = Client.objects.get(client_id=registered["client_id"]), Secret(registered["registration_access_token"])
        document = {"client_id": client.client_id, "client_name": "Another", "redirect_uris": [WEB]}
        decisions.disable(Client.objects.filter(pk=client.pk), operator)
        with pytest.raises(management.NotManageable):
            management.replace(client, document, token)
        Client.objects.filter(pk=client.pk).delete()
        with pytest.raises(management.NotManageable):
            management.replace(client, document, token)

    def test_cannot_be_replaced_once_registration_is_closed(
        self, http: Browser, register: Callable[..., dict[str, Any]], settings: Any
    ) -> None:
        """RFC 7592 §2.2: replacing is registering."""
        registered = register(client_name="App", redirect_uris=[WEB])
        settings.GATEWAY = replace(settings.GATEWAY, client_registration="closed")
        document = {"client_id": registered["client_id"], "client_name": "Another", "redirect_uris": ["https://evil.example/cb"]}
        assert put(http, registered, document).status_code == 403
        assert managed(http, registered).status_code == 200


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
    """RFC 7591 §3.2.2; CWE-674 (depth), CWE-400 (numbers of thousands of digits)."""
    answer = http.post("/oauth/register", body, content_type="application/json")
    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (400, "*")


@pytest.mark.parametrize("name", ["client_name", "scope", "client_uri", "logo_uri", "software_id", "contacts", "grant_types", "jwks_uri"])
@pytest.mark.parametrize(
    "value", ["\ud800", "a\x00b", 10**300, 1e308, -1, True, [None], [[]], {"a": {}}, ["\ud800"], "https://[", "x" * 30_000]
)
def test_no_member_of_a_registration_is_a_crash_and_none_reaches_the_database_unclean(
    http: Browser, db: None, name: str, value: Any
) -> None:
    """CWE-20, CWE-158 (NUL), lone surrogates (RFC 8259 §8.2)."""
    answer = http.post("/oauth/register", {"redirect_uris": [WEB], name: value}, content_type="application/json")
    assert answer.status_code in (201, 400)
    assert "\x00" not in answer.content.decode() and "\\ud800" not in answer.content.decode()


def put(http: Browser, registered: dict[str, Any], document: dict[str, Any], **members: Any) -> Any:
    return http.put(
        f"/oauth/register/{registered['client_id']}",
        json.dumps(document | members),
        content_type="application/json",
        headers={"Authorization": f"Bearer {registered['registration_access_token']}"},
    )


def managed(http: Browser, registered: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {registered['registration_access_token']}"}
    return http.get(f"/oauth/register/{registered['client_id']}", headers=headers)

"""Client ID metadata documents: which URL is a client, and what its document must say."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from oauthgw.clients import cimd
from oauthgw.clients.cimd import InvalidDocument, NotAccepted
from oauthgw.clients.metadata import ClientMetadata
from tests.unit.guard.conftest import Trust

URL = "https://app.example.com/client.json"
PUBLIC_KEY = json.loads(RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key()))


def read(*, url: str = URL, **members: Any) -> ClientMetadata:
    """A document as it would be published, with these members changed; `None` leaves one out."""
    document = {"client_id": url, "client_name": "App", "redirect_uris": ["http://127.0.0.1/callback"], **members}
    return cimd.read(url, json.dumps({name: value for name, value in document.items() if value is not None}).encode())


class TestTheUrl:
    @pytest.mark.parametrize(
        ("client_id", "is_url"),
        [
            (URL, True),
            ("HTTPS://app.example.com/x", True),
            ("http://127.0.0.1:8000/x", True),
            ("https://", True),
            ("x7Gh2k", False),
            ("httpsx://app.example.com/x", False),
            ("urn:example:app", False),
            ("", False),
            ("https://app.example.com/\x00", False),
        ],
    )
    def test_is_told_from_an_ordinary_client_id(self, client_id: str, is_url: bool) -> None:
        assert cimd.is_url(client_id) is is_url

    @pytest.mark.parametrize(
        "client_id",
        [
            URL,
            "https://app.example.com/a",
            "https://app.example.com//",
            "https://app.example.com/a/",
            "https://app.example.com/.well-known/client",
            "https://app.example.com/a..b/...",
            "https://app.example.com/client.json?v=1&path=../x",
            "https://app.example.com:8443/client.json",
            "https://xn--bcher-kva.example/client.json",
            "https://app.example.com/" + "x" * 1976,
        ],
    )
    def test_may_be_any_https_address_with_a_path(self, client_id: str) -> None:
        cimd.judge(client_id)

    @pytest.mark.parametrize(
        ("client_id", "wrong"),
        [
            ("https://app.example.com", "no path"),
            ("https://app.example.com/", "no path"),
            ("https://app.example.com/?a=b", "no path"),
            ("https://app.example.com/a/../b", "path segment"),
            ("https://app.example.com/./a", "path segment"),
            ("https://app.example.com/a/..", "path segment"),
            ("https://app.example.com/a/%2e%2E/b", "path segment"),
            ("https://app.example.com/a#", "fragment"),
            ("https://app.example.com/a#b", "fragment"),
            ("https://user@app.example.com/a", "user information"),
            ("https://user:pw@app.example.com/a", "user information"),
            ("http://app.example.com/a", "https://"),
            ("https://bücher.example/a", "ASCII"),
            ("https://app.example.com/ü", "ASCII"),
            ("https://app.example.com/a b", "ASCII"),
            ("https://app.example.com\\@evil.example/a", "ASCII"),
            ("https:///a", "no host"),
            ("https://app.example.com:25/a", "Port 25"),
            ("https://app.example.com/" + "x" * 1977, "2000"),
        ],
        ids=lambda value: value[:40],
    )
    def test_is_refused_in_words(self, client_id: str, wrong: str) -> None:
        with pytest.raises(InvalidDocument, match=wrong):
            cimd.judge(client_id)

    def test_may_be_plain_http_on_a_host_that_an_operator_trusts(self, trust: Trust) -> None:
        with pytest.raises(InvalidDocument):
            cimd.judge("http://127.0.0.1:8000/client.json")
        trust("127.0.0.1:8000")
        cimd.judge("http://127.0.0.1:8000/client.json")


class TestTheAllowedHosts:
    @pytest.fixture
    def allow(self, settings: Any) -> Callable[..., None]:
        def call(*hosts: str) -> None:
            settings.GATEWAY = replace(settings.GATEWAY, cimd_allowed_hosts=hosts)

        return call

    @pytest.mark.parametrize(
        "client_id", [URL, "https://app.example.com:8443/x", "https://APP.example.com/x", "https://other.example:8444/x"]
    )
    def test_may_publish(self, allow: Callable[..., None], client_id: str) -> None:
        allow("app.example.com", "other.example:8444")
        cimd.judge(client_id)

    @pytest.mark.parametrize(
        "client_id",
        [
            "https://evil.example/x",
            "https://app.example.com.evil.example/x",
            "https://sub.app.example.com/x",
            "https://other.example/x",
            "https://other.example:8445/x",
        ],
    )
    def test_are_the_only_ones(self, allow: Callable[..., None], client_id: str) -> None:
        cimd.judge(client_id)
        allow("app.example.com", "other.example:8444")
        with pytest.raises(NotAccepted, match="not among them"):
            cimd.judge(client_id)


CLAUDE_CODE = {
    "client_id": "https://claude.ai/oauth/claude-code-client-metadata",
    "client_name": "Claude Code",
    "client_uri": "https://claude.ai",
    "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
}
CHATGPT = {
    "client_id": "https://chatgpt.com/oauth/client.json",
    "client_uri": "https://chatgpt.com/",
    "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
    "token_endpoint_auth_method": "private_key_jwt",
    "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "client_name": "ChatGPT",
    "logo_uri": "https://persistent.oaistatic.com/sonic/misc/openai-logo.png",
    "token_endpoint_auth_signing_alg": "RS256",
    "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
}
OPENCODE = {
    "client_id": "https://opencode.ai/oauth/opencode/client.json",
    "client_name": "opencode",
    "client_uri": "https://opencode.ai",
    "logo_uri": "https://opencode.ai/web-app-manifest-512x512.png",
    "application_type": "native",
    "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "token_endpoint_auth_methods_supported": ["none"],
}


class TestTheDocument:
    @pytest.mark.parametrize(
        "document",
        [
            pytest.param(CLAUDE_CODE, id="Claude Code (anthropics/claude-code#37747)"),
            pytest.param(CHATGPT, id="ChatGPT (django-oauth/django-oauth-toolkit#1857)"),
            pytest.param(OPENCODE, id="opencode (anomalyco/opencode#47737)"),
        ],
    )
    def test_of_a_real_client_is_accepted_whole(self, document: dict[str, Any]) -> None:
        judged = cimd.read(document["client_id"], json.dumps(document).encode())
        assert (judged.client_name, list(judged.redirect_uris)) == (document["client_name"], document["redirect_uris"])
        assert judged.token_endpoint_auth_method == "none"
        assert judged.extras["client_uri"] == document["client_uri"]

    def test_may_list_more_grants_and_redirects_than_there_are_here(self) -> None:
        device = "urn:ietf:params:oauth:grant-type:device_code"
        judged = read(
            grant_types=["authorization_code", "refresh_token", device], redirect_uris=["odd://x", "cursor://a/b", "http://[::1]/cb"]
        )
        assert judged.grant_types == ("authorization_code", "refresh_token")
        assert judged.redirect_uris == ("cursor://a/b", "http://[::1]/cb")

    @pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b" \r\n"], ids=["plain", "byte order mark", "white space"])
    def test_is_json_in_utf_8(self, prefix: bytes) -> None:
        document = json.dumps(
            {"client_id": URL, "client_name": "Bücher", "redirect_uris": ["https://app.example.com/cb"]}, ensure_ascii=False
        )
        assert cimd.read(URL, prefix + document.encode()).client_name == "Bücher"

    @pytest.mark.parametrize(
        "content",
        [b"", b"<html>", b"[]", b'"x"', b"null", b'{"client_id":', '{"client_name": "Bücher"}'.encode("latin-1"), b"[" * 60_000],
        ids=lambda content: str(content[:20]),
    )
    def test_is_refused_when_it_is_anything_else(self, content: bytes) -> None:
        with pytest.raises(InvalidDocument, match=r"not JSON in UTF-8|not a JSON object"):
            cimd.read(URL, content)

    @pytest.mark.parametrize(
        "named",
        [None, "", 1, ["https://app.example.com/client.json"], "https://APP.example.com/client.json", URL + "/", URL + "?", URL + " "],
        ids=repr,
    )
    def test_names_itself_to_the_letter(self, named: Any) -> None:
        with pytest.raises(InvalidDocument, match="to the letter"):
            read(client_id=named)

    @pytest.mark.parametrize("name", [None, "", " ", "\u200b", 7])
    def test_needs_a_name_that_can_be_seen(self, name: Any) -> None:
        with pytest.raises(InvalidDocument, match="client_name"):
            read(client_name=name)

    @pytest.mark.parametrize(
        ("redirects", "wrong"),
        [
            (None, "redirect_uris must be a list"),
            ([], "redirect_uris must be a list"),
            (["http://app.example.com/cb"], "plain http"),
            (["https://app.example.com/cb", "javascript://x"], "cannot be a client's own"),
            (["odd://x"], "not listed here"),
        ],
        ids=repr,
    )
    def test_is_held_to_the_redirect_rules_of_a_registration(self, redirects: Any, wrong: str) -> None:
        with pytest.raises(InvalidDocument, match=wrong):
            read(redirect_uris=redirects)


class TestHowTheClientProvesItself:
    @pytest.mark.parametrize(
        ("named", "also"),
        [
            (None, None),
            ("", None),
            ("none", None),
            ("none", ["private_key_jwt"]),
            (None, ["none"]),
            ("private_key_jwt", ["none", "private_key_jwt"]),
            ("tls_client_auth", ["none"]),
            ("none", "not a list"),
            ("none", [["odd"], None]),
        ],
    )
    def test_not_at_all_if_its_document_allows_that(self, named: Any, also: Any) -> None:
        judged = read(token_endpoint_auth_method=named, token_endpoint_auth_methods_supported=also, jwks_uri="https://app.example.com/k")
        assert judged.token_endpoint_auth_method == "none"
        assert judged.extras["jwks_uri"] == "https://app.example.com/k"

    @pytest.mark.parametrize(
        ("named", "also"), [("private_key_jwt", None), (None, ["private_key_jwt"]), ("tls_client_auth", ["private_key_jwt"])]
    )
    @pytest.mark.parametrize(
        "keys", [{"jwks_uri": "https://app.example.com/keys"}, {"jwks": {"keys": [PUBLIC_KEY]}}], ids=["by reference", "by value"]
    )
    def test_else_by_its_own_key(self, named: Any, also: Any, keys: dict[str, Any]) -> None:
        judged = read(token_endpoint_auth_method=named, token_endpoint_auth_methods_supported=also, **keys)
        assert judged.token_endpoint_auth_method == "private_key_jwt" and judged.is_confidential

    def test_which_it_then_has_to_publish(self) -> None:
        with pytest.raises(InvalidDocument, match="needs the client's public keys"):
            read(token_endpoint_auth_method="private_key_jwt")

    @pytest.mark.parametrize("member", [{"d": "AQAB"}, {"p": "AQAB"}, {"kty": "oct", "k": "c2VjcmV0"}], ids=str)
    def test_but_not_by_a_key_that_everybody_can_read(self, member: dict[str, str]) -> None:
        read(jwks={"keys": [PUBLIC_KEY]})
        with pytest.raises(InvalidDocument, match="private or symmetric key"):
            read(jwks={"keys": [PUBLIC_KEY | member]})

    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "client_secret_jwt"])
    def test_never_by_a_secret_even_where_it_offers_something_else(self, method: str) -> None:
        with pytest.raises(InvalidDocument, match=f"{method}', but there is no way to agree on a secret"):
            read(token_endpoint_auth_method=method, token_endpoint_auth_methods_supported=["none"])

    @pytest.mark.parametrize("method", ["tls_client_auth", 7, ["none"]])
    def test_by_nothing_that_is_not_offered_here(self, method: Any) -> None:
        with pytest.raises(InvalidDocument, match="Accepted are none, and private_key_jwt"):
            read(token_endpoint_auth_method=method)

    @pytest.mark.parametrize("member", [{"client_secret": "x"}, {"client_secret": ""}, {"client_secret_expires_at": 0}], ids=str)
    def test_a_secret_has_no_place_in_it(self, member: dict[str, Any]) -> None:
        with pytest.raises(InvalidDocument, match="can hold no secret"):
            read(**member)

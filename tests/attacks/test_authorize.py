"""The authorization endpoint against every way to make it answer somewhere else, or something else (RFC 9700 §2.1, §4; RFC 6819 §4.4.1)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.models import AuthorizationCode, Client
from tests.unit.conftest import CHALLENGE, LOOPBACK, ORIGIN, WEB, Party, Person, sent_to_client, signed_value


def query_of(client: Client, **changed: str) -> str:
    good = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": LOOPBACK,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return urlencode({**good, **changed})


class TestWhichResponse:
    @pytest.mark.parametrize(
        "response_type",
        [
            "token",
            "id_token",
            "code token",
            "code id_token",
            "token code",
            "none",
            "CODE",
            "code ",
            " code",
            "code\tcode",
            "code,token",
            "[]",
        ],
    )
    def test_only_a_code_is_ever_given(self, demo: McpRoute, alice: Person, website: Party, response_type: str) -> None:
        """RFC 9700 §2.1.2; CVE-2025-4143 (workers-oauth-provider) came by the implicit path. Even where a page is not needed any more."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        given = AuthorizationCode.objects.count()
        answer = alice.open(website.client, redirect_uri=WEB, response_type=response_type)
        assert answer.status_code == 400 and "access_token" not in answer.content.decode()
        assert AuthorizationCode.objects.count() == given

    @pytest.mark.parametrize("mode", ["fragment", "form_post", "web_message", "query.jwt", "jwt", "QUERY"])
    def test_an_answer_comes_in_no_other_shape(self, demo: McpRoute, alice: Person, website: Party, mode: str) -> None:
        """OAuth 2.0 Multiple Response Types §2.1; with `fragment` and `web_message` scripts of the page get the code (Detectify, 2022)."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        answer = alice.open(website.client, redirect_uri=WEB, response_mode=mode)
        assert answer.status_code == 400 and "?code=" not in answer.content.decode()

    @pytest.mark.parametrize(
        "extra",
        [
            {"request": "eyJhbGciOiJub25lIn0.eyJyZWRpcmVjdF91cmkiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9."},
            {"request_uri": "http://169.254.169.254/latest/meta-data"},
            {"request_uri": "urn:ietf:params:oauth:request_uri:guessed"},
            {"request": "x", "request_uri": "https://evil.example/"},
        ],
        ids=" and ".join,
    )
    def test_a_request_object_is_neither_read_nor_fetched(
        self, demo: McpRoute, alice: Person, website: Party, extra: dict[str, str]
    ) -> None:
        """RFC 9101 §10.4 (SSRF by `request_uri`: CVE-2020-10770 in Keycloak). Ignoring it would grant what was not signed."""
        answer = alice.open(website.client, redirect_uri=WEB, **extra)
        assert answer.status_code == 400 and "evil.example" not in answer.content.decode() and "not supported" in answer.content.decode()

    @pytest.mark.parametrize("prompt", ["none", "none login", "login none", "none consent"])
    def test_nobody_gets_a_code_without_a_page_by_asking_for_silence(
        self, demo: McpRoute, alice: Person, website: Party, prompt: str
    ) -> None:
        """OpenID Connect Core §3.1.2.1; a hidden frame would ask like this."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        given = AuthorizationCode.objects.count()
        assert alice.open(website.client, redirect_uri=WEB, prompt=prompt).status_code == 400
        assert AuthorizationCode.objects.count() == given


class TestWhereItComesFrom:
    @pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ORIGIN}.evil.example"])
    def test_no_script_of_another_site_reads_it(self, demo: McpRoute, alice: Person, editor: Party, origin: str) -> None:
        """RFC 9700 §2.6: the authorization endpoint must not support CORS."""
        alice.browser.defaults["HTTP_ORIGIN"] = origin
        answers = [alice.open(editor.client), alice.browser.options("/oauth/authorize")]
        assert [answer.status_code for answer in answers] == [200, 405]
        assert not any(name.startswith("Access-Control") for answer in answers for name in answer.headers)

    def test_no_other_page_may_frame_it(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 9700 §4.16 (clickjacking): the page, its errors and the page that forwards."""
        page = alice.open(editor.client)
        for answer in (page, alice.decide(page), alice.open(editor.client, code_challenge="x"), alice.open(editor.client, client_id="x")):
            assert "frame-ancestors 'none'" in answer["Content-Security-Policy"] and answer["X-Frame-Options"] == "DENY"

    def test_the_code_is_in_no_referrer_and_in_no_cache(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 9700 §4.2.4, RFC 6819 §4.4.1.1."""
        answer = alice.decide(alice.open(editor.client))
        assert answer["Referrer-Policy"] == "same-origin" and "no-store" in answer["Cache-Control"]
        assert "src=" not in answer.content.decode().replace('src="/static/', ""), "nothing of another site is loaded beside the code"

    def test_no_redirect_repeats_a_form(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 9700 §4.12: a 307 or 308 would post the decision on to the client."""
        page = alice.open(editor.client)
        Client.objects.update(approved_at=timezone.now())
        for answer in (alice.decide(page), alice.decide(alice.open(editor.client), "cancel"), alice.open(editor.client, prompt="none")):
            assert answer.status_code in (200, 302)


class TestSigningInOnTheWay:
    def test_a_visitor_gets_no_code_and_leaves_none(self, demo: McpRoute, http: Browser, alice: Person, website: Party) -> None:
        """RFC 6819 §4.4.1.9: the consent of one user is nothing to a browser without one."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        given = AuthorizationCode.objects.count()
        answer = Person(None, http).open(website.client, redirect_uri=WEB)  # type: ignore[arg-type]
        assert answer["Location"].startswith("/oauth/login?") and AuthorizationCode.objects.count() == given

    def test_a_bad_request_is_told_before_anybody_signs_in_for_it(self, demo: McpRoute, http: Browser, editor: Party) -> None:
        """RFC 9700 §4.11.2: a phisher's link must not pass through a real sign-in page first."""
        visitor = Person(None, http)  # type: ignore[arg-type]
        for changed in ({"redirect_uri": "https://evil.example/"}, {"client_id": "x"}, {"resource": "https://evil.example/mcp/demo"}):
            answer = visitor.open(editor.client, **changed)
            assert answer.status_code == 400 and "Location" not in answer

    @pytest.mark.parametrize("path", ["/oauth/authorize/mcp/demo", "/authorize"])
    def test_what_comes_back_from_sign_in_is_judged_again(
        self, demo: McpRoute, http: Browser, alice: Person, editor: Party, path: str
    ) -> None:
        """RFC 9700 §4.1.3: the client may have lost its redirect URI meanwhile."""
        answer = http.get(f"{path}?{query_of(editor.client)}")
        back = parse_qs(urlsplit(answer["Location"]).query)["next"][0]
        assert alice.browser.get(back).status_code == 200
        Client.objects.update(redirect_uris="https://elsewhere.example/cb")
        assert alice.browser.get(back).status_code == 400


class TestPollution:
    """CWE-235: what one parser takes from two values is not what another takes."""

    @pytest.mark.parametrize(
        "suffix",
        [
            "&redirect_uri=https://evil.example/",
            "&redirect%5Furi=https://evil.example/",
            "&client_id=another",
            "&scope=mcp:tools&scope=admin",
            "&state=1&state=2",
            "&code_challenge_method=plain",
            "&resource=https://evil.example/mcp/demo",
            "&x=%00",
            "&x=%ff",
            "&%00=x",
        ],
    )
    def test_a_second_value_is_a_refusal(self, demo: McpRoute, alice: Person, editor: Party, suffix: str) -> None:
        """RFC 6749 §3.1: no parameter more than once."""
        answer = alice.browser.get(f"/oauth/authorize/mcp/demo?{query_of(editor.client, resource=f'{ORIGIN}/mcp/demo')}{suffix}")
        assert answer.status_code == 400 and "http-equiv" not in answer.content.decode()

    @pytest.mark.parametrize(
        "suffix",
        [
            ";redirect_uri=https://evil.example/",
            "&redirect_uri[]=https://evil.example/",
            "&REDIRECT_URI=https://evil.example/",
            "&redirect_uri%20=https://evil.example/",
        ],
    )
    def test_what_only_looks_like_one_has_no_say(self, demo: McpRoute, alice: Person, editor: Party, suffix: str) -> None:
        """CVE-2021-23336: a semicolon is no separator; RFC 6749 §3.1: unrecognised parameters are ignored."""
        page = alice.browser.get(f"/oauth/authorize/mcp/demo?{query_of(editor.client, state='s')}{suffix}")
        assert sent_to_client(alice.decide(page))["code"] and "//evil.example" not in alice.decide(page).content.decode().split("state=")[0]

    def test_a_form_asks_for_nothing(self, demo: McpRoute, alice: Person, website: Party) -> None:
        """RFC 6749 §3.1 lets a server take POST; here it only decides, so that a hidden form cannot ask past the page."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        given = AuthorizationCode.objects.count()
        form = dict(pair.split("=") for pair in query_of(website.client, redirect_uri="x").split("&")) | {"redirect_uri": WEB}
        for path in ("/oauth/authorize", "/oauth/authorize/mcp/demo", f"/oauth/authorize?{query_of(website.client, redirect_uri=WEB)}"):
            assert alice.browser.post(path, form).status_code == 400
        assert AuthorizationCode.objects.count() == given

    @pytest.mark.parametrize("override", ["X-HTTP-Method-Override", "X-Method-Override"])
    def test_a_link_decides_nothing_whatever_its_headers_say(self, demo: McpRoute, alice: Person, editor: Party, override: str) -> None:
        """CWE-650."""
        value = signed_value(alice.open(editor.client))
        alice.browser.get("/oauth/authorize", {"consent": value, "decision": "approve", "_method": "POST"}, headers={override: "POST"})
        assert not AuthorizationCode.objects.exists()


class TestWhatIsGranted:
    @pytest.mark.parametrize("scope", ["admin", "mcp:tools admin", "*", "openid email", "mcp:tools\nadmin", "mcp:tools " * 500, "\u202e"])
    def test_no_scope_grows_by_asking(self, demo: McpRoute, alice: Person, editor: Party, scope: str) -> None:
        """RFC 6819 §5.1.5.1; RFC 6749 §3.3."""
        alice.decide(alice.open(editor.client, scope=scope))
        assert set(AuthorizationCode.objects.get().scope.split()) <= {"mcp:tools", "offline_access"}

    @pytest.mark.parametrize(
        "resource",
        [
            "https://evil.example/mcp/demo",
            f"{ORIGIN}.evil.example/mcp/demo",
            f"{ORIGIN}@evil.example/mcp/demo",
            f"{ORIGIN}/mcp/demo-admin",
            f"{ORIGIN}/mcp/demo/../demo-admin",
            f"{ORIGIN}/mcp/demo%2f..%2fdemo-admin",
            f"{ORIGIN}/mcp/demo#x",
            f"{ORIGIN}/mcp/demo?x",
            f"{ORIGIN}//mcp/demo",
            f"{ORIGIN}/mcp/DEMO",
            f"{ORIGIN}/mcp/demo//",
            f"{ORIGIN}\\mcp\\demo",
            "/mcp/demo",
            "demo",
            "urn:mcp:demo",
            "javascript:alert(1)",
            f"{ORIGIN}/mcp/d\u0435mo",
            "http://localhost:9000:80/mcp/demo",
            "http://[/mcp/demo",
        ],
    )
    def test_a_resource_is_this_route_or_a_refusal(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party, resource: str
    ) -> None:
        """RFC 8707 §2; RFC 9700 §2.3, §4.10: a token for more than was shown is a token for another server."""
        answer = alice.open(editor.client, resource=resource)
        assert answer.status_code == 400 and "invalid_target" in answer.content.decode()

    def test_the_page_of_one_client_is_not_the_consent_of_its_twin(
        self, demo: McpRoute, alice: Person, website: Party, register: Callable[..., dict[str, Any]]
    ) -> None:
        """MCP security best practices, "Confused Deputy"; GHSA-c2jp-c369-7pvx (FastMCP): per client, never for the proxy as a whole."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        evil = register(client_name="Website", redirect_uris=["https://evil.example/cb"])
        answer = alice.open(Client.objects.get(client_id=evil["client_id"]), redirect_uri="https://evil.example/cb")
        assert signed_value(answer) and "evil.example" in answer.content.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/OAUTH/authorize",
        "/oauth/Authorize",
        "/oauth//authorize",
        "/oauth/authorize/mcp/DEMO",
        "/oauth/authorize/mcp/demo/x",
        "/oauth/authorize;x=1",
        "/oauth/authorize%20",
        "/oauth/authorize/%2e%2e/authorize",
        "/oauth/authorize%0a",
        "/oauth/authorize/mcp/demo%00",
    ],
)
def test_another_spelling_of_the_address_is_another_address(demo: McpRoute, alice: Person, website: Party, path: str) -> None:
    """CWE-41: a rule of a proxy in front that names `/oauth/authorize` must not be passed by a spelling."""
    alice.decide(alice.open(website.client, redirect_uri=WEB))
    assert alice.browser.get(f"{path}?{query_of(website.client, redirect_uri=WEB)}").status_code == 404


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


@pytest.mark.parametrize("host", ["localhost:99999", "localhost:٣", "[::1]:70000"])
def test_a_port_that_is_none_in_the_moved_browsers_parameter_moves_nothing(demo: McpRoute, alice: Person, editor: Party, host: str) -> None:
    """CWE-601: the parameter is anybody's word."""
    assert alice.open(editor.client, "", gateway_host=host).status_code == 200


def test_a_state_that_grows_when_encoded_still_reaches_the_sign_in(demo: McpRoute, http: Browser, editor: Party) -> None:
    """Each layer encodes once more: a percent sign is five characters in `next`, and a redirect carries some 16,000."""
    assert Person(None, http).open(editor.client, state="%" * 1500).status_code == 302  # type: ignore[arg-type]
    assert Person(None, http).open(editor.client, state="%" * 6000).status_code == 400  # type: ignore[arg-type]

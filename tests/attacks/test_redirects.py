"""Redirect URIs against every parser that may read them: ours, a browser's, an operating system's (RFC 9700 §2.1, §4.1, §4.11)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.clients import redirects
from oauthgw.models import AuthorizationCode, Client
from tests.unit.conftest import CHALLENGE, LOOPBACK, Party, Person, forwarded_to, sent_to_client, signed_value

WEB = "https://app.example.com/cb"


@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example[::1]/cb",  # urlsplit: host ::1; WHATWG: no URL
        "http://evil.example:80[::1]:1/cb",
        "http://[::1]evil.example/cb",
        "http://[::1].evil.example/cb",
        "https://[::1].evil.example/cb",
        "https://bank.example%2eevil.example/cb",  # browsers decode before they resolve; people read what is not there
        "https://bank.example%2f.evil.example/cb",
        "https://%65vil.example/cb",
        "https://bank.example%00.evil.example/cb",
        "https://[::1%25eth0]/cb",
        "http://[::1%25eth0]/cb",
        "https://a<b>.example/cb",
        "https://a|b.example/cb",
        "https://a^b.example/cb",
        "https://a..example/cb",  # RFC 1034 §3.1: no empty label
        "https://../cb",
        "https://localhost../cb",  # is this computer to some, and no name to others
        "https://.a.example/cb",
    ],
)
def test_a_host_that_browsers_read_otherwise_or_not_at_all_is_refused(uri: str) -> None:
    """WHATWG URL §3.2 (forbidden domain code points, percent-decoding), RFC 3986 §3.2.2 (IP-literal)."""
    with pytest.raises(ValidationError):
        redirects.validate(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example\\@127.0.0.1/cb",
        "http://127.0.0.1\\@evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http:\\\\127.0.0.1/cb",
        "http:/127.0.0.1/cb",
        "http:127.0.0.1/cb",
        "http:///127.0.0.1/cb",
        "http://127.0.0.1:80:80/cb",
        "http://127.0.0.1.nip.example/cb",
        "http://localhost.evil.example/cb",
        "http://localhost./cb",
        "http://0x7f.1/cb",
        "http://2130706433/cb",
        "http://0/cb",
        "http://[::]/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "http://127.0.0.2/cb",
        "http://①27.0.0.1/cb",
        "http://127。0。0。1/cb",
        "\thttps://a.example/cb",
        "https://a.example/c\tb",
        "https://a.example/\r\nX: y",
        "\x00https://a.example",
        " https://a.example/cb",
        "https://a.example/cb%23\x7f",
        "https://@a.example/cb",
        "https://:@a.example/cb",
        "https://a.example:٣/cb",
        "https://a.example:+1/cb",
        "https://a.example:-1/cb",
        "https://a.example:65536/cb",
        "https://?a.example",
        "https://#a",
        "https:",
        "https:/",
        "https://",
        "://a",
        "javascript:alert(1)//https://a.example",
        "javascript://a.example/?%0aalert(1)",
        "JAVASCRIPT://a.example/",
        "data://text/html,x",
        "vbscript://a",
        "blob:https://a.example/x",
        "filesystem:https://a.example/x",
        "view-source:https://a.example",
        "file://a/b",
        "about:blank",
        "intent://a#Intent;scheme=https;end",
        "ms-settings:x",
        "search-ms:query=x",
        "cursor:anysphere",
        "cursor:/anysphere",
        "cursor://u@h/cb",
        "cursor://h/cb#f",
        "CURSOR\x00://h/cb",
        "https://a.example/cb?%63ode=1",
        "https://a.example/cb?x=1&STATE=1&state",
        "https://a.example/*",
    ],
)
def test_a_hostile_redirect_uri_cannot_be_registered(uri: str) -> None:
    """CVE-2023-6291 and CVE-2024-8883 (Keycloak: wildcards), GHSA-q9xg-f2v2-695g (Windmill: `javascript:`), RFC 8252 §8.4."""
    with pytest.raises(ValidationError) as refused:
        redirects.validate(uri)
    assert not isinstance(refused.value, redirects.UnknownScheme), "refused with its whole set, and not only left out"


@pytest.mark.parametrize(
    "scheme", ["javascript", "data", "vbscript", "file", "blob", "intent", "ms-settings", "mailto", "chrome-extension"]
)
def test_no_setting_makes_a_scheme_of_everybodys_a_clients_own(settings: Any, scheme: str) -> None:
    """RFC 8252 §7.1, §8.4: what runs, reads or sends something by itself is nobody's, whatever an operator lists."""
    settings.GATEWAY = replace(settings.GATEWAY, client_redirect_schemes=(scheme,))
    assert not redirects.acceptable(f"{scheme}://app/cb")


@pytest.mark.parametrize("spelling", ["HTTPS://app.example.com/cb", "hTTp://127.0.0.1:1/cb", "CURSOR://app/cb"])
def test_the_case_of_a_scheme_changes_no_rule(spelling: str) -> None:
    """RFC 3986 §3.1: schemes are compared without case."""
    redirects.validate(spelling)
    assert redirects.is_https(spelling) is spelling.lower().startswith("https")
    assert redirects.is_loopback(spelling) is spelling.lower().startswith("http:")


@pytest.mark.parametrize(
    "requested",
    [
        "http://evil.example[::1]:1/cb",
        "http://[::1]:1/cb/../x",
        "http://[::1]:1/cb?x",
        "http://[::1]:1/cb#",
        "http://[::1]:1//cb",
        "http://[::1]:1/CB",
        "http://a@[::1]/cb",
        "http://[::1]:1\\@evil.example/cb",
        "https://[::1]/cb",
        "http://[0:0:0:0:0:0:0:1]/cb",
        "http://[::1]:1/cb\n",
    ],
)
def test_only_the_port_of_a_loopback_redirect_is_free(requested: str) -> None:
    """RFC 8252 §7.3."""
    assert redirects.matches("http://[::1]:50000/cb", "http://[::1]/cb")
    assert not redirects.matches(requested, "http://[::1]/cb")


class TestWhereAnswersGo:
    def open_raw(self, person: Person, query: str) -> Any:
        return person.browser.get(f"/oauth/authorize/mcp/demo?{query}")

    @pytest.mark.parametrize(
        "suffix",
        [
            "@evil.example",
            ".evil.example",
            "%40evil.example",
            "\\@evil.example",
            "%5c%40evil.example",
            "%00",
            "%0d%0aLocation:%20//e",
            "#@e",
            "%23x",
            "/",
            "?",
            ";",
        ],
    )
    def test_an_address_that_only_begins_like_the_registered_one_gets_nothing(
        self, demo: McpRoute, alice: Person, website: Party, suffix: str
    ) -> None:
        """RFC 9700 §2.1, §4.1.1: compared as a whole string."""
        query = urlencode(
            {"response_type": "code", "client_id": website.client.client_id, "code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        )
        assert self.open_raw(alice, f"{query}&redirect_uri={quote(WEB)}").status_code == 200
        answer = self.open_raw(alice, f"{query}&redirect_uri={quote(WEB)}{suffix}")
        if suffix == "#@e":  # the fragment never was part of the request
            assert answer.status_code == 200 and "evil" not in answer.content.decode()
        else:
            assert answer.status_code == 400 and "http-equiv" not in answer.content.decode() and "Location" not in answer

    def test_an_error_goes_where_validation_said_even_when_two_parsers_read_the_query_differently(
        self, demo: McpRoute, alice: Person, website: Party
    ) -> None:
        """RFC 3986 §3.4: a '#' ends the query, for some parsers."""
        Client.objects.update(approved_at=timezone.now())
        query = f"client_id={website.client.client_id}&state=1#&redirect_uri=https://evil.example/"
        answer = alice.browser.get("/oauth/authorize/mcp/demo", QUERY_STRING=query)
        assert not answer.get("Location", "").startswith("https://evil.example") and 'href="https://evil' not in answer.content.decode()

    def test_several_registered_addresses_leave_no_default(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]
    ) -> None:
        """RFC 6749 §3.1.2.3."""
        client = Client.objects.get(client_id=register(redirect_uris=[WEB, LOOPBACK])["client_id"])
        assert alice.open(client, redirect_uri=None).status_code == 400
        assert alice.open(client, redirect_uri=WEB).status_code == 200

    @pytest.mark.parametrize(
        "state", ['"><script>alert(1)</script>', "' onload=x", "0;url=https://evil.example", "\u202e", "&code=stolen&iss=x", "a\r\nb"]
    )
    def test_state_can_neither_leave_its_parameter_nor_the_attribute(
        self, demo: McpRoute, alice: Person, editor: Party, state: str
    ) -> None:
        """CWE-79, CWE-113: `state` is anybody's text on a page of ours."""
        answer = alice.decide(alice.open(editor.client, state=state))
        assert "<script>alert" not in answer.content.decode()
        assert forwarded_to(answer).startswith(f"{LOOPBACK}?code=")
        sent = sent_to_client(answer)
        assert sent["state"] == state and sent["iss"].endswith("/mcp/demo") and sent["code"] != "stolen"

    def test_a_redirect_dropped_from_the_registration_while_the_page_was_open_gets_no_code(
        self, demo: McpRoute, alice: Person, website: Party
    ) -> None:
        """CWE-367; maxkuminov/obsidian-mcp#4: the decision judges the redirect URI again."""
        page = alice.open(website.client, redirect_uri=WEB)
        Client.objects.update(redirect_uris="https://elsewhere.example/cb")
        assert alice.decide(page).status_code == 400
        assert not AuthorizationCode.objects.exists()

    @pytest.mark.parametrize("uri", ["https://localhost:8443/cb", "https://127.0.0.1:8443/cb", "https://[::1]:8443/cb"])
    def test_consent_for_an_https_address_on_this_machine_is_never_remembered(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]], uri: str
    ) -> None:
        """RFC 8252 §8.6: no skipping where any local program can present the client's id; TLS changes nothing about that."""
        client = Client.objects.get(client_id=register(redirect_uris=[uri])["client_id"])
        alice.decide(alice.open(client, redirect_uri=uri))
        assert signed_value(alice.open(client, redirect_uri=uri))

    @pytest.mark.parametrize(
        "uri",
        [
            "https://192.168.0.1/cb",
            "https://169.254.169.254/cb",
            "https://127.1/cb",
            "https://2130706433/cb",
            "https://0x7f000001/cb",
            "https://app.localhost/cb",
            "https://localhost./cb",
        ],
    )
    def test_an_address_in_somebodys_own_network_is_asked_about_every_time(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]], uri: str
    ) -> None:
        """RFC 9700 §4.1: whoever is in that network today may answer there; a browser reads each of these as an address or as itself."""
        client = Client.objects.get(client_id=register(redirect_uris=[uri])["client_id"])
        alice.decide(alice.open(client, redirect_uri=uri))
        assert signed_value(alice.open(client, redirect_uri=uri))


class TestMethods:
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
    def test_the_authorization_endpoint_takes_get_and_post_only(self, demo: McpRoute, alice: Person, website: Party, method: str) -> None:
        """RFC 6749 §3.1: GET, and POST."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        query = alice.open(website.client, redirect_uri=WEB).wsgi_request.META["QUERY_STRING"]
        given = AuthorizationCode.objects.count()
        assert alice.browser.generic(method, f"/oauth/authorize/mcp/demo?{query}").status_code == 405
        assert AuthorizationCode.objects.count() == given

    def test_a_head_request_gives_no_code(self, demo: McpRoute, alice: Person, website: Party) -> None:
        """RFC 9110 §9.2.1: safe; link checkers and prefetchers send it."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        query = alice.open(website.client, redirect_uri=WEB).wsgi_request.META["QUERY_STRING"]
        given = AuthorizationCode.objects.count()
        alice.browser.head(f"/oauth/authorize/mcp/demo?{query}")
        assert AuthorizationCode.objects.count() == given

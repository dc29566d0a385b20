"""A client ID is a URL that a stranger chose, and the gateway asks it: nobody is to be reached by that whom the stranger cannot reach.

Sources: draft-ietf-oauth-client-id-metadata-document-01 §6.5, CWE-918, MCP security best practices ("Server-Side Request Forgery").
"""

import socket
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.models import Client
from tests.attacks.conftest import refused
from tests.support.documents import Documents
from tests.unit.conftest import ORIGIN, Party, Person
from tests.unit.guard.conftest import Resolve, Trust


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0.0.0.0",  # noqa: S104
        "localhost",
        "localhost.",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "2852039166",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_no_spelling_of_a_private_address_is_connected_to(visitor: Person, inside: Documents, reached: list[Any], host: str) -> None:
    """draft §6.5; WHATWG URL §3.5 (IPv4 in every base), RFC 4291 §2.5.5, RFC 6052, RFC 3056."""
    port = inside.authority.rpartition(":")[2]
    for url in (f"https://{host}:{port}/client.json", f"https://{host}/client.json", f"http://{host}:{port}/client.json"):
        refused(visitor.open(Client(client_id=url)))
    assert not reached and not inside.asked


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.1"],
        ["169.254.169.254"],  # AWS, GCP, Azure
        ["fd00:ec2::254"],  # AWS by IPv6
        ["100.100.100.200"],  # Alibaba
        ["168.63.129.16"],  # Azure's wire server
        ["192.0.0.192"],  # Oracle
        ["0.0.0.0"],  # noqa: S104  (this machine, for Linux)
        ["::"],
        ["100.64.0.1"],  # RFC 6598
        ["198.18.0.1"],  # RFC 2544
        ["::ffff:10.0.0.1"],  # RFC 4291 §2.5.5.2
        ["::ffff:0:10.0.0.1"],  # RFC 7915
        ["64:ff9b::10.0.0.1"],  # RFC 6052
        ["64:ff9b:1::1"],  # RFC 8215
        ["2002:a00:1::1"],  # RFC 3056
        ["2001:0:a00:1::f5ff:fffe"],  # RFC 4380
        ["fe80::1%eth0"],
        ["93.184.216.34", "127.0.0.1"],  # one of two is enough
        ["127.0.0.1", "93.184.216.34"],
    ],
    ids=str,
)
def test_a_name_that_leads_inside_is_not_followed(visitor: Person, resolve: Resolve, reached: list[Any], addresses: list[str]) -> None:
    """CWE-918: what a name says is judged, all of it."""
    resolve("innocent.example", addresses)
    page = refused(visitor.open(Client(client_id="https://innocent.example/client.json")))
    assert "leads to no address on the public internet" in page
    assert not reached and not [address for address in addresses if address in page], "what the name leads to is not told"


@pytest.mark.parametrize("port", [22, 25, 53, 80, 110, 389, 445, 465, 0, 444, 1023, 65536, 99999])
def test_no_protocol_but_https_is_spoken_to(visitor: Person, resolve: Resolve, reached: list[Any], port: int) -> None:
    """CWE-918: a request line is also a line of mail, of a shell, of a cache."""
    resolve("innocent.example", ["93.184.216.34"])
    refused(visitor.open(Client(client_id=f"https://innocent.example:{port}/client.json")))
    assert not reached


def test_a_public_address_would_be_connected_to(visitor: Person, resolve: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side: a refusal of everything would pass all of this."""
    asked: list[Any] = []

    def refuse(address: Any, timeout: float) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    resolve("innocent.example", ["93.184.216.34"])
    assert "refused the connection" in refused(visitor.open(Client(client_id="https://innocent.example/client.json")))
    assert asked == [("93.184.216.34", 443)]


def test_an_address_is_not_asked_for_a_second_time(visitor: Person, resolve: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    """CWE-350, CWE-367: DNS rebinding."""
    asked: list[Any] = []

    def refuse(address: Any, timeout: float) -> None:
        asked.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    looked_up = resolve("rebinding.example", ["93.184.216.34"], ["127.0.0.1"])
    refused(visitor.open(Client(client_id="https://rebinding.example/client.json")))
    assert (looked_up, asked) == (["rebinding.example"], ["93.184.216.34"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(visitor: Person, documents: Documents, inside: Documents, status: int) -> None:
    """draft §4: redirects must not be followed."""
    target = inside.publish("/client.json", {})
    url = documents.serve("/client.json", b"", status=status, Location=target)
    assert "none is followed" in refused(visitor.open(Client(client_id=url)))
    assert len(documents.asked) == 1 and not inside.asked


@pytest.mark.parametrize(
    "client_id",
    [
        "https://user@{host}/client.json",
        "https://user:password@{host}/client.json",
        "https://{host}/client.json#",
        "https://{host}/client.json#x",
        "https://{host}/a/../client.json",
        "https://{host}/%2e%2e/client.json",
        "https://{host}/",
        "https://{host}",
        "https://{host}\\@evil.example/client.json",
        "https://evil.example\\@{host}/client.json",
        "https://{host}/client.json\r\nX-Injected: 1",
        "https://{host}/client json",
        "https://{host}%2f@evil.example/client.json",
        "HTTPS://{host}/client.json#",
    ],
)
def test_an_address_that_programs_read_differently_is_not_asked(
    visitor: Person, documents: Documents, reached: list[Any], client_id: str
) -> None:
    """On a host that may be asked, so that only the rule keeps it from being."""
    refused(visitor.open(Client(client_id=client_id.format(host=documents.authority).replace("https://127", "http://127"))))
    assert not reached and not documents.asked


@pytest.mark.parametrize(
    "client_id", ["file:///etc/passwd", "ftp://{host}/c", "gopher://{host}/_x", "data:application/json,{}", "jar:https://{host}/c"]
)
def test_another_scheme_is_only_an_unknown_client(visitor: Person, documents: Documents, reached: list[Any], client_id: str) -> None:
    """draft §3: https."""
    page = refused(visitor.open(Client(client_id=client_id.replace("{host}", documents.authority))))
    assert "not registered here" in page and not reached


def test_trust_in_a_host_for_fetching_does_not_reach_further(visitor: Person, inside: Documents, trust: Trust) -> None:
    """CWE-183."""
    trust("127.0.0.1:1", "innocent.example")
    url = inside.publish("/client.json", {})
    refused(visitor.open(Client(client_id=url)))
    refused(visitor.open(Client(client_id=url.replace("http:", "https:"))))
    assert not inside.asked


class TestWhoIsAsked:
    @pytest.mark.parametrize("path", ["/oauth/authorize?client_id=x", "/.well-known/oauth-authorization-server", "/oauth/register"])
    def test_the_gateway_does_not_ask_itself_from_inside(self, visitor: Person, reached: list[Any], path: str) -> None:
        """CWE-918: what is open to this machine only (demo sign-in, figures) must not be had by way of a client ID."""
        for at in (ORIGIN, ORIGIN.replace("http:", "https:")):
            refused(visitor.open(Client(client_id=f"{at}{path}")))
        assert not reached

    def test_nobody_is_asked_at_the_token_endpoint(self, http: Browser, demo: McpRoute, documents: Documents) -> None:
        """draft §6.5: a form that anybody may post is no way to have strangers asked."""
        url = documents.publish("/client.json", {})
        for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
            form = {"client_id": url, "grant_type": "refresh_token", "refresh_token": "x", "token": "x"}
            assert Party(http, Client(client_id=url)).post(path, form).status_code == 401
        assert not documents.asked

    def test_only_listed_hosts_are_asked_where_an_operator_lists_them(
        self, visitor: Person, documents: Documents, resolve: Resolve, reached: list[Any], settings: Any
    ) -> None:
        """draft §6.2; neither a look-up nor a connection for others."""
        settings.GATEWAY = replace(settings.GATEWAY, cimd_allowed_hosts=("claude.ai",))
        looked_up = resolve("claude.ai.evil.example", ["93.184.216.34"])
        for host in ("claude.ai.evil.example", "evilclaude.ai", "claude.ai:8443@evil.example", documents.authority):
            refused(visitor.open(Client(client_id=f"https://{host}/client.json")))
        assert not looked_up and not reached

    def test_nobody_is_asked_where_registration_is_closed(self, visitor: Person, documents: Documents, settings: Any) -> None:
        """draft §6.2; CWE-918."""
        settings.GATEWAY = replace(settings.GATEWAY, client_registration="closed")
        refused(visitor.open(Client(client_id=documents.publish("/client.json", {}))))
        assert not documents.asked

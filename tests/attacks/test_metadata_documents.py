"""A client ID is a URL that a stranger chose, and the gateway asks it: nobody is to be reached by that whom the stranger cannot reach."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.journal.models import Event
from oauthgw.models import Client
from tests.support.documents import Documents, published
from tests.unit.conftest import LOOPBACK, Party, Person, sent_to_client
from tests.unit.guard.conftest import Resolve, Trust


@pytest.fixture
def inside() -> Iterator[Documents]:
    """A server of the gateway's own machine that no operator named."""
    with published() as server:
        yield server


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that a connection was opened to, whether or not one came about."""
    addresses: list[Any] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            addresses.append(address)
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return addresses


@pytest.fixture
def visitor(http: Browser, demo: McpRoute) -> Person:
    """Anybody: the document is asked for before anyone signs in."""
    return Person(None, http)  # type: ignore[arg-type]


def refused(answer: Any) -> str:
    """The page of a refusal, which leads nowhere and leaves nothing behind."""
    assert answer.status_code == 400 and "Location" not in answer
    assert not Client.objects.exists() and not Event.objects.exists()
    page = str(answer.content.decode())
    assert LOOPBACK not in page
    return page


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
    port = inside.authority.rpartition(":")[2]
    for url in (f"https://{host}:{port}/client.json", f"https://{host}/client.json", f"http://{host}:{port}/client.json"):
        refused(visitor.open(Client(client_id=url)))
    assert not reached and not inside.asked


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["10.0.0.1"], ["169.254.169.254"], ["::ffff:10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["fe80::1%eth0"]],
    ids=str,
)
def test_a_name_that_leads_inside_is_not_followed(visitor: Person, resolve: Resolve, reached: list[Any], addresses: list[str]) -> None:
    resolve("innocent.example", addresses)
    page = refused(visitor.open(Client(client_id="https://innocent.example/client.json")))
    assert "leads to no address on the public internet" in page
    assert not reached and not [address for address in addresses if address in page], "what the name leads to is not told"


def test_a_public_address_would_be_connected_to(visitor: Person, resolve: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def refuse(address: Any, timeout: float) -> None:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    resolve("innocent.example", ["93.184.216.34"])
    assert "refused the connection" in refused(visitor.open(Client(client_id="https://innocent.example/client.json")))
    assert asked == [("93.184.216.34", 443)]


def test_an_address_is_not_asked_for_a_second_time(visitor: Person, resolve: Resolve, monkeypatch: pytest.MonkeyPatch) -> None:
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
    page = refused(visitor.open(Client(client_id=client_id.replace("{host}", documents.authority))))
    assert "not registered here" in page and not reached


def test_a_document_speaks_for_no_address_but_its_own(visitor: Person, documents: Documents) -> None:
    document = {"client_name": "App", "redirect_uris": [LOOPBACK]}
    for named in (f"{documents.url}/other.json", f"{documents.url}/client.json/", "https://claude.ai/oauth/claude-code-client-metadata"):
        url = documents.publish("/client.json", {**document, "client_id": named})
        assert "to the letter" in refused(visitor.open(Client(client_id=url)))
    url = documents.publish("/client.json", {**document, "client_id": f"{documents.url}/client.json"})
    assert visitor.open(Client(client_id=url)).status_code == 302  # to sign in


def test_a_document_that_is_too_large_is_refused(visitor: Person, documents: Documents) -> None:
    url = f"{documents.url}/client.json"
    document = {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK], "padding": ""}
    documents.publish("/client.json", {**document, "padding": "x" * 65_536})
    assert "more than 64 kB" in refused(visitor.open(Client(client_id=url)))
    documents.publish("/client.json", {**document, "padding": "x" * 60_000})
    assert visitor.open(Client(client_id=url)).status_code == 302


def test_trust_in_a_host_for_fetching_does_not_reach_further(visitor: Person, inside: Documents, trust: Trust) -> None:
    trust("127.0.0.1:1", "innocent.example")
    url = inside.publish("/client.json", {})
    refused(visitor.open(Client(client_id=url)))
    refused(visitor.open(Client(client_id=url.replace("http:", "https:"))))
    assert not inside.asked


def test_a_client_of_a_document_cannot_pass_for_another(
    visitor: Person, demo: McpRoute, alice: Person, http: Browser, documents: Documents
) -> None:
    """The code of one app is not good for another, whoever publishes it."""
    programs = []
    for name in ("one", "two"):
        url = f"{documents.url}/{name}.json"
        documents.publish(f"/{name}.json", {"client_id": url, "client_name": name, "redirect_uris": [LOOPBACK]})
        programs.append(Party(http, Client(client_id=url)))
    one, two = programs
    code = sent_to_client(alice.decide(alice.open(one.client)))["code"]
    alice.open(two.client)
    assert two.redeem(code).json()["error"] == "invalid_grant"
    assert one.redeem(code).status_code == 200


@pytest.mark.parametrize("secret", ["", "client_secret", "x"])
def test_a_client_that_signs_cannot_be_had_by_a_secret(
    visitor: Person, alice: Person, http: Browser, documents: Documents, secret: str
) -> None:
    url = f"{documents.url}/client.json"
    document = {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK], "token_endpoint_auth_method": "private_key_jwt"}
    documents.publish("/client.json", {**document, "jwks_uri": f"{documents.url}/keys"})
    program = Party(http, Client(client_id=url), secret)
    code = sent_to_client(alice.decide(alice.open(program.client)))["code"]
    assert program.redeem(code).json()["error"] == "invalid_client"

"""A client that registers nowhere: its client ID is the address of a document, which a running gateway fetches over TLS."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.flows.conftest import CHALLENGE, House
from tests.flows.sdk import REDIRECT, SdkClient
from tests.support import databases, tls
from tests.support.documents import Documents, published
from tests.support.gateway import Gateway


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tls.certificate(tmp_path_factory.mktemp("publisher"))


@pytest.fixture(scope="module")
def publisher(certificate: Path) -> Iterator[Documents]:
    """An app's web server, whose certificate is of an authority of the operator's own."""
    with published(certificate, name="localhost") as server:
        yield server


@pytest.fixture(scope="module")
def house(start_gateway: Callable[..., Gateway], publisher: Documents, certificate: Path) -> House:
    return House(start_gateway("runserver", FETCH_TRUSTED_HOSTS=publisher.authority, SSL_CERT_FILE=str(certificate)))


@pytest.fixture
def document(publisher: Documents) -> str:
    """As Claude Code publishes it: loopback redirects without a port, more grants than there are here."""
    url = f"{publisher.url}/oauth/client.json"
    grants = ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]
    members = {"client_id": url, "client_name": "Weather Station", "redirect_uris": ["http://127.0.0.1/callback"], "grant_types": grants}
    publisher.asked.clear()
    return publisher.publish("/oauth/client.json", members, Cache_Control="public, max-age=600")


def test_the_consent_page_names_the_domain_and_the_token_opens_the_route(house: House, publisher: Documents, document: str) -> None:
    visitor = house.visitor()
    client = {"client_id": document, "redirect_uris": [REDIRECT]}
    page = visitor.open(house.authorize_url("demo", client))
    assert page.status_code == 200
    for fact in ("Weather Station", ">verified domain<", publisher.authority, "127.0.0.1:33418", "Demo tools"):
        assert fact in page.text
    assert ">unverified<" not in page.text

    asked = house.answered(visitor.press(page, "approve").text, client)
    tokens = requests.post(f"{house.url}/oauth/token", data=asked.form(), timeout=10).json()
    assert house.call("demo", tokens["access_token"]).status_code == 200
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": document}
    assert requests.post(f"{house.url}/oauth/token", data=form, timeout=10).status_code == 200
    assert publisher.paths() == ["/oauth/client.json"], "fetched once, and never for a token"
    assert databases.count(house.gateway.database_url, "journal_event", "kind", "client_registered") == 1


def test_the_python_sdk_prefers_its_document_to_registering(house: House, document: str) -> None:
    program = SdkClient(house.route("demo"), house.visitor().authorize, document=document)

    async def use() -> str:
        async with program.connected() as client:
            answer = await client.call_tool("echo", {"text": "hello"})
            return str(answer.content[0].text)  # type: ignore[union-attr]

    assert asyncio.run(use()) == "hello"
    assert program.storage.client is not None and program.storage.client.client_id == document
    assert databases.count(house.gateway.database_url, "oauthgw_client", "registration_source", "dcr") == 0


def test_a_document_that_cannot_be_had_is_a_page_and_a_line_in_the_log(house: House, publisher: Documents) -> None:
    url = f"{publisher.url}/missing.json"
    query = {
        "client_id": url,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    answer = house.gateway.get("/oauth/authorize/mcp/demo", params=query)
    assert (answer.status_code, "status 404" in answer.text) == (400, True)
    assert f"{url}: status 404" in house.gateway.log()

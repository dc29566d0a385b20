"""A gateway, and the way of one client through it: each step is made once, when a test first asks for it."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import requests

from tests.clients.catalogue import CLIENTS
from tests.clients.habits import AUTHORIZE, Habits
from tests.clients.published import Publisher
from tests.flows.conftest import House
from tests.flows.visitor import Visitor
from tests.support.documents import published
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE

SLUG = "demo"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
WAYS = [(client, back) for client in CLIENTS for back in client.returns_to]
REGISTRATIONS = [(client, client.returns_to[0]) for client in CLIENTS if client.registers is not None]


@dataclass
class Journey:
    """One client, one redirect URI, one gateway."""

    house: House
    visitor: Visitor
    publisher: Publisher
    habits: Habits
    redirect_uri: str

    @property
    def resource(self) -> str:
        return self.house.route(SLUG)

    @cached_property
    def found(self) -> list[requests.Response]:
        """The answers to what it asks for to find its way, as in `habits.discovers`."""
        return [self._ask(*step.format(slug=SLUG).split()) for step in self.habits.discovers]

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The authorization server as it knows it: by document, or by the defaults of MCP 2025-03-26."""
        documents = [answer.json() for answer in self.found if answer.ok]
        if documents:
            return dict(documents[-1])
        endpoints = ("authorization_endpoint", "/authorize"), ("token_endpoint", "/token"), ("registration_endpoint", "/register")
        return {name: f"{self.house.url}{path}" for name, path in endpoints}

    @cached_property
    def registered(self) -> requests.Response:
        """The answer to its registration."""
        assert self.habits.registers is not None
        return requests.post(self.metadata["registration_endpoint"], json=self.habits.registers, timeout=PATIENCE)

    @cached_property
    def client(self) -> dict[str, Any]:
        """What it knows of itself: its registration, or its document."""
        if self.habits.publishes is not None:
            return self.publisher.publish(self.habits.publishes)
        return dict(self.registered.json())

    @cached_property
    def opened(self) -> str:
        """The address that its user's browser ends at."""
        request = self.habits.authorization_request(self.client["client_id"], self.redirect_uri, CHALLENGE, self._named)
        url = f"{self.metadata['authorization_endpoint']}?{urlencode(request)}"
        chooses = AUTHORIZE not in self.habits.resource_at and f"/mcp/{SLUG}" not in self.metadata["authorization_endpoint"]
        return self.visitor.authorize(url, route=f"/mcp/{SLUG}" if chooses else "")

    @cached_property
    def answered(self) -> dict[str, str]:
        """The parameters it is called with."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.opened).query).items()}

    @cached_property
    def issued(self) -> requests.Response:
        return self._token(self.habits.token_request(self.answered["code"], self.redirect_uri, VERIFIER, self._named))

    @cached_property
    def refreshed(self) -> requests.Response:
        return self._token(self.habits.refresh_request(self.issued.json()["refresh_token"], self._named))

    @property
    def _named(self) -> str:
        return self.habits.resource.format(resource=self.resource, origin=self.house.url)

    def _ask(self, status: str, method: str, path: str) -> requests.Response:
        headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
        return requests.request(method, f"{self.house.url}{path}", headers=headers, timeout=PATIENCE)

    def _token(self, form: dict[str, str]) -> requests.Response:
        headers = {"Accept": "application/json", "Content-Type": self.habits.form_type}
        method = self.habits.authenticates
        client_id, secret = self.client["client_id"], self.client.get("client_secret", "")
        if method == "client_secret_basic":
            headers["Authorization"] = "Basic " + b64encode(f"{quote(client_id)}:{quote(secret)}".encode()).decode()
        elif method == "private_key_jwt":
            form |= {"client_id": client_id, **self.publisher.assertion(client_id, self.metadata["token_endpoint"])}
        else:
            form |= {"client_id": client_id, **({"client_secret": secret} if method == "client_secret_post" else {})}
        return requests.post(self.metadata["token_endpoint"], data=form, headers=headers, timeout=PATIENCE)


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    with published() as documents:
        yield Publisher(documents)


@pytest.fixture(scope="module")
def house(start_gateway: Callable[..., Gateway], publisher: Publisher) -> House:
    return House(start_gateway(FETCH_TRUSTED_HOSTS=publisher.documents.authority))


@pytest.fixture(scope="module")
def alice(house: House) -> Visitor:
    return house.visitor()


def _way(way: tuple[Habits, str]) -> str:
    return re.sub(r"[^\w.:/-]+", "-", f"{way[0].name}:{way[1]}")


@pytest.fixture(scope="module", params=REGISTRATIONS, ids=lambda way: _way((way[0], "")).rstrip(":"))
def newcomer(request: pytest.FixtureRequest, house: House, alice: Visitor, publisher: Publisher) -> Journey:
    """Each client that registers, once."""
    return Journey(house, alice, publisher, *request.param)


@pytest.fixture(scope="module", params=WAYS, ids=_way)
def journey(request: pytest.FixtureRequest, house: House, alice: Visitor, publisher: Publisher) -> Journey:
    """Each client, for each address that it waits at."""
    return Journey(house, alice, publisher, *request.param)


def as_text(answer: requests.Response) -> str:
    """For a failing test: what was answered."""
    return json.dumps([answer.status_code, dict(answer.headers), answer.text], indent=1)

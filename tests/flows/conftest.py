"""A house: a running gateway with its routes, and short words for what people and programs do in it."""

import html
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from oauthgw.guard.sealed import digest
from tests.flows.visitor import FORWARD, Visitor
from tests.support.gateway import Gateway
from tests.support.processes import until

VERIFIER = "canary-verifier-" + "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
LOOPBACK = "http://127.0.0.1:33418/callback"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
PING = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
# Time itself needs no telling; whoever turns it forward behind a gateway's back says so, and ends no stream by it.
_EXPIRE = """
from django.db import transaction
from django.utils.timezone import now
from oauthgw.journal.changes import Topic, publish
from oauthgw.models import AccessToken
tokens = AccessToken.objects.filter(token_checksum={digest!r})
with transaction.atomic():
    print(tokens.update(expires=now()))
    publish(Topic.USER, tokens.get().user_id)
"""


@dataclass
class Answered:
    """A client that was sent back with the answer of the authorization endpoint."""

    client: dict[str, Any]
    redirect_uri: str
    parameters: dict[str, str]

    def form(self) -> dict[str, str]:
        """The token request that follows."""
        return {
            "grant_type": "authorization_code",
            "code": self.parameters["code"],
            "client_id": self.client["client_id"],
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
        }


@dataclass
class House:
    """A gateway under test."""

    gateway: Gateway
    verify: str | bool = True  # the certificate to trust, where the gateway is behind TLS

    @property
    def url(self) -> str:
        return self.gateway.url

    def route(self, slug: str) -> str:
        return self.gateway.route_url(slug)

    def visitor(self, name: str = "alice") -> Visitor:
        """A person who has signed in."""
        visitor = Visitor()
        visitor.sign_in(self.url, f"{name}@example.com")
        return visitor

    def register(self, **metadata: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/oauth/register", json={"client_name": "A program", **metadata}, timeout=10, verify=self.verify)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def authorize_url(self, slug: str, client: dict[str, Any]) -> str:
        query = {
            "response_type": "code",
            "client_id": client["client_id"],
            "redirect_uri": client["redirect_uris"][0],
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": self.route(slug),
            "state": "s-1",
        }
        return f"{self.url}/oauth/authorize/mcp/{slug}?{urlencode(query)}"

    def ask(self, slug: str, visitor: Visitor | None = None, client: dict[str, Any] | None = None) -> Answered:
        """From the authorization request to the client's redirect URI."""
        client = client or self.register(redirect_uris=[LOOPBACK])
        target = (visitor or self.visitor()).authorize(self.authorize_url(slug, client))
        return Answered(client, client["redirect_uris"][0], _parameters(target))

    @staticmethod
    def answered(page: str, client: dict[str, Any]) -> Answered:
        """What a forwarding page carries."""
        found = FORWARD.search(page)
        assert found, page
        return Answered(client, client["redirect_uris"][0], _parameters(html.unescape(found[1])))

    def tokens(self, slug: str, user: str = "alice") -> dict[str, Any]:
        """A new client's tokens for a route, with its client_id and its whole registration beside them."""
        asked = self.ask(slug, self.visitor(user))
        answer = requests.post(f"{self.url}/oauth/token", data=asked.form(), timeout=10)
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "client_id": asked.client["client_id"], "registration": asked.client}

    def expire(self, access_token: str) -> None:
        """Lets an access token's time run out."""
        ended = self.gateway.manage("shell", "-v0", "-c", _EXPIRE.format(digest=digest(access_token)))
        assert ended.strip() == "1"

    def call(self, slug: str, token: str) -> requests.Response:
        """The first request of an MCP client."""
        return self.post(slug, token, INITIALIZE)

    def ended(self, slug: str, token: str) -> requests.Response:
        """The refusal of a token that was taken away, which each process knows within a second."""
        answers: list[requests.Response] = []

        def is_refused() -> bool:
            answers.append(self.call(slug, token))
            return answers[-1].status_code == 401

        until(is_refused, lambda: f"still answered: {answers[-1].status_code} {answers[-1].text}")
        return answers[-1]

    def post(self, slug: str, token: str, message: dict[str, Any], session: str = "") -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
        if session:
            headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
        return requests.post(self.route(slug), json=message, headers=headers, timeout=30, verify=self.verify)

    def admin_lists(self, browser: requests.Session) -> dict[str, str]:
        """The admin's front page and every list that it links to, by address."""
        index = browser.get(f"{self.url}/admin/", timeout=10).text
        links = sorted(set(re.findall(r'href="(/admin/[a-z_0-9]+/[a-z_]+/)"', index)))
        assert any("grant" in link for link in links), index
        lists = {"/admin/": index}
        for link in links:
            page = browser.get(self.url + link, timeout=10)
            assert page.status_code == 200, link
            lists[link] = page.text
        return lists

    def admin_pages(self, browser: requests.Session) -> str:
        """Every list of the admin, and the pages of the first rows of each."""
        lists = self.admin_lists(browser)
        rows = [row for link, page in lists.items() for row in sorted(set(re.findall(rf'href="({link}\d+/change/)', page)))[:10]]
        return "\n".join([*lists.values(), *(browser.get(self.url + row, timeout=10).text for row in rows)])


def _parameters(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@pytest.fixture(scope="module", params=["runserver", "gunicorn"])
def house(request: pytest.FixtureRequest, start_gateway: Callable[..., Gateway]) -> House:
    """Under `runserver`, and under gunicorn with two workers that share Redis; alice is an operator."""
    shared = {"CACHE_URL": request.getfixturevalue("redis_url")} if request.param == "gunicorn" else {}
    return House(start_gateway(request.param, GATEWAY_ADMINS="alice@example.com", **shared))

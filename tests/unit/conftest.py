"""In-process actors: people, routes, clients, and the way they go through the gateway without a network."""

import html
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.guard.secret import Secret
from oauthgw.models import Client, Identity
from tests.support.signing import Signer

HOST = "localhost:9000"
ORIGIN = f"http://{HOST}"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
LOOPBACK = "http://127.0.0.1:33418/callback"
WEB = "https://app.example.com/cb"


@dataclass
class Person:
    """A signed-in user in a browser."""

    user: User
    browser: Browser

    def open(self, client: Client, path: str = "/mcp/demo", **changed: Any) -> Any:
        """Opens the authorization endpoint as a client would have it opened; `None` leaves a parameter out."""
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": LOOPBACK,
            "state": "s-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": f"{ORIGIN}/mcp/demo",
            **changed,
        }
        return self.browser.get(f"/oauth/authorize{path}", {name: value for name, value in query.items() if value is not None})

    def decide(self, page: Any, decision: str = "approve", **changed: str) -> Any:
        """Presses a button of a consent page."""
        return self.browser.post("/oauth/authorize", {"consent": signed_value(page), "decision": decision, **changed})

    def code(self, client: Client, path: str = "/mcp/demo", **changed: Any) -> str:
        """All the way to an authorization code."""
        answer = self.decide(self.open(client, path, **changed))
        return sent_to_client(answer)["code"]


@dataclass
class Party:
    """A client that talks to the machine endpoints."""

    http: Browser
    client: Client
    secret: str = ""

    def token(self, **form: str) -> Any:
        if self.secret:
            form = {"client_secret": self.secret, **form}
        return self.post("/oauth/token", {"client_id": self.client.client_id, **form})

    def redeem(self, code: str, /, **changed: str) -> Any:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": LOOPBACK, **changed}
        return self.token(**form)

    def refresh(self, refresh_token: str, /, **changed: str) -> Any:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **changed)

    def revoke(self, token: str) -> Any:
        return self.post("/oauth/revoke", {"client_id": self.client.client_id, "token": token})

    def post(self, path: str, form: dict[str, str]) -> Any:
        return self.http.post(path, urlencode(form), content_type="application/x-www-form-urlencoded")


@dataclass
class SigningParty(Party):
    """A client that proves itself by its own key; `audience` is whom its assertions are for."""

    signer: Signer = field(default_factory=Signer)
    audience: Any = ORIGIN

    def token(self, **form: str) -> Any:
        """Signs anew unless the form brings an assertion."""
        proof = {} if "client_assertion" in form else self.signer.form(self.client.client_id, self.audience)
        return self.post("/oauth/token", {**proof, **form})


def signed_value(page: Any) -> str:
    """The consent page's one value."""
    assert page.status_code == 200, page.content
    found = re.search(r'name="consent" value="([^"]+)"', page.content.decode())
    assert found, page.content.decode()
    return html.unescape(found[1])


def forwarded_to(answer: Any) -> str:
    """The address the forwarding page leads to."""
    assert answer.status_code == 200, answer.content.decode()
    found = re.search(r'http-equiv="refresh" content="0; ?url=([^"]+)"', answer.content.decode())
    assert found, answer.content.decode()
    return html.unescape(found[1])


def sent_to_client(answer: Any) -> dict[str, str]:
    """The parameters that the forwarding page carries to the client."""
    return {name: values[0] for name, values in parse_qs(urlsplit(forwarded_to(answer)).query).items()}


@pytest.fixture
def http(client: Browser) -> Browser:
    """An HTTP client without a session, as programs are."""
    client.defaults["HTTP_HOST"] = HOST
    return client


@pytest.fixture
def demo(db: None) -> McpRoute:
    return McpRoute.objects.create(slug="demo", name="Demo tools", upstream_url="http://127.0.0.1:9/mcp")


@pytest.fixture
def demo_admin(db: None) -> McpRoute:
    return McpRoute.objects.create(slug="demo-admin", name="Demo administration", upstream_url="http://127.0.0.1:9/mcp")


@pytest.fixture
def new_person(db: None) -> Callable[[str], Person]:
    def make(name: str) -> Person:
        user = User.objects.create_user(f"user_{name}", email=f"{name}@example.com")
        Identity.objects.create(user=user, provider="workos", subject=f"user_{name}", email=user.email, email_verified=True)
        browser = Browser(HTTP_HOST=HOST)
        browser.force_login(user)
        return Person(user, browser)

    return make


@pytest.fixture
def alice(new_person: Callable[[str], Person]) -> Person:
    return new_person("alice")


@pytest.fixture
def bob(new_person: Callable[[str], Person]) -> Person:
    return new_person("bob")


@pytest.fixture
def register(http: Browser, db: None) -> Callable[..., dict[str, Any]]:
    def call(status: int = 201, **metadata: Any) -> dict[str, Any]:
        answer = http.post("/oauth/register", metadata, content_type="application/json")
        assert answer.status_code == status, answer.content
        return dict(answer.json())

    return call


@pytest.fixture
def editor(http: Browser, register: Callable[..., dict[str, Any]]) -> Party:
    """A public client with a loopback redirect, as editors and command lines are."""
    answer = register(client_name="Editor", redirect_uris=[LOOPBACK])
    return Party(http, Client.objects.get(client_id=answer["client_id"]))


@pytest.fixture
def website(http: Browser, register: Callable[..., dict[str, Any]]) -> Party:
    """A confidential client with an https redirect, as hosted assistants are."""
    answer = register(client_name="Website", redirect_uris=[WEB], token_endpoint_auth_method="client_secret_post")
    return Party(http, Client.objects.get(client_id=answer["client_id"]), answer["client_secret"])


@pytest.fixture
def chatbot(http: Browser, register: Callable[..., dict[str, Any]]) -> SigningParty:
    """A client that signs, with its key set by value."""
    signer = Signer()
    answer = register(
        client_name="Chatbot", redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set, scope="mcp:tools"
    )
    return SigningParty(http, Client.objects.get(client_id=answer["client_id"]), signer=signer)


@pytest.fixture
def add_encryption_key(settings: Any) -> Callable[[], None]:
    """Puts a new key in front, as an operator does who rotates."""

    def add() -> None:
        fresh = Secret(Fernet.generate_key().decode())
        settings.GATEWAY = replace(settings.GATEWAY, encryption_keys=(fresh, *settings.GATEWAY.encryption_keys))

    return add


@pytest.fixture
def replace_encryption_key(settings: Any) -> Callable[[], None]:
    """Removes every old key."""

    def change() -> None:
        settings.GATEWAY = replace(settings.GATEWAY, encryption_keys=(Secret(Fernet.generate_key().decode()),))

    return change


class Clock:
    """What time the gateway thinks it is: it stands still until moved."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one part that cannot be had for real."""
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


@pytest.fixture
def decide(settings: Any) -> Callable[..., None]:
    """What an operator decides in the settings: `decide(refresh_replay=0)`."""

    def change(**changed: Any) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, **changed)

    return change

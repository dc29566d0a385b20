"""A stand-in for WorkOS that answers as it is told: for what the emulator never does (faults, 403 states, forged tokens)."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from django.core.cache import cache
from django.test import Client as Browser
from jwt.algorithms import RSAAlgorithm

from oauthgw.guard.conf import WorkOS
from oauthgw.guard.secret import Secret
from oauthgw.identity import jwks
from oauthgw.identity.provider import Person
from oauthgw.identity.workos import Endpoints, WorkOSProvider, endpoints
from tests.support.processes import free_port

CLIENT_ID = "client_01TEST"
API_KEY = "sk_test_standin"
HOST = "localhost:9000"
CALLBACK = f"http://{HOST}/oauth/callback"
ALICE = {"id": "user_01ALICE", "email": "alice@example.com", "email_verified": True, "first_name": "Alice", "last_name": "Ng"}


@dataclass
class Reply:
    """What the stand-in answers. A body that is no bytes is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)


class Standin:
    """One pretended WorkOS environment, with its own signing key."""

    def __init__(self, base: str, key: RSAPrivateKey) -> None:
        self.base = base
        self.key = key
        self.key_id = "key-1"
        self.published: list[dict[str, Any]] = [public_key(key, "key-1")]
        self.received: list[dict[str, Any]] = []  # bodies of the token endpoint
        self.key_requests = 0
        self.answer: Callable[[], Reply] = lambda: Reply(body=self.signed_in())
        self.answer_keys: Callable[[], Reply] = lambda: Reply(body={"keys": self.published})
        self.asked: list[tuple[str, str]] = []  # path with query, and the Authorization header, of whatever is asked with the API key
        self.answer_api: Callable[[str], Reply] = lambda path: Reply(404, {"code": "entity_not_found", "message": "Not found."})
        self.silent = threading.Event()  # while set, requests get no answer
        self.released = threading.Event()

    @property
    def settings(self) -> WorkOS:
        return WorkOS(client_id=CLIENT_ID, client_secret=Secret(API_KEY), api_base_url=self.base)

    @property
    def provider(self) -> WorkOSProvider:
        return WorkOSProvider(self.settings)

    @property
    def endpoints(self) -> Endpoints:
        return endpoints(CLIENT_ID, self.base)

    def exchange(self) -> Person:
        return self.provider.exchange(code="code-1", verifier="v" * 43, ip="192.0.2.7", user_agent="Test/1")

    def signed_in(self, user: dict[str, Any] | None = None, token: str | None = None, **more: Any) -> dict[str, Any]:
        """The token endpoint's good answer."""
        user = ALICE | (user or {})
        return {
            "user": user,
            "access_token": token or self.token(sub=user["id"]),
            "refresh_token": "ref_1",
            "organization_id": None,
            **more,
        }

    def token(self, *, key: Any = None, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """An access token; a claim or header of None is left out."""
        now = int(time.time())
        payload = {"iss": self.endpoints.issuer, "sub": ALICE["id"], "sid": "session_01", "jti": "j", "iat": now, "exp": now + 300} | claims
        header = {"kid": self.key_id} | (headers or {})
        return jwt.encode(
            {name: value for name, value in payload.items() if value is not None},
            self.key if key is None else key,
            algorithm=algorithm,
            headers={name: value for name, value in header.items() if value is not None},
        )


def public_key(key: RSAPrivateKey, key_id: str, **changed: Any) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "alg": "RS256", "use": "sig", **changed}


@pytest.fixture(scope="session")
def signing_keys() -> tuple[RSAPrivateKey, RSAPrivateKey]:
    """Two keys, made once: they take a while."""
    return generate_private_key(65537, 2048), generate_private_key(65537, 2048)


@pytest.fixture
def standin(signing_keys: tuple[RSAPrivateKey, RSAPrivateKey]) -> Iterator[Standin]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            pretended.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._send(pretended.answer)

        def do_GET(self) -> None:
            if self.path.startswith("/sso/jwks/"):
                pretended.key_requests += 1
                self._send(pretended.answer_keys)
            else:
                pretended.asked.append((self.path, self.headers.get("Authorization", "")))
                self._send(lambda: pretended.answer_api(self.path))

        def _send(self, answer: Callable[[], Reply]) -> None:
            if pretended.silent.is_set():
                pretended.released.wait(30)
                return
            reply = answer()
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            pass

    jwks._process.clear()  # an earlier stand-in may have had the same port
    cache.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pretended = Standin(f"http://127.0.0.1:{server.server_port}", signing_keys[0])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield pretended
    pretended.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def unused_port() -> Callable[[], int]:
    return free_port


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the key store's clock on by so many seconds."""
    moved = [0.0]
    monkeypatch.setattr(jwks, "now", lambda: time.time() + moved[0])

    def move(seconds: float) -> None:
        moved[0] += seconds

    return move


@pytest.fixture
def configure(settings: Any) -> Callable[..., None]:
    """Changes the gateway's settings for one test."""

    def change(**changed: Any) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, **changed)

    return change


@pytest.fixture
def with_workos(standin: Standin, configure: Callable[..., None]) -> Standin:
    """The gateway, signing people in through the stand-in."""
    configure(workos=standin.settings, sign_in_allow=("*",), admins=(), origin="")
    return standin


@pytest.fixture
def without_workos(configure: Callable[..., None]) -> None:
    """The gateway on a laptop, with nothing configured."""
    configure(debug=True, workos=WorkOS(), sign_in_allow=("*",), admins=(), origin="")


@pytest.fixture
def new_browser() -> Callable[[], Browser]:
    return lambda: Browser(HTTP_HOST=HOST, enforce_csrf_checks=True)


@pytest.fixture
def browser(new_browser: Callable[[], Browser], db: None) -> Browser:
    """A browser that has never been here."""
    return new_browser()


def begin(browser: Browser, next_path: str = "/account/") -> str:
    """Starts a sign-in; the state that the provider will give back."""
    answer = browser.get("/oauth/login", {"next": next_path})
    assert answer.status_code == 302, answer.content
    return parse_qs(urlsplit(answer["Location"]).query)["state"][0]


def come_back(browser: Browser, state: str, **query: str) -> Any:
    """The provider's redirect back, with a code unless the query says otherwise."""
    return browser.get("/oauth/callback", {"state": state, **(query or {"code": "code-1"})})

"""The actors of the unit tests, for people who mean harm."""

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.clients.documents import fetch_if_due
from oauthgw.journal.models import Event
from oauthgw.models import Client
from tests.support.documents import Documents, published
from tests.unit.conftest import (
    LOOPBACK,
    WEB,
    Person,
    add_encryption_key,
    alice,
    bob,
    chatbot,
    demo,
    demo_admin,
    editor,
    http,
    new_person,
    register,
    replace_encryption_key,
    website,
)
from tests.unit.guard.conftest import documents, patience, resolve, trust
from tests.unit.identity.conftest import configure, signing_keys, standin, with_workos, without_workos

__all__ = [
    "add_encryption_key",
    "alice",
    "bob",
    "chatbot",
    "configure",
    "demo",
    "demo_admin",
    "documents",
    "editor",
    "http",
    "new_person",
    "patience",
    "register",
    "replace_encryption_key",
    "resolve",
    "signing_keys",
    "standin",
    "trust",
    "website",
    "with_workos",
    "without_workos",
]


@pytest.fixture
def publish(documents: Documents, db: None) -> Callable[..., Client]:
    """Publishes the app's document with these members, and has it fetched although the last one is still fresh."""

    def call(**members: Any) -> Client:
        url = f"{documents.url}/client.json"
        documents.publish("/client.json", {"client_id": url, "client_name": "App", "redirect_uris": [LOOPBACK, WEB], **members})
        long_ago = timezone.now() - timedelta(days=2)
        Client.objects.filter(client_id=url).update(document_fetched_at=long_ago, cimd_expires_at=long_ago)
        fetch_if_due(url)
        found: Client = Client.objects.get(client_id=url)
        return found

    return call


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create(username="root", is_staff=True, is_superuser=True)


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

"""What the guarded client meets: a web server that an operator trusts, and a name server that says what a test wants."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from oauthgw.guard import fetch
from tests.support.documents import Documents, published
from tests.support.processes import PATIENCE

Trust = Callable[..., None]
Resolve = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine gets more time than strangers do."""
    monkeypatch.setattr(fetch, "TOTAL_SECONDS", PATIENCE)


@pytest.fixture
def trust(settings: Any) -> Trust:
    """Names hosts as an operator does in FETCH_TRUSTED_HOSTS."""

    def call(*hosts: str) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, fetch_trusted_hosts=hosts)

    return call


@pytest.fixture
def documents(trust: Trust) -> Iterator[Documents]:
    with published() as server:
        trust(server.authority)
        yield server


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Makes a name resolve to these addresses, one list for each look-up; returns the names looked up, as they come."""
    real = socket.getaddrinfo

    def call(name: str, *answers: list[str]) -> list[str]:
        asked: list[str] = []
        left = list(answers)

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host != name:
                return real(host, port, *args, **kwargs)
            asked.append(host)
            addresses = left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET6 if ":" in address else socket.AF_INET, 1, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return call

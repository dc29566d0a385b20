"""A running gateway, a person who has signed in, and a place where clients publish documents."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.flows.conftest import CHALLENGE, House
from tests.flows.visitor import Visitor
from tests.support.documents import Documents, published
from tests.support.gateway import Gateway


@pytest.fixture(scope="module")
def documents() -> Iterator[Documents]:
    with published() as server:
        yield server


@pytest.fixture(scope="module")
def house(start_gateway: Callable[..., Gateway], documents: Documents) -> House:
    return House(start_gateway(FETCH_TRUSTED_HOSTS=documents.authority))


@pytest.fixture(scope="module")
def alice(house: House) -> Visitor:
    return house.visitor()


@pytest.fixture(scope="module")
def asks(house: House) -> Callable[..., str]:
    """The URL by which a client asks for access to the route `demo`; `None` leaves a parameter out."""

    def url(client_id: str, redirect_uri: str, path: str = "/mcp/demo", **changed: Any) -> str:
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "state": "s-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "resource": house.route("demo"),
            **changed,
        }
        given = [(name, value) for name, value in parameters.items() if value is not None]
        return f"{house.url}/oauth/authorize{path}?{urlencode(given, doseq=True)}"

    return url

"""Limits as they are served: by the address that the proxy tells, and counted together by processes that share a Redis."""

import secrets
import time
from collections.abc import Callable

import pytest
import requests

from tests.support.gateway import Gateway

pytestmark = pytest.mark.whichever_database
START = Callable[..., Gateway]
MOST = 6  # registrations a minute from one address, with the scale below
REGISTRATION = {"client_name": "Editor", "redirect_uris": ["http://127.0.0.1:33418/callback"]}


@pytest.fixture(scope="module")
def nodes(start_gateway: START, redis_url: str) -> tuple[Gateway, Gateway]:
    """Two processes behind a proxy of this machine."""
    settings = {"CACHE_URL": redis_url, "RATE_LIMIT_SCALE": "0.05", "TRUSTED_PROXIES": "127.0.0.1,::1"}
    return start_gateway(**settings), start_gateway(**settings)


def somebody() -> str:
    """An address, in a /64, that no other test and no other run has: Redis is shared."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


def register(node: Gateway, address: str, path: str = "/oauth/register") -> requests.Response:
    return node.post(path, json=REGISTRATION, headers={"X-Forwarded-For": address})


def within_one_minute(flood: Callable[[], list[int]]) -> list[int]:
    """What a flood answered that began and ended in the same window: the clock may turn in the middle of it."""
    while True:
        minute = time.time() // 60
        statuses = flood()
        if time.time() // 60 == minute:
            return statuses


def test_two_processes_share_the_count(nodes: tuple[Gateway, Gateway]) -> None:
    def flood() -> list[int]:
        address = somebody()
        return [register(nodes[number % 2], address).status_code for number in range(MOST + 2)]

    assert within_one_minute(flood) == [201] * MOST + [429, 429]


def test_people_behind_one_proxy_are_told_apart(nodes: tuple[Gateway, Gateway]) -> None:
    def flood() -> list[int]:
        one, other = somebody(), somebody()
        return [register(nodes[0], address).status_code for address in [one] * (MOST + 1) + [other]]

    assert within_one_minute(flood) == [201] * MOST + [429, 201]


def test_what_a_client_writes_left_of_its_own_address_hides_nobody(nodes: tuple[Gateway, Gateway]) -> None:
    def flood() -> list[int]:
        address = somebody()
        return [register(nodes[0], f"198.51.100.{number}, {address}").status_code for number in range(MOST + 1)]

    assert within_one_minute(flood) == [201] * MOST + [429]


def test_the_answer_on_the_wire(nodes: tuple[Gateway, Gateway]) -> None:
    address = somebody()
    answers = [register(nodes[0], address) for _ in range(2 * MOST + 1)]  # over two windows at most
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["Access-Control-Allow-Origin"] == "*" and refused.headers["Cache-Control"] == "no-store"
    assert refused.json()["error"] == "temporarily_unavailable"


def test_calls_have_no_limit(nodes: tuple[Gateway, Gateway]) -> None:
    address = somebody()
    calls = [nodes[0].post("/mcp/demo", json={}, headers={"X-Forwarded-For": address}).status_code for _ in range(30)]
    assert set(calls) == {401}


def test_without_its_redis_a_gateway_refuses_nobody(start_gateway: START) -> None:
    gateway = start_gateway(CACHE_URL="redis://127.0.0.1:1/0", RATE_LIMIT_SCALE="0.01")
    assert [gateway.post("/oauth/register", json=REGISTRATION).status_code for _ in range(5)] == [201] * 5
    assert gateway.log().count("requests are not limited") == 1, "it was asked once, and then left alone for a while"

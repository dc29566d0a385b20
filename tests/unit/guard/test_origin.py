"""Whose address a request comes from, and which hosts are this machine."""

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from oauthgw.guard import origin


@pytest.fixture
def behind_proxies(settings: Any) -> None:
    settings.GATEWAY = replace(settings.GATEWAY, trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("::1/128")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::1", ["2001:db8::7"], "2001:db8::7"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_clients_address_is_the_last_hop_before_the_trusted_proxies(
    behind_proxies: None, peer: str, forwarded: list[str], address: str
) -> None:
    assert origin.client_address(peer, forwarded) == address


def test_without_trusted_proxies_nobodys_word_is_taken() -> None:
    assert origin.client_address("127.0.0.1", ["198.51.100.1"]) == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST:9000", True),
        ("127.0.0.1:9000", True),
        ("[::1]:9000", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example:9000", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(host: str, loopback: bool) -> None:
    assert origin.is_loopback_host(host) is loopback


def test_a_proxys_headers_give_it_away() -> None:
    assert origin.is_forwarded([(b"x-forwarded-for", b"1")]) and origin.is_forwarded([(b"via", b"1")])
    assert not origin.is_forwarded([(b"host", b"localhost"), (b"accept", b"*/*")])

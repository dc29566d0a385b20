"""The cookie that tells one browser from another."""

from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from oauthgw.guard.sealed import digest
from oauthgw.identity import browser

VALUE = "a" * 43


def test_a_new_browser_gets_a_random_value() -> None:
    request = RequestFactory().get("/")
    assert browser.read(request) is None
    assert browser.digests(request) == frozenset()
    first, second = (browser.ensure(request, HttpResponse()) for _ in range(2))
    assert first != second
    assert len(first) == 43


def test_a_known_browser_keeps_its_value() -> None:
    request = RequestFactory().get("/")
    request.COOKIES["gateway_browser"] = VALUE
    response = HttpResponse()
    assert browser.ensure(request, response) == VALUE
    assert response.cookies["gateway_browser"].value == VALUE
    assert browser.digests(request) == {digest(VALUE)}


def test_a_browser_with_pins_answers_to_each() -> None:
    request, pinned, other = RequestFactory().get("/"), "b" * 43, "c" * 43
    response = HttpResponse()
    browser.pin(response, pinned, "state")
    (name,) = response.cookies
    request.COOKIES.update({"gateway_browser": VALUE, name: pinned, "other": other, "gateway_browserx": other, "gateway_browser-x": other})
    assert browser.digests(request) == {digest(VALUE), digest(pinned)}
    assert response.cookies[name]["max-age"] == 15 * 60


@pytest.mark.parametrize("value", ["", "a" * 42, "a" * 44, "a" * 42 + "\u00e9", "a" * 42 + "=", "\x00" * 43])
def test_a_value_not_made_here_is_replaced(value: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES["gateway_browser"] = value
    assert browser.read(request) is None
    assert browser.ensure(request, HttpResponse()) != value


@pytest.mark.parametrize(
    ("origin", "name", "secure"),
    [("https://mcp.example.com", "__Host-browser", True), ("http://localhost:9000", "gateway_browser", ""), ("", "gateway_browser", "")],
)
def test_its_attributes_fit_the_origin(configure: Callable[..., None], origin: str, name: str, secure: object) -> None:
    configure(origin=origin)
    response = HttpResponse()
    browser.ensure(RequestFactory().get("/"), response)
    cookie = response.cookies[name]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (secure, True, "Lax", "/", "")


def test_forgetting_removes_it_and_its_pins(configure: Callable[..., None]) -> None:
    configure(origin="https://mcp.example.com")
    request = RequestFactory().get("/")
    request.COOKIES.update({"__Host-browser": VALUE, "__Host-browser-0123456789ab": VALUE, "other": "x"})
    response = HttpResponse()
    browser.forget(request, response)
    assert {name: cookie["max-age"] for name, cookie in response.cookies.items()} == {"__Host-browser": 0, "__Host-browser-0123456789ab": 0}
    assert all(cookie["secure"] for cookie in response.cookies.values())  # else a browser ignores the removal

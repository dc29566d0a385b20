"""Which browser this is: one random cookie that ties a sign-in or a consent to the browser that began it.

Knows cookies; knows nothing of users. It outlives the session's changes of key, and proves nothing about who sits there.
"""

import secrets
from re import compile as pattern

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from oauthgw.guard.conf import gateway
from oauthgw.guard.sealed import b64, digest

RANDOM_BYTES = 32
MAX_AGE_SECONDS = 24 * 3600  # since last use; longer than anything that is bound to it
PIN_SECONDS = 15 * 60

_VALUE = pattern(r"[A-Za-z0-9_-]{43}")
_TAG_LENGTH = 12
_TAG = pattern(r"(-[0-9a-f]{12})?")


def cookie_name() -> str:
    """`__Host-` ties the cookie to this very host, path / and TLS, so that no sibling domain can plant it (RFC 6265bis §4.1.3)."""
    return "__Host-browser" if gateway().secure else "gateway_browser"


def read(request: HttpRequest) -> str | None:
    """The browser's value; None when it has none yet, or something that was not made here."""
    return _value(request, cookie_name())


def digests(request: HttpRequest) -> frozenset[str]:
    """Every digest under which something may have begun in this browser: of its cookie, and of the pins that it still has."""
    values = (_value(request, name) for name in request.COOKIES if _is_ours(name))
    return frozenset(digest(value) for value in values if value is not None)


def ensure(request: HttpRequest, response: HttpResponseBase) -> str:
    """The browser's value, made now if there is none. Sets the cookie either way, so that its life begins anew."""
    value = read(request) or b64(secrets.token_bytes(RANDOM_BYTES))
    _set(response, cookie_name(), value, MAX_AGE_SECONDS)
    return value


def pin(response: HttpResponseBase, value: str, state: str) -> None:
    """Gives the browser this value a second time, under a name of this one attempt.

    Tabs that a browser opens at once all come without a cookie; each answer sets another value, and the last one stays. What was bound to
    one of the others, an attempt or a consent page, is still recognised by its pin. Needed only where `read` found nothing.
    """
    _set(response, f"{cookie_name()}-{digest(state)[:_TAG_LENGTH]}", value, PIN_SECONDS)


def forget(request: HttpRequest, response: HttpResponseBase) -> None:
    """Makes the browser a new one: nothing begun before can be finished."""
    for name in filter(_is_ours, request.COOKIES):
        _delete(response, name)


def _is_ours(name: str) -> bool:
    own, tag = name[: len(cookie_name())], name[len(cookie_name()) :]
    return own == cookie_name() and _TAG.fullmatch(tag) is not None


def _value(request: HttpRequest, name: str) -> str | None:
    value = request.COOKIES.get(name, "")
    return value if _VALUE.fullmatch(value) else None


def _set(response: HttpResponseBase, name: str, value: str, max_age: int) -> None:
    response.set_cookie(name, value, max_age=max_age, path="/", secure=gateway().secure, httponly=True, samesite="Lax")


def _delete(response: HttpResponseBase, name: str) -> None:
    # Not delete_cookie(): a browser ignores the removal of a __Host- cookie that is not itself Secure.
    _set(response, name, "", 0)

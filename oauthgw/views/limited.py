"""Too many requests (RFC 6585 §4): how it is told, to programs and to people.

Stands before whatever asks the database. How many are too many is in `oauthgw.guard.limits`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from oauthgw.guard import limits
from oauthgw.views.endpoints import View, error
from oauthgw.views.pages import Problem, show

_PROBLEM = Problem(
    status=429,
    title="Too many requests",
    what="More requests came from your network within a short time than the gateway lets through. Nothing was changed.",
    why="Either an app tries again and again, or very many people share this network's address. You are not signed out.",
    steps=(
        "Wait a minute, then reload this page.",
        "If an app opened one page after another, close or update it first.",
        "If it happens again, give the operator of this gateway the request id below: the limits can be raised.",
    ),
)


def machine(rule: limits.Rule) -> Callable[[View], View]:
    """Makes an endpoint for programs refuse, inside `machine_endpoint`, what comes too often from one address."""

    def decorate(view: View) -> View:
        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return refused(rule, request) or view(request, *args, **kwargs)

        return limited

    return decorate


def refused(rule: limits.Rule, request: HttpRequest, client_id: str = "") -> HttpResponse | None:
    """The answer for a program that has to wait; None when it may go on. Its credentials are good: the code is an outage's."""
    seconds = limits.seconds_to_wait(rule, request.META.get("REMOTE_ADDR", ""), client_id)
    if not seconds:
        return None
    response: HttpResponse = error(
        429, "temporarily_unavailable", f"Too many requests from this address or client. Try again in {seconds} seconds."
    )
    response["Retry-After"] = str(seconds)
    return response


def page(rule: limits.Rule) -> Callable[[View], View]:
    """Makes a page refuse what comes too often from one address, or from it for the client that the URL names."""

    def decorate(view: View) -> View:
        @wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            seconds = limits.seconds_to_wait(rule, request.META.get("REMOTE_ADDR", ""), request.GET.get("client_id", ""))
            return told(request, seconds) if seconds else view(request, *args, **kwargs)

        return limited

    return decorate


def told(request: HttpRequest, seconds: int) -> HttpResponse:
    """The page for somebody who has to wait so long."""
    request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)  # else the page would ask the database who is signed in
    response = show(request, _PROBLEM)
    response["Retry-After"] = str(seconds)
    return response

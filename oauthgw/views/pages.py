"""The pages that are not a form: something went wrong, or something is done.

Each says what happened, why, and what to do, with the request id that is also in the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from oauthgw.journal.recorder import caller


@dataclass(frozen=True, slots=True)
class Problem:
    """What a page of ours tells a person. `steps` say what to do, `link_url` and `link_label` offer the most likely one."""

    status: int
    title: str
    what: str
    why: str = ""
    steps: Sequence[str] = ()
    link_url: str = ""
    link_label: str = ""
    redirect_host: str = ""


def show(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Renders a problem as a page that nobody caches."""
    context = {"problem": problem, "request_id": caller.get().request_id}
    response = render(request, "problem.html", context, status=problem.status)
    response["Cache-Control"] = "no-store"
    return response


@never_cache
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's `CSRF_FAILURE_VIEW`: the form was sent without its cookie, or from another site."""
    return show(
        request,
        Problem(
            status=403,
            title="This form could not be accepted",
            what="Nothing was changed.",
            why="The form did not come from a page of this gateway in this browser, or its cookie is gone.",
            steps=("Go back, reload the page and try again.", "If cookies are blocked for this site, allow them."),
        ),
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler400`."""
    problem = Problem(
        status=400,
        title="This request could not be understood",
        what="Nothing was changed.",
        why="It is too large, or not made as the pages of this gateway make theirs.",
        steps=("Go back, reload the page and try again.", "If an app sent you here, start again from the app."),
        link_url="/",
        link_label="Start page",
    )
    return show(request, problem)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler403`."""
    problem = Problem(
        status=403,
        title="You may not open this page",
        what="The account you are signed in with has no access to it.",
        steps=("Sign in with another account.", "Or ask whoever runs this gateway."),
        link_url="/oauth/login?prompt=login",
        link_label="Use another account",
    )
    return show(request, problem)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's `handler404`."""
    problem = Problem(
        status=404,
        title="There is nothing at this address",
        what="The page may have moved, or the address has a typing error.",
        steps=("Check the address.", "Go to the start page, which lists what is here."),
        link_url="/",
        link_label="Start page",
    )
    return show(request, problem)


def failed(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`."""
    problem = Problem(
        status=500,
        title="Something went wrong on our side",
        what="The request could not be handled. Nothing that you did caused it.",
        steps=("Try again in a moment.", "If it happens again, tell the operator of this gateway the request id below."),
        link_url="/",
        link_label="Start page",
    )
    return show(request, problem)

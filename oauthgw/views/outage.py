"""An outage of the database, told to people: a page that says so and keeps nobody from coming back.

A middleware, because any page may be the first to notice. Machines get their own answer from the endpoint they asked.
"""

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse

from oauthgw.guard.database import forget_lost_connections
from oauthgw.views.pages import Problem, show

log = logging.getLogger(__name__)

_PROBLEM = Problem(
    status=503,
    title="The gateway cannot reach its database",
    what="Nothing was changed.",
    why="This is a fault on the gateway's side. You are not signed out, and your connections are kept.",
    steps=("Wait a moment, then reload this page.", "If it lasts, tell the operator of this gateway the request id below."),
)


class TellOfOutage:
    """Answers 503 where a view found the database gone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | InternalError | InterfaceError):
            return None
        log.error("the database did not answer at %s: %s", request.path, type(exception).__name__)
        forget_lost_connections()
        request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)  # who is signed in would be asked twice more, for five seconds each
        response = show(request, _PROBLEM)
        response["Retry-After"] = "5"
        return response

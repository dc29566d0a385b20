"""Requests of browsers that could not be read: refused before Django's form parser, session or database would stumble over them.

A middleware, because forms, sessions and the admin's lists all read what it looks at. Endpoints for machines judge for themselves.
"""

import logging
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError

from oauthgw.views.pages import Problem, bad_request, show

log = logging.getLogger(__name__)

_SESSION_KEY = re.compile(r"[a-z0-9]{8,64}")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_PROBLEM = Problem(
    status=400,
    title="This request cannot be read",
    what="Nothing was changed.",
    why="It is not encoded as the pages of this gateway encode theirs.",
    steps=("Go back, reload the page and try again.",),
)


class RefuseUnreadable:
    """Answers 400 to a form in another encoding than UTF-8, a NUL in the address, and more fields or bytes than any page sends.

    A cookie that is no session's is dropped.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _SESSION_KEY.fullmatch(request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")):
            request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if getattr(view, "csrf_exempt", False):
            return None
        charset = (request.content_params or {}).get("charset", "utf-8").strip("\"'").lower()
        if (request.content_type in _FORMS and charset != "utf-8") or "%00" in request.META.get("QUERY_STRING", ""):
            return show(request, _PROBLEM)
        try:
            request.GET, request.POST  # noqa: B018  (read once, and kept)
        except (SuspiciousOperation, BadRequest, MultiPartParserError) as problem:
            return self.process_exception(request, problem)
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Django would log these as errors, with their tracebacks: any stranger could make as many as they like."""
        if not isinstance(exception, SuspiciousOperation | BadRequest | MultiPartParserError):
            return None
        log.info("unreadable request at %s: %s", request.path, type(exception).__name__)
        return bad_request(request, exception)

"""What DEBUG's error page may show: the code that failed, and nothing that a request brought.

Django's own page prints cookies, form fields and local variables, and with them codes, verifiers and tokens.
"""

from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NothingOfTheRequest(SafeExceptionReporterFilter):
    """`DEFAULT_EXCEPTION_REPORTER_FILTER`: hides form, cookies, headers and variables, under DEBUG too."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return dict.fromkeys(request.POST, self.cleansed_substitute) if request is not None else {}

    def get_safe_cookies(self, request: HttpRequest | None) -> dict[str, Any]:
        return dict.fromkeys(request.COOKIES, self.cleansed_substitute) if request is not None else {}

    def get_safe_request_meta(self, request: HttpRequest | None) -> dict[str, Any]:
        shown = ("REQUEST_METHOD", "PATH_INFO", "CONTENT_TYPE", "HTTP_HOST", "HTTP_USER_AGENT")
        return {name: request.META[name] for name in shown if name in request.META} if request is not None else {}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        nothing: dict[str, Any] = {}
        return nothing.items()

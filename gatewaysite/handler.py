"""Django as the dispatcher calls it. Of some heads it fails to make a request, outside of all that would answer for it.

Each failure would be a 500, and forty lines of log that any stranger could cause.
"""

import logging
from collections.abc import Mapping
from typing import IO, Any

from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpResponseBase

from oauthgw.journal.recorder import caller
from oauthgw.views import endpoints

log = logging.getLogger("gateway.access")


class Handler(ASGIHandler):
    """Django's own, which refuses what it cannot read."""

    def create_request(self, scope: Mapping[str, Any], body_file: IO[bytes]) -> tuple[ASGIRequest, None] | tuple[None, HttpResponseBase]:
        """A Content-Type may name an encoding that is none (or NUL: RFC 2231 §4); with one that is, Django reads the query at once."""
        try:
            return super().create_request(scope, body_file)
        except (SuspiciousOperation, ValueError) as error:
            log.info("unreadable request: %s request_id=%s", type(error).__name__, caller.get().request_id)
            refused = endpoints.error(400, "invalid_request", "The query or the Content-Type of this request cannot be read.")
            refused["Access-Control-Allow-Origin"] = "*"
            return None, refused

"""What every endpoint for machines has in common: methods, CORS, JSON errors, caching, outages.

Knows HTTP; knows no rule of OAuth.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import DatabaseError, DataError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.views.decorators.csrf import csrf_exempt

from oauthgw.guard.database import forget_lost_connections
from oauthgw.journal.recorder import caller
from oauthgw.refusals import plain

log = logging.getLogger(__name__)

METADATA_MAX_AGE = 300  # seconds
_PREFLIGHT_MAX_AGE = "600"

View = Callable[..., HttpResponse]


def error(status: int, code: str, description: str) -> JsonResponse:
    """An OAuth error (RFC 6749 §5.2): the standard's code, a sentence for its reader, and the request id that is also logged."""
    body = {"error": code, "error_description": plain(description), "request_id": caller.get().request_id}
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})


def machine_endpoint(*methods: str) -> Callable[[View], View]:
    """Makes a view an endpoint for clients of any origin: no CSRF token, CORS on every answer, errors in JSON.

    Clients of these endpoints authenticate in the request itself, never by cookie, so any origin may call them.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def endpoint(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response = _answer(view, methods, request, *args, **kwargs)
            response["Access-Control-Allow-Origin"] = "*"
            response["Access-Control-Expose-Headers"] = "Retry-After, WWW-Authenticate"
            if "Cache-Control" not in response:
                response["Cache-Control"] = "no-store"
            return response

        return csrf_exempt(endpoint)

    return decorate


def _answer(view: View, methods: tuple[str, ...], request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    allow = ", ".join((*methods, "OPTIONS"))
    if request.method == "OPTIONS":
        return HttpResponse(
            status=204,
            headers={
                "Access-Control-Allow-Methods": allow,
                "Access-Control-Allow-Headers": "Authorization, *",
                "Access-Control-Max-Age": _PREFLIGHT_MAX_AGE,
                "Allow": allow,
            },
        )
    if request.method not in methods and not (request.method == "HEAD" and "GET" in methods):
        response: HttpResponse = error(405, "invalid_request", f"This endpoint takes {' or '.join(methods)} requests.")
        response["Allow"] = allow
        return response
    try:
        return view(request, *args, **kwargs)
    except (SuspiciousOperation, BadRequest, MultiPartParserError, UnreadablePostError, DataError) as problem:
        log.info("unreadable request at %s: %s", request.path, type(problem).__name__)
        return error(400, "invalid_request", "The request is too large, or its body cannot be read.")
    except (DatabaseError, InterfaceError):
        log.exception("the database did not answer at %s", request.path)
        forget_lost_connections()
        return unavailable()
    except Exception:
        log.exception("failed at %s", request.path)
        return error(500, "server_error", "The gateway failed to handle this request. Tell its operator the request id.")


def unavailable() -> JsonResponse:
    """503 for an outage of the database: never an error that would make a client throw its credentials away."""
    response = error(503, "temporarily_unavailable", "The gateway cannot reach its database. Try again shortly.")
    response["Retry-After"] = "5"
    return response


def cacheable(document: dict[str, Any]) -> JsonResponse:
    """A document that clients may keep for minutes."""
    return JsonResponse(document, headers={"Cache-Control": f"public, max-age={METADATA_MAX_AGE}"})


@machine_endpoint("GET", "POST", "PUT", "DELETE")
def not_found(request: HttpRequest, **_: Any) -> HttpResponse:
    """404 in JSON, for whatever is asked under the machines' paths: an HTML page confuses clients that probe."""
    return error(404, "not_found", "There is nothing at this address. Check its spelling, and the name of the route in it.")

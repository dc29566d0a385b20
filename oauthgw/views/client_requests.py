"""What the token, revocation and introspection endpoints ask of every request before oauthlib sees it.

Where parameters stand, how often each was sent, that a client authenticates in one way; how often it asks; and an assertion's signature,
because its keys may have to be fetched, which must not happen inside a transaction. Knows HTTP; the rules of an assertion are in
`oauthgw.clients`, how often is too often in `oauthgw.guard.limits`.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from oauthgw.clients import assertions, authentication
from oauthgw.guard import limits, origin
from oauthgw.guard.fetch import CouldNotFetch
from oauthgw.views import limited, parameters
from oauthgw.views.endpoints import View, error

_FORM = "application/x-www-form-urlencoded"


def client_request(*, requires: str, limit: limits.Rule | None = None) -> Callable[[View], View]:
    """Lets a view see only requests of this kind that have the parameter `requires`, and no more than `limit` allows."""

    def decorate(view: View) -> View:
        @wraps(view)
        def judged(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            refused = _refuse(request, requires) or _refuse_too_many(request, limit) or _examine_assertion(request)
            return view(request, *args, **kwargs) if refused is None else refused

        return judged

    return decorate


def invalid_client(description: str) -> HttpResponse:
    """RFC 6749 §5.2; a 401 names the scheme that a client may use."""
    response: HttpResponse = error(401, "invalid_client", description)
    response["WWW-Authenticate"] = 'Basic realm="gateway"'
    return response


def _refuse(request: HttpRequest, required: str) -> HttpResponse | None:
    if request.GET:
        return error(400, "invalid_request", "Send the parameters in the body, not in the URL, where they would be logged.")
    if request.content_type != _FORM:
        return error(400, "invalid_request", f"Send the parameters as {_FORM}.")
    try:
        form = parameters.single(request.POST)
    except parameters.Malformed as malformed:
        return error(400, "invalid_request", str(malformed))
    if required not in form:
        return error(400, "invalid_request", f"The parameter {required} is missing.")
    if "," in request.headers.get("Authorization", ""):
        return error(400, "invalid_request", "The Authorization header was sent more than once.")
    if _ways_to_authenticate(request, form) > 1:
        return error(400, "invalid_request", "The client authenticates twice; use the Authorization header, the body or an assertion.")
    return None


def _refuse_too_many(request: HttpRequest, limit: limits.Rule | None) -> HttpResponse | None:
    return limited.refused(limit, request, _claimed_client(request)) if limit is not None else None


def _claimed_client(request: HttpRequest) -> str:
    """The client that a request says it comes from, not proven yet; empty when it names none that can be read."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return str(request.POST.get("client_id", ""))
    try:
        return b64decode(credentials).partition(b":")[0].decode()
    except (binascii.Error, ValueError):
        return ""


def _ways_to_authenticate(request: HttpRequest, form: Mapping[str, str]) -> int:
    """RFC 6749 §2.3: a client must not use more than one in a request."""
    return sum((bool(request.headers.get("Authorization")), "client_secret" in form, "client_assertion" in form))


def _examine_assertion(request: HttpRequest) -> HttpResponse | None:
    """Leaves the proof for the validator, or refuses."""
    form = parameters.single(request.POST)
    text, kind = form.get("client_assertion"), form.get("client_assertion_type")
    if (text is None) != (kind is None):
        return error(400, "invalid_request", "client_assertion and client_assertion_type must be sent together.")
    if text is None:
        return None
    if kind != assertions.TYPE:
        return invalid_client(f"The only client_assertion_type is {assertions.TYPE}.")
    try:
        is_audience = authentication.audiences(origin.of(request), request.path.rstrip("/"))
        request.META[authentication.PROOF] = authentication.examine(text, form.get("client_id"), is_audience)
    except assertions.NotProven as unproven:
        return invalid_client(str(unproven))
    except CouldNotFetch as failed:
        response: HttpResponse = error(503, "temporarily_unavailable", f"The client's keys are out of reach. {failed.sentence}")
        response["Retry-After"] = "5"
        return response
    return None

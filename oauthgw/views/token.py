"""The token and revocation endpoints (RFC 6749 §3.2, RFC 7009).

What oauthlib cannot see is refused here (where parameters stand, how often a secret was sent); everything else is its pipeline with our
validator, in one transaction: oauthlib saves tokens before it invalidates a code, and only a transaction makes the two one.
"""

import json
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from oauth2_provider.views.mixins import OAuthLibMixin

from oauthgw import tokens
from oauthgw.views import parameters
from oauthgw.views.endpoints import error, machine_endpoint

_FORM = "application/x-www-form-urlencoded"
_EXPLANATIONS = {
    "invalid_client": "The client is unknown, switched off or waiting for an operator's approval, or did not authenticate as registered. "
    "Check its credentials, or register again.",
    "invalid_grant": (
        "The code or refresh token is unknown, expired, revoked, used or another client's; or code_verifier or redirect_uri does not "
        "match. Sign in again."
    ),
    "unsupported_grant_type": "Only authorization_code and refresh_token are supported.",
}


@machine_endpoint("POST")
def token(request: HttpRequest) -> HttpResponse:
    """Exchanges a code or a refresh token."""
    refused = _refuse(request, required="grant_type")
    if refused is not None:
        return refused
    with transaction.atomic():
        _, headers, body, status = OAuthLibMixin().create_token_response(request)
        if status == 401:
            tokens.note_client_switched_off(request.POST.get("refresh_token", ""))
    return _answer(request, headers, body, status)


@machine_endpoint("POST")
def revoke(request: HttpRequest) -> HttpResponse:
    """Ends the grant that a token belongs to; answers 200 for a token that is not there (RFC 7009 §2.2)."""
    refused = _refuse(request, required="token")
    if refused is not None:
        return refused
    _, headers, body, status = OAuthLibMixin().create_revocation_response(request)
    return _answer(request, headers, body or "{}", status)


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
    if "client_secret" in form and request.headers.get("Authorization"):
        return error(400, "invalid_request", "The client authenticates twice; use the Authorization header or the body, not both.")
    if "," in request.headers.get("Authorization", ""):
        return error(400, "invalid_request", "The Authorization header was sent more than once.")
    return None


def _answer(request: HttpRequest, headers: dict[str, str], body: str, status: int) -> HttpResponse:
    """Oauthlib's answer with our sentences; a 401 names the scheme that a header may use (RFC 9110 §15.5.2)."""
    if status >= 400:
        refused: dict[str, Any] = json.loads(body)
        code = str(refused.get("error", "invalid_request"))
        response: HttpResponse = error(
            status, code, str(refused.get("error_description") or _EXPLANATIONS.get(code, "The request was refused."))
        )
        if status == 401:
            response["WWW-Authenticate"] = 'Basic realm="gateway"'
        return response
    response = HttpResponse(body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"})
    response["Pragma"] = "no-cache"
    return response

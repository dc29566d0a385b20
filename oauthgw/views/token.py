"""The token and revocation endpoints (RFC 6749 §3.2, RFC 7009).

What oauthlib cannot see was refused before (`client_requests`); everything else is its pipeline with our validator, in one transaction:
oauthlib saves tokens before it invalidates a code, and only a transaction makes the two one.
"""

import json
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from oauth2_provider.views.mixins import OAuthLibMixin

from oauthgw import tokens
from oauthgw.guard import limits
from oauthgw.identity import standing
from oauthgw.views.client_requests import client_request, invalid_client
from oauthgw.views.endpoints import error, machine_endpoint

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
@client_request(requires="grant_type", limit=limits.TOKEN)
def token(request: HttpRequest) -> HttpResponse:
    """Exchanges a code or a refresh token.

    When the provider has to be asked about the user first, everything up to there is undone, so that no lock waits for the network.
    """
    while True:
        try:
            with transaction.atomic():
                _, _, body, status = OAuthLibMixin().create_token_response(request)
                if status == 401:
                    tokens.note_client_may_not_act(request.POST.get("refresh_token", ""))
            return _answer(body, status)
        except standing.Due as due:
            standing.ask(due.identity)  # notes first that it was asked, so that it is not due again
        except standing.Unanswered:
            return _come_back()


@machine_endpoint("POST")
@client_request(requires="token")
def revoke(request: HttpRequest) -> HttpResponse:
    """Ends the grant that a token belongs to; answers 200 for a token that is not there (RFC 7009 §2.2)."""
    with transaction.atomic():
        _, _, body, status = OAuthLibMixin().create_revocation_response(request)
    return _answer(body or "{}", status)


def _come_back() -> HttpResponse:
    """503, so that the client keeps its refresh token: nothing says that the user is gone."""
    sentence = "The sign-in service has not answered for a day, so that no new tokens are given. This connection goes on when it is back."
    response: HttpResponse = error(503, "temporarily_unavailable", sentence)
    response["Retry-After"] = str(int(standing.ASK_AGAIN.total_seconds()))
    return response


def _answer(body: str, status: int) -> HttpResponse:
    """Oauthlib's answer with our sentences."""
    if status >= 400:
        refused: dict[str, Any] = json.loads(body)
        code = str(refused.get("error", "invalid_request"))
        sentence = str(refused.get("error_description") or _EXPLANATIONS.get(code, "The request was refused."))
        return invalid_client(sentence) if code == "invalid_client" else error(status, code, sentence)
    response = HttpResponse(body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"})
    response["Pragma"] = "no-cache"
    return response

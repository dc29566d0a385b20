"""Dynamic client registration (RFC 7591 §3) and its management (RFC 7592 §2).

Our own views: the library's logic sits in functions that refuse several grant types and answer half of what was sent, and its registration
tokens lie among the access tokens.
"""

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse

from oauthgw.clients import management, metadata, registration, removal
from oauthgw.clients.registration import Registered
from oauthgw.guard import limits, origin
from oauthgw.guard.conf import gateway
from oauthgw.guard.secret import Secret
from oauthgw.models import Client
from oauthgw.views import limited
from oauthgw.views.endpoints import error, machine_endpoint


@machine_endpoint("POST")
@limited.machine(limits.REGISTER)
def register(request: HttpRequest) -> HttpResponse:
    """Registers a client and answers everything that was kept; nobody vouches for the client by that."""
    if gateway().client_registration == "closed":
        return error(403, "access_denied", "Clients cannot register here: ask the operator of this gateway to add yours.")
    try:
        judged = metadata.read(_document(request))
    except metadata.InvalidMetadata as refused:
        return error(400, refused.error, refused.description)
    return _information(request, registration.register(judged), status=201)


@machine_endpoint("GET", "PUT", "DELETE")
def manage(request: HttpRequest, client_id: str) -> HttpResponse:
    """Reads, replaces or removes a registration, for whoever holds its registration access token."""
    token = _bearer(request)
    client = management.find(client_id, token)
    if client is None:
        return _unauthorized(presented=bool(token))
    if client.disabled_at is not None:
        return error(403, "access_denied", "An operator switched this client off; its registration cannot be managed meanwhile.")
    if request.method == "PUT" and gateway().client_registration == "closed":
        return error(403, "access_denied", "Registrations cannot be changed here: ask the operator of this gateway.")
    if request.method == "PUT":
        return _replace(request, client, token)
    if request.method == "DELETE":
        removal.remove(client, "The client removed its registration.")
        return HttpResponse(status=204)
    return _information(request, management.read(client, token))


def _replace(request: HttpRequest, client: Client, token: Secret) -> HttpResponse:
    try:
        return _information(request, management.replace(client, _document(request), token))
    except metadata.InvalidMetadata as refused:
        return error(400, refused.error, refused.description)
    except management.NotManageable:
        return _unauthorized(presented=True)


def _bearer(request: HttpRequest) -> Secret:
    """The token of the Authorization header (RFC 6750 §2.1); empty when there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return Secret(token.strip() if scheme.lower() == "bearer" else "")


def _unauthorized(*, presented: bool) -> HttpResponse:
    """One answer for a missing token, a wrong one and an unknown client (RFC 7592 §2); the challenge is RFC 6750 §3's."""
    sentence = "Send the registration_access_token of this client as a bearer token; a client that was removed registers anew."
    response: HttpResponse = error(401, "invalid_token", sentence)
    response["WWW-Authenticate"] = 'Bearer realm="registration"' + (', error="invalid_token"' if presented else "")
    return response


def _information(request: HttpRequest, registered: Registered, status: int = 200) -> HttpResponse:
    """The client information response; it may carry credentials."""
    answer = JsonResponse(registered.as_dict(origin.of(request)), status=status, headers={"Cache-Control": "no-store"})
    answer["Pragma"] = "no-cache"  # as RFC 7591 §3.2.1 shows it
    return answer


def _document(request: HttpRequest) -> dict[str, Any]:
    try:
        document = json.loads(request.body.decode("utf-8-sig"))  # json alone would guess at UTF-16 and UTF-32 (RFC 8259 §8.1)
    except RequestDataTooBig as too_big:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
        raise metadata.InvalidMetadata("invalid_client_metadata", f"The registration is larger than {limit} kB.") from too_big
    except (ValueError, RecursionError) as unreadable:
        raise metadata.InvalidMetadata("invalid_client_metadata", "The body is not JSON in UTF-8.") from unreadable
    if not isinstance(document, dict):
        raise metadata.InvalidMetadata("invalid_client_metadata", "The body must be a JSON object.")
    return document

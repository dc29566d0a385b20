"""Dynamic client registration (RFC 7591 §3).

Our own view: the library's logic sits in functions that refuse several grant types and answer half of what was sent.
"""

import json
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse

from oauthgw.clients import metadata, registration
from oauthgw.guard.conf import gateway
from oauthgw.views.endpoints import error, machine_endpoint


@machine_endpoint("POST")
def register(request: HttpRequest) -> HttpResponse:
    """Registers a client and answers everything that was kept; nobody vouches for the client by that."""
    if gateway().client_registration == "closed":
        return error(403, "access_denied", "Clients cannot register here: ask the operator of this gateway to add yours.")
    try:
        document = _document(request)
        judged = metadata.read(document)
    except metadata.InvalidMetadata as refused:
        return error(400, refused.error, refused.description)
    return JsonResponse(registration.register(judged).as_dict(), status=201, headers={"Cache-Control": "no-store"})


def _document(request: HttpRequest) -> dict[str, Any]:
    try:
        document = json.loads(request.body)
    except RequestDataTooBig as too_big:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 1024
        raise metadata.InvalidMetadata("invalid_client_metadata", f"The registration is larger than {limit} kB.") from too_big
    except (ValueError, RecursionError) as unreadable:
        raise metadata.InvalidMetadata("invalid_client_metadata", "The body is not JSON in UTF-8.") from unreadable
    if not isinstance(document, dict):
        raise metadata.InvalidMetadata("invalid_client_metadata", "The body must be a JSON object.")
    return document

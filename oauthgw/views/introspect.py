"""The introspection endpoint (RFC 7662): what is this token good for?"""

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views.mixins import OAuthLibMixin

from oauthgw import introspection
from oauthgw.core import KnownParameters
from oauthgw.views import parameters
from oauthgw.views.client_requests import client_request, invalid_client
from oauthgw.views.endpoints import error, machine_endpoint


@machine_endpoint("POST")
@client_request(requires="token")
def introspect(request: HttpRequest) -> HttpResponse:
    """Answers a client that proved itself and that an operator marked for it.

    Anyone else is refused, and not told that the token is inactive: that answer is for an authorized query (RFC 7662 §2.2), and whoever
    believed it would turn good tokens away. Without credentials it is the 401 of §2.3, without the mark a 403, because proving itself
    again would not help (§4: "SHOULD require protected resources to be specifically authorized").
    """
    core: KnownParameters = OAuthLibMixin().get_oauthlib_core()
    with transaction.atomic():
        client = core.authenticated_client(request)
    if client is None:
        return invalid_client("Introspection is for clients that prove themselves by a secret or an assertion; this request does not.")
    if not client.may_introspect:
        return error(403, "unauthorized_client", "This client may not introspect tokens. An operator of this gateway can allow it.")
    token = parameters.single(request.POST)["token"]
    return JsonResponse(introspection.of(token), headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

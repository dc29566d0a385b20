"""The identity provider's webhook: signed events in, nothing out but a status, by which it knows whether to send again.

Parses and asks; which delivery counts is `identity.deliveries`' to say, what an event means `identity.events`'.
"""

import logging
import time

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from oauthgw.guard.conf import gateway
from oauthgw.identity import deliveries, events
from oauthgw.views.endpoints import error, machine_endpoint

log = logging.getLogger(__name__)


@csrf_exempt
def workos(request: HttpRequest) -> HttpResponse:
    """There is no such address while `WORKOS_WEBHOOK_SECRET` is unset."""
    if not gateway().workos.webhook_secret:
        return error(404, "not_found", "There is nothing at this address.")
    return _deliver(request)


@machine_endpoint("POST")
def _deliver(request: HttpRequest) -> HttpResponse:
    """200 for whatever is signed, also for events that mean nothing here: anything else would be sent again for days."""
    body = request.body  # the bytes as they came: parsed and written again they would be others
    try:
        deliveries.check(request.headers.get("WorkOS-Signature", ""), body, gateway().workos.webhook_secret, time.time())
    except deliveries.Unsigned as refused:
        log.warning("webhook refused: %s", refused)
        return error(400, "invalid_request", "The signature is missing, wrong or too old.")
    try:
        event = events.read(body)
    except events.Unreadable:
        return error(400, "invalid_request", "The body is not an event.")
    events.apply(event)
    log.info("webhook: %s", event.name)
    return HttpResponse(content_type="text/plain")

"""What probes ask: is the process alive, and should it get requests?

Plain views without sign-in, session or template. Database and migrations decide readiness; cache and signing keys are told but never
decide, because the gateway serves without them. Names no host, no version and no error text: anybody may ask.
"""

import logging
from functools import lru_cache

from django.core.cache import cache
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from oauthgw.guard.conf import gateway
from oauthgw.identity import jwks, workos

log = logging.getLogger(__name__)

_PROBE = "readiness"


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness: the process answers. Asks nothing else, so that an outage elsewhere never restarts it."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: 200 when the database answers and every migration is applied, else 503."""
    parts = {**_database(), "cache": _cache(), "jwks": _jwks()}
    ready = parts["database"] == "ok" and parts["migrations"] == "ok"
    return JsonResponse({"status": "ready" if ready else "not ready", **parts}, status=200 if ready else 503)


def _database() -> dict[str, str]:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except Error as error:
        log.warning("Not ready: the database did not answer (%s).", type(error).__name__)
        return {"database": "down", "migrations": "unknown"}
    return {"database": "ok", "migrations": "ok" if _latest_migrations() <= applied.keys() else "pending"}


@lru_cache(maxsize=1)
def _latest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of each app as it is on disk: read once, since a process never gets other code."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _cache() -> str:
    try:
        cache.set(_PROBE, "here", 10)
        return "ok" if cache.get(_PROBE) == "here" else "down"
    except Exception as error:  # noqa: BLE001  (each kind of cache has its own errors, and none of them decides)
        log.warning("The cache did not answer: %s", type(error).__name__)
        return "down"


def _jwks() -> str:
    """Whether the provider's signing keys are at hand; never fetches them, so that a probe cannot wait for the provider."""
    configured = gateway().workos
    if not configured.client_id:
        return "not configured"
    return "cached" if jwks.is_shared(workos.endpoints(configured.client_id, configured.api_base_url).jwks) else "not fetched yet"

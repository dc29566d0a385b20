"""The landing page: what this gateway is, and how to connect to its routes.

Decides who may see the list of routes; what to paste into which client is `mcp_routes.snippets`' business.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mcp_routes.snippets import Snippet, snippets
from oauthgw import resources
from oauthgw.guard import origin
from oauthgw.guard.conf import gateway
from oauthgw.resources import ProtectedResource

Listed = list[tuple[ProtectedResource, str, tuple[Snippet, ...]]]


@never_cache  # who is signed in decides what it shows
@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """`/`: the routes are listed to signed-in users, and to all under DEBUG or PUBLIC_CATALOGUE."""
    return render(request, "landing.html", {"routes": _listed(origin.of(request)) if _may_list(request) else None})


def _may_list(request: HttpRequest) -> bool:
    return gateway().debug or gateway().public_catalogue or request.user.is_authenticated


def _listed(at: str) -> Listed:
    found = ((resource, resource.uri(at)) for resource in resources.backend().listed())
    return [(resource, url, snippets(resource.path.rpartition("/")[2], url)) for resource, url in found]

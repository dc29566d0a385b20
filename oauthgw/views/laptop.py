"""On a laptop with WorkOS: one loopback name for the browser, whichever one a client used.

A middleware, because it concerns every page that a session cookie reaches. Does nothing once `GATEWAY_ORIGIN` is set.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from oauthgw.guard import origin

PAGES = ("/oauth/authorize", "/authorize", "/oauth/login", "/oauth/logout", "/account", "/admin")


class OneBrowserOrigin:
    """Moves browser pages to the origin whose `/oauth/callback` is registered at WorkOS."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "GET" and (request.path == "/" or request.path.startswith(PAGES)):
            home = origin.moved_browser(request)
            if home is not None:
                return HttpResponseRedirect(home)
        return self.get_response(request)

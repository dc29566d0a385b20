"""What every page knows without its view saying so.

Knows the settings and the session; decides nothing.
"""

from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest

from oauthgw import identity
from oauthgw.guard import origin
from oauthgw.guard.conf import gateway
from oauthgw.identity.sessions import IMPERSONATOR


def page(request: HttpRequest) -> dict[str, Any]:
    """Template context processor: `origin`, `provider_name`, `sign_in_label`, `signed_in`, `impersonated`, and by whom: `impersonator`."""
    provider = identity.configured()
    provider_name = provider.label if provider is not None else ""
    without_provider = "Sign in as a demo user" if gateway().debug else "Sign in"
    signed_in, impersonator = _who(request)
    return {
        "origin": origin.of(request),
        "provider_name": provider_name,
        "sign_in_label": f"Sign in with {provider_name}" if provider_name else without_provider,
        "signed_in": signed_in,
        "impersonated": bool(impersonator),
        "impersonator": impersonator,
    }


def _who(request: HttpRequest) -> tuple[bool, str]:
    """Whether anybody is signed in, and who acts for that user: empty when the user does.

    A browser without a session cookie has no session to ask: reading one would only add `Vary: Cookie` to pages that are the same for all.
    """
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or not hasattr(request, "session"):
        return False, ""
    try:
        impersonator = str(request.session.get(IMPERSONATOR, ""))
        return request.user.is_authenticated, impersonator
    except (DatabaseError, InterfaceError):
        return False, ""  # the page that tells of the outage must still render

"""The browser session that a sign-in begins and a sign-out ends.

Knows Django's session and what we keep in it; knows no provider and no page.
"""

import json

from django.contrib.auth import BACKEND_SESSION_KEY, login, logout
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.middleware.csrf import CSRF_SECRET_LENGTH

from oauthgw.guard import sealed
from oauthgw.identity.provider import Person

SID = "sid"  # the provider's session id, for signing out there and for its `session.revoked`
PROVIDER = "provider"
IMPERSONATOR = "impersonator"

_OWN = "django.contrib.auth.backends.ModelBackend"
_IMPERSONATED = "oauthgw.identity.backends.Impersonated"
_DEMO = "oauthgw.identity.backends.Demo"


def start(request: HttpRequest, user: User, person: Person, *, provider: str, demo: bool = False) -> None:
    """Signs the user in to this browser. The session key changes (OWASP session fixation), what the session held before is gone.

    The same user signing in again, in another tab, keeps the CSRF token: forms that wait in the first tab still work.
    """
    backend = _IMPERSONATED if person.impersonator else _DEMO if demo else _OWN
    if request.user.pk == user.pk and request.session.get(BACKEND_SESSION_KEY) == backend:
        request.session.cycle_key()
    else:
        request.session.flush()
        login(request, user, backend=backend)
        _same_token_in_every_tab(request, user, backend)
    request.session[PROVIDER] = provider
    _put(request, SID, person.session_id)
    _put(request, IMPERSONATOR, person.impersonator)


def end(request: HttpRequest) -> str:
    """Signs the user out of this browser. Returns the provider's session id, empty when there is none to end."""
    session_id = str(request.session.get(SID, ""))
    logout(request)
    return session_id


def _put(request: HttpRequest, key: str, value: str) -> None:
    if value:
        request.session[key] = value
    else:
        request.session.pop(key, None)


def _same_token_in_every_tab(request: HttpRequest, user: User, backend: str) -> None:
    """Gives the browser the user's own CSRF secret in place of the random one that `login` has just made.

    Tabs that sign in at the same time each get a cookie and the last one stays: with random secrets, the forms of all others would be
    refused. Nothing but the user is the same in all of them, not even the browser's own cookie. Nobody but the user ever sees it: another
    user's and an impersonator's are others.
    """
    whose = json.dumps([user.pk, backend])
    secret = sealed.mac("csrf", whose.encode(), sealed.current_key())
    if secret is None:
        raise AssertionError("the current key is always configured")
    request.META["CSRF_COOKIE"] = secret.hex()[:CSRF_SECRET_LENGTH]

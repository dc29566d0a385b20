"""A signed-in user's own page: the apps they have connected, and the browsers in which they are signed in.

Parses, asks `oauthgw.connected` or `oauthgw.identity.signed_in` one question, answers with a redirect. Whatever is named in a form is
looked for among the user's own and nowhere else.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import urlsplit

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.timesince import timesince
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from mcp_routes.views import account_problems as problems
from oauthgw import connected, resources
from oauthgw.clients import cimd
from oauthgw.connected import ConnectedApp
from oauthgw.identity import sessions, signed_in
from oauthgw.views import parameters
from oauthgw.views.authorize_pages import shown_name
from oauthgw.views.pages import show

HERE = "/account/"
_SIGN_IN = "/oauth/login?next=/account/"
_PAIR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})")  # a client and a route, as the buttons name them
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Row:
    """A connected app in words. `route` is the route's name, or its path where it is switched off; `key` is what its button sends.

    `publisher` is the domain whose metadata document it is; empty for an app without one.
    """

    app: ConnectedApp
    key: str
    name: str
    verified: bool
    publisher: str
    route: str
    path: str
    offered: bool
    used: str


@never_cache
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """GET shows, POST ends something and comes back (RFC 9110 §15.4.4)."""
    if not request.user.is_authenticated:
        return _see(_SIGN_IN)
    if request.method == "POST":
        return _change(request)
    if request.GET.get("ask") == "revoke_all":
        return render(request, "revoke_all.html", {"apps": _rows(_user(request))})
    now = timezone.now()
    places = [(place, _ago(place.last_seen_at, now)) for place in signed_in.places(_user(request), request.session)]
    return render(request, "account.html", {"apps": _rows(_user(request)), "places": places, "others": len(places) > 1})


def _change(request: HttpRequest) -> HttpResponse:
    """What a button asks for. Whoever acts for somebody else may look: what is ended here is the user's own to end."""
    if request.session.get(sessions.IMPERSONATOR):
        return show(request, problems.NOT_YOURS_TO_CHANGE)
    try:
        form = parameters.single(request.POST)
    except parameters.Malformed:
        return show(request, problems.UNREADABLE)
    asked = [name for name in _ACTIONS if name in form]
    if len(asked) != 1:
        return show(request, problems.UNREADABLE)
    return _ACTIONS[asked[0]](request, form[asked[0]])


def _revoke(request: HttpRequest, value: str) -> HttpResponse:
    pair = _PAIR.fullmatch(value)
    if pair is None:
        return show(request, problems.UNREADABLE)
    client_pk, resource_id = int(pair[1]), int(pair[2])
    named = next((row for row in _rows(_user(request)) if row.key == value), None)
    if not connected.disconnect(_user(request), client_pk, resource_id):
        return show(request, problems.NO_SUCH_APP)
    return _done(request, f"{named.name} can no longer use {named.route}." if named else "This app was revoked already.")


def _revoke_all(request: HttpRequest, _: str) -> HttpResponse:
    count = connected.disconnect_all(_user(request))
    return _done(request, f"{_counted(count, 'app was', 'apps were')} revoked.")


def _sign_out(request: HttpRequest, value: str) -> HttpResponse:
    if not _NUMBER.fullmatch(value) or not signed_in.end(_user(request), int(value)):
        return show(request, problems.NO_SUCH_SESSION)
    return _done(request, "That browser is signed out.")


def _sign_out_others(request: HttpRequest, _: str) -> HttpResponse:
    count = signed_in.end_others(_user(request), request.session)
    return _done(request, f"{_counted(count, 'other browser was', 'other browsers were')} signed out.")


_ACTIONS: dict[str, Callable[[HttpRequest, str], HttpResponse]] = {
    "revoke": _revoke,
    "revoke_all": _revoke_all,
    "sign_out": _sign_out,
    "sign_out_others": _sign_out_others,
}


def _rows(user: User) -> list[Row]:
    now = timezone.now()
    offered = {resource.id: resource for resource in resources.backend().listed()}
    return [
        Row(
            app=app,
            key=f"{app.client.pk}.{app.resource_id}",
            name=shown_name(app.client),
            verified=app.client.is_vouched_for or app.client.is_of_document,
            publisher=cimd.domain(app.client.client_id) if app.client.is_of_document else "",
            route=offered[app.resource_id].name if app.resource_id in offered else urlsplit(app.resource).path,
            path=offered[app.resource_id].path if app.resource_id in offered else urlsplit(app.resource).path,
            offered=app.resource_id in offered,
            used=_ago(app.last_used, now) if app.last_used else "",
        )
        for app in connected.apps(user)
    ]


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


def _done(request: HttpRequest, sentence: str) -> HttpResponse:
    messages.success(request, sentence)
    return _see(HERE)


def _see(path: str) -> HttpResponse:
    response = HttpResponseRedirect(path)
    response.status_code = 303
    return response


def _ago(moment: datetime, now: datetime) -> str:
    """`3 hours ago`: a page without scripts does not know its reader's time zone."""
    return f"{timesince(moment, now, depth=1)} ago" if (now - moment).total_seconds() >= 60 else "just now"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"

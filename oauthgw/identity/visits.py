"""When and from where a browser was last seen: a note beside its session, at most every few minutes.

A middleware, because any page may be the visit. Runs outside Django's session middleware, so that a new session has its row by then.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from oauthgw.clients import naming
from oauthgw.guard import origin
from oauthgw.guard.sealed import digest
from oauthgw.identity.session_store import SessionStore
from oauthgw.models import BrowserSession

EVERY = timedelta(minutes=5)  # fine enough for "is that me?", and far from a write on every request
_USER_AGENT_LENGTH = 300

log = logging.getLogger(__name__)


class NoteVisit:
    """Notes the visit of a browser whose session this request has looked at; a page that looks at none is no visit."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        session = getattr(request, "session", None)  # a middleware above Django's may have answered
        if isinstance(session, SessionStore) and is_due(session):
            try:
                note(request, session)
            except (DatabaseError, InterfaceError) as error:  # the page itself is ready, and worth more than the note
                log.warning("a visit was not noted: %s", type(error).__name__)
        return response


def is_due(session: SessionStore) -> bool:
    """Whether this session, which has a row, was not seen for a while."""
    if not session.accessed or session.session_key is None:
        return False
    return session.noted_at is None or timezone.now() - session.noted_at >= EVERY


def note(request: HttpRequest, session: SessionStore) -> None:
    """Writes down when, from where and with what; a session that has ended meanwhile stays ended."""
    BrowserSession.objects.filter(session_key=digest(str(session.session_key))).update(
        last_seen_at=timezone.now(),
        address=origin.address(request.META.get("REMOTE_ADDR", "")),
        user_agent=naming.clean(request.headers.get("User-Agent", "")[:_USER_AGENT_LENGTH], _USER_AGENT_LENGTH),
    )

"""Reading WorkOS's list of events for what no webhook told.

Each event is applied and the cursor moved in one transaction: safe to repeat, to break off, and to run on several nodes at once. Knows the
list and the cursor; what an event does is `events`' to say.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from oauthgw.identity import events
from oauthgw.identity.provider import Kind, ProviderError
from oauthgw.identity.workos import WorkOSProvider
from oauthgw.identity.workos_api import CursorLost, WorkOSApi
from oauthgw.models import EventCursor

KEPT = timedelta(days=30)
"""How far back WorkOS's list goes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Read:
    """How many events were read, and whether the list was read to its end: not when another process is reading it."""

    count: int
    to_the_end: bool


def reconcile(api: WorkOSApi) -> Read:
    """Applies every event since the last time, the oldest first; the first time, of the last 30 days.

    Blocks on the network. Raises ProviderError when WorkOS does not answer; what was read until then is kept.
    """
    cursor, _ = EventCursor.objects.get_or_create(provider=WorkOSProvider.name)
    after, seen = cursor.event_id, set[str]()
    while True:
        try:
            page = api.events(events.NAMES, after=after, since=timezone.now() - KEPT)
        except CursorLost:
            log.warning("WorkOS does not know the last event that was read: reading all that it keeps")
            if not _move(cursor, after, ""):
                return Read(len(seen), to_the_end=False)
            after = ""
            continue
        for told in page.events:
            event_id = told.get("id")
            if not isinstance(event_id, str) or not event_id or event_id in seen:
                raise ProviderError(
                    Kind.FAILING, "WorkOS gave a list of events that cannot be followed.", detail="an id is missing or repeated"
                )
            if not _take(cursor, after, event_id, told):
                return Read(len(seen), to_the_end=False)
            after = event_id
            seen.add(event_id)
        if not page.more:
            return Read(len(seen), to_the_end=True)


@transaction.atomic
def _take(cursor: EventCursor, after: str, event_id: str, told: dict[str, Any]) -> bool:
    """Applies one event, unless another process has gone on from here; whether it was this one's to apply."""
    if not _move(cursor, after, event_id):
        return False
    try:
        events.apply(events.told_as(told))
    except events.Unreadable:
        log.warning("an event of WorkOS's could not be read and was passed over: %r", event_id)
    return True


def _move(cursor: EventCursor, before: str, to: str) -> bool:
    return bool(EventCursor.objects.filter(pk=cursor.pk, event_id=before).update(event_id=to, read_at=timezone.now()))

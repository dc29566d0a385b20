"""How long the journal remembers: 400 days, and the refreshes, of which a connection in use makes a hundred a day, 90.

Long enough to answer what happened in the last year, and to tell the whole life of a grant of the default age.
"""

from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from oauthgw.guard.batches import Chore
from oauthgw.journal import changes
from oauthgw.journal.models import Event

KEPT = timedelta(days=400)
REFRESHES_KEPT = timedelta(days=90)
_REFRESHES = (Event.Kind.GRANT_REFRESHED, Event.Kind.REFRESH_FORGIVEN)


def chores() -> list[Chore]:
    """What `manage.py cleanup` removes here."""
    return [Chore("journal events", old_events), Chore("change log entries", changes.old)]


def old_events() -> QuerySet[Event]:
    now = timezone.now()
    return Event.objects.filter(Q(at__lt=now - KEPT) | Q(at__lt=now - REFRESHES_KEPT, kind__in=_REFRESHES))

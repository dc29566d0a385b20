"""Where a user is signed in, and ending it from elsewhere: effective at that browser's next request, on every process.

Knows session rows and the journal; knows no page. A browser that signs itself out is `sessions`' business.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from oauthgw.guard.sealed import digest
from oauthgw.identity.devices import described
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import BrowserSession


@dataclass(frozen=True, slots=True)
class Place:
    """One browser in which the user is signed in. `is_here` marks the one that asks."""

    id: int
    device: str
    address: str
    signed_in_at: datetime
    last_seen_at: datetime
    is_impersonated: bool
    is_here: bool


def places(user: AbstractBaseUser, here: SessionBase) -> list[Place]:
    """Every browser in which this user is signed in: the one that asks first, then the last seen."""
    return sorted(_places(user, _key_of(here)), key=lambda place: not place.is_here)


def everywhere(user: AbstractBaseUser) -> list[Place]:
    """The same for somebody else who looks: the last seen first."""
    return _places(user, "")


def _places(user: AbstractBaseUser, own: str) -> list[Place]:
    return [
        Place(
            id=row.pk,
            device=described(row.user_agent),
            address=row.address or "",
            signed_in_at=row.created_at,
            last_seen_at=row.last_seen_at,
            is_impersonated=row.impersonated,
            is_here=row.session_key == own,
        )
        for row in BrowserSession.objects.live(user)
    ]


def end(user: AbstractBaseUser, session_id: int) -> bool:
    """Signs the user out of one browser. False when this user has no such session."""
    return _end(user, BrowserSession.objects.filter(user_id=user.pk, pk=session_id), "From another browser.") > 0


def end_others(user: AbstractBaseUser, here: SessionBase) -> int:
    """Signs the user out of every browser but this one; returns how many."""
    return _end(user, BrowserSession.objects.filter(user_id=user.pk).exclude(session_key=_key_of(here)), "From another browser.")


def end_all(user: AbstractBaseUser, reason: str) -> int:
    """Signs the user out everywhere; returns of how many browsers."""
    return _end(user, BrowserSession.objects.filter(user_id=user.pk), reason)


def end_at_provider(sid: str, reason: str) -> int:
    """Signs out of the browsers in which the provider's session with this id began; returns how many."""
    rows = BrowserSession.objects.filter(sid=sid)
    users = User.objects.filter(pk__in=rows.values("user_id"))
    return sum(_end(user, rows.filter(user_id=user.pk), reason) for user in users)


def expired() -> QuerySet[BrowserSession]:
    """Sessions that have run out, which nothing finds any more: for `cleanup`."""
    return BrowserSession.objects.filter(expire_date__lte=timezone.now())


@transaction.atomic
def _end(user: AbstractBaseUser, rows: QuerySet[BrowserSession], reason: str) -> int:
    """Ends sessions, with the journal's entry for each that was still good; returns how many those were."""
    ended = rows.filter(expire_date__gt=timezone.now()).delete()[0]
    for _ in range(ended):
        record(Kind.SIGNED_OUT, user=user, reason=reason)
    return ended


def _key_of(session: SessionBase) -> str:
    return digest(session.session_key or "")

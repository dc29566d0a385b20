"""Writing the journal: who did what, from where, in which request.

Knows the event row and the request at hand (by context variable); knows nothing of OAuth's rules.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.utils import timezone

from oauthgw.guard import origin
from oauthgw.journal.models import Event

Kind = Event.Kind


@dataclass(frozen=True, slots=True)
class Caller:
    """The request being served: its id (also in the log lines) and the client's address."""

    request_id: str = ""
    address: str = ""


caller: ContextVar[Caller] = ContextVar("caller", default=Caller())  # noqa: B039  (frozen, so sharing the default is safe)


def record(
    kind: Event.Kind,
    *,
    user: AbstractBaseUser | None = None,
    client_id: str = "",
    grant_id: int | None = None,
    resource: str = "",
    reason: str = "",
) -> None:
    """Writes one event. Call it inside the transaction that makes it true, so that neither exists without the other."""
    at = caller.get()
    Event.objects.create(
        kind=kind,
        user_id=user.pk if user is not None else None,
        client_id=client_id,
        grant_id=grant_id,
        resource=resource,
        address=origin.address(at.address),
        request_id=at.request_id,
        reason=reason[:200],
    )


def by(sentence: str, who: AbstractBaseUser | None) -> str:
    """The reason with the operator behind it, where one did it: the journal's user is the one whom it happened to."""
    return " ".join(filter(None, (sentence, f"(by {who})" if who is not None else "")))


def record_once(
    kind: Event.Kind,
    *,
    within: timedelta,
    user: AbstractBaseUser,
    client_id: str = "",
    grant_id: int | None = None,
    resource: str = "",
    reason: str = "",
) -> None:
    """Writes an event unless the same was written within this time: a client that asks again and again is one row, not thousands."""
    same = Event.objects.filter(kind=kind, user_id=user.pk, client_id=client_id, grant_id=grant_id, reason=reason[:200])
    if not same.filter(at__gt=timezone.now() - within).exists():
        record(kind, user=user, client_id=client_id, grant_id=grant_id, resource=resource, reason=reason)

"""Writing the journal: who did what, from where, in which request.

Knows the event row and the request at hand (by context variable); knows nothing of OAuth's rules.
"""

from contextvars import ContextVar
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser

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

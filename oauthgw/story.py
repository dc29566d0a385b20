"""What happened to a connection, in order and in words: the answer to "why was I logged out?".

Told from the journal: the grant's own events, and what happened beside it to its client, its user and their consent. Knows rows and
sentences; knows no page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from oauthgw import resources
from oauthgw.journal.models import Event
from oauthgw.models import Grant

Kind = Event.Kind

_BEFORE = timedelta(minutes=15)
"""What led to the grant: a sign-in takes no longer than it lives."""
_MOST = 20_000  # a connection in use makes a hundred refreshes a day, kept for 90 days

_SAYS = {
    Kind.CONSENT_GIVEN: "The user approved the app on the consent page.",
    Kind.CONSENT_REFUSED: "The user declined on the consent page.",
    Kind.CONSENT_WITHDRAWN: "The consent was withdrawn.",
    Kind.GRANT_ISSUED: "The app redeemed its code: the connection began.",
    Kind.GRANT_REFRESHED: "The app refreshed its tokens.",
    Kind.REFRESH_FORGIVEN: "The app repeated a refresh, as after a lost answer, and was given the same token again.",
    Kind.REFRESH_REFUSED: "A refresh was refused.",
    Kind.REFRESH_REUSED: "A refresh token that was spent before was used again, which happens when it was copied.",
    Kind.CODE_REFUSED: "A code was refused.",
    Kind.CODE_REPLAYED: "The code was used a second time.",
    Kind.GRANT_REVOKED: "The connection was ended.",
    Kind.SIGN_IN_LOOP: "The app asked to sign in again and again, and was stopped.",
    Kind.CLIENT_APPROVED: "An operator approved the app.",
    Kind.CLIENT_APPROVAL_WITHDRAWN: "The app lost its approval.",
    Kind.CLIENT_DISABLED: "The app was disabled: its tokens stopped working.",
    Kind.CLIENT_ENABLED: "The app was enabled: its tokens work again.",
    Kind.CLIENT_CHANGED: "The app changed its registration.",
    Kind.CLIENT_SECRET_REPLACED: "The app was given a new secret; its old one stopped working.",
    Kind.CLIENT_REMOVED: "The app was removed.",
    Kind.USER_DEACTIVATED: "The user was shut out: their tokens stopped working.",
    Kind.USER_ACTIVATED: "The user was let in: their tokens work again.",
}
_OF_BOTH = (Kind.CONSENT_GIVEN, Kind.CONSENT_REFUSED, Kind.CONSENT_WITHDRAWN, Kind.SIGN_IN_LOOP)
_OF_CLIENT = tuple(kind for kind in _SAYS if kind.startswith("client_"))
_OF_USER = (Kind.USER_DEACTIVATED, Kind.USER_ACTIVATED)
_IN_RUNS = (Kind.GRANT_REFRESHED, Kind.REFRESH_FORGIVEN)


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened: once at `at`, or `times` times until `until`. `request_id` is that of the only or the last one."""

    at: datetime
    says: str
    times: int = 1
    until: datetime | None = None
    request_id: str = ""
    address: str = ""


def told(grant: Grant) -> list[Line]:
    """Everything that the journal knows about this connection, the oldest first; what repeats itself in a row is one line."""
    return list(_in_runs(_events(grant)[:_MOST]))


def ending(grant: Grant) -> str:
    """How the connection stands, why, and what its user can do: for the operator who is asked."""
    again = "The user can connect again from the app."
    if grant.revoked_at is not None:
        return f"It ended on {_moment(grant.revoked_at)}. {_sentence(grant.revoked_reason)} {again}".replace("  ", " ")
    now = timezone.now()
    if grant.expires_at is not None and grant.expires_at <= now:
        return f"It ended on {_moment(grant.expires_at)}, at its greatest age (GRANT_MAX_AGE_DAYS). {again}"
    head = grant.refresh_tokens.order_by("-generation").first()
    if head is not None and head.expires_at <= now:
        return f"It ended on {_moment(head.expires_at)}: the app had not refreshed for as long as a refresh token lasts. {again}"
    newest = grant.access_tokens.order_by("-pk").first()
    works = newest is not None and newest.expires > now
    if head is None and not works:
        return f"It ended with its access token: it had no refresh token. {again}"
    if grant.client.disabled_at is not None:
        return f"It stands still since {_moment(grant.client.disabled_at)}: the app is disabled. Enable it, and the connection goes on."
    if grant.client.awaits_approval:
        return "It stands still: the app waits for an operator's approval. Approve it, and the connection goes on."
    if not grant.user.is_active:
        return "It stands still: the user is shut out. Let them in, and the connection goes on."
    if resources.backend().by_id(grant.resource_id) is None:
        return "It stands still: its route is switched off."
    if works:
        return "It is in use: its access token is good."
    return "It is at rest: its access token has run out, and the app refreshes when it needs another."


def _events(grant: Grant) -> QuerySet[Event]:
    """By the grant's number, or about its client, its user or both while it lived."""
    client_id, user = grant.client.client_id, grant.user_id
    beside = Q(client_id=client_id, user_id=user, kind__in=_OF_BOTH) & (Q(resource="") | Q(resource=grant.resource))
    beside |= Q(client_id=client_id, grant_id=None, kind__in=_OF_CLIENT) | Q(user_id=user, kind__in=_OF_USER)
    while_it_lived = Q(at__gte=grant.issued_at - _BEFORE)
    if grant.revoked_at is not None:
        while_it_lived &= Q(at__lte=grant.revoked_at + _BEFORE)
    return Event.objects.filter(Q(grant_id=grant.pk) | (beside & while_it_lived)).order_by("id")


def _in_runs(events: QuerySet[Event]) -> Iterator[Line]:
    run: list[Event] = []
    for event in events:
        if run and (event.kind != run[0].kind or event.kind not in _IN_RUNS):
            yield _line(run)
            run = []
        run.append(event)
    if run:
        yield _line(run)


def _line(run: list[Event]) -> Line:
    first, last = run[0], run[-1]
    says = _SAYS.get(Kind(first.kind), first.get_kind_display())
    if first.reason:
        says = f"{says.rstrip('.')}: {_sentence(first.reason)}"
    if len(run) > 1:
        return Line(first.at, says, len(run), last.at, last.request_id, last.address or "")
    return Line(first.at, says, request_id=first.request_id, address=first.address or "")


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", ")")) else f"{text}."


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"

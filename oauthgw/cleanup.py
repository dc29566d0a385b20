"""What has ended and may go: codes, tokens, grants, sign-ins, sessions, assertions, consents, and clients that nobody uses.

Each rule says what is still needed of what has ended: a replayed code and a reused refresh token must be told as such for a while, and
rule 2 of refreshing asks whether an answer ever arrived. Knows rows and the times in force; how they go is in `guard.batches`.
"""

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from oauthgw.guard.batches import Chore
from oauthgw.guard.conf import gateway
from oauthgw.identity import signed_in
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import AccessToken, AuthorizationCode, Client, Consent, Grant, RefreshToken, SignIn, UsedAssertion
from oauthgw.models.tokens import has_a_token_after, live_grants

MARGIN = timedelta(days=1)
"""What has just ended is still asked about, and clocks differ."""
ENDED_KEPT = timedelta(days=90)
"""For how long an operator can still look at an ended grant or a withdrawn consent; the journal remembers longer."""


def chores() -> list[Chore]:
    """What `manage.py cleanup` removes here; tokens before their grants, grants before their clients."""
    return [
        Chore("authorization codes", expired_codes),
        Chore("access tokens", expired_access_tokens),
        Chore("refresh tokens", spent_refresh_tokens, before=_let_go),
        Chore("connections", ended_grants, cascades=True),
        Chore("consents", withdrawn_consents),
        Chore("clients", abandoned_clients, before=_journal_removal, cascades=True),
        Chore("sign-ins", over_sign_ins),
        Chore("browser sessions", signed_in.expired),
        Chore("client assertions", expired_assertions),
    ]


def expired_codes() -> QuerySet[AuthorizationCode]:
    """A replay is told as one for a day after the code's minute; later it is unknown, and ends nothing."""
    codes: QuerySet[AuthorizationCode] = AuthorizationCode.objects.filter(expires__lt=timezone.now() - MARGIN)
    return codes


def expired_access_tokens() -> QuerySet[AccessToken]:
    """All but those by which rule 2 knows that the head's answer has arrived: without them a thief's repeat would be forgiven."""
    head = RefreshToken.objects.filter(live_grants("grant__"), pk=OuterRef("issued_with_id"), spent_at=None)
    expired: QuerySet[AccessToken] = AccessToken.objects.filter(expires__lt=timezone.now() - MARGIN)
    return expired.filter(Q(accepted_at=None) | ~Exists(head))


def spent_refresh_tokens() -> QuerySet[RefreshToken]:
    """Those past their own lifetime, save the head's predecessor: its answer may have been lost, which has no time limit.

    A head stays with its grant. Until its lifetime is over, a spent token that is presented again is told as reused (rule 3).
    """
    head = RefreshToken.objects.filter(grant_id=OuterRef("grant_id"), generation=OuterRef("generation") + 1, spent_at=None)
    past: QuerySet[RefreshToken] = RefreshToken.objects.filter(expires_at__lt=timezone.now() - MARGIN)
    return past.filter(~Exists(head)).exclude(spent_at=None)


def ended_grants() -> QuerySet[Grant]:
    """Those revoked, too old, or without a token that could be used, for 90 days."""
    since = timezone.now() - ENDED_KEPT
    return Grant.objects.filter(Q(revoked_at__lt=since) | Q(expires_at__lt=since) | Q(~has_a_token_after(since), issued_at__lt=since))


def withdrawn_consents() -> QuerySet[Consent]:
    return Consent.objects.filter(withdrawn_at__lt=timezone.now() - ENDED_KEPT)


def abandoned_clients() -> QuerySet[Client]:
    """Clients that brought themselves here, and were never given a token (`DCR_UNUSED_HOURS`) or none for long (`DCR_IDLE_DAYS`).

    Never one that an operator made, approved, marked for introspection or switched off (it would come back switched on), never one with a
    grant or a code that can still be used.
    """
    now = timezone.now()
    brought_themselves: QuerySet[Client] = Client.objects.filter(
        registration_source__in=(Client.RegistrationSource.DCR, Client.RegistrationSource.CIMD),
        approved_at=None,
        disabled_at=None,
        may_introspect=False,
    )
    ever_connected = Exists(Grant.objects.filter(client=OuterRef("pk")))
    connected = Exists(Grant.objects.filter(live_grants(), has_a_token_after(now), client=OuterRef("pk")))
    connecting = Exists(AuthorizationCode.objects.filter(application=OuterRef("pk"), expires__gt=now))
    unused = Q(~ever_connected, last_used_at=None, created__lt=now - timedelta(hours=gateway().unused_client_hours))
    idle = Q(last_known__lt=now - timedelta(days=gateway().idle_client_days))
    known = brought_themselves.alias(last_known=Coalesce("last_used_at", "created"))
    abandoned: QuerySet[Client] = known.filter(unused | idle, ~connected, ~connecting)
    return abandoned


def over_sign_ins() -> QuerySet[SignIn]:
    return SignIn.objects.filter(expires_at__lt=timezone.now() - MARGIN)


def expired_assertions() -> QuerySet[UsedAssertion]:
    return UsedAssertion.objects.filter(expires_at__lt=timezone.now() - MARGIN)


def _let_go(refresh_tokens: list[int]) -> None:
    """An access token may outlive the refresh token it was issued with."""
    AccessToken.objects.filter(issued_with__in=refresh_tokens).update(issued_with=None)


def _journal_removal(clients: list[int]) -> None:
    for client in Client.objects.filter(pk__in=clients).only("client_id", "last_used_at"):
        last = f"not used since {client.last_used_at:%Y-%m-%d}" if client.last_used_at is not None else "never used"
        record(Kind.CLIENT_REMOVED, client_id=client.client_id, reason=f"Cleaned up: {last}.")

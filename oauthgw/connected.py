"""Which apps a user has connected to what, and disconnecting them.

An app is a client on one resource, for as long as it could come back by itself: by tokens that are still good, or by a consent that
stands. Either may be there without the other: an impersonator's approval is not remembered, a consent outlives the tokens it gave.
Knows grants, consents and codes; knows no page.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from oauthgw import consent
from oauthgw.ending import end_grants
from oauthgw.models import Client, Consent, Grant
from oauthgw.models.tokens import has_a_token_after

_REASON = "The user revoked it."


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """One client on one resource. `resource` is the URI as last issued.

    `last_used` is the latest that is known: when tokens were issued or refreshed, or when the newest were first accepted; None when only
    the consent is left.
    """

    client: Client
    resource_id: int
    resource: str
    since: datetime
    last_used: datetime | None


def apps(user: AbstractBaseUser) -> list[ConnectedApp]:
    """Every app this user has connected, the last used first."""
    found: dict[tuple[int, int], ConnectedApp] = {}
    for standing in Consent.objects.filter(user_id=user.pk, withdrawn_at=None).select_related("client"):
        key = (standing.client_id, standing.resource_id)
        found[key] = ConnectedApp(standing.client, standing.resource_id, standing.resource, standing.given_at, None)
    for grant in _usable(user):
        key = (grant.client_id, grant.resource_id)
        known = found.get(key)
        since = min(known.since, grant.issued_at) if known else grant.issued_at
        accepted: datetime | None = getattr(grant, "accepted_at", None)
        used = max(filter(None, (grant.issued_at, grant.refreshed_at, accepted, known.last_used if known else None)))
        found[key] = ConnectedApp(grant.client, grant.resource_id, grant.resource, since, used)
    return sorted(found.values(), key=lambda app: app.last_used or app.since, reverse=True)


@transaction.atomic
def disconnect(user: AbstractBaseUser, client_pk: int, resource_id: int) -> bool:
    """Ends everything that rests on this user's word for this client on this resource: the consent, codes on their way, all grants.

    Safe to repeat. False when there never was anything of this user's.
    """
    given = Consent.objects.filter(user_id=user.pk, client_id=client_pk, resource_id=resource_id).first()
    if given is not None:
        consent.withdraw(given, _REASON)
        return True
    end_grants(_REASON, user_id=user.pk, client_id=client_pk, resource_id=resource_id)
    return Grant.objects.filter(user_id=user.pk, client_id=client_pk, resource_id=resource_id).exists()


@transaction.atomic
def disconnect_all(user: AbstractBaseUser) -> int:
    """The same for every app; returns how many there were."""
    count = len(apps(user))
    consent.withdraw_all(_REASON, user_id=user.pk)
    return count


def _usable(user: AbstractBaseUser) -> "QuerySet[Grant]":
    """The live grants of which a token is still good, oldest first; `accepted_at` is when one was first accepted, the last time."""
    grants = Grant.objects.live().filter(has_a_token_after(timezone.now()), user_id=user.pk).select_related("client")
    return grants.annotate(accepted_at=Max("access_tokens__accepted_at")).order_by("issued_at", "pk")

"""The loop breaker: a client that signs in again and again, and never uses what it gets, is stopped with an explanation.

Three codes of the same user, client and route redeemed within two minutes, and no access token accepted in between: another code would
only open another tab. Knows grants, tokens and the journal; knows no page.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from oauthgw.journal.recorder import Kind, record_once
from oauthgw.models import AccessToken, Client, Grant
from oauthgw.resources import ProtectedResource

WINDOW = timedelta(minutes=2)
CODES = 3


@dataclass(frozen=True, slots=True)
class Loop:
    """A sign-in that goes round and round; after `seconds` it may be tried again."""

    seconds: int


def stopped(client: Client, user: AbstractBaseUser, resource: ProtectedResource) -> Loop | None:
    """The loop that a further code would continue, if there is one; the journal has it once."""
    now = timezone.now()
    family = Grant.objects.filter(user_id=user.pk, client=client, resource_id=resource.id)
    redeemed = list(family.filter(issued_at__gt=now - WINDOW).order_by("-issued_at")[:CODES])  # a redeemed code is a grant
    if len(redeemed) < CODES:
        return None
    since = redeemed[-1].issued_at
    if AccessToken.objects.filter(grant__in=family, accepted_at__gte=since).exists():
        return None
    with transaction.atomic():
        newest = Grant.objects.select_for_update().get(pk=redeemed[0].pk)  # of several tabs one writes
        record_once(
            Kind.SIGN_IN_LOOP,
            within=WINDOW,
            user=user,
            client_id=client.client_id,
            grant_id=newest.pk,
            resource=newest.resource,
            reason=f"{CODES} codes redeemed, and no access token was used.",
        )
    return Loop(ceil((since + WINDOW - now).total_seconds()))

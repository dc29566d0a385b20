"""Whether the provider still knows a user, asked when a client refreshes, at most once an hour.

Webhooks tell of it within a second, but one may be lost. An outage of the provider is no answer: for a day everything goes on, then
refreshes have to wait; nobody is signed out by it.

Knows identities and when they were asked about; what an answer changes is `events`' to say.
"""

import logging
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from oauthgw.guard.conf import gateway
from oauthgw.identity import events
from oauthgw.identity.provider import ProviderError
from oauthgw.identity.workos import WorkOSProvider
from oauthgw.identity.workos_api import WorkOSApi
from oauthgw.models import Identity

ASK_EVERY = timedelta(hours=1)
ASK_AGAIN = timedelta(minutes=5)
"""After a question without an answer: so that an outage costs few refreshes the time that it takes to notice it."""
TOLERATED = timedelta(days=1)

log = logging.getLogger(__name__)


class Due(Exception):
    """The provider has to be asked about this identity before its user's clients get new tokens."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity.pk)
        self.identity = identity


class Unanswered(Exception):
    """The provider has not answered for longer than is tolerated."""


def confirm(user: User) -> None:
    """Raises Due or Unanswered; returns when the user may be taken for known. Asks nobody.

    Local accounts and demo users are not the provider's, and nobody is while it is switched off.
    """
    identity: Identity | None = getattr(user, "identity", None)
    if identity is None or identity.provider != WorkOSProvider.name or not gateway().workos.client_id:
        return
    now = timezone.now()
    if identity.asked_at is None or now - identity.asked_at >= (ASK_AGAIN if identity.unanswered_since else ASK_EVERY):
        raise Due(identity)
    if identity.unanswered_since is not None and now - identity.unanswered_since > TOLERATED:
        raise Unanswered(identity.pk)


def ask(identity: Identity) -> None:
    """Asks the provider, and makes true here what it says. One process asks; others go on with what is known.

    Blocks on the network, so that it must not run inside a transaction.
    """
    now = timezone.now()
    if not Identity.objects.filter(pk=identity.pk, asked_at=identity.asked_at).update(asked_at=now):
        return
    try:
        news = _news(identity, now)
    except ProviderError as error:
        Identity.objects.filter(pk=identity.pk, unanswered_since=None).update(unanswered_since=now)
        log.warning("the provider could not be asked about identity %s: %s", identity.pk, error)
        return
    with transaction.atomic():
        for event in news:
            events.apply(event)
        Identity.objects.filter(pk=identity.pk).update(unanswered_since=None)


def _news(identity: Identity, now: datetime) -> list[events.Event]:
    """What WorkOS says of them, as the events that would have told it.

    Dated back by as much as clocks may differ: an event of this very moment must not look older than what we were told.
    """
    api, at = WorkOSApi(gateway().workos), now - events.CLOCKS_DIFFER
    user = api.user(identity.subject)
    if user is None:
        return [events.Event(events.UNKNOWN_USER, {"id": identity.subject}, at)]
    told = [events.Event("user.updated", user, at)]
    if identity.organization_id:
        membership = api.membership(identity.subject, identity.organization_id)
        about = {"user_id": identity.subject, "organization_id": identity.organization_id}
        name = "organization_membership.updated" if membership else "organization_membership.deleted"
        told.append(events.Event(name, membership or about, at))
    return told

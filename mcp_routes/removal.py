"""What a removed route leaves behind: no live connection, no standing consent, and a slug that no other route ever gets.

The signal makes it true for every way in which a row can go (one route, a bulk action, a shell). Knows routes and grants; knows nothing
of HTTP or the command line.
"""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.signals import post_delete, pre_delete
from django.dispatch import receiver

from mcp_routes.models import FormerSlug, McpRoute
from oauthgw import consent
from oauthgw.journal.changes import Topic, publish
from oauthgw.models import Grant

_REASON = "The route was removed."


def connections(route: McpRoute) -> QuerySet[Grant]:
    """The live grants on this route: what ends when it goes."""
    return Grant.objects.live().filter(resource_id=route.pk)


@transaction.atomic
def remove(route: McpRoute, by: AbstractBaseUser | None = None) -> int:
    """Removes a route and ends every connection to it; returns how many ended. `by` is the operator, if one is known."""
    ended = consent.withdraw_all(_REASON, by, resource_id=route.pk)
    route.delete()
    return ended


@receiver(pre_delete, sender=McpRoute, dispatch_uid="mcp_routes.removal")
def leave_nothing_alive(sender: type[McpRoute], instance: McpRoute, **kwargs: Any) -> None:
    """Runs in the deleting transaction, once for each row of a bulk deletion too."""
    consent.withdraw_all(_REASON, resource_id=instance.pk)
    FormerSlug.objects.get_or_create(slug=instance.slug)


@receiver(post_delete, sender=McpRoute, dispatch_uid="mcp_routes.removal.told")
def tell_of_it(sender: type[McpRoute], instance: McpRoute, **kwargs: Any) -> None:
    """Last in the same transaction."""
    publish(Topic.ROUTE, instance.pk)

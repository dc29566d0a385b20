"""Ending what users allowed: the codes on their way, then the grants with every token of them.

One function for whoever ends all that rests on a user, client or resource, so that nobody forgets the code that is not yet a grant. Knows
codes and grants; knows nothing of who asks.
"""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from oauthgw import codes, tokens
from oauthgw.models import Grant


@transaction.atomic
def end_grants(reason: str, by: AbstractBaseUser | None = None, **about: int) -> int:
    """Ends everything about this `user_id`, `client_id` or `resource_id` (row ids, all that are given); returns how many grants ended.

    Codes first: on PostgreSQL voiding waits for a redemption under way, whose grant is then there to be revoked.
    """
    codes.void(**{"application_id" if name == "client_id" else name: value for name, value in about.items()})
    return tokens.revoke_all(Grant.objects.filter(**about), reason, by)

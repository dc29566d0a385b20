"""What a removed client leaves behind: no live connection, and its history in the journal.

Asked by the client itself (RFC 7592 §2.3), by operators and by clean-up alike.
"""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from oauthgw import consent
from oauthgw.journal import recorder as journal
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Client, Grant


def connections(client: Client) -> QuerySet[Grant]:
    """The live grants of this client: what ends when it goes."""
    return Grant.objects.live().filter(client=client)


@transaction.atomic
def remove(client: Client, reason: str, by: AbstractBaseUser | None = None) -> int:
    """Removes a client and ends every connection of it in words; returns how many ended. `by` is the operator, if one did.

    Consents, codes, grants, then the client: requests lock them in this order, and the client last, when the database checks what points
    to it. Whatever is made for it after that is refused by the database. Somebody else may have been quicker.
    """
    ended = consent.withdraw_all(reason, by, client_id=client.pk)
    if Client.objects.select_for_update().filter(pk=client.pk).first() is None:
        return ended
    record(
        Kind.CLIENT_REMOVED, user=by, client_id=client.client_id, reason=f"{journal.by(reason, by)} Its name was: {client.name or 'none'}"
    )
    client.delete()
    return ended

"""When a client was last given a token: what decides whether an abandoned registration may go.

To the hour, so that a popular client's row is written once an hour and not with every token. Knows the client row; must run inside a
transaction.
"""

from datetime import datetime, timedelta

from oauthgw.models import Client

PRECISION = timedelta(hours=1)


def note(client: Client, now: datetime) -> None:
    """Notes that the client is given a token.

    Of many requests at once one writes, and none waits: whoever finds the row taken knows that it is being written. `no_key`, because every
    token row that refers to the client holds a share of its key until its own transaction ends.
    """
    if client.last_used_at is not None and now - client.last_used_at < PRECISION:
        return
    free = Client.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=client.pk).values_list("last_used_at").first()
    if free is not None and (free[0] is None or now - free[0] >= PRECISION):
        Client.objects.filter(pk=client.pk).update(last_used_at=now)

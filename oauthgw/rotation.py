"""What of the authorization server hangs on TOKEN_ENCRYPTION_KEYS: what can be moved to the first key, and what has to run out.

Knows which columns are sealed and how refresh chains are derived; how rows are re-sealed is in `guard.resealing`.
"""

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from oauthgw.clients import hasher
from oauthgw.guard import sealed
from oauthgw.guard.resealing import Column
from oauthgw.identity import signin
from oauthgw.models import AccessToken, Client, RefreshToken, SignIn
from oauthgw.models.tokens import live_grants


def columns() -> list[Column]:
    """Everything sealed here."""
    return [
        Column("client secrets", _clients, "client_secret", hasher.reseal),
        Column("sign-ins under way", _sign_ins, "sealed_verifier", signin.reseal_verifier),
    ]


def waiting_on_old_keys() -> QuerySet[RefreshToken]:
    """Refresh tokens that an old key derived and of which nobody knows yet whether they arrived.

    Should their answer have been lost, the client shows the one before, and only the key that made them makes them again. Each is moved by
    its own client, with the next refresh; what is not used runs out by itself.
    """
    arrived = AccessToken.objects.filter(issued_with=OuterRef("pk")).exclude(accepted_at=None)
    heads: QuerySet[RefreshToken] = RefreshToken.objects.filter(live_grants("grant__"), spent_at=None, expires_at__gt=timezone.now())
    return heads.exclude(key_id__in=("", sealed.current_key())).exclude(Exists(arrived))


def _clients() -> QuerySet[Client]:
    """Public clients have a digest too, of nothing, and nobody is ever asked for it."""
    clients: QuerySet[Client] = Client.objects.filter(client_type=Client.CLIENT_CONFIDENTIAL)
    return clients.filter(client_secret__startswith=f"{hasher.ALGORITHM}$")


def _sign_ins() -> QuerySet[SignIn]:
    return SignIn.objects.filter(used_at=None, expires_at__gt=timezone.now()).exclude(sealed_verifier="")

"""What operators decide about clients: each decision is journalled, with who made it, in the transaction that carries it out.

Every function takes a queryset and answers with the clients whom the decision was news for. Knows the client row and the journal; removing
has a room of its own.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from oauthgw.clients import registration
from oauthgw.clients.metadata import SECRET_METHODS
from oauthgw.clients.registration import Registered
from oauthgw.journal import recorder as journal
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Client

Clients = QuerySet[Client]
Condition = Callable[[Client], bool]


def approve(clients: Clients, by: AbstractBaseUser, still: Condition) -> list[Client]:
    """Vouches for the clients that are still what the operator read; a later change by the client takes it back."""
    return _decide(clients, Q(approved_at=None), by, Kind.CLIENT_APPROVED, "An operator approved it.", still, approved_at=timezone.now())


def withdraw_approval(clients: Clients, by: AbstractBaseUser) -> list[Client]:
    approved = Q(approved_at__isnull=False)
    return _decide(clients, approved, by, Kind.CLIENT_APPROVAL_WITHDRAWN, "An operator withdrew the approval.", approved_at=None)


def disable(clients: Clients, by: AbstractBaseUser) -> list[Client]:
    """Ends nothing, so that it can be undone: tokens of a disabled client are not accepted while it is."""
    return _decide(clients, Q(disabled_at=None), by, Kind.CLIENT_DISABLED, "An operator disabled it.", disabled_at=timezone.now())


def enable(clients: Clients, by: AbstractBaseUser) -> list[Client]:
    disabled = Q(disabled_at__isnull=False)
    return _decide(clients, disabled, by, Kind.CLIENT_ENABLED, "An operator enabled it.", disabled_at=None)


def allow_introspection(clients: Clients, by: AbstractBaseUser, still: Condition) -> list[Client]:
    """Only clients that can prove themselves, because anybody could ask in the name of a public one; and are what the operator read."""
    able = Q(may_introspect=False, client_type=Client.CLIENT_CONFIDENTIAL)
    return _decide(clients, able, by, Kind.CLIENT_CHANGED, "An operator lets it introspect tokens.", still, may_introspect=True)


def forbid_introspection(clients: Clients, by: AbstractBaseUser) -> list[Client]:
    may = Q(may_introspect=True)
    return _decide(clients, may, by, Kind.CLIENT_CHANGED, "An operator lets it introspect tokens no more.", may_introspect=False)


@transaction.atomic
def replace_secret(client: Client, by: AbstractBaseUser) -> Registered | None:
    """A new secret in place of the old one, which stops working at once; None for a client that has none.

    So does its registration access token: whoever holds that could have another secret made.
    """
    having_one = Client.objects.filter(pk=client.pk, token_endpoint_auth_method__in=SECRET_METHODS)
    locked: Client | None = having_one.select_for_update(no_key=True).first()
    if locked is None:
        return None
    secret = registration.new_secret()
    locked.client_secret, locked.registration_token_digest = secret.reveal(), ""
    locked.save(update_fields=["client_secret", "registration_token_digest", "updated"])
    record(Kind.CLIENT_SECRET_REPLACED, user=by, client_id=locked.client_id, reason=journal.by("An operator made a new secret.", by))
    return Registered(locked, registration.metadata_of(locked), secret)


@transaction.atomic
def _decide(
    clients: Clients, news: Q, by: AbstractBaseUser, kind: Kind, sentence: str, still: Condition = lambda _: True, **columns: Any
) -> list[Client]:
    """By primary key: what is shown beside clients (counts, twins) cannot be locked with them. `still` is asked under the lock."""
    keys = list(clients.order_by().values_list("pk", flat=True))
    concerned = [client for client in Client.objects.select_for_update(no_key=True).filter(news, pk__in=keys) if still(client)]
    for client in concerned:
        record(kind, user=by, client_id=client.client_id, reason=journal.by(sentence, by))
    concerned_keys = [client.pk for client in concerned]
    Client.objects.filter(pk__in=concerned_keys).update(**columns)
    publish(Topic.CLIENT, *concerned_keys)
    return concerned

"""A client manages its own registration (RFC 7592): who may, and what a replacement changes.

Knows the client row and the journal; knows nothing of HTTP.
"""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.hashers import check_password
from django.db import transaction

from oauthgw.clients import metadata, registration
from oauthgw.clients.metadata import ClientMetadata, InvalidMetadata
from oauthgw.clients.registration import Registered
from oauthgw.guard import sealed
from oauthgw.guard.secret import Secret
from oauthgw.journal.changes import Topic, publish
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Client

_OURS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


class NotManageable(Exception):
    """The client was removed, or switched off by an operator, while its request was under way."""


def find(client_id: str, token: Secret) -> Client | None:
    """The client that this registration access token manages, if it is the one asked for."""
    if not token.reveal().startswith(registration.TOKEN_PREFIX):
        return None
    client = Client.objects.filter(registration_token_digest=sealed.digest(token.reveal())).first()
    return client if client is not None and client.client_id == client_id else None


def read(client: Client, token: Secret) -> Registered:
    """The registration as it stands (RFC 7592 §2.1, §3).

    The token that was just presented is answered again. The secret is not: it is stored as a digest, nobody here knows it, and a client
    that lost it registers anew or replaces its registration; RFC 7591 §3.2.1 leaves the member optional.
    """
    return Registered(client, registration.metadata_of(client), None, token)


@transaction.atomic
def replace(client: Client, document: Mapping[str, Any], token: Secret) -> Registered:
    """Replaces the whole registration (RFC 7592 §2.2): a member that is left out goes back to its default.

    Raises InvalidMetadata, or NotManageable.

    What an operator approved is not there any more once something changed: the approval is taken back. A secret stays as long as the
    client authenticates by one, is made when it begins to, and forgotten when it stops.
    """
    locked: Client | None = Client.objects.select_for_update(no_key=True).filter(pk=client.pk, disabled_at=None).first()
    if locked is None:
        raise NotManageable
    client = locked
    sent_secret = _judged_as_this_clients(client, document)
    wanted, before = metadata.read(document), registration.metadata_of(client)
    if wanted == before:
        return Registered(client, wanted, sent_secret, token)
    made = registration.new_secret() if wanted.has_secret and not before.has_secret else None
    record(Kind.CLIENT_CHANGED, client_id=client.client_id, reason=f"The client changed {registration.named_changes(before, wanted)}.")
    was_trusted = registration.withdraw_trust(client)
    _store(client, wanted, made)
    if was_trusted:
        publish(Topic.CLIENT, client.pk)
    return Registered(client, wanted, made or (sent_secret if wanted.has_secret else None), token)


def _judged_as_this_clients(client: Client, document: Mapping[str, Any]) -> Secret | None:
    """The secret that the client sent, after all that §2.2 says of credentials. Raises InvalidMetadata."""
    ours = [name for name in _OURS if name in document]
    if ours:
        raise InvalidMetadata("invalid_client_metadata", f"{ours[0]} must not be sent: the gateway decides it (RFC 7592 §2.2).")
    if document.get("client_id") != client.client_id:
        raise InvalidMetadata("invalid_client_metadata", "client_id must be sent, and must be the one of this registration.")
    sent = document.get("client_secret")
    if sent is None:
        return None
    has_secret = registration.metadata_of(client).has_secret
    if not isinstance(sent, str) or not has_secret or not check_password(sent, client.client_secret):
        raise InvalidMetadata("invalid_client_metadata", "client_secret is not the current one; leave it out; clients cannot choose one.")
    return Secret(sent)


def _store(client: Client, wanted: ClientMetadata, made: Secret | None) -> None:
    for name, value in registration.columns(wanted).items():
        setattr(client, name, value)
    if made is not None:
        client.client_secret = made.reveal()
    elif not wanted.has_secret:
        client.client_secret = ""
    client.save()

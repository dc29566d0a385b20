"""Client rows: metadata becomes one, and the client information response of RFC 7591 §3.2.1.

`documents` does the same for a metadata document, `management` changes a registration, `removal` ends it, `decisions` are what operators
make of it. Knows the client row and the journal.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from oauth2_provider.generators import generate_client_id, generate_client_secret

from oauthgw.clients import fingerprint
from oauthgw.clients.metadata import ClientMetadata
from oauthgw.guard import sealed
from oauthgw.guard.secret import Secret
from oauthgw.journal import recorder as journal
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Client

TOKEN_PREFIX = "mcprg_"  # noqa: S105  (what a registration access token begins with, for people and scanners)
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Registered:
    """A client as it is answered.

    The secret is known when it is made, and when the client itself has just sent it. The registration access token is None for a client
    that an operator added.
    """

    client: Client
    metadata: ClientMetadata
    secret: Secret | None = None
    registration_token: Secret | None = None

    def as_dict(self, at: str) -> dict[str, Any]:
        """The client information response (RFC 7591 §3.2.1, RFC 7592 §3) of the gateway at this origin.

        A secret never expires (`0`), and says so, because clients require the member beside it.
        """
        answer: dict[str, Any] = {"client_id": self.client.client_id, "client_id_issued_at": int(self.client.created.timestamp())}
        if self.secret is not None:
            answer |= {"client_secret": self.secret.reveal(), "client_secret_expires_at": 0}
        if self.registration_token is not None:
            answer["registration_access_token"] = self.registration_token.reveal()
            answer["registration_client_uri"] = f"{at}/oauth/register/{self.client.client_id}"
        return answer | self.metadata.as_dict()


@transaction.atomic
def register(metadata: ClientMetadata) -> Registered:
    """Creates a self-registered client. Nobody vouches for it until an operator does."""
    token = Secret(TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES))
    registered = _create(
        metadata, registration_source=Client.RegistrationSource.DCR, registration_token_digest=sealed.digest(token.reveal())
    )
    record(Kind.CLIENT_REGISTERED, client_id=registered.client.client_id, reason=metadata.client_name)
    return Registered(registered.client, metadata, registered.secret, token)


@transaction.atomic
def preregister(metadata: ClientMetadata, by: AbstractBaseUser) -> Registered:
    """Creates a client that an operator adds, and thereby vouches for. It is theirs to change, so it gets no registration token."""
    registered = _create(metadata, registration_source=Client.RegistrationSource.MANUAL, approved_at=timezone.now())
    record(
        Kind.CLIENT_REGISTERED,
        user=by,
        client_id=registered.client.client_id,
        reason=f"{journal.by('An operator added it', by)}: {metadata.client_name}",
    )
    return registered


def columns(metadata: ClientMetadata) -> dict[str, Any]:
    """What of a client's row its metadata decides, whichever way the client came."""
    return {
        "client_type": Client.CLIENT_CONFIDENTIAL if metadata.is_confidential else Client.CLIENT_PUBLIC,
        "name": metadata.client_name,
        "redirect_uris": " ".join(metadata.redirect_uris),
        "grant_types": list(metadata.grant_types),
        "token_endpoint_auth_method": metadata.token_endpoint_auth_method,
        "scope": metadata.scope,
        "metadata": metadata.extras,
        "fingerprint": fingerprint.of(metadata),
    }


def metadata_of(client: Client) -> ClientMetadata:
    """The inverse of `columns`."""
    return ClientMetadata(
        redirect_uris=tuple(client.redirect_uris.split()),
        client_name=client.name,
        grant_types=tuple(client.grant_types),
        token_endpoint_auth_method=client.token_endpoint_auth_method,
        scope=client.scope,
        extras=client.metadata,
    )


def named_changes(before: ClientMetadata, after: ClientMetadata) -> str:
    """The members that differ, for the journal."""
    was, now = before.as_dict(), after.as_dict()
    return ", ".join(name for name in (now | was) if was.get(name) != now.get(name))


def withdraw_trust(client: Client) -> bool:
    """Takes back, in the row at hand, what an operator allowed this client, because it is not what they looked at any more.

    The caller saves the row in the same transaction. Returns whether there was anything to take back.
    """
    reason = "The client is not what was approved any more."
    was_trusted = client.approved_at is not None or client.may_introspect
    if client.approved_at is not None:
        record(Kind.CLIENT_APPROVAL_WITHDRAWN, client_id=client.client_id, reason=reason)
    if client.may_introspect:
        record(Kind.CLIENT_CHANGED, client_id=client.client_id, reason=f"It may introspect tokens no more. {reason}")
    client.approved_at, client.may_introspect = None, False
    return was_trusted


def new_secret() -> Secret:
    """High-entropy, so that a fast keyed digest is enough to store it (`hasher`)."""
    return Secret(generate_client_secret())


def rekey(stored: str, secret: str) -> None:
    """Stores a client's secret under the present key, once it has proved that it knows it: so an old key can be dropped some day."""
    Client.objects.filter(client_secret=stored).update(client_secret=make_password(secret, hasher="sealed_digest"))


def _create(metadata: ClientMetadata, **decided: Any) -> Registered:
    secret = new_secret() if metadata.has_secret else None
    client = Client.objects.create(
        client_id=generate_client_id(),
        client_secret=secret.reveal() if secret is not None else "",
        authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
        **columns(metadata),
        **decided,
    )
    return Registered(client, metadata, secret)

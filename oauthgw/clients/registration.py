"""Registering a client: metadata becomes a row, and the answer of RFC 7591 §3.2.1.

The only writer of client rows besides the admin. Knows the client row and the journal.
"""

import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import transaction
from oauth2_provider.generators import generate_client_id, generate_client_secret

from oauthgw.clients.metadata import ClientMetadata
from oauthgw.guard.secret import Secret
from oauthgw.journal.recorder import Kind, record
from oauthgw.models import Client


@dataclass(frozen=True, slots=True)
class Registered:
    """A new client and, if it is confidential, its secret: the only time it is known in clear."""

    client: Client
    metadata: ClientMetadata
    secret: Secret | None

    def as_dict(self) -> dict[str, Any]:
        """The client information response. A secret never expires (`0`), and says so, because clients require the member."""
        answer: dict[str, Any] = {"client_id": self.client.client_id, "client_id_issued_at": int(time.time())}
        if self.secret is not None:
            answer |= {"client_secret": self.secret.reveal(), "client_secret_expires_at": 0}
        return answer | self.metadata.as_dict()


@transaction.atomic
def register(metadata: ClientMetadata) -> Registered:
    """Creates a self-registered client. Nobody vouches for it until an operator does."""
    secret = Secret(generate_client_secret()) if metadata.is_confidential else None
    client = Client.objects.create(
        client_id=generate_client_id(),
        client_secret=secret.reveal() if secret is not None else "",
        client_type=Client.CLIENT_CONFIDENTIAL if metadata.is_confidential else Client.CLIENT_PUBLIC,
        authorization_grant_type=Client.GRANT_AUTHORIZATION_CODE,
        registration_source=Client.RegistrationSource.DCR,
        name=metadata.client_name,
        redirect_uris=" ".join(metadata.redirect_uris),
        grant_types=list(metadata.grant_types),
        token_endpoint_auth_method=metadata.token_endpoint_auth_method,
        scope=metadata.scope,
        metadata=metadata.extras,
    )
    record(Kind.CLIENT_REGISTERED, client_id=client.client_id, reason=metadata.client_name)
    return Registered(client, metadata, secret)


def rekey(stored: str, secret: str) -> None:
    """Stores a client's secret under the present key, once it has proved that it knows it: so an old key can be dropped some day."""
    Client.objects.filter(client_secret=stored).update(client_secret=make_password(secret, hasher="keyed_digest"))

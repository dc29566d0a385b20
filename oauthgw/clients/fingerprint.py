"""Twins: one program that registered more than once, because clients keep a registration for each issuer, and forget them.

Pure. Twins are listed together for operators and are otherwise strangers: what a client says of itself proves nothing.
"""

import json
from hashlib import sha256
from urllib.parse import urlsplit

from oauthgw.clients import redirects
from oauthgw.clients.metadata import ClientMetadata


def of(metadata: ClientMetadata) -> str:
    """Equal for registrations of one program: by its name, software, redirect URIs and way to authenticate.

    Programs listen on whichever loopback port is free, so that ports there tell nothing.
    """
    facts = [
        metadata.client_name,
        metadata.extras.get("software_id", ""),
        sorted({_without_loopback_port(uri) for uri in metadata.redirect_uris}),
        metadata.token_endpoint_auth_method,
    ]
    return sha256(json.dumps(facts).encode()).hexdigest()


def _without_loopback_port(uri: str) -> str:
    if not redirects.is_loopback(uri):
        return uri
    parts = urlsplit(uri)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return parts._replace(netloc=host or "").geturl()

"""Who signs in, and how: the identity provider behind one small interface, the attempts under way, the people it vouches for.

A second provider is one module that satisfies `provider.Provider`, one line in `configured`, and its settings.
"""

from oauthgw.guard.conf import gateway
from oauthgw.identity import workos
from oauthgw.identity.provider import Provider


def configured() -> Provider | None:
    """The provider that signs users in; None while none is configured (DEBUG on a laptop)."""
    settings = gateway().workos
    return workos.WorkOSProvider(settings) if settings.client_id else None

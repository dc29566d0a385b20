"""The authorization server's tables."""

from oauthgw.models.client import Client, UsedAssertion
from oauthgw.models.consent import Consent
from oauthgw.models.identity import EventCursor, Identity, SignIn
from oauthgw.models.session import BrowserSession
from oauthgw.models.tokens import AccessToken, AuthorizationCode, DeviceGrant, Grant, IDToken, RefreshToken

__all__ = [
    "AccessToken",
    "AuthorizationCode",
    "BrowserSession",
    "Client",
    "Consent",
    "DeviceGrant",
    "EventCursor",
    "Grant",
    "IDToken",
    "Identity",
    "RefreshToken",
    "SignIn",
    "UsedAssertion",
]

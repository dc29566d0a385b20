"""What the operator decided, as one typed and frozen value.

`gatewaysite.settings` reads the environment and builds it; everything else asks `gateway()`. Knows names, types and units;
reads no environment and judges no combination (`gatewaysite.checks` does).
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from django.conf import settings

from oauthgw.guard.secret import Secret


@dataclass(frozen=True, slots=True)
class WorkOS:
    """The WorkOS environment that signs users in. Empty `client_id` means: not configured."""

    client_id: str = ""
    client_secret: Secret = field(default_factory=lambda: Secret(""))
    api_base_url: str = "https://api.workos.com"
    webhook_secret: Secret = field(default_factory=lambda: Secret(""))  # empty: there is no webhook


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway's settings, named as in `.env.example`, in lower case. Durations are seconds unless the name says otherwise."""

    debug: bool
    origin: str  # without a trailing slash; empty: each loopback host that reaches the gateway is its own (DEBUG only)
    encryption_keys: tuple[Secret, ...]  # the first encrypts, all decrypt
    workos: WorkOS = WorkOS()
    sign_in_allow: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    access_token_ttl: int = 15 * 60
    refresh_token_ttl: int = 30 * 24 * 3600
    grant_max_age_days: int = 90  # 0: no limit
    session_ttl: int = 8 * 3600
    refresh_replay: int = 120
    client_registration: str = "open"  # of clients, and of metadata documents: "open", "approval" or "closed"
    client_redirect_schemes: tuple[str, ...] = ()
    cimd_allowed_hosts: tuple[str, ...] = ()  # whose metadata documents count; empty: any public host's
    fetch_trusted_hosts: tuple[str, ...] = ()  # host or host:port that may be fetched from although private or plain http
    unused_client_hours: int = 24  # a registered client that never got a token is removed after this
    idle_client_days: int = 90  # one whose last grant has ended is removed this long after its last use
    max_body_bytes: int = 4 * 1024 * 1024
    upstream_timeout: int = 120
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    rate_limit_scale: float = 1.0  # multiplies every limit of `oauthgw.guard.limits`; 0: no limits
    public_catalogue: bool = False

    @property
    def secure(self) -> bool:
        """Whether browsers reach the gateway over TLS, so that cookies may be `Secure`."""
        return self.origin.startswith("https://")


def gateway() -> Gateway:
    """The settings in force."""
    return settings.GATEWAY

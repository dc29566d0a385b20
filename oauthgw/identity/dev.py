"""Signing in without a provider, on a laptop: three demo users to pick from, and the conditions under which they exist at all.

Knows settings, peer and headers; knows no session and no page.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.http import HttpRequest

from oauthgw.guard import origin
from oauthgw.guard.conf import gateway
from oauthgw.identity.provider import Person

PROVIDER = "dev"


@dataclass(frozen=True, slots=True)
class DemoUser:
    """Someone to sign in as."""

    key: str
    name: str
    email: str
    note: str
    admin: bool = False

    def person(self) -> Person:
        first, _, last = self.name.partition(" ")
        return Person(subject=f"demo-{self.key}", email=self.email, email_verified=True, first_name=first, last_name=last)


DEMO_USERS = (
    DemoUser("admin", "Demo Admin", "admin@example.com", "Runs this gateway: may open the admin pages.", admin=True),
    DemoUser("user", "Demo User", "user@example.com", "Uses MCP servers through this gateway."),
    DemoUser("second", "Second User", "second@example.com", "Someone else, to see that each user's tokens are their own."),
)


def exist() -> bool:
    """Whether there are demo users at all: what they were given ends when DEBUG goes off or a provider is configured."""
    settings = gateway()
    return settings.debug and not settings.workos.client_id


def permitted(request: HttpRequest) -> bool:
    """Whether sign-in without a provider exists for this request: all of it on this machine, and nothing in between that says otherwise.

    A tunnel's peer is loopback too, so a request that names a proxy is refused.
    """
    settings = gateway()
    return (
        exist()
        and (not settings.origin or origin.is_loopback_host(urlsplit(settings.origin).netloc))
        and origin.is_loopback_address(_peer(request))
        and origin.is_loopback_host(_host(request))
        and not origin.is_forwarded((name.lower().encode("latin-1", "replace"), b"") for name in request.headers)
    )


def demo_user(key: str) -> DemoUser | None:
    """The demo user with this key."""
    return next((user for user in DEMO_USERS if user.key == key), None)


def _host(request: HttpRequest) -> str:
    """The Host that was sent, before the dispatcher made it the configured origin's."""
    scope = getattr(request, "scope", {})
    return str(scope[origin.SENT_HOST] if origin.SENT_HOST in scope else request.get_host())


def _peer(request: HttpRequest) -> str:
    """The raw peer's address, before `X-Forwarded-For` had a say."""
    scope = getattr(request, "scope", {})
    return str(scope[origin.PEER] if origin.PEER in scope else request.META.get("REMOTE_ADDR", ""))

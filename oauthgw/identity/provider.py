"""What the gateway asks of an identity provider, and what it gets back.

Knows the interface and its values; knows no provider, no request and no table.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Person:
    """Someone the provider vouches for, as of this sign-in. Text is free of control characters and short enough to store."""

    subject: str  # the provider's immutable id
    email: str = ""
    email_verified: bool = False
    first_name: str = ""
    last_name: str = ""
    organization_id: str = ""  # of the session; empty when it has none
    role: str = ""
    roles: frozenset[str] = frozenset()  # with `role`, when a session carries several
    permissions: tuple[str, ...] = ()
    session_id: str = ""  # the provider's browser session, for signing out there
    impersonator: str = ""  # who really sits at the browser; empty: the person


class Kind(StrEnum):
    """Why a provider gave no person."""

    UNREACHABLE = "unreachable"  # no connection, or broken off
    SLOW = "slow"
    BUSY = "busy"  # it limits our requests
    FAILING = "failing"  # 5xx, or an answer that cannot be read
    MISCONFIGURED = "misconfigured"  # an operator has to mend something
    INCOMPLETE = "incomplete"  # the person has to finish something at the provider
    REFUSED = "refused"  # the code was not accepted
    UNTRUSTED = "untrusted"  # the answer does not prove who it is


class ProviderError(Exception):
    """The provider gave no person.

    `sentence` is for the person at the browser, `mend` for whoever runs the gateway (may be empty); `detail` is for the log, and
    like both of them holds no credential. `retry_after` is in seconds, where the provider named a time.
    """

    def __init__(self, kind: Kind, sentence: str, *, mend: str = "", detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(f"{kind}: {detail or sentence}")
        self.kind = kind
        self.sentence = sentence
        self.mend = mend
        self.detail = detail
        self.retry_after = retry_after


class Provider(Protocol):
    """An identity provider, reached by the authorization code flow with PKCE (RFC 7636, S256)."""

    name: str  # stored with each identity; never changes
    label: str  # what people call it

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str, login_hint: str = "", prompt: str = "") -> str:
        """Where the browser goes to sign in.

        `login_hint` is an e-mail address to offer, `prompt=login` asks not to reuse a session there: wishes, nothing to rely on.
        """

    def exchange(self, *, code: str, verifier: str, ip: str, user_agent: str) -> Person:
        """Redeems a code for the person who signed in. Blocks on the network. Raises ProviderError."""

    def sign_out_url(self, *, session_id: str, return_to: str) -> str:
        """Where the browser goes to end the provider's session."""

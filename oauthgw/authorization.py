"""An authorization request as a value: what a client asked for, once client and redirect URI are known to be good.

Pure: no request, no database but the resource look-up. Sources: OAuth 2.1 §4.1.1, RFC 7636 §4.3, RFC 8707 §2, RFC 9207.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from oauthgw import resources, scopes
from oauthgw.refusals import plain

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256 (RFC 7636 §4.2)


class Refused(Exception):
    """A request whose client and redirect URI are good, but that cannot be granted. `error` is the standard's code."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Bound:
    """The resource a code will be for: the immutable id, and the URI as issued."""

    id: int
    uri: str


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asked for. `issuer` is the one whose endpoint was used; `resource_path` is empty when none was named."""

    client_id: str
    redirect_uri: str
    state: str
    scope: str
    code_challenge: str
    origin: str
    issuer: str
    resource_path: str

    def as_dict(self) -> dict[str, str]:
        """For signing."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse. Raises TypeError when a field is missing or unknown."""
        return cls(**{name: str(value) for name, value in values.items()})

    def success_url(self, code: str) -> str:
        """Where the code goes (RFC 6749 §4.1.2), with the issuer (RFC 9207 §2)."""
        return self._response({"code": code})

    def error_url(self, error: str, description: str) -> str:
        """Where a refusal goes (RFC 6749 §4.1.2.1)."""
        return self._response({"error": error, "error_description": plain(description)})

    def _response(self, parameters: dict[str, str]) -> str:
        if self.state:
            parameters["state"] = self.state
        parameters["iss"] = self.issuer
        joint = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{joint}{urlencode(parameters)}"


def refuse_unsupported(parameters: Mapping[str, str]) -> None:
    """Refuses what this server does not do, so that nothing is granted on a misunderstanding. Raises Refused."""
    if parameters.get("response_type") != "code":
        raise Refused("unsupported_response_type", "Only response_type=code is supported.")
    if "request" in parameters:
        raise Refused("request_not_supported", "Request objects are not supported; send the parameters themselves.")
    if "request_uri" in parameters:
        raise Refused("request_uri_not_supported", "Pushed or referenced requests are not supported; send the parameters themselves.")
    if parameters.get("response_mode", "query") != "query":
        raise Refused("invalid_request", "Only response_mode=query is supported.")
    if "none" in parameters.get("prompt", "").split():
        raise Refused("interaction_required", "prompt=none is not supported: consent may need the user.")
    if parameters.get("code_challenge_method") != "S256":
        raise Refused("invalid_request", "PKCE is required with code_challenge_method=S256.")
    if not _CHALLENGE.fullmatch(parameters.get("code_challenge", "")):
        raise Refused("invalid_request", "The code_challenge must be the 43 base64url characters of a SHA-256.")


def requested_resource(named: list[str], endpoint_path: str, at: str) -> resources.ProtectedResource | None:
    """The resource of a request: named by parameter, implied by a per-route endpoint, or None. Raises Refused (`invalid_target`)."""
    implied = resources.backend().find(endpoint_path) if endpoint_path else None
    try:
        wanted = resources.named(named, at)
    except resources.InvalidTarget as error:
        raise Refused("invalid_target", str(error)) from error
    if implied is None:
        return wanted
    if wanted is not None and wanted.id != implied.id:
        raise Refused("invalid_target", f"This endpoint is for {implied.uri(at)}; the request names {wanted.uri(at)}.")
    return implied


def scope_of(parameters: Mapping[str, str]) -> str:
    """The scope that will be granted."""
    return scopes.kept(parameters.get("scope"))

"""What a client says of itself, judged: the rules for client metadata (RFC 7591 §2).

Pure: no request, no database. Tolerant where clients differ (unknown members, grant types, scopes and schemes are dropped, and the
answer says what was kept), strict where safety hangs on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from oauthgw import scopes
from oauthgw.clients import keys, naming, redirects
from oauthgw.guard import fetch

GRANT_TYPES = ("authorization_code", "refresh_token")
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
ASSERTION_METHOD = "private_key_jwt"
AUTH_METHODS = ("none", *SECRET_METHODS, ASSERTION_METHOD)
_URI_MEMBERS = ("client_uri", "logo_uri", "tos_uri", "policy_uri")
_TEXT_MEMBERS = ("software_id", "software_version", "application_type")
_MAX_URI = 2000
_MAX_TEXT = 255
_MAX_CONTACTS = 20


class InvalidMetadata(Exception):
    """Metadata that cannot be registered (RFC 7591 §3.2.2). `error` is the standard's code."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """Client metadata as kept. `extras` holds members that are answered again and otherwise only shown."""

    redirect_uris: tuple[str, ...]
    client_name: str
    grant_types: tuple[str, ...]
    token_endpoint_auth_method: str
    scope: str
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def has_secret(self) -> bool:
        """Whether it proves itself by a secret, which the gateway makes."""
        return self.token_endpoint_auth_method in SECRET_METHODS

    @property
    def is_confidential(self) -> bool:
        """Whether it can prove itself at all (RFC 6749 §2.1)."""
        return self.has_secret or self.token_endpoint_auth_method == ASSERTION_METHOD

    def as_dict(self) -> dict[str, Any]:
        """As it is answered: every member that was kept."""
        return {
            "redirect_uris": list(self.redirect_uris),
            "grant_types": list(self.grant_types),
            "response_types": ["code"],
            "token_endpoint_auth_method": self.token_endpoint_auth_method,
            "scope": self.scope,
            **({"client_name": self.client_name} if self.client_name else {}),
            **self.extras,
        }


def read(document: Mapping[str, Any]) -> ClientMetadata:
    """Judges a metadata document. Raises InvalidMetadata with the standard's code and a sentence that says what would be accepted."""
    method = _auth_method(document.get("token_endpoint_auth_method"))
    return ClientMetadata(
        redirect_uris=_redirect_uris(document.get("redirect_uris")),
        client_name=naming.clean(_text(document, "client_name"), limit=_MAX_TEXT),
        grant_types=_grant_types(document.get("grant_types")),
        token_endpoint_auth_method=method,
        scope=scopes.kept(_text(document, "scope", limit=10_000)),
        extras=_extras(document) | _keys(document, method),
    )


def _redirect_uris(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(uri, str) for uri in value):
        raise InvalidMetadata("invalid_redirect_uri", f"redirect_uris must be a list of at least one URI. {redirects.accepted()}")
    try:
        return tuple(redirects.kept(value))
    except ValidationError as error:
        raise InvalidMetadata("invalid_redirect_uri", " ".join(error.messages)) from error


def _grant_types(value: Any) -> tuple[str, ...]:
    """The offered ones among those asked for. The default is both: a refresh token is given either way."""
    if value is None:
        return GRANT_TYPES
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidMetadata("invalid_client_metadata", "grant_types must be a list of strings.")
    kept = tuple(entry for entry in GRANT_TYPES if entry in value)
    return kept if "authorization_code" in kept else GRANT_TYPES  # a client that asks for others still learns what it has


def _auth_method(value: Any) -> str:
    """The method asked for. The default is a public client: clients that name none expect no secret."""
    if value is None or value == "":
        return "none"
    if value not in AUTH_METHODS:
        raise InvalidMetadata("invalid_client_metadata", f"token_endpoint_auth_method must be one of {', '.join(AUTH_METHODS)}.")
    return str(value)


def _extras(document: Mapping[str, Any]) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    for name in _URI_MEMBERS:
        uri = document.get(name)
        if isinstance(uri, str) and 0 < len(uri) <= _MAX_URI and _is_web_uri(uri):
            extras[name] = uri
    for name in _TEXT_MEMBERS:
        text = naming.clean(_text(document, name), limit=_MAX_TEXT)
        if text:
            extras[name] = text
    contacts = document.get("contacts")
    if isinstance(contacts, list):
        kept = [naming.clean(entry, limit=_MAX_TEXT) for entry in contacts[:_MAX_CONTACTS] if isinstance(entry, str)]
        if kept:
            extras["contacts"] = kept
    return extras


def _keys(document: Mapping[str, Any], method: str) -> dict[str, Any]:
    """The client's key set, by value or by reference and never both (RFC 7591 §2); required of a client that signs."""
    by_value, uri = document.get("jwks"), _text(document, "jwks_uri", limit=_MAX_URI)
    if by_value is not None and uri:
        raise InvalidMetadata("invalid_client_metadata", "Send either jwks or jwks_uri, not both.")
    if by_value is not None:
        try:
            kept = keys.read(by_value)
            if method == ASSERTION_METHOD:
                keys.refuse_without_use(kept)
            return {"jwks": {"keys": kept}}
        except keys.UnfitKeys as unfit:
            raise InvalidMetadata("invalid_client_metadata", f"jwks cannot be used. {unfit}") from unfit
    if uri:
        _refuse_unfetchable(uri)
        return {"jwks_uri": uri}
    if method == ASSERTION_METHOD:
        raise InvalidMetadata("invalid_client_metadata", f"{ASSERTION_METHOD} needs the client's public keys: send jwks or jwks_uri.")
    return {}


def _refuse_unfetchable(uri: str) -> None:
    """Refuses what the gateway would never ask; anything else in the way shows when it does."""
    try:
        fetch.judge(uri)
    except fetch.RefusedUrl as refused:
        raise InvalidMetadata("invalid_client_metadata", f"jwks_uri cannot be used. {refused.sentence}") from refused


def _is_web_uri(uri: str) -> bool:
    """Whether people may be shown it and may follow it: http(s) with a plain host, in ASCII. What is not is left out (RFC 7591 §2)."""
    try:
        parts = urlsplit(uri)
        _ = parts.port  # which is only now read as a number
    except ValueError:
        return False
    return uri.isascii() and uri.isprintable() and " " not in uri and parts.scheme in ("https", "http") and redirects.has_plain_host(parts)


def _text(document: Mapping[str, Any], name: str, limit: int = 4_000) -> str:
    value = document.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit:
        raise InvalidMetadata("invalid_client_metadata", f"{name} must be a string of at most {limit} characters.")
    return value

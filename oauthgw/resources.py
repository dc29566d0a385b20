"""What tokens are for: protected resources, and the one spelling of a resource indicator.

The authorization server knows resources, not routes: `RESOURCE_BACKEND` names who answers for them. Source: RFC 8707, RFC 9728, MCP
"Canonical Server URI".
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from oauthgw.guard import origin

_DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_LENGTH = 2000


class InvalidTarget(Exception):
    """A `resource` that names nothing here (RFC 8707 §2, `invalid_target`). Its text is for the client's author."""


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """Something a token can be bound to.

    `id` never changes and is what the data plane compares. `path` is the spelling that was asked for: a former name keeps its own.
    `access_token_ttl` is in seconds; None means the gateway's default.
    """

    id: int
    path: str
    name: str
    description: str = ""
    access_token_ttl: int | None = None

    def uri(self, at: str) -> str:
        """The canonical resource URI under this origin; also the issuer of this resource's own authorization server."""
        return at + self.path


class ResourceBackend(Protocol):
    """Who knows the protected resources. `mcp_routes.resources` implements it."""

    def find(self, path: str) -> ProtectedResource | None:
        """The enabled resource with this path, or a former path of it."""
        ...

    def by_id(self, resource_id: int) -> ProtectedResource | None:
        """The enabled resource with this id, under its present path."""
        ...

    def listed(self) -> list[ProtectedResource]:
        """Every enabled resource, in the order in which a person should read them."""
        ...


@lru_cache(maxsize=1)
def backend() -> ResourceBackend:
    """The configured backend."""
    return cast("ResourceBackend", import_string(settings.RESOURCE_BACKEND)())


def canonical_resource(uri: str) -> str:
    """The one spelling under which a resource is minted, stored and compared (RFC 8707 §2, MCP "Canonical Server URI").

    Lower-cases scheme and host, drops a default port and one trailing slash. Raises InvalidTarget for anything that is not absolute
    http(s), or carries a query, a fragment or user information.
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise InvalidTarget("The resource is not a valid URI.") from error
    if len(uri) > MAX_LENGTH or not uri.isascii() or not uri.isprintable() or " " in uri or "\\" in uri:
        raise InvalidTarget("The resource must be a URI of printable ASCII.")
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise InvalidTarget("The resource must be an absolute http or https URI.")
    if "#" in uri or "?" in uri or "@" in parts.netloc:
        raise InvalidTarget("The resource must have no query, no fragment and no user information.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    authority = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{authority}{parts.path.removesuffix('/')}"


def named(values: list[str], at: str) -> ProtectedResource | None:
    """The resource that a request's `resource` parameters name under this origin; None when they name none.

    The same value twice is once; the bare origin counts as absent, because clients fall back to it. Raises InvalidTarget for different
    values, for another host and for a path that no resource has.
    """
    wanted = {canonical_resource(value) for value in values if value}
    own = {canonical_resource(spelling) for spelling in origin.spellings(at)}
    wanted -= own
    if not wanted:
        return None
    if len(wanted) > 1:
        raise InvalidTarget("Several resources were named; a token here is for exactly one.")
    uri = wanted.pop()
    for spelling in own:
        if uri.startswith(spelling + "/"):
            found = backend().find(uri.removeprefix(spelling))
            if found is not None:
                return found
    raise InvalidTarget(f"There is no protected resource {uri} here.")


def same_resource_only(audience: str, resources: list[str]) -> bool:
    """For django-oauth-toolkit's own audience check: whole URIs, never prefixes, and no resource is no access."""
    try:
        return any(canonical_resource(audience) == canonical_resource(resource) for resource in resources)
    except InvalidTarget:
        return False

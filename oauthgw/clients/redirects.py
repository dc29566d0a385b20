"""Redirect URIs: which may be registered, and which registered one a request may use.

Pure: no request, no database. Asked by registration, authorization and the admin form alike. Sources: OAuth 2.1 §2.3, RFC 8252 §7,
RFC 9700 §2.1 and §4.1.
"""

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, urlsplit

from django.core.exceptions import ValidationError

from oauthgw.clients import schemes
from oauthgw.guard.conf import gateway
from oauthgw.guard.origin import LOOPBACK_NAMES

MAX_LENGTH = 2000
MAX_COUNT = 50
_ALLOWED_CHARACTERS = re.compile(r"[\x21-\x7e]+")  # ASCII, no white space, no control character
# No user information, no percent-encoding, no zone, no empty label (RFC 1034 §3.1), nothing that browsers re-read.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?)(:[0-9]*)?")
_RESPONSE_PARAMETERS = frozenset({"code", "state", "iss", "error"})  # ours alone in an authorization response
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PRIVATE_USE_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


class UnknownScheme(ValidationError):
    """A private-use scheme that no operator listed: registration drops it and says so, instead of refusing the whole set."""


def scheme(uri: str) -> str:
    """The lower-cased scheme of a URI; empty when it has none."""
    return uri.partition(":")[0].lower() if ":" in uri else ""


def is_loopback(uri: str) -> bool:
    """Whether this is an http URI on the user's own machine (RFC 8252 §7.3; `localhost` because clients use it)."""
    parts = urlsplit(uri)
    return parts.scheme == "http" and parts.hostname in LOOPBACK_NAMES


def is_https(uri: str) -> bool:
    return urlsplit(uri).scheme == "https"


def is_website(uri: str) -> bool:
    """Whether this is https on a named host that is not the user's own machine: nobody there can take another's place.

    Addresses are left out in every spelling a browser reads as one (WHATWG URL, "ends in a number"): some of them are this machine.
    """
    labels = (urlsplit(uri).hostname or "").removesuffix(".").split(".")
    is_address = ":" in labels[0] or _NUMBER.fullmatch(labels[-1]) is not None
    return is_https(uri) and not is_address and labels[-1] != "localhost"


def host(uri: str) -> str:
    """The host to show a person: in ASCII form, with its port where it has one; for a custom scheme the scheme with its authority."""
    parts = urlsplit(uri)
    authority = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    return authority if parts.scheme in ("http", "https") else f"{parts.scheme}://{authority}"


def has_plain_host(parts: SplitResult) -> bool:
    """Whether every program reads the same host in this URL, so that what a page shows is where a link leads."""
    return _AUTHORITY.fullmatch(parts.netloc) is not None


def matches(requested: str, registered: str) -> bool:
    """Whether a request may use this registered redirect URI.

    Equal as strings (RFC 9700 §2.1), except that a loopback http URI may name any port (RFC 8252 §7.3).
    """
    if not acceptable(requested):
        return False
    if not (is_loopback(registered) and is_loopback(requested)):
        return requested == registered
    return _without_port(requested) == _without_port(registered)


def acceptable(uri: str) -> bool:
    """Whether `validate` has nothing against it."""
    try:
        validate(uri)
    except ValidationError:
        return False
    return True


def validate(uri: str) -> None:
    """Refuses a redirect URI that must not be registered.

    Raises UnknownScheme for a private-use scheme nobody listed, ValidationError for everything else that breaks the rule; the message
    names the URI and what would be accepted.
    """
    _validate_text(uri)
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise _refused(uri, "is not a valid URI.") from error
    if "@" in parts.netloc:
        raise _refused(uri, "holds user information; leave out everything before '@'.")
    if port == 0 or parts.netloc.endswith(":"):
        raise _refused(uri, "has an empty or zero port.")
    _validate_scheme(uri, parts, uri[len(parts.scheme) :])
    taken = sorted(name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if name in _RESPONSE_PARAMETERS)
    if taken:
        raise _refused(uri, f"has {taken[0]!r} in its query, which the authorization response needs.")


def validate_all(uris: list[str]) -> None:
    """Refuses an empty or overlong set, and any URI that `validate` refuses."""
    if not uris:
        raise ValidationError(f"At least one redirect URI is needed. {accepted()}")
    if len(uris) > MAX_COUNT:
        raise ValidationError(f"There are {len(uris)} redirect URIs; at most {MAX_COUNT} can be registered.")
    for uri in uris:
        validate(uri)


def kept(uris: Iterable[str]) -> list[str]:
    """The registered form of a set as clients send it: private-use schemes that nobody listed are dropped, duplicates too.

    Raises ValidationError when anything else is wrong, or when nothing is left.
    """
    remaining: list[str] = []
    dropped: UnknownScheme | None = None
    for uri in dict.fromkeys(uris):
        try:
            validate(uri)
        except UnknownScheme as unknown:
            dropped = unknown
        else:
            remaining.append(uri)
    if not remaining and dropped is not None:
        raise dropped
    validate_all(remaining)
    return remaining


def accepted() -> str:
    """What would be accepted, for people: one clause that ends every refusal."""
    listed = ", ".join(f"{name}://" for name in gateway().client_redirect_schemes)
    return f"Accepted are https, http on 127.0.0.1, [::1] or localhost (any port){f', and {listed}' if listed else ''}."


def _validate_text(uri: str) -> None:
    """What can be said of a URI before it is taken apart."""
    if len(uri) > MAX_LENGTH:
        raise _refused(uri, f"is longer than {MAX_LENGTH} characters.")
    if not _ALLOWED_CHARACTERS.fullmatch(uri):
        raise _refused(uri, "must be printable ASCII without spaces; percent-encode anything else.")
    if "*" in uri.partition("?")[0]:
        raise _refused(uri, "holds a wildcard; register each URI in full.")
    if "#" in uri:
        raise _refused(uri, "has a fragment; leave out everything from '#'.")
    if "\\" in uri:
        raise _refused(uri, "holds a backslash, which browsers read as a slash; use '/'.")


def _validate_scheme(uri: str, parts: SplitResult, rest: str) -> None:
    name, hostname = parts.scheme, parts.hostname or ""
    if name in ("https", "http"):
        if not hostname or not rest.startswith("://"):
            raise _refused(uri, "names no host.")
        if not has_plain_host(parts):
            raise _refused(uri, "has a host that programs read in different ways; write it plainly.")
        if name == "http" and hostname not in LOOPBACK_NAMES:
            raise _refused(uri, "uses plain http on a host that is not this machine.")
        return
    if name in schemes.PUBLIC or name.startswith("ms-") or not _PRIVATE_USE_SCHEME.fullmatch(name) or not rest.startswith("://"):
        raise _refused(uri, "has a scheme that cannot be a client's own.")
    if name not in gateway().client_redirect_schemes:
        raise UnknownScheme(f"The redirect URI {_shown(uri)} has a scheme that is not listed here. {accepted()}")


def _without_port(uri: str) -> tuple[str, str]:
    """A loopback URI as (host, everything after the authority): compared as strings, only the port is free."""
    parts = urlsplit(uri)
    _, _, after_scheme = uri.partition("://")
    return parts.hostname or "", after_scheme[len(parts.netloc) :]


def _refused(uri: str, why: str) -> ValidationError:
    return ValidationError(f"The redirect URI {_shown(uri)} {why} {accepted()}")


def _shown(uri: str) -> str:
    return repr(uri if len(uri) <= 200 else uri[:200] + "…")

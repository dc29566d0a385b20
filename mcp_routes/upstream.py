"""What an operator may say of an upstream: its URL and the fixed headers sent there.

Pure rules, asked by the model, the admin form and the command alike; and the form in which the headers are stored.
"""

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

from oauthgw.guard import sealed
from oauthgw.guard.secret import Secret

_PURPOSE = "route headers"  # HKDF's info: what was sealed as this opens as nothing else

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_FIELD_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")  # RFC 9110 §5.5, in its ASCII part
_URL = re.compile(r"[\x21-\x7e]+")
# Set by HTTP itself or by the gateway: an operator's value would break framing or speak for the client.
_RESERVED = frozenset(
    [
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "last-event-id",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)


def validate_url(url: str) -> None:
    """Refuses anything but an absolute http(s) URL without user information or fragment. Raises ValidationError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValidationError("This is not a valid URL.") from error
    if not _URL.fullmatch(url) or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValidationError("The upstream URL must be an absolute http or https URL, such as https://mcp.example.com/mcp.")
    if "@" in parts.netloc:
        raise ValidationError("The upstream URL must not hold credentials: put them into a header, where they are stored encrypted.")
    if "#" in url:
        raise ValidationError("The upstream URL must not have a fragment.")


def shown(url: str) -> str:
    """For people: some upstreams take a key in the query, and a terminal or a list is read over one's shoulder."""
    parts = urlsplit(url)
    return parts._replace(query="…").geturl() if parts.query else url


def validate_headers(headers: Mapping[str, str]) -> None:
    """Refuses header names and values that cannot be sent, or that the gateway itself sets. Raises ValidationError.

    The message names the header, never its value.
    """
    seen: set[str] = set()
    for name, value in headers.items():
        lowered = name.lower()
        if not _TOKEN.fullmatch(name):
            raise ValidationError("A header name may hold letters, digits and hyphens only.")
        if lowered in _RESERVED or lowered.startswith("mcp-"):
            raise ValidationError(f"The header {name} is set by the gateway itself and cannot be fixed for a route.")
        if lowered in seen:
            raise ValidationError(f"The header {name} is given twice.")
        if not _FIELD_VALUE.fullmatch(value):
            raise ValidationError(f"The value of the header {name} must be one line of printable ASCII and not empty.")
        seen.add(lowered)


def parse_headers(lines: Iterable[str]) -> dict[str, str]:
    """Headers as people write them, one `Name: value` a line; empty lines are skipped.

    Raises ValidationError; the message names the line, never what stands on it, because that may be a secret.
    """
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, colon, value = line.strip().partition(":")
        if not line.strip():
            continue
        if not colon or not _TOKEN.fullmatch(name):
            raise ValidationError(f"Line {number} is not a header: write it as Name: value.")
        if name.lower() in {known.lower() for known in headers}:
            raise ValidationError(f"The header {name} is given twice.")
        headers[name] = value.strip()
    validate_headers(headers)
    return headers


def sealed_headers(headers: Mapping[str, str]) -> str:
    """Fixed headers for storage, encrypted; empty for none."""
    return sealed.seal(_PURPOSE, Secret(json.dumps(dict(headers)))) if headers else ""


def opened_headers(stored: str) -> dict[str, Secret]:
    """The inverse. Raises sealed.Unsealable when no configured key opens them."""
    if not stored:
        return {}
    opened: dict[str, str] = json.loads(sealed.unseal(_PURPOSE, stored).reveal())
    return {name: Secret(value) for name, value in opened.items()}


def reseal_headers(stored: str) -> str:
    """The same headers under the current key. Raises sealed.Unsealable."""
    return sealed.reseal(_PURPOSE, stored)

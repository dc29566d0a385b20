"""Whether a webhook delivery comes from WorkOS, and came just now.

Pure: knows the `WorkOS-Signature` header and the bytes it covers; knows no event. WorkOS documents `t=…, v1=…`, where `v1` is the hex
HMAC-SHA256 of `t`, a dot and the body as sent, under the endpoint's secret.
"""

import hashlib
import hmac
from re import compile as pattern

from oauthgw.guard.secret import Secret

TOLERANCE_SECONDS = 180
"""How far `t` may be from our clock, to either side: what WorkOS's own library allows. A delivery that is sent again is signed anew."""
HEADER_LENGTH = 1_000

_TIMESTAMP = pattern(r"[0-9]{1,16}")
_HMAC = pattern(r"[0-9a-f]{64}")
_MILLISECONDS_FROM = 10**11  # as seconds the year 5138, as milliseconds 1973


class Unsigned(Exception):
    """The delivery proves nothing. Why is for the log, never for the sender."""


def check(header: str, body: bytes, secret: Secret, now: float) -> None:
    """Raises Unsigned unless the header signs this body, at about `now` (Unix seconds).

    WorkOS's library reads `t` as milliseconds, other senders of its write seconds: the magnitude tells which. While a secret is being
    replaced there may be several `v1`; one that fits is enough.
    """
    if len(header) > HEADER_LENGTH:
        raise Unsigned("the header is too long")
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not _TIMESTAMP.fullmatch(times[0]):
        raise Unsigned("no timestamp, or several")
    expected = hmac.new(secret.reveal().encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    signatures = [value for name, _, value in parts if name == "v1" and _HMAC.fullmatch(value)]
    if not any(hmac.compare_digest(expected, signature) for signature in signatures):
        raise Unsigned("no signature of version 1 fits")
    if abs(_seconds(int(times[0])) - now) > TOLERANCE_SECONDS:
        raise Unsigned("the timestamp is too old, or in the future")


def _seconds(timestamp: int) -> float:
    return timestamp / 1000 if timestamp >= _MILLISECONDS_FROM else timestamp

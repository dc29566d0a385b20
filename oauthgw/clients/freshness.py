"""How long a fetched document counts: what HTTP says, within our own bounds.

Pure. Source: RFC 9111 §4.2, RFC 5861 §4. Times are aware; durations are `timedelta`s.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LEAST = timedelta(minutes=5)
MOST = timedelta(hours=24)
UNSAID = timedelta(hours=1)  # for a document whose headers say nothing
STALE = timedelta(days=7)  # how long a document that can no longer be fetched still counts
_PAUSES = (timedelta(minutes=1), timedelta(minutes=30))

_DIRECTIVE = re.compile(r'([a-z-]+)(?:\s*=\s*(?:"([^"]*)"|([^,\s]*)))?')


def lifetime(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How long an answer that arrived now is good without asking again. Header names are in lower case."""
    return min(max(_said(headers, now), LEAST), MOST)


def may_be_used(fetched_at: datetime | None, now: datetime) -> bool:
    """Whether what was fetched then still counts although it cannot be fetched now."""
    return fetched_at is not None and now - fetched_at <= STALE


def pause(fetched_at: datetime, now: datetime) -> timedelta:
    """How long to wait before asking again after a failure: the longer, the longer the failures have lasted."""
    shortest, longest = _PAUSES
    return min(max((now - fetched_at) / 50, shortest), longest)


def _said(headers: Mapping[str, str], now: datetime) -> timedelta:
    directives = {name: quoted or plain for name, quoted, plain in reversed(_DIRECTIVE.findall(headers.get("cache-control", "").lower()))}
    if "no-store" in directives or "no-cache" in directives:
        return timedelta()
    age = _seconds(headers.get("age", ""))  # what a cache on the way has used up
    if "max-age" in directives:
        return _seconds(directives["max-age"]) - age
    if "expires" in headers:
        ends = _moment(headers["expires"])
        return timedelta() if ends is None else ends - (_moment(headers.get("date", "")) or now) - age
    return UNSAID


def _seconds(text: str) -> timedelta:
    """Delta-seconds (RFC 9111 §1.2.2); what is none counts as nothing, which asks again sooner."""
    return timedelta(seconds=min(int(text), 10**8)) if text.isascii() and text.isdigit() and len(text) < 20 else timedelta()


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # numbers that are out of range, and those that no machine word holds
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

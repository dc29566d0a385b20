"""How often one address, and one client at it, may ask the same thing: counted in the cache that all processes share.

Hosted assistants and offices bring many people through one address, so what an address may is far above what people do; the tighter bound
is that of one client at one address, so that a program that runs in circles does not use up what its neighbours need. No bound is a
client's alone: client IDs are public, and a stranger could then use up what everybody needs.

A window begins and ends by the clock: at its border twice as many may pass. Without an answer from the cache nothing is refused. Knows
addresses, client IDs and numbers; knows nothing of requests or answers.
"""

import logging
import time
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from threading import Lock

from django.core.cache import cache

from oauthgw.guard.conf import gateway
from oauthgw.guard.sealed import digest

PAUSE_SECONDS = 10.0
"""For how long a cache that failed is not asked again: each try may take as long as its time limits, in everybody's way."""
_SLACK_SECONDS = 60  # a counter outlives its window: nodes' clocks differ
_IPV6_PREFIX = 64  # what one connection is given; its owner may use all of it

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bound:
    """At most so many in so many seconds, of one address (IPv6: of one /64), or of one client at it."""

    most: int
    seconds: int = 60
    by_client: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """The bounds of one endpoint. The first that refuses ends the counting: what it refuses uses up nothing of the others."""

    name: str
    bounds: tuple[Bound, ...]


REGISTER = Rule("register", (Bound(120), Bound(2_000, seconds=3600)))
AUTHORIZE = Rule("authorize", (Bound(300, by_client=True), Bound(600)))  # a sign-in opens it three times
DOCUMENT = Rule("document", (Bound(120),))  # of clients that nobody has met here yet: each is fetched from somebody's server
LOGIN = Rule("login", (Bound(300),))
CALLBACK = Rule("callback", (Bound(300),))
TOKEN = Rule("token", (Bound(600, by_client=True), Bound(1_200)))  # a connection in use asks four times an hour


class _Pause:
    """Whether the cache is left alone. After a failure one caller at a time finds out whether it answers again."""

    def __init__(self) -> None:
        self._until = 0.0
        self._lock = Lock()

    def lasts(self) -> bool:
        if not self._until:
            return False
        with self._lock:
            if time.monotonic() < self._until:
                return True
            if self._until:
                self._until = time.monotonic() + PAUSE_SECONDS  # for all others, while this caller tries
            return False

    def begin(self) -> None:
        self._until = time.monotonic() + PAUSE_SECONDS

    def end(self) -> None:
        self._until = 0.0


_pause = _Pause()


def seconds_to_wait(rule: Rule, address: str, client_id: str = "") -> int:
    """Counts one more; 0 when it may pass, else the seconds until its window ends.

    Whoever has no address (a Unix socket without `TRUSTED_PROXIES`) is not counted: it would be everybody.
    """
    scale = gateway().rate_limit_scale
    whose = network(address)
    if not scale or whose is None or _pause.lasts():
        return 0
    try:
        seconds = _wait(rule, whose, client_id, scale)
    except Exception as error:  # noqa: BLE001  (whatever a cache server raises when it is down: nobody is refused for that)
        log.warning("The cache did not answer, so that requests are not limited: %s", type(error).__name__)
        _pause.begin()
        return 0
    _pause.end()
    return seconds


def network(address: str) -> str | None:
    """What is counted as one address: of IPv6 the /64, an IPv4 address in IPv6's clothes as itself. None for no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), _IPV6_PREFIX), strict=False))


def _wait(rule: Rule, whose: str, client_id: str, scale: float) -> int:
    now = time.time()
    for bound in rule.bounds:
        if bound.by_client and not client_id:
            continue
        most = max(1, round(bound.most * scale))
        count = _count(rule, bound, f"{whose} {client_id}" if bound.by_client else whose, now)
        if count > most:
            if count == most + 1:  # once a window: what a flood causes must not be another
                log.warning("too many requests: %s, more than %s in %s s from %s", rule.name, most, bound.seconds, whose)
            return ceil(bound.seconds - now % bound.seconds)
    return 0


def _count(rule: Rule, bound: Bound, whose: str, now: float) -> int:
    """How many there were in this window, this one included. Both steps are atomic, in this process and on a server."""
    kind = "client" if bound.by_client else "address"
    key = f"limit:{rule.name}:{kind}:{int(now // bound.seconds)}:{digest(whose)}"
    if cache.add(key, 1, bound.seconds + _SLACK_SECONDS):
        return 1
    try:
        return cache.incr(key)
    except ValueError:  # pushed out in between
        return 1

"""The exchanges under way in this process, and what ends one before its time.

An exchange goes on only while the same request, made now, would be let in. A revoked grant ends it for good; where client, user or route
changed, it is asked about (`watch`). Only time is kinder to it than to a new request: an answer may outlive its token (MCP clients refresh
beside a running call), by an hour, and by a minute what never ends of itself. Rotation touches none of this.

Knows principals, routes and the clock; knows nothing of HTTP or the database.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mcp_routes.proxy.refusals import INVALID_TOKEN, STOPPING, UNAVAILABLE, UNKNOWN_ROUTE, Refusal
from mcp_routes.snapshot import Route
from oauthgw.journal.changes import Entry, Topic
from oauthgw.principals import Principal

ANSWER_OUTLIVES_TOKEN = 3600
STREAM_OUTLIVES_TOKEN = 60
UNCONFIRMED_SECONDS = 5
"""For how long an exchange goes on that nobody could ask about: as long as a warm token works without the database.

Revocation is to act within five seconds in any case, and whoever cannot reach the database cannot know of one.
"""


@dataclass(eq=False, slots=True)
class Exchange:
    """One request and its answer. `lasting` is a stream without an end of its own: a GET, or `subscriptions/listen`.

    `confirmed` is the monotonic second at which its right was last known to stand; `cut` is done once it is ended from here, with what
    the client is told if its answer has not begun.
    """

    principal: Principal
    route: Route
    lasting: bool
    confirmed: float = field(init=False)
    cut: "asyncio.Future[Refusal]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        self.confirmed = min(self.principal.as_of, self.route.as_of)  # it was let in by what was said then

    def end(self, why: Refusal) -> None:
        """Cuts it; the first reason stands."""
        if not self.cut.done():
            self.cut.set_result(why)

    def may_last_until(self) -> float:
        """In Unix seconds."""
        return self.principal.expires_at + (STREAM_OUTLIVES_TOKEN if self.lasting else ANSWER_OUTLIVES_TOKEN)


_under_way: set[Exchange] = set()
_stopping = False


class under_way:  # noqa: N801  (it reads as what it does)
    """`with under_way(…) as exchange:` registers an exchange until the block ends."""

    __slots__ = ("_exchange",)

    def __init__(self, principal: Principal, route: Route, *, lasting: bool) -> None:
        self._exchange = Exchange(principal, route, lasting)

    def __enter__(self) -> Exchange:
        if self._exchange.lasting and _stopping:
            self._exchange.end(STOPPING)
        _under_way.add(self._exchange)
        return self._exchange

    def __exit__(self, *_: object) -> None:
        _under_way.discard(self._exchange)


def all_under_way() -> tuple[Exchange, ...]:
    """Every exchange under way at this moment."""
    return tuple(_under_way)


def start() -> None:
    """For a process that begins to serve."""
    global _stopping  # noqa: PLW0603  (one per process, as the lifespan is)
    _stopping = False


def end_lasting() -> None:
    """The process stops: what never ends of itself ends now, also what is only being let in. Its client asks again, elsewhere."""
    global _stopping  # noqa: PLW0603
    _stopping = True
    for exchange in all_under_way():
        if exchange.lasting:
            exchange.end(STOPPING)


def end_all() -> None:
    """The process stops, and has waited long enough."""
    for exchange in all_under_way():
        exchange.end(STOPPING)


def end_of_grant(grant_id: int) -> None:
    """Ends what rests on a grant: a revoked one never comes back, so nothing has to be asked."""
    for exchange in all_under_way():
        if exchange.principal.grant_id == grant_id:
            exchange.end(INVALID_TOKEN)


def concerns_any(entry: Entry) -> bool:
    """Whether a change is about the client, user or route of an exchange under way."""
    return any(_named_by(entry, exchange) for exchange in _under_way)


def end_overdue() -> None:
    """Ends what has outlived its token by as long as it may."""
    now = time.time()
    for exchange in all_under_way():
        if now >= exchange.may_last_until():
            exchange.end(INVALID_TOKEN)


def judge(asked: tuple[Exchange, ...], at: float, grants: frozenset[int], upstreams: Mapping[int, str]) -> None:
    """Ends those that would not be let in now, and notes that the others would, `at` this monotonic second.

    `grants` are those that stand, `upstreams` where the enabled routes lead. A lasting stream also ends where its route leads elsewhere by
    now; a call's answer can only come from where it was asked.
    """
    for exchange in asked:
        leads_to = upstreams.get(exchange.route.id)
        if exchange.principal.grant_id not in grants:
            exchange.end(INVALID_TOKEN)
        elif leads_to is None or (exchange.lasting and leads_to != exchange.route.upstream_url):
            exchange.end(UNKNOWN_ROUTE)
        else:
            exchange.confirmed = at


def seconds_to_confirm() -> float:
    """Until the first exchange has gone unconfirmed for too long; at most `UNCONFIRMED_SECONDS`."""
    oldest = min((exchange.confirmed for exchange in _under_way), default=time.monotonic())
    return oldest + UNCONFIRMED_SECONDS - time.monotonic()


def end_unconfirmed() -> None:
    """Ends what nobody could ask about for too long."""
    now = time.monotonic()
    for exchange in all_under_way():
        if now - exchange.confirmed >= UNCONFIRMED_SECONDS:
            exchange.end(UNAVAILABLE)


def _named_by(entry: Entry, exchange: Exchange) -> bool:
    about = {
        Topic.CLIENT: exchange.principal.client_pk,
        Topic.USER: exchange.principal.user_id,
        Topic.ROUTE: exchange.route.id,
    }
    return any(entry.topic == topic and entry.key == key for topic, key in about.items())

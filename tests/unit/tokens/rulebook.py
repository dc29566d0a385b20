"""The rules of a grant's life as a small model, written from what is promised and not from the code: the oracle of the property test.

Times are seconds since the model began. Whatever it answers, the gateway must answer too.
"""

from dataclasses import dataclass, field
from enum import Enum

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

CODE = MINUTE
DEFAULT_LIFETIME = 900
REFRESH = 30 * DAY
GRANT = 90 * DAY
REPLAY = 120.0
CLEANUP_MARGIN = DAY
CLEANUP_KEEPS_ENDED = 90 * DAY


class Verdict(Enum):
    """How a token request ends. A sign-out is a refusal that ends the family."""

    GIVEN = "a new link, or the first tokens"
    REPEATED = "the same next link again"
    REFUSED = "nothing happens"
    SIGNED_OUT = "the family ends"


@dataclass
class World:
    """What can be switched off and on again."""

    now: float = 0.0
    client_on: bool = True
    user_on: bool = True
    routes_on: dict[str, bool] = field(default_factory=dict)
    lifetimes: dict[str, int] = field(default_factory=dict)  # of access tokens, by route; a route that is off says nothing

    @property
    def all_on(self) -> bool:
        return self.client_on and self.user_on and all(self.routes_on.values())

    def lifetime(self, route: str) -> int:
        return self.lifetimes[route] if self.routes_on[route] else DEFAULT_LIFETIME


@dataclass
class Link:
    """One refresh token of the chain."""

    value: str
    ends: float
    first_used: float | None = None
    forgotten: bool = False


@dataclass
class Access:
    """One access token, and the refresh token it was given with."""

    value: str
    link: int
    ends: float
    accepted: bool = False


@dataclass
class Family:
    """All that descends from one code."""

    world: World
    route: str
    born: float
    links: list[Link] = field(default_factory=list)
    access: list[Access] = field(default_factory=list)
    ended_at: float | None = None
    gone: bool = False

    @property
    def ends(self) -> float:
        return self.born + GRANT

    @property
    def head(self) -> Link:
        return self.links[-1]

    def judge(self, index: int) -> Verdict:
        """What presenting link `index` comes to: by the family's own client, for its own resource."""
        world, link = self.world, self.links[index]
        if not world.client_on or self.gone or link.forgotten or self.ended_at is not None or world.now >= self.ends:
            return Verdict.REFUSED
        if link.first_used is not None and not self._is_forgiven(index, link.first_used):
            return Verdict.SIGNED_OUT
        if world.now >= self.head.ends or not world.user_on:
            return Verdict.REFUSED
        return Verdict.GIVEN if link.first_used is None else Verdict.REPEATED

    def _is_forgiven(self, index: int, first_used: float) -> bool:
        if index != len(self.links) - 2 or self.head.first_used is not None:
            return False
        answer_arrived = any(access.accepted for access in self.access if access.link == index + 1)
        return not answer_arrived or self.world.now - first_used <= REPLAY

    def accept(self, refresh: str, access: str, verdict: Verdict, index: int = -1) -> None:
        """Takes an answer of the gateway into the model. `index` is the presented link."""
        now = self.world.now
        ends = min(now + REFRESH, self.ends)
        if verdict is Verdict.REPEATED:
            self.head.ends = ends
        else:
            if self.links:
                self.links[index].first_used = now
            self.links.append(Link(refresh, ends))
        self.access.append(Access(access, len(self.links) - 1, min(now + self.world.lifetime(self.route), self.ends)))

    def end(self) -> None:
        if self.ended_at is None:
            self.ended_at = self.world.now

    def serves(self, access: Access) -> bool:
        """Whether the route accepts this access token now."""
        world = self.world
        in_time = world.now < min(access.ends, self.ends)
        return in_time and world.client_on and world.user_on and self.ended_at is None and not self.gone

    def clean(self) -> None:
        """What a clean-up may forget: spent links past their lifetime but the head's predecessor, and what ended long ago."""
        now = self.world.now
        for link in self.links[:-2]:
            link.forgotten = link.forgotten or link.ends < now - CLEANUP_MARGIN
        since = now - CLEANUP_KEEPS_ENDED
        last = max(self.head.ends, *(access.ends for access in self.access))
        over = (self.ended_at is not None and self.ended_at < since) or self.ends < since or (last <= since and self.born < since)
        self.gone = self.gone or over


@dataclass
class Code:
    """An authorization code on its way, or redeemed."""

    value: str
    route: str
    given: float
    void: bool = False
    forgotten: bool = False
    family: Family | None = None

    def judge(self, world: World) -> Verdict:
        """What redeeming comes to, by the right client with the right verifier."""
        if not world.client_on or self.forgotten:
            return Verdict.REFUSED
        if self.family is not None:
            return Verdict.SIGNED_OUT
        in_force = not self.void and world.now < self.given + CODE and world.user_on and world.routes_on[self.route]
        return Verdict.GIVEN if in_force else Verdict.REFUSED

    def clean(self, world: World) -> None:
        ends = self.given if self.void else self.given + CODE
        self.forgotten = self.forgotten or ends < world.now - CLEANUP_MARGIN

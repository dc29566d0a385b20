"""Turn after turn until the time is over: a few requests to each endpoint, then to the next; in the end, whether all still works."""

import math
import time
import zlib
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded

from tests.fuzz import aftermath
from tests.fuzz.endpoints import ADMIN, ENDPOINTS
from tests.fuzz.house import Door, House, house
from tests.fuzz.properties import broken
from tests.fuzz.wire import DEADLINE, Answer, Hung, NoAnswer
from tests.fuzz.words import DATA_PLANE, Asked

EXAMPLES = 25
"""Requests to one endpoint in a row."""
_MORE = {DATA_PLANE: 100}  # where there is more to get wrong
_OF_ADMIN = 4  # to each address of the admin, of which there are many


class Broken(AssertionError):
    """Something does not hold of an answer."""


def say(text: str) -> None:
    print(text, flush=True)


def fuzz(seconds: float, seed: int, folder: Path) -> int:
    """The exit status: 0 when everything held."""
    say(f"fuzzing for {seconds:.0f} s with FUZZ_SEED={seed}")
    with house(folder) as fuzzed:
        before = fuzzed.counted()
        until = time.monotonic() + seconds
        names = [*(name for name in ENDPOINTS if name != ADMIN), *(at for at in fuzzed.known["patterns"] if at.startswith(ADMIN))]
        turn, name = 0, ""
        try:
            while time.monotonic() < until:
                for name in names:
                    _round(fuzzed, name, zlib.crc32(f"{seed} {turn} {name}".encode()), until if turn else math.inf)
                turn += 1
        except (Exception, Hung) as problem:  # noqa: BLE001  (whatever it is, it is told with the seed)
            say(f"{_told(problem)}\nin turn {turn} at {name!r}; again with FUZZ_SEED={seed}")
            return 1
        say(f"{sum(fuzzed.seen.values())} requests in {turn} turns")
        for (name, status), count in sorted(fuzzed.seen.items()):
            say(f"  {count:6} of {status} {name}")
        complaints = [*aftermath.unreached(fuzzed, turn), *aftermath.grown(fuzzed, before), *aftermath.ended(fuzzed)]
        for complaint in complaints:
            say(complaint)
        return 1 if complaints else 0


def _told(problem: BaseException) -> str:
    """With what hypothesis wraps: a failure that did not come twice, or several."""
    inner = problem.exceptions if isinstance(problem, BaseExceptionGroup) else ()
    return "\n".join([str(problem), *map(_told, inner)])


def _round(fuzzed: House, name: str, seed: int, until: float) -> None:
    @seeded(seed)
    @settings(
        max_examples=_OF_ADMIN if name.startswith(ADMIN) else _MORE.get(name, EXAMPLES),
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @given(ENDPOINTS[ADMIN if name.startswith(ADMIN) else name].grammar(fuzzed, name))
    def ask(asked: Asked) -> None:
        if time.monotonic() < until or failing:
            failing.append(1)
            judged(fuzzed, asked)
            failing.pop()

    failing: list[int] = []  # once something failed, the time may run over while a smaller example is looked for
    ask()


def judged(fuzzed: House, asked: Asked) -> Answer:
    """Asks, and looks at the answer and at the log. Raises Broken, or Hung, with the request."""
    door = fuzzed.door(asked.laptop)
    asked = replace(asked, request=fuzzed.filled(asked.request))
    fuzzed.stranger.answer = asked.stranger
    try:
        answer = door.connection.ask(asked.request)
    except Hung:
        raise Hung(f"no answer within {DEADLINE:.0f} s\n{_shown(asked, door)}") from None
    except NoAnswer:
        raise Broken(f"the connection was closed without an answer\n{_shown(asked, door)}") from None
    fuzzed.seen[asked.endpoint, answer.status] += 1
    complaints = list(broken(asked, answer, fuzzed.secrets))
    if logged := door.log.errors(answer.status in asked.failing):
        complaints.append(f"an error was logged:\n{logged}")
    if complaints:
        raise Broken(f"{'; '.join(complaints)}\n{_shown(asked, door)}\n{answer.status} {answer.headers}\n{answer.body[:2_000]!r}")
    asked.learn(fuzzed, answer)
    return answer


def _shown(asked: Asked, door: Door) -> str:
    return f"{asked.request.written(door.gateway.port)[:4_000]!r}"

"""What was measured, as Markdown and as JSON. Pure: figures in, text out."""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from bench.speed.rounds import Round
from bench.speed.streams import Streams

LABELS = {
    "upstream": "the stand-in upstream, directly",
    "nginx": "nginx as plain reverse proxy",
    "bare": "bare pass-through (ASGI, aiohttp)",
    "bare-stock": "bare pass-through, uvicorn's own worker",
    "gateway": "gateway, warm token",
    "gateway-modern": "gateway, warm token, 2026-07-28",
    "gateway-cold": "gateway, a new token for each request",
    "gateway-2": "gateway, warm token, 2 workers",
    "gateway-postgresql": "gateway, warm token, PostgreSQL",
    "gateway-postgresql-cold": "gateway, a new token for each request, PostgreSQL",
    "fastmcp": "FastMCP's proxy, shared client, 2026-07-28",
    "django": "an obvious Django view (threads, requests)",
    "sdk": "a server of the SDK, directly",
    "gateway-sdk": "gateway before that server",
}
_IS_UPSTREAM = ("sdk",)  # on the load's processor, and busier than the load
BOUND = 0.9  # of the load's processor: from there on a row says what the load can do, not what the contender can


_REACHED = {True: "yes", False: "no", None: ""}


@dataclass(frozen=True)
class Spread:
    """The median of a ratio's rounds, and its least and greatest."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.greatest:.2f})"


@dataclass(frozen=True)
class Goal:
    """What is wanted of one figure: at least or at most so much, or nothing."""

    what: str
    measured: str
    wanted: str
    reached: bool | None


@dataclass
class Report:
    """A run. `closed` holds the rounds by kind and contender, `opened` what came of an open load at a rate; `growth` is requests and kB."""

    facts: dict[str, str]
    seconds: float
    connections: int
    closed: dict[str, dict[str, list[Round]]] = field(default_factory=dict)
    opened: dict[str, tuple[float, Round]] = field(default_factory=dict)
    streams: Streams | None = None
    growth: tuple[int, int] | None = None
    absent: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    def as_markdown(self) -> str:
        parts = [_facts(self), *(_closed(kind, rows) for kind, rows in self.closed.items()), _opened(self), _goals(self), _absent(self)]
        return "\n\n".join(part for part in parts if part) + "\n"


def ratio(one: Sequence[Round], other: Sequence[Round], what: str = "requests_per_second") -> Spread:
    """One contender's figure to another's, round by round."""
    each = [getattr(own, what) / getattr(base, what) for own, base in zip(one, other, strict=True) if getattr(base, what)]
    return Spread(statistics.median(each), min(each), max(each)) if each else Spread(0, 0, 0)


def median(rows: Sequence[Round], what: str) -> float:
    return float(statistics.median(getattr(row, what) for row in rows))


def goals(report: Report) -> Iterator[Goal]:
    """The figures that somebody promised, and those measured here."""
    for kind, rows in report.closed.items():
        if {"gateway", "bare"} <= rows.keys():
            warm = ratio(rows["gateway"], rows["bare"])
            yield Goal(f"warm token to the bare pass-through, {kind}", str(warm), "at least 0.85", warm.median >= 0.85)
    rows = report.closed.get("JSON", {})
    if {"gateway-modern", "fastmcp"} <= rows.keys():
        times = ratio(rows["gateway-modern"], rows["fastmcp"])
        yield Goal("warm token to FastMCP's shared-client proxy", str(times), "at least 15", times.median >= 15)
    if {"gateway", "gateway-2"} <= rows.keys():
        cpu = ratio(rows["gateway-2"], rows["gateway"], "cpu_ms")
        yield Goal("processor time a request, 2 workers to 1", str(cpu), "at most 1.1", cpu.median <= 1.1)
    if report.streams is not None:
        yield from _stream_goals(report.streams)
    if report.growth is not None:
        requests, kb = report.growth
        yield Goal(f"growth of memory over {requests:,} requests", f"{kb:,} kB", "none (less than 1,000 kB)", kb < 1000)


def _stream_goals(streams: Streams) -> Iterator[Goal]:
    each = streams.kb_a_stream
    yield Goal(f"memory of an idle stream ({streams.streams:,} of them)", f"{each:.1f} kB", "at most 40 kB", each <= 40)
    for kind, took in (("JSON", streams.json_abort_ms), ("SSE", streams.sse_abort_ms)):
        yield Goal(f"client gone to upstream told, {kind}", _milliseconds(took), "at most 200 ms", max(took) <= 200)
    took = streams.event_ms
    yield Goal("an event from upstream to client", _milliseconds(took), "", None)


def _milliseconds(took: Sequence[float]) -> str:
    return f"{statistics.median(took):.1f} ms (at most {max(took):.1f})"


def _facts(report: Report) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in [*report.facts.items(), ("seconds of measuring", f"{report.seconds:.0f}")])


def _closed(kind: str, rows: dict[str, list[Round]]) -> str:
    named = "bare" if "bare" in rows else next(iter(rows))
    base, count = rows[named], len(rows[named])
    beside = "the bare pass-through" if named == "bare" else LABELS[named]
    lines = [
        f"## {kind}: as fast as answers come\n\n{count} rounds in turns; medians, and the ratio's least and greatest.\n",
        f"| contender | requests/s | p50 ms | p99 ms | CPU ms a request | load busy | to {beside} |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, own in rows.items():
        busy = median(own, "busy")
        label = LABELS[name] + (" (bound by the load)" if busy >= BOUND and name not in _IS_UPSTREAM else "")
        figures = f"{median(own, 'requests_per_second'):,.0f} | {median(own, 'p50_ms'):.1f} | {median(own, 'p99_ms'):.1f}"
        lines.append(f"| {label} | {figures} | {median(own, 'cpu_ms'):.3f} | {busy:.0%} | {ratio(own, base)} |")
    return "\n".join(lines)


def _opened(report: Report) -> str:
    if not report.opened:
        return ""
    lines = [
        "## JSON: at half of each one's greatest rate\n\nTimes count from when a request was due.\n",
        "| contender | requests/s due | answered | p50 ms | p99 ms |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, (rate, row) in report.opened.items():
        lines.append(f"| {LABELS[name]} | {rate:,.0f} | {row.requests_per_second:,.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f} |")
    return "\n".join(lines)


def _goals(report: Report) -> str:
    rows = [f"| {goal.what} | {goal.measured} | {goal.wanted} | {_REACHED[goal.reached]} |" for goal in goals(report)]
    head = ["## What is wanted\n", "| figure | measured | wanted | reached |", "| --- | ---: | --- | --- |"]
    return "\n".join([*head, *rows]) if rows else ""


def _absent(report: Report) -> str:
    return "\n".join(f"Left out: {name}: {reason}." for name, reason in report.absent.items())

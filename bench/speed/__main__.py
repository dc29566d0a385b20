"""The contenders side by side, as Markdown.

`python -m bench.speed [SECONDS] [--only gateway,bare] [--kinds JSON,SSE] [--rounds N]` for those that are picked, to see what a change
does; `--report` for the short form that `make test` ends with, `--whole` for everything, written to `bench/results/`. Fails when an
answer is wrong, never because of a figure.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.speed.contenders import KINDS, ORDER, STREAMING, assembled
from bench.speed.facts import facts
from bench.speed.load import Job
from bench.speed.processes import family
from bench.speed.report import Report, median
from bench.speed.rounds import at_rate, growth, rounds, streams
from bench.speed.stage import Contender, Stage
from tests.support.processes import ROOT

RESULTS = ROOT / "bench" / "results"
SHORT = ("upstream", "nginx", "bare", "gateway", "gateway-modern", "gateway-cold", "fastmcp", "django")
AT_RATE = ("nginx", "bare", "gateway", "fastmcp", "django")
REQUESTS = 200_000
_BEGAN = time.monotonic()
_WARM_UP = 1.2  # a round lasts a fifth longer than what counts of it


def main() -> None:
    told = _told()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped then, too
    names = ORDER if told.whole else SHORT if told.report else tuple(told.only.split(","))
    tokens = 10_000 if told.whole else 2000
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder), tokens=tokens, may_install=told.whole) as stage:
        _say("starting: " + ", ".join(names))
        report = Report(facts(), told.seconds, Job("", 0).connections)
        running, report.absent = assembled(stage, names)
        for contender in running.values():
            _say(f"{contender.name}: processes {family(contender.pid)}")
        _closed(stage, running, report, told)
        gateway = running.get("gateway-streams")
        if told.whole:
            _opened(stage, running, report, told.seconds * 0.3)
        if gateway is not None and (told.whole or told.report):
            count, aborts = (2000, 50) if told.whole else (200, 10)
            _say(f"{count:,} streams")
            report.streams = streams(stage, gateway, count=count, events=aborts * 10, aborts=aborts)
        if told.whole:
            _say(f"{REQUESTS:,} requests, to see memory grow")
            report.growth = growth(stage, running["gateway"], REQUESTS, max(60, told.seconds))
    _say("done")
    print(report.as_markdown())
    if told.whole:
        (RESULTS / "speed.md").write_text(f"# How fast the data plane is\n\n{report.as_markdown()}")
        (RESULTS / "speed.json").write_text(report.as_json())


def _told() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast the data plane is, in ratios of one run.")
    parser.add_argument("seconds", type=float, nargs="?", default=20, help="of measuring, all in all")
    parser.add_argument("--only", default="upstream,bare,gateway,gateway-cold", help=f"of {', '.join(ORDER)}")
    parser.add_argument("--kinds", default="JSON,SSE")
    parser.add_argument("--rounds", type=int, default=3)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--report", action="store_true", help="the short form")
    form.add_argument("--whole", action="store_true", help="everything, written to bench/results")
    told = parser.parse_args()
    unknown = set(told.only.split(",")) - set(ORDER) | set(told.kinds.split(",")) - set(KINDS)
    if unknown:
        parser.error(f"nobody knows {', '.join(sorted(unknown))}")
    return told


def _closed(stage: Stage, running: dict[str, Contender], report: Report, told: argparse.Namespace) -> None:
    """Every kind, in rounds."""
    measured = [contender for name, contender in running.items() if name in ORDER]
    kinds = {kind: [one for one in measured if kind == "JSON" or one.name in STREAMING] for kind in told.kinds.split(",")}
    share = 0.7 if told.whole else 1
    each = told.seconds * share / _WARM_UP / told.rounds / max(1, sum(map(len, kinds.values())))
    for kind, contenders in kinds.items():
        _say(f"{kind}: {told.rounds} rounds of {each:.1f} s for each of {len(contenders)}")
        report.closed[kind] = rounds(stage, contenders, told.rounds, each, KINDS[kind])


def _opened(stage: Stage, running: dict[str, Contender], report: Report, seconds: float) -> None:
    """At half of the rate that each has just shown."""
    measured = [running[name] for name in AT_RATE if name in running]
    for contender in measured:
        rate = median(report.closed["JSON"][contender.name], "requests_per_second") / 2
        _say(f"{contender.name}: {rate:.0f} requests/s")
        report.opened[contender.name] = rate, at_rate(stage, contender, rate, seconds / _WARM_UP / len(measured))


def _say(text: str) -> None:
    print(f"bench: {time.monotonic() - _BEGAN:5.1f} s: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()

"""Contenders take turns in short rounds, so that what else the machine does falls on all of them."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.speed.contenders import Contender, Stage
from bench.speed.load import JSON, Job, Loaded
from bench.speed.processes import cpu_seconds
from tests.support.processes import ROOT


@dataclass(frozen=True)
class Round:
    """One contender's turn. Milliseconds of processor time are a request's; `busy` is the share of the load's processor that was used."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    busy: float


def loaded(stage: Stage, job: Job) -> Loaded:
    """Runs the load, on its processor. Ends the bench with what it says when an answer was wrong."""
    command = [sys.executable, "-m", "bench.speed.load"]
    with stage.processors.pinned(stage.processors.asking):
        done = subprocess.run(command, input=json.dumps(asdict(job)), cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr)
    return Loaded(**json.loads(done.stdout))


def turn(stage: Stage, contender: Contender, job: Job) -> Round:
    """One contender, once."""
    before = cpu_seconds(contender.pid), cpu_seconds(stage.upstream.pid)
    result = loaded(stage, job)
    served, upstream = cpu_seconds(contender.pid) - before[0], cpu_seconds(stage.upstream.pid) - before[1]
    beside = result.cpu_seconds + (upstream if stage.processors.upstream == stage.processors.asking else 0)
    return Round(
        result.requests_per_second,
        result.p50_ms,
        result.p99_ms,
        served / result.requests * 1000,
        beside / result.requests * result.requests_per_second,
    )


def rounds(stage: Stage, contenders: Sequence[Contender], count: int, seconds: float, accept: str = JSON) -> list[list[Round]]:
    """The rounds of each contender."""
    made: list[list[Round]] = [[] for _ in contenders]
    for number in range(count):
        for own, contender in zip(made, contenders, strict=True):
            share = len(contender.tokens) // count
            tokens = contender.tokens[share * number :][:share] if contender.colder else contender.tokens
            own.append(turn(stage, contender, Job(contender.url, seconds, tokens=tokens, once=contender.colder, accept=accept)))
    return made

"""Contenders take turns in short rounds, so that what else the machine does falls on all of them."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.speed.load import JSON, Job, Loaded
from bench.speed.processes import cpu_seconds, memory_kb
from bench.speed.stage import Contender, Stage
from bench.speed.streams import StreamJob, Streams
from tests.support.processes import ROOT


@dataclass(frozen=True)
class Round:
    """One contender's turn. Milliseconds of processor time are a request's; `busy` is the share of the load's processor that was used."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    busy: float


def _asked(stage: Stage, module: str, job: Job | StreamJob) -> Any:
    """Runs a program of the load's on its processor. Ends the bench with what it says when an answer was wrong."""
    with stage.processors.pinned(stage.processors.asking):
        command = [sys.executable, "-m", module]
        done = subprocess.run(command, input=json.dumps(asdict(job)), cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def loaded(stage: Stage, job: Job) -> Loaded:
    """What came back of a load."""
    return Loaded(**_asked(stage, "bench.speed.load", job))


def job_of(contender: Contender, seconds: float, accept: str = JSON, number: int = 0, count: int = 1) -> Job:
    """The load of a contender's round; a cold one has its share of the tokens to itself."""
    share = len(contender.tokens) // count
    tokens = contender.tokens[share * number :][:share] if contender.colder else contender.tokens
    return Job(contender.url, seconds, tokens=tokens, once=contender.colder, accept=accept, modern=contender.modern)


def turn(stage: Stage, contender: Contender, job: Job) -> Round:
    """One contender, once."""
    before = cpu_seconds(contender.pid), cpu_seconds(contender.upstream_pid)
    result = loaded(stage, job)
    served, upstream = cpu_seconds(contender.pid) - before[0], cpu_seconds(contender.upstream_pid) - before[1]
    beside = result.cpu_seconds + (upstream if stage.processors.upstream == stage.processors.asking else 0)
    busy = min(1.0, beside / result.requests * result.requests_per_second)
    return Round(result.requests_per_second, result.p50_ms, result.p99_ms, served / result.requests * 1000, busy)


def rounds(stage: Stage, contenders: Iterable[Contender], count: int, seconds: float, accept: str = JSON) -> dict[str, list[Round]]:
    """The rounds of each contender, by its name."""
    made: dict[str, list[Round]] = {contender.name: [] for contender in contenders}
    for number in range(count):
        for contender in contenders:
            made[contender.name].append(turn(stage, contender, job_of(contender, seconds, accept, number, count)))
    return made


def at_rate(stage: Stage, contender: Contender, rate: float, seconds: float) -> Round:
    """One contender under an open load."""
    return turn(stage, contender, replace(job_of(contender, seconds), rate=rate, connections=128))


def streams(stage: Stage, contender: Contender, *, count: int, events: int, aborts: int) -> Streams:
    """What streams cost; fewer where the limit of open files (two a stream) leaves no room for more."""
    room = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2
    job = StreamJob(contender.url, contender.tokens, contender.pid, stage.probe_port, min(count, room), events, aborts)
    return Streams(**_asked(stage, "bench.speed.streams", job))


def growth(stage: Stage, contender: Contender, requests: int, seconds: float) -> tuple[int, int]:
    """By how many kB the contender's memory has grown over so many requests, after a tenth of them; fewer if time is up before."""
    loaded(stage, replace(job_of(contender, seconds / 10), limit=requests // 10))
    before = memory_kb(contender.pid)
    done = loaded(stage, replace(job_of(contender, seconds), limit=requests)).requests
    return done, memory_kb(contender.pid) - before

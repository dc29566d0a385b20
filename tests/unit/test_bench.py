"""The bench measures what it says, and says what it measured. How fast anything is, is for `make bench` to tell."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from bench.speed import load, report, streams, upstream
from bench.speed.contenders import MAKERS, ORDER, STREAMING, maker
from bench.speed.load import CALL, EVENTS, MODERN_CALL, Job
from bench.speed.rounds import Round
from bench.speed.streams import StreamJob, Streams
from tests.support import environment
from tests.support.processes import ROOT, free_port

pytestmark = pytest.mark.whichever_database


class Watched(upstream.Standin):
    """A stand-in that tells what it was asked."""

    asked: ClassVar[list[bytes]]

    def data_received(self, data: bytes) -> None:
        self.asked.append(data)
        super().data_received(data)


@asynccontextmanager
async def serving(protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"


@pytest.mark.asyncio
@pytest.mark.parametrize("job", [Job("", 60, limit=50), Job("", 60, limit=50, accept=EVENTS), Job("", 60, limit=50, modern=True)])
async def test_a_closed_load_asks_as_often_as_it_is_told_and_counts_its_warm_up_apart(job: Job) -> None:
    Watched.asked = []
    async with serving(Watched) as url:
        loaded = await load.load(Job(**{**vars(job), "url": url}))
    assert loaded.requests == len(Watched.asked) == 55
    assert all(asked.endswith(MODERN_CALL if job.modern else CALL) for asked in Watched.asked)
    assert 0 < loaded.p50_ms <= loaded.p99_ms


@pytest.mark.asyncio
async def test_each_token_is_sent_once_where_none_may_be_known() -> None:
    Watched.asked = []
    tokens = [f"token-{number}" for number in range(40)]
    async with serving(Watched) as url:
        loaded = await load.load(Job(url, 60, connections=4, tokens=tokens, once=True, limit=20))
    sent = [asked.partition(b"Bearer ")[2].partition(b"\r\n")[0].decode() for asked in Watched.asked]
    assert sent[:2] == ["token-0"] * 2, "the warm-up has one of its own"
    assert sorted(sent[2:]) == sorted(tokens[1:21]), "and then each its own"
    assert loaded.requests == 22


class Stalling(upstream.Standin):
    """Lets the first requests wait for a while, and then answers all at once."""

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_at(self.opens, super().data_received, data)

    opens = 0.0


@pytest.mark.asyncio
async def test_an_open_load_counts_from_when_a_request_was_due_though_no_connection_was_free() -> None:
    async with serving(Stalling) as url:
        Stalling.opens = asyncio.get_running_loop().time() + 0.5
        tally = load.Tally(load.requests_of(Job(url, 1)), 0.4)
        await load.opened(Job(url, 0.4, connections=2, rate=100), tally)
    assert len(tally.took) == 40, "all that were due"
    assert sum(seconds > 0.1 for seconds in tally.took) > 30, "and not the two alone that had a connection"


@pytest.mark.asyncio
async def test_an_open_load_uses_its_connections_again() -> None:
    async with serving(upstream.Standin) as url:
        loaded = await load.load(Job(url, 0.2, connections=2, rate=100))
    assert loaded.requests == 24, "20, and a fifth of that to warm up"


class Halving(upstream.Standin):
    """Sends an answer in two pieces."""

    def _write(self, answer: bytes) -> None:
        super()._write(answer[:-20])
        asyncio.get_running_loop().call_later(0.02, super()._write, answer[-20:])


@pytest.mark.asyncio
@pytest.mark.parametrize("accept", [load.JSON, EVENTS])
async def test_an_answer_is_not_taken_for_whole_before_its_last_piece(accept: str) -> None:
    async with serving(Halving) as url:
        assert (await load.load(Job(url, 60, connections=1, limit=10, accept=accept))).p50_ms > 20


class Broken(upstream.Standin):
    """Answers, but not what was asked for."""

    def data_received(self, data: bytes) -> None:
        self._write(upstream.json_answer(b'{"jsonrpc":"2.0","id":1,"error":{"code":-31401,"message":"no"}}'))


class Leaving(upstream.Standin):
    def data_received(self, data: bytes) -> None:
        self._write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        self._transport.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(("server", "rate"), [(Broken, 0), (Broken, 50), (Leaving, 0), (Leaving, 50)])
async def test_a_wrong_answer_ends_the_run(server: type[asyncio.Protocol], rate: float) -> None:
    async with serving(server) as url:
        with pytest.raises(load.Wrong):
            await load.load(Job(url, 60, rate=rate))


@pytest.mark.asyncio
async def test_streams_are_timed_from_their_upstream_to_their_client_and_back() -> None:
    """With nobody between the two, so that what is measured is next to nothing."""
    port = free_port()
    job = StreamJob(f"http://127.0.0.1:{port}/mcp", ["one", "two"], os.getpid(), port, streams=60, events=5, aborts=3)
    told = await streams.measured(job)
    assert [len(took) for took in (told.event_ms, told.json_abort_ms, told.sse_abort_ms)] == [5, 3, 3]
    assert all(0 < each < 1000 for each in (*told.event_ms, *told.json_abort_ms, *told.sse_abort_ms))
    assert told.streams == 60


def test_the_stand_in_knows_enough_of_the_protocol_for_a_client() -> None:
    def result(method: str, **params: object) -> dict[str, object]:
        answer = upstream.answered(json.dumps({"jsonrpc": "2.0", "id": "a", "method": method, "params": params}).encode())
        message = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert message["id"] == "a"
        return dict(message["result"])

    assert result("initialize", protocolVersion="2025-06-18")["protocolVersion"] == "2025-06-18"
    assert str(result("tools/list")).count("echo") == 1
    assert load.TEXT in str(result("tools/call", name="echo"))
    assert upstream.answered(b'{"jsonrpc":"2.0","method":"notifications/initialized"}').startswith(b"HTTP/1.1 202 ")
    assert b"-32601" in upstream.answered(b'{"jsonrpc":"2.0","id":1,"method":"server/discover"}')


def test_every_row_is_started_by_somebody_and_has_a_name() -> None:
    assert {maker(name) for name in ORDER} == set(MAKERS)
    assert set(ORDER) == set(report.LABELS)
    assert set(STREAMING) <= set(ORDER)
    assert maker("gateway-cold") == maker("gateway-modern") == "gateway"
    assert maker("gateway-postgresql-cold") == "gateway-postgresql"


def rows(*rates: float, cpu_ms: float = 0.1, busy: float = 0.5) -> list[Round]:
    return [Round(rate, 1.0, 2.0, cpu_ms, busy) for rate in rates]


def test_a_ratio_is_the_median_of_rounds_and_not_of_what_different_rounds_gave() -> None:
    spread = report.ratio(rows(100, 300, 200), rows(100, 100, 400))
    assert (spread.median, spread.least, spread.greatest) == (1.0, 0.5, 3.0)
    assert str(spread) == "1.00 (0.50 to 3.00)"


def made(**closed: list[Round]) -> report.Report:
    named = {name.replace("_", "-"): own for name, own in closed.items()}
    return report.Report({"cores": "2"}, 20, 32, {"JSON": named})


def test_the_table_has_a_row_for_each_and_marks_what_the_load_bounds() -> None:
    text = made(upstream=rows(80000, busy=0.99), bare=rows(5000), gateway=rows(4500)).as_markdown()
    assert "| the stand-in upstream, directly (bound by the load) | 80,000 | 1.0 | 2.0 | 0.100 | 99% | 16.00 (16.00 to 16.00) |" in text
    assert "| gateway, warm token | 4,500 | 1.0 | 2.0 | 0.100 | 50% | 0.90 (0.90 to 0.90) |" in text
    assert "- cores: 2\n" in text


@pytest.mark.parametrize(
    ("closed", "reached"),
    [
        ({"bare": rows(100), "gateway": rows(85)}, True),
        ({"bare": rows(100), "gateway": rows(84)}, False),
        ({"fastmcp": rows(10), "gateway_modern": rows(150)}, True),
        ({"fastmcp": rows(10), "gateway_modern": rows(149)}, False),
        ({"gateway": rows(10, cpu_ms=0.10), "gateway_2": rows(10, cpu_ms=0.109)}, True),
        ({"gateway": rows(10, cpu_ms=0.10), "gateway_2": rows(10, cpu_ms=0.111)}, False),
    ],
)
def test_what_is_wanted_is_told_beside_what_was_measured(closed: dict[str, list[Round]], reached: bool) -> None:
    assert [goal.reached for goal in report.goals(made(**closed))] == [reached]


@pytest.mark.parametrize(
    ("measured", "reached"),
    [
        (Streams([1], [200], [200], 10, 40), [True, True, True, None]),
        (Streams([1], [1, 201], [1, 201], 10, 40.1), [False, False, False, None]),
    ],
)
def test_the_worst_of_all_leavings_counts(measured: Streams, reached: list[bool | None]) -> None:
    run = made()
    run.streams = measured
    assert [goal.reached for goal in report.goals(run)] == reached


def test_who_is_left_out_is_named_with_the_reason() -> None:
    run = made(bare=rows(1))
    run.absent["nginx"] = "nginx is not installed"
    assert "Left out: nginx: nginx is not installed." in run.as_markdown()
    assert json.loads(run.as_json())["absent"] == run.absent


def test_the_committed_table_is_that_of_the_committed_figures() -> None:
    results = ROOT / "bench" / "results"
    told = json.loads((results / "speed.json").read_text())
    table = (results / "speed.md").read_text()
    for kind, closed in told["closed"].items():
        for name, own in closed.items():
            rate = report.median([Round(**row) for row in own], "requests_per_second")
            assert f"| {rate:,.0f} |" in table, f"{kind}: {name}"


def test_the_lists_are_opened_one_by_one_and_told(tmp_path: Path) -> None:
    """Over a hundredth of a hundredth of the rows: how long it takes is for the real thing to tell."""
    command = [sys.executable, "-m", "bench.lists", f"sqlite:///{tmp_path}/lists.sqlite3", "--divide", "5000", "--turns", "1"]
    told = subprocess.run(command, cwd=ROOT, env=environment.clean(), capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, told.stderr
    for name in ("clients", "consents", "grants", "access tokens", "refresh tokens", "users", "events", "routes"):
        assert f"| {name} |" in told.stdout
    assert "answered" not in told.stderr, "a page that did not open"

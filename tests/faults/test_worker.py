"""The end of a worker: asked to stop, told to hurry, replaced, or killed. Under gunicorn, and for what is its own under `runserver`."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.flows.dataplane_fixtures import PONG, Answer, Received, Served, call, gateway, post, send, upstream
from tests.support.gateway import serve
from tests.support.processes import PATIENCE, children, holder, listens, until

pytestmark = [pytest.mark.asyncio, pytest.mark.whichever_database]

EVENT = b"data: 1\n\n"
LISTEN = {
    "jsonrpc": "2.0",
    "id": 8,
    "method": "subscriptions/listen",
    "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}},
}
CALL = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "slow"}}
FLOOD = {"jsonrpc": "2.0", "id": 10, "method": "resources/read", "params": {"uri": "file:///endless"}}
PLAIN = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'
MODERN = {"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": "subscriptions/listen"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two workers that outlive these tests."""
    with gateway(tmp_path_factory.mktemp("gateway"), "gunicorn", MCP_UPSTREAM_TIMEOUT_SECONDS="120") as running:
        await_workers(running)
        yield running


def await_workers(served: Served) -> None:
    """Waits for both: one is enough to answer."""
    until(lambda: served.log().count("Application startup complete") >= 2, served.log)


@contextlib.contextmanager
def another(served: Served, folder: Path, server: str = "gunicorn", **settings: str) -> Iterator[Served]:
    """Another gateway over the same rows, to be stopped."""
    same = {name: value for name, value in served.gateway.environment.items() if name != "DATABASE_URL"}
    with serve(folder, served.gateway.database_url, server, **{**same, **settings}) as running:
        stoppable = replace(served, gateway=running)
        if server == "gunicorn":
            await_workers(stoppable)
        yield stoppable


@dataclass
class Upstream:
    """Streams begin with an event and go on as the test says, a resource never ends, and pings are held until the test answers them."""

    asked: "asyncio.Queue[Received]" = field(default_factory=asyncio.Queue)

    async def __call__(self, request: Received) -> None:
        if request.method == "GET" or any(method in request.body for method in (b"subscriptions/listen", b"tools/call", b"resources/read")):
            request.begin_stream()
            request.chunk(EVENT)
        while b"resources/read" in request.body:
            request.chunk(b"data: " + b"x" * 60_000 + b"\n\n")
            await request.writer.drain()
        self.asked.put_nowait(request)
        await asyncio.Event().wait()

    async def stream(self, answering: Any) -> tuple[Answer, Received]:
        answer: Answer = await answering
        received = await asyncio.wait_for(self.asked.get(), PATIENCE)
        assert await answer.chunk() == EVENT
        return answer, received


async def pong(received: Received) -> None:
    """Answers a held call; its connection serves no other, as it is never read again."""
    await received.answer(PONG, Connection="close")


def get(served: Served) -> Any:
    return call(served, "GET", "/mcp/told", [("Authorization", f"Bearer {served.tokens['alice']}"), ("Accept", "text/event-stream")])


async def sent(served: Served, body: bytes, *more: tuple[str, str]) -> Any:
    """A post of which no answer is awaited yet."""
    return await send(served, "POST", "/mcp/told", [("Authorization", f"Bearer {served.tokens['alice']}"), *more], body)


async def whole(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


async def ended(served: Served) -> int:
    return await asyncio.to_thread(served.gateway.process.wait, PATIENCE)


@pytest.mark.parametrize(("server", "number"), [("gunicorn", signal.SIGTERM), ("runserver", signal.SIGINT)])
async def test_a_stopping_server_ends_lasting_streams_and_lets_calls_finish(
    served: Served, tmp_path: Path, server: str, number: signal.Signals
) -> None:
    behaviour = Upstream()
    with another(served, tmp_path, server) as stopping:
        async with upstream(stopping, behaviour):
            lasting = [await behaviour.stream(get(stopping)), await behaviour.stream(post(stopping, LISTEN, **MODERN))]
            streamed, tool = await behaviour.stream(post(stopping, CALL))
            idle_reader, idle_writer = await send(stopping, "GET", "/healthz", [])
            assert b"200 OK" in await asyncio.wait_for(idle_reader.readuntil(b"\r\n\r\n"), PATIENCE)
            reader, _ = await sent(stopping, PLAIN)
            held = await asyncio.wait_for(behaviour.asked.get(), PATIENCE)

            stopping.gateway.process.send_signal(number)
            for answer, received in lasting:
                assert await answer.chunk() == b""  # the end of the body, not of the connection
                await received.closed_by_gateway()
            await whole(idle_reader)
            idle_writer.close()
            await asyncio.to_thread(until, lambda: not listens(stopping.port), "it still listens")
            tool.chunk(EVENT)
            assert await streamed.chunk() == EVENT
            await pong(held)
            assert (await whole(reader)).endswith(PONG)
            tool.write(b"0\r\n\r\n")
            assert await streamed.content() == b""
            assert await ended(stopping) == 0
    assert "Traceback" not in stopping.log()
    assert " 503 " not in stopping.log()


async def test_a_reload_in_development_ends_streams_as_well(served: Served, tmp_path: Path) -> None:
    """There the server runs beside the reloader, in a thread that no signal reaches."""
    behaviour = Upstream()
    with another(served, tmp_path, "reloading runserver") as stopping:
        async with upstream(stopping, behaviour):
            answer, _ = await behaviour.stream(get(stopping))
            (reloading,) = children(stopping.gateway.process.pid)
            os.kill(reloading, signal.SIGTERM)
            assert await answer.chunk() == b""
        assert await ended(stopping) == 0
    assert "Application shutdown complete" in stopping.log()
    assert "Traceback" not in stopping.log()


async def test_what_runs_beyond_the_grace_is_told_to_come_back_and_streams_still_end_properly(served: Served, tmp_path: Path) -> None:
    """Also beside a client that reads nothing, to whom nobody can say anything."""
    behaviour = Upstream()
    with another(served, tmp_path, GUNICORN_CMD_ARGS="--graceful-timeout 6") as stopping:  # a second of grace
        async with upstream(stopping, behaviour):
            streamed, tool = await behaviour.stream(post(stopping, CALL))
            waiting, _ = await sent(stopping, PLAIN)
            await asyncio.wait_for(behaviour.asked.get(), PATIENCE)
            arriving, _ = await sent(stopping, b"{", ("Content-Length", "50"))
            unread = await post(stopping, FLOOD)
            unread.writer.transport.pause_reading()  # type: ignore[attr-defined]
            registering, _ = await send(stopping, "POST", "/oauth/register", [("Content-Length", "50")])
            stopping.gateway.process.send_signal(signal.SIGTERM)
            assert await streamed.chunk() == b""
            await tool.closed_by_gateway()
            told = [await whole(reader) for reader in (waiting, arriving, registering)]
        assert await ended(stopping) == 0
    assert [answer.split(b" ")[1] for answer in told] == [b"503"] * 3
    assert b'"code":-31503' in told[0] and b'"id":7' in told[0]
    assert b'"code":-31503' in told[1]
    assert b'"error":"temporarily_unavailable"' in told[2]
    assert all(b"retry-after: 5\r\n" in answer for answer in told)
    assert stopping.log().count("Application shutdown complete") == 2
    assert "graceful shutdown exceeded" not in stopping.log()
    assert "Traceback" not in stopping.log()


async def test_told_to_hurry_it_hurries(served: Served, tmp_path: Path) -> None:
    """SIGQUIT or SIGINT to gunicorn's master, which then gives its workers two seconds."""
    behaviour = Upstream()
    with another(served, tmp_path) as stopping:
        async with upstream(stopping, behaviour):
            reader, _ = await sent(stopping, PLAIN)
            await asyncio.wait_for(behaviour.asked.get(), PATIENCE)
            stopping.gateway.process.send_signal(signal.SIGQUIT)
            assert b"-31503" in await asyncio.wait_for(whole(reader), 20)  # the grace would be 25
            assert await ended(stopping) == 0
    assert stopping.log().count("Application shutdown complete") == 2


async def held_on_each(served: Served, behaviour: Upstream) -> dict[int, list[tuple[asyncio.StreamReader, Received]]]:
    """Calls under way, by the worker that has them, until each of the two has some."""
    workers = children(served.gateway.process.pid)
    held: dict[int, list[tuple[asyncio.StreamReader, Received]]] = {worker: [] for worker in workers}
    assert len(held) == 2
    async with asyncio.timeout(PATIENCE):
        while not all(held.values()):
            reader, writer = await sent(served, PLAIN)
            received = await behaviour.asked.get()
            at = holder(workers, served.port, writer.get_extra_info("sockname")[1])
            assert at is not None
            held[at].append((reader, received))
    return held


async def test_a_killed_worker_takes_only_its_own_requests_with_it(served: Served) -> None:
    behaviour = Upstream()
    async with upstream(served, behaviour):
        held = await held_on_each(served, behaviour)
        killed, other = held
        os.kill(killed, signal.SIGKILL)
        for reader, received in held[killed]:
            assert await whole(reader) == b""
            await received.closed_by_gateway()
        for _ in range(20):  # new ones are served meanwhile
            reader, _ = await sent(served, PLAIN)
            await pong(await asyncio.wait_for(behaviour.asked.get(), PATIENCE))
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).startswith(b"HTTP/1.1 200")
        for reader, received in held[other]:
            await pong(received)
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).startswith(b"HTTP/1.1 200")
        await asyncio.to_thread(
            until, lambda: killed not in (now := children(served.gateway.process.pid)) and len(now) == 2, "no new worker"
        )
        assert await held_on_each(served, behaviour)  # the new one serves


async def test_a_reload_replaces_the_workers_and_loses_no_request(served: Served) -> None:
    """SIGHUP: what a deployment of new settings does."""
    behaviour = Upstream()
    async with upstream(served, behaviour):
        held = await held_on_each(served, behaviour)
        served.gateway.process.send_signal(signal.SIGHUP)
        statuses = []
        while not set(held).isdisjoint(children(served.gateway.process.pid)):
            reader, _ = await sent(served, PLAIN)
            received = await asyncio.wait_for(behaviour.asked.get(), PATIENCE)
            await pong(received)
            statuses.append((await asyncio.wait_for(reader.readuntil(b"\r\n"), PATIENCE)).split(b" ")[1])
            if len(children(served.gateway.process.pid)) == 4 or len(statuses) > 20:  # the new ones are there, the old ones finish
                for worker in held:
                    for old, call_of_old in held[worker]:
                        await pong(call_of_old)
                        assert (await whole(old)).endswith(PONG)
                    held[worker] = []
        assert set(statuses) == {b"200"}


async def test_a_worker_logs_as_the_gateway_does(served: Served) -> None:
    """In its formatter's care, whatever gunicorn's handlers are."""
    assert " INFO uvicorn.error Started server process" in served.log()


def _head(served: Served, *more: str) -> bytes:
    told = ["POST /mcp/told HTTP/1.1", "Host: localhost", f"Authorization: Bearer {served.tokens['alice']}", *more]
    return "\r\n".join(told).encode()


async def leave(served: Served, behaviour: Upstream, stage: str, how: str) -> None:
    """A client that goes at this stage of its request, by closing its connection or tearing it down."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    received = None
    if stage == "in the head":
        writer.write(_head(served))
    elif stage == "in the body":
        writer.write(_head(served, "Content-Length: 50", "", "{"))
    elif stage == "in a form":
        writer.write(b"POST /oauth/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{")
    else:
        body = json.dumps({"an answer": CALL, "unread": FLOOD}[stage]).encode() if stage in {"an answer", "unread"} else PLAIN
        writer.write(_head(served, f"Content-Length: {len(body)}", "", "") + body)
        if stage == "unread":
            await reader.readuntil(b"data: ")
            writer.transport.pause_reading()  # type: ignore[attr-defined]
        else:
            received = await asyncio.wait_for(behaviour.asked.get(), PATIENCE)
        if stage == "an answer":
            await reader.readuntil(EVENT)
    await writer.drain()
    if how == "torn down":
        writer.transport.abort()
    else:
        writer.close()
    if received is not None:
        await received.closed_by_gateway()


async def test_nothing_is_left_of_clients_that_leave_at_any_stage(served: Served, tmp_path: Path) -> None:
    """A worker that stops waits for what is still there, and says so."""
    behaviour = Upstream()
    with another(served, tmp_path) as stopping:
        async with upstream(stopping, behaviour):
            for stage in ("in the head", "in the body", "in a form", "before the answer", "an answer", "unread"):
                for how in ("closed", "torn down"):
                    await leave(stopping, behaviour, stage, how)
            await asyncio.to_thread(until, lambda: stopping.log().count("gateway.access POST") == 10, stopping.log)  # no head, no line
            stopping.gateway.process.send_signal(signal.SIGTERM)
            assert await ended(stopping) == 0
    assert stopping.log().count("Shutting down") == 3  # both workers, and their master
    assert "Waiting for connections" not in stopping.log()
    assert "Waiting for background tasks" not in stopping.log()
    assert "never retrieved" not in stopping.log()
    assert "Traceback" not in stopping.log()

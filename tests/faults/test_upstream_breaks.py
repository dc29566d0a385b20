"""Upstreams that end too early, or not at all: half an answer never passes for a whole one, and nobody waits longer than they must."""

import asyncio

import pytest

from tests.faults.wire import (
    CHUNKED,
    EVENTS,
    JSON,
    NOT_WHOLE,
    Connection,
    Conversation,
    chunk,
    outcome,
    outcomes,
    sized,
    upstream,
    writing,
)
from tests.flows.dataplane_fixtures import PING, PONG, Served, post

pytestmark = [pytest.mark.asyncio, pytest.mark.whichever_database]

STAGES = {
    "before the answer": (b"", {502}),
    "in the status line": (b"HTTP/1.1 2", {502}),
    "in the head": (JSON, {502}),
    "behind the head": (JSON + CHUNKED, {502}),
    "behind the head of a stated length": (JSON + b"Content-Length: 36\r\n\r\n", {502}),
    "in a short body": (JSON + b"Content-Length: 36\r\n\r\n" + PONG[:20], {502}),
    "in a long body": (JSON + b"Content-Length: 200000\r\n\r\n[" + b" " * 100_000, NOT_WHOLE),
    "one byte before the end": (JSON + b"Content-Length: 200000\r\n\r\n[" + b" " * 199_998, NOT_WHOLE),
    "in a chunk's size": (JSON + CHUNKED + b"2", {502}),
    "in a chunk": (JSON + CHUNKED + b"24\r\n" + PONG[:20], NOT_WHOLE),
    "behind the last chunk of JSON": (JSON + CHUNKED + chunk(PONG), NOT_WHOLE),
    "in the last chunk": (JSON + CHUNKED + chunk(PONG) + b"0\r\n", NOT_WHOLE),
    "in an error's body": (b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{}", {502}),
    "in an event": (EVENTS + CHUNKED + chunk(b"data: 1\n\nda"), {200}),  # which ends it: its client connects again
    "in an event's chunk": (EVENTS + CHUNKED + b"ff\r\ndata: 1\n\nda", {200}),
}


@pytest.mark.parametrize("end", ["FIN", "half close", "RST"])
@pytest.mark.parametrize("stage", STAGES)
async def test_an_answer_that_breaks_off_is_never_taken_for_whole(served: Served, stage: str, end: str) -> None:
    sent, expected = STAGES[stage]

    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(sent)
        if end == "RST":
            connection.reset()
        elif end == "half close":
            connection.writer.write_eof()
            await connection.closed_by_gateway()

    async with upstream(served, conversation):
        assert await outcome(served) in expected


@pytest.mark.parametrize("how", ["RST on accept", "FIN on accept", "RST in the request", "FIN in the request"])
async def test_a_connection_that_ends_before_the_request_was_read_is_a_502(served: Served, how: str) -> None:
    async def conversation(connection: Connection) -> None:
        if "request" in how:
            await connection.head()
        if "RST" in how:
            connection.reset()

    async with upstream(served, conversation) as connections:
        assert await outcome(served) == 502
    assert len(connections) == 1  # it may have been acted upon, and is not sent again


async def test_a_whole_answer_counts_although_the_connection_is_reset_behind_it(served: Served) -> None:
    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(sized(PONG))
        connection.writer.write_eof()
        await connection.closed_by_gateway()

    async with upstream(served, conversation):
        assert await outcome(served) == 200


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_without_a_length_ends_with_its_connection(served: Served, version: bytes) -> None:
    """RFC 9112 §6.3."""

    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(b"HTTP/%s 200 OK\r\nContent-Type: application/json\r\n\r\n%s" % (version, PONG[:20]))
        await connection.write(PONG[20:])

    async with upstream(served, conversation):
        assert await (await post(served, PING)).content() == PONG


async def test_and_is_cut_when_that_is_reset(served: Served) -> None:
    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + PONG)
        connection.reset()

    async with upstream(served, conversation):
        assert await outcome(served) in NOT_WHOLE


def dripping(data: bytes, seconds: float, begun: bytes = b"") -> Conversation:
    """Writes one byte after the other, so many seconds apart."""

    async def conversation(connection: Connection) -> None:
        await connection.request()
        await connection.write(begun)
        for byte in data:
            await connection.write(bytes([byte]))
            await asyncio.sleep(seconds)
        await connection.closed_by_gateway()

    return conversation


async def test_an_answer_that_comes_byte_by_byte_is_an_answer(served: Served) -> None:
    for whole in (sized(PONG), JSON + CHUNKED + chunk(PONG) + b"0\r\n\r\n"):
        async with upstream(served, dripping(whole, 0.001)):
            assert await (await post(served, PING)).content() == PONG


SLOW = 0.3  # seconds between two bytes: a pause that is no silence, in an answer that never comes to its end


async def test_the_gateways_patience_lasts_to_the_end_of_the_head(served: Served) -> None:
    """MCP_UPSTREAM_TIMEOUT_SECONDS, for all of these at once."""

    async def silent(connection: Connection) -> None:
        await connection.closed_by_gateway()

    async def deaf(connection: Connection) -> None:
        await asyncio.Event().wait()

    async def informing(connection: Connection) -> None:
        await connection.request()
        while True:
            await connection.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            await asyncio.sleep(0.01)

    cases: dict[str, tuple[Conversation, int]] = {
        "never answers": (silent, 504),
        "never reads the body": (deaf, 504),
        "begins and is silent": (writing(b"HTTP/1.1 200 OK\r\n"), 504),
        "head byte by byte": (dripping(sized(PONG), SLOW), 504),
        "one interim answer": (writing(b"HTTP/1.1 100 Continue\r\n\r\n"), 504),
        "interim answers for ever": (informing, 504),
        "no short body": (writing(JSON + b"Content-Length: 36\r\n\r\n"), 504),
        "no body of any length": (writing(JSON + CHUNKED), 504),
        "short body byte by byte": (dripping(PONG, SLOW, JSON + b"Content-Length: 36\r\n\r\n"), 504),
        "no body of an error": (writing(b"HTTP/1.1 404 Not Found\r\nContent-Length: 36\r\n\r\n"), 502),
        "no end of an error": (dripping(b" " * 36, SLOW, b"HTTP/1.1 404 Not Found\r\nContent-Length: 36\r\n\r\n"), 502),
    }
    got = await outcomes(served, {name: conversation for name, (conversation, _) in cases.items()})
    assert got == {name: status for name, (_, status) in cases.items()}

"""Every feature of MCP through the gateway, in both eras, between an official client and an official server.

Under `runserver`, and under gunicorn with two workers, where each request of a client may be another worker's.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import requests
from mcp import Client, types
from mcp.client.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

from tests.flows.dataplane_fixtures import Answer, Connection, call, hang_up
from tests.flows.features_fixtures import (
    ERAS,
    PATHS,
    Ears,
    Installation,
    Served,
    all_of,
    connected,
    events,
    installation,
    last_of,
    next_of,
    one_at_each_worker,
    served_by,
)
from tests.support.emulator import NODE_FOLDER
from tests.support.features import NOTE, TOOLS
from tests.support.processes import PATIENCE

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.whichever_database,
    pytest.mark.filterwarnings(f"ignore::{MCPDeprecationWarning.__module__}.{MCPDeprecationWarning.__name__}"),  # the old era has them all
]

both_eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture(scope="module")
def installed(workshop: Path, migrated_database: str) -> Iterator[Installation]:
    with installation(workshop, migrated_database) as made:
        yield made


@pytest.fixture(scope="module", params=["runserver", "gunicorn"])
def served(request: pytest.FixtureRequest, installed: Installation, workshop: Path) -> Iterator[Served]:
    with served_by(request.param, installed, workshop) as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()


def program(
    served: Served, era: str, ears: Ears | None = None, level: types.LoggingLevel | None = None
) -> AbstractAsyncContextManager[Client]:
    """A client of the server that answers with event streams, through the gateway."""
    return connected(served.url(), served.tokens["events"], era, ears, level)


def text_of(answer: Any) -> str:
    return str(answer.content[0].text)


# What a server offers


async def everything(client: Client) -> dict[str, Any]:
    """What a server says of itself and answers when each of its lists is read and each kind of thing in them is used."""
    first = await client.list_tools()
    second = await client.list_tools(cursor=first.next_cursor)
    answers: dict[str, Any] = {
        "tools": first,
        "more tools": second,
        "call": await client.call_tool("echo", {"text": "çà et là"}),
        "error result": await client.call_tool("fail"),
        "prompts": await client.list_prompts(),
        "prompt": await client.get_prompt("greet", {"whom": "bob"}),
        "resources": await client.list_resources(),
        "templates": await client.list_resource_templates(),
        "text": await client.read_resource("note://été"),
        "bytes": await client.read_resource("note://picture"),
        "completion": await client.complete(types.PromptReference(name="greet"), {"name": "whom", "value": "al"}),
    }
    with pytest.raises(MCPError) as unknown:
        await client.call_tool("nothing of this name")
    said = {name: answer.model_dump(mode="json", by_alias=True) for name, answer in answers.items()}
    info, instructions = client.server_info, client.instructions
    return {**said, "error": unknown.value.error.model_dump(), "self": [info, instructions, client.server_capabilities]}


@both_eras
@pytest.mark.parametrize("route", PATHS)
async def test_a_server_offers_and_answers_what_it_does_without_the_gateway(served: Served, era: str, route: str) -> None:
    async with connected(served.direct(route), None, era) as client:
        expected = await everything(client)
    ears = Ears()
    async with connected(served.url(route), served.tokens[route], era, ears) as client:
        said = await everything(client)
    assert said == expected
    assert ears.kinds == {"text/event-stream" if (route, era) == ("events", "legacy") else "application/json"}
    assert [tool["name"] for page in ("tools", "more tools") for tool in said[page]["tools"]] == ["echo", "region", *TOOLS]
    assert said["call"]["structuredContent"] == {"text": "çà et là"}
    assert said["error result"]["isError"] and said["error"]["code"] == types.INVALID_PARAMS
    assert said["prompt"]["messages"][0]["content"]["text"] == "Greet bob."
    assert said["text"]["contents"][0]["text"] == "What note://été says: çà et là"
    assert said["completion"]["completion"]["values"] == ["alice", "albert"]


@both_eras
async def test_log_messages_arrive_from_the_level_on_that_was_asked_for(served: Served, era: str) -> None:
    ears = Ears()
    async with program(served, era, ears, level="warning") as client:  # the modern era says it with each request
        if era == "legacy":
            await client.set_logging_level("warning")
        assert text_of(await client.call_tool("log")) == "said"
        assert [await ears.next(), await ears.next()] == [("warning", "said at warning"), ("error", "said at error")]
    assert ears.heard.empty()


@both_eras
async def test_progress_arrives_while_the_call_is_under_way(served: Served, era: str) -> None:
    ears = Ears()
    async with program(served, era, ears) as client:
        call = asyncio.create_task(client.call_tool("wait", {"name": "progress"}, progress_callback=ears.on_progress))
        assert await ears.next() == (1, None)
        assert not call.done()
        assert text_of(await client.call_tool("release", {"name": "progress"})) == "done"
        assert await ears.next() == (2, None)
        assert text_of(await call) == "progress is done"


@both_eras
async def test_a_call_that_the_client_cancels_ends_at_the_server(served: Served, era: str) -> None:
    ears = Ears()
    async with program(served, era, ears) as client:
        call = asyncio.create_task(client.call_tool("wait", {"name": "cancelled"}, progress_callback=ears.on_progress))
        assert await ears.next() == (1, None)
        call.cancel()
        assert text_of(await client.call_tool("ending", {"name": "cancelled"})) == "cancelled"
        assert text_of(await client.call_tool("echo", {"text": "goes on"})) == "goes on"


@both_eras
@pytest.mark.parametrize(
    ("what", "question", "answer"),
    [("elicitation", "Which colour?", "green"), ("sampling", "A word?", "gateway"), ("roots", "roots", "file:///home/alice")],
)
async def test_a_server_asks_its_client_and_gets_the_answer(served: Served, era: str, what: str, question: str, answer: str) -> None:
    ears = Ears()
    async with program(served, era, ears) as client:
        if era == "legacy":  # what belongs to no call is asked on the GET stream
            await asyncio.wait_for(ears.listening.wait(), PATIENCE)
        assert answer in text_of(await client.call_tool("ask", {"what": what}))
    assert ears.asked == [question]


@pytest.mark.parametrize("era", ["legacy"])
async def test_changes_are_told_on_the_get_stream(served: Served, era: str) -> None:
    ears = Ears()
    async with program(served, era, ears) as client:
        await asyncio.wait_for(ears.listening.wait(), PATIENCE)
        await client.subscribe_resource(NOTE)
        await change(client, "note://other", NOTE, "tools", "prompts", "resources")
        assert await ears.next() == ("notifications/resources/updated", NOTE)
        assert [await ears.next() for _ in range(3)] == [
            (f"notifications/{of}/list_changed", None) for of in ("tools", "prompts", "resources")
        ]
        await client.unsubscribe_resource(NOTE)
        await change(client, NOTE, "tools")
        assert await ears.next() == ("notifications/tools/list_changed", None)


@pytest.mark.parametrize("era", ["auto"])
async def test_changes_are_told_to_those_who_listen_for_them(served: Served, era: str) -> None:
    async with program(served, era) as client:
        for _ in ("at first", "and again: what ended is opened anew, because nothing is resumed in this era"):
            async with (
                client.listen(tools_list_changed=True, resource_subscriptions=[NOTE]) as some,
                client.listen(prompts_list_changed=True, resources_list_changed=True) as others,
            ):
                await change(client, "note://other", NOTE, "resources", "prompts", "tools")
                async with asyncio.timeout(PATIENCE):
                    assert [await anext(some), await anext(some)] == [ResourceUpdated(NOTE), ToolsListChanged()]
                    assert [await anext(others), await anext(others)] == [ResourcesListChanged(), PromptsListChanged()]


async def change(client: Client, *what: str) -> None:
    for each in what:
        assert text_of(await client.call_tool("change", {"what": each})) == f"{each} changed"


@pytest.mark.parametrize("era", ["legacy"])
async def test_a_client_comes_back_for_the_rest_of_a_stream_that_its_server_closed(served: Served, era: str) -> None:
    ears = Ears()
    async with program(served, era, ears) as client:
        assert text_of(await client.call_tool("pause", progress_callback=ears.on_progress)) == "resumed"
        assert [await ears.next(), await ears.next()] == [(1, None), (2, None)]
    assert len(ears.resumed) == 1


@pytest.mark.parametrize("era", ["auto"])
async def test_parameters_mirrored_in_headers_reach_the_server_as_they_were_sent(served: Served, era: str) -> None:
    async with program(served, era) as client:
        for cursor in (None, "2"):  # a client knows from the lists what to mirror
            await client.list_tools(cursor=cursor)
        assert text_of(await client.call_tool("region", {"region": "eu-west"})) == "eu-west"
        assert text_of(await client.call_tool("region", {"region": "Zürich"})) == "=?base64?WsO8cmljaA==?="


# The other official clients


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25"), ("1", "2025-11-25")])
async def test_the_typescript_sdk_uses_every_feature(served: Served, mode: str, version: str) -> None:
    program = await asyncio.create_subprocess_exec(
        *("node", "features.mjs", served.url(), mode),
        cwd=NODE_FOLDER,
        env={**os.environ, "TOKEN": served.tokens["events"]},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(2 * PATIENCE):
        printed, _ = await program.communicate()
    assert program.returncode == 0
    lists = {
        "tools": ["echo", "region", *TOOLS],
        "prompts": ["greet"],
        "resources": [NOTE, "note://picture"],
        "templates": ["note://{day}"],
    }
    assert json.loads(printed) == {
        "version": version,
        **lists,
        "echo": {"text": "çà et là"},
        "failed": True,
        "prompt": "Greet bob.",
        "resource": "What note://été says: çà et là",
        "completion": ["alice", "albert"],
        "logs": ["said at warning", "said at error"],
        "progress": [1, 2],
        "released": "done",
        "waited": "typescript is done",
        "ending": "cancelled",
        "asked": ["Which colour?", "A word?", "roots"],
        "answers": [
            {"action": "accept", "content": {"colour": "green"}},
            {"role": "assistant", "model": "a-model", "content": {"type": "text", "text": "gateway"}},
            {"roots": [{"uri": "file:///home/alice", "name": "home"}]},
        ],
        "changes": [NOTE, "notifications/tools/list_changed"],
        **({} if mode == "auto" else {"pause": "resumed", "resumed": True}),
    }


# What the clients leave to chance: which worker gets a request, and when a connection breaks


def text_in(message: Any) -> str:
    return str(message["result"]["content"][0]["text"])


class Raw:
    """A client program that says on which connection it asks what. `session` are the headers by which its requests belong together."""

    def __init__(self, served: Served, session: str = "", version: str = "2025-11-25") -> None:
        self.served = served
        self.session = {"Mcp-Session-Id": session, "MCP-Protocol-Version": version}

    async def ask(self, method: str, on: Connection | None = None, **params: Any) -> Answer:
        """Sends a request, each with an id of its own; the answer's head."""
        return await self.send({"id": str(uuid4()), "method": method, "params": params}, on)

    async def send(self, message: dict[str, Any], on: Connection | None = None) -> Answer:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        return await self.http("POST", on, body, {"Content-Type": "application/json"})

    async def http(self, method: str, on: Connection | None = None, body: bytes = b"", more: dict[str, str] | None = None) -> Answer:
        own = {"Authorization": f"Bearer {self.served.tokens['events']}", "Accept": "application/json, text/event-stream"}
        return await call(self.served, method, "/mcp/events", list({**own, **self.session, **(more or {})}.items()), body, on)

    async def initialize(self, on: Connection | None = None) -> None:
        self.session = {}
        can: dict[str, Any] = {"elicitation": {}}
        name = {"name": "raw", "version": "1"}
        answer = await self.ask("initialize", on, protocolVersion="2025-11-25", capabilities=can, clientInfo=name)
        assert answer.status == 200
        self.session = {"Mcp-Session-Id": answer.header("mcp-session-id") or "", "MCP-Protocol-Version": "2025-11-25"}
        assert (await last_of(answer))["result"]["protocolVersion"] == "2025-11-25"
        assert (await self.send({"method": "notifications/initialized"}, on)).status == 202


async def test_a_stream_that_broke_is_replayed_from_the_last_event_that_arrived(served: Served) -> None:
    raw = Raw(served)
    await raw.initialize()
    broken = await raw.ask("tools/call", name="wait", arguments={"name": "broken"}, _meta={"progressToken": "p"})
    last, first = await next_of(events(broken))
    assert first["params"]["progress"] == 1
    broken.writer.transport.abort()
    released = await last_of(await raw.ask("tools/call", name="release", arguments={"name": "broken"}))
    assert text_in(released) == "done", "the call did not outlive its stream"
    resumed = await raw.http("GET", more={"Last-Event-Id": last})
    assert resumed.status == 200
    missed = events(resumed)
    assert (await next_of(missed))[1]["params"]["progress"] == 2
    assert text_in((await next_of(missed))[1]) == "broken is done"


async def test_a_session_that_was_ended_is_unknown_and_a_new_one_works(served: Served) -> None:
    ears = Ears()
    async with program(served, "legacy", ears) as client:
        raw = Raw(served, ears.session)
        assert (await raw.ask("tools/list")).status == 200
        assert (await raw.http("DELETE")).status == 200
        async with asyncio.timeout(PATIENCE):
            while (status := (await raw.ask("tools/list")).status) == 502:  # the server may break off what is asked while it ends a session
                pass
        assert status == 404
        with pytest.raises(MCPError, match="Session not found"):
            await client.list_tools()
    async with program(served, "legacy", ears) as client:
        assert (await client.list_tools()).tools


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_the_modern_era_does_away_with_is_refused_as_the_server_refuses_it(served: Served, method: str) -> None:
    raw = Raw(served, version="2026-07-28")
    refused = await raw.http(method, more={"Last-Event-Id": "1"})
    assert refused.status == 405
    direct = await asyncio.to_thread(requests.request, method, served.direct(), headers=raw.session, timeout=PATIENCE)
    assert (refused.status, refused.header("allow")) == (direct.status_code, direct.headers["Allow"])


gunicorn_alone = pytest.mark.parametrize("served", ["gunicorn"], indirect=True)


@gunicorn_alone
async def test_a_question_from_one_worker_is_answered_at_the_other(served: Served) -> None:
    here, there = await one_at_each_worker(served)
    raw = Raw(served)
    await raw.initialize(on=here)
    asking = await raw.ask("tools/call", here, name="ask", arguments={"what": "elicitation"})
    stream = events(asking)
    _, question = await next_of(stream)
    assert question["method"] == "elicitation/create"
    accepted = await raw.send({"id": question["id"], "result": {"action": "accept", "content": {"colour": "red"}}}, on=there)
    assert accepted.status == 202
    assert "red" in text_in((await next_of(stream))[1])


@gunicorn_alone
async def test_a_call_that_was_begun_at_one_worker_is_finished_at_the_other(served: Served) -> None:
    """MCP 2026-07-28, Multi Round-Trip Requests: nothing of the first round is kept between client and server."""
    here, there = await one_at_each_worker(served)
    raw = Raw(served)
    raw.session = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "ask"}
    named = {"protocolVersion": "2026-07-28", "clientCapabilities": {"elicitation": {}}}
    call = {"name": "ask", "arguments": {"what": "elicitation"}, "_meta": {f"io.modelcontextprotocol/{key}": named[key] for key in named}}
    asked = (await last_of(await raw.ask("tools/call", here, **call)))["result"]
    assert asked["inputRequests"]["elicitation"]["method"] == "elicitation/create"
    given = {"elicitation": {"action": "accept", "content": {"colour": "blue"}}}
    answer = await last_of(await raw.ask("tools/call", there, **call, inputResponses=given, requestState=asked["requestState"]))
    assert "blue" in text_in(answer)


@gunicorn_alone
async def test_the_get_stream_at_one_worker_tells_what_was_caused_at_the_other(served: Served) -> None:
    here, there = await one_at_each_worker(served)
    raw = Raw(served)
    await raw.initialize()
    listening = await raw.http("GET", on=here)
    changed = await last_of(await raw.ask("tools/call", there, name="change", arguments={"what": "tools"}))
    assert text_in(changed) == "tools changed"
    told = events(listening)
    assert (await next_of(told))[1]["method"] == "notifications/tools/list_changed"
    assert (await raw.http("DELETE", on=there)).status == 200
    assert await all_of(told) == []  # the stream ends with its session

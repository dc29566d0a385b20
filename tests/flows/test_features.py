"""Every feature of MCP through the gateway, in both eras, between an official client and an official server.

Under `runserver`, and under gunicorn with two workers, where each request of a client may be another worker's.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from mcp import Client, types
from mcp.client.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ToolsListChanged
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError

from tests.flows.features_fixtures import ERAS, PATHS, Ears, Installation, Served, connected, installation, served_by
from tests.support.features import NOTE, TOOLS
from tests.support.processes import PATIENCE

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.whichever_database,
    pytest.mark.filterwarnings(f"ignore::{MCPDeprecationWarning.__module__}.{MCPDeprecationWarning.__name__}"),  # the old era has them all
]

both_eras = pytest.mark.parametrize("era", ERAS)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture(scope="module", params=["runserver", "gunicorn"])
def served(request: pytest.FixtureRequest, installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_by(request.param, installed, tmp_path_factory.mktemp(request.param)) as running:
        yield running


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
    async with connected(served.url(route), served.tokens[route], era) as client:
        said = await everything(client)
    assert said == expected
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

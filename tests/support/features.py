"""An MCP server with every feature of both eras, as an upstream; built on the official SDK's low-level server.

`python -m tests.support.features --port 9100` serves it twice: at `/mcp` it answers with event streams that can be resumed, at `/json` with
JSON. Where the eras differ (asking the client, telling of changes), a function does both.
"""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ServerEvent, ToolsListChanged
from starlette.applications import Starlette

from tests.support import environment
from tests.support.processes import free_port, listens, running

NOTE = "note://today"
LEVELS = ("debug", "info", "warning", "error")
_RETRY_MILLISECONDS = 50  # after which a client comes back whose stream was closed

_TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
_CHANGES: dict[str, ServerEvent] = {
    "tools": ToolsListChanged(),
    "prompts": PromptsListChanged(),
    "resources": ResourcesListChanged(),
    NOTE: ResourceUpdated(NOTE),
    "note://other": ResourceUpdated("note://other"),
}
_ASKED: dict[str, types.InputRequest] = {
    "elicitation": types.ElicitRequest(
        params=types.ElicitRequestFormParams(
            message="Which colour?", requested_schema={"type": "object", "properties": {"colour": {"type": "string"}}}
        )
    ),
    "sampling": types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(
            messages=[types.SamplingMessage(role="user", content=types.TextContent(text="A word?"))], max_tokens=5
        )
    ),
    "roots": types.ListRootsRequest(),
}

Context = ServerRequestContext[Any, Any]


class Store(EventStore):
    """The events of all streams, in memory. Streams are named by request ids, so it is for one session at a time."""

    def __init__(self) -> None:
        self._events: list[tuple[str, types.JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = int(last_event_id)
        stream = self._events[last - 1][0]
        for number, (of, message) in enumerate(self._events[last:], last + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


@dataclass
class Features:
    """What the handlers share: who asked for what, and which calls are under way or ended."""

    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    levels: dict[str, str] = field(default_factory=dict)
    subscribed: set[tuple[str, str]] = field(default_factory=set)
    waiting: dict[str, asyncio.Event] = field(default_factory=dict)
    outcomes: dict[str, "asyncio.Future[str]"] = field(default_factory=dict)

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        mirrored = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}
        pages = {
            None: [types.Tool(name="echo", description="Answers with its text.", input_schema=_TEXT, output_schema=_TEXT)],
            "2": [
                types.Tool(name="region", input_schema=mirrored),
                *(types.Tool(name=name, input_schema={"type": "object"}) for name in TOOLS),
            ],
        }
        cursor = params.cursor if params else None
        return types.ListToolsResult(tools=pages[cursor], next_cursor="2" if cursor is None else None)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult | types.InputRequiredResult:
        arguments = params.arguments or {}
        match params.name:
            case "echo":
                return types.CallToolResult(content=[types.TextContent(text=arguments["text"])], structured_content=arguments)
            case "region":
                return _text(_header(ctx, "mcp-param-region"))
            case "fail":
                return types.CallToolResult(content=[types.TextContent(text="It did not work.")], is_error=True)
            case "ask":
                return await self._ask(ctx, params, arguments["what"])
            case name if name in TOOLS:
                return _text(await getattr(self, f"_{name}")(ctx, **arguments))
        raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name}")

    async def _steps(self, ctx: Context, count: int) -> str:
        """Reports its progress."""
        for step in range(1, count + 1):
            await ctx.session.report_progress(step, count, f"step {step}")
        return f"{count} steps"

    async def _log(self, ctx: Context) -> str:
        """Says something at each level: in the old era what the session set decides, in the modern one the SDK by the request's `_meta`."""
        least = LEVELS.index(self.levels.get(_session_of(ctx), "debug"))
        for level in LEVELS[least:]:
            await ctx.session.send_log_message(level, f"said at {level}", "features", ctx.request_id)  # type: ignore[arg-type]
        return "said"

    async def _ask(self, ctx: Context, params: types.CallToolRequestParams, what: str) -> types.CallToolResult | types.InputRequiredResult:
        """Asks the client, and answers with what it said."""
        if _is_modern(ctx):
            if params.input_responses is None:
                return types.InputRequiredResult(input_requests={what: _ASKED[what]}, request_state=f"asked for {what}")
            if params.request_state != f"asked for {what}":
                raise MCPError(types.INVALID_PARAMS, f"The state came back as {params.request_state}")
            return _text(params.input_responses[what].model_dump_json(exclude_none=True, exclude={"result_type"}))
        said: types.InputResponse
        if what == "elicitation":
            said = await ctx.session.elicit_form("Which colour?", _ASKED[what].params.requested_schema, ctx.request_id)  # type: ignore[union-attr]
        elif what == "sampling":
            message = types.SamplingMessage(role="user", content=types.TextContent(text="A word?"))
            said = await ctx.session.create_message([message], max_tokens=5, related_request_id=ctx.request_id)
        else:
            said = await ctx.session.list_roots()  # goes out on the GET stream
        return _text(said.model_dump_json(exclude_none=True))

    async def _change(self, ctx: Context, what: str) -> str:
        """Tells whoever wants to know that something has changed."""
        await self.bus.publish(_CHANGES[what])
        if not _is_modern(ctx):
            lists = {
                "tools": ctx.session.send_tool_list_changed,
                "prompts": ctx.session.send_prompt_list_changed,
                "resources": ctx.session.send_resource_list_changed,
            }
            if what in lists:
                await lists[what]()
            elif (_session_of(ctx), what) in self.subscribed:
                await ctx.session.send_resource_updated(what)
        return f"{what} changed"

    async def _wait(self, ctx: Context, name: str) -> str:
        """Reports a first step, then waits for `release`, reports a second, and is done."""
        self.waiting[name] = asyncio.Event()
        self.outcomes[name] = asyncio.get_running_loop().create_future()
        try:
            await ctx.session.report_progress(1)
            await self.waiting[name].wait()
            await ctx.session.report_progress(2)
        except asyncio.CancelledError:
            self.outcomes[name].set_result("cancelled")
            raise
        self.outcomes[name].set_result("done")
        return f"{name} is done"

    async def _release(self, ctx: Context, name: str) -> str:
        """Lets a waiting call go on; how it ended."""
        self.waiting[name].set()
        return await self.outcomes[name]

    async def _ending(self, ctx: Context, name: str) -> str:
        """How a waiting call ended, once it has."""
        return await self.outcomes[name]

    async def _pause(self, ctx: Context) -> str:
        """Closes its own stream half-way, so that the client has to come back for the rest (SEP-1699)."""
        await ctx.session.report_progress(1)
        if ctx.close_sse_stream is None:
            raise MCPError(types.INTERNAL_ERROR, "This stream cannot be resumed.")
        await ctx.close_sse_stream()
        await ctx.session.report_progress(2)
        return "resumed"

    async def list_resources(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
        return types.ListResourcesResult(
            resources=[types.Resource(name="today", uri=NOTE), types.Resource(name="picture", uri="note://picture")]
        )

    async def list_templates(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=[types.ResourceTemplate(name="day", uri_template="note://{day}")])

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        content: types.TextResourceContents | types.BlobResourceContents
        if params.uri == "note://picture":
            content = types.BlobResourceContents(uri=params.uri, mime_type="image/png", blob="AAECAwQ=")
        else:
            content = types.TextResourceContents(uri=params.uri, text=f"What {params.uri} says: çà et là")
        return types.ReadResourceResult(contents=[content])

    async def subscribe(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.subscribed.add((_session_of(ctx), params.uri))
        return types.EmptyResult()

    async def unsubscribe(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.subscribed.discard((_session_of(ctx), params.uri))
        return types.EmptyResult()

    async def list_prompts(self, ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[types.Prompt(name="greet", arguments=[types.PromptArgument(name="whom", required=True)])])

    async def get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        text = f"Greet {(params.arguments or {})['whom']}."
        return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=types.TextContent(text=text))])

    async def complete(self, ctx: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        known = [name for name in ("alice", "albert", "bob") if name.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=known, total=len(known), has_more=False))

    async def set_level(self, ctx: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        self.levels[_session_of(ctx)] = params.level
        return types.EmptyResult()


TOOLS = ("fail", "steps", "log", "ask", "change", "wait", "release", "ending", "pause")


class _Announcing(Server[Any]):
    """Announces that its lists change, which the SDK's server leaves to whoever starts it."""

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        return super().create_initialization_options(NotificationOptions(True, True, True))


def _server(shared: Features) -> Server[Any]:
    return _Announcing(
        "Features",
        version="1",
        instructions="Everything that MCP has.",
        on_list_tools=shared.list_tools,
        on_call_tool=shared.call_tool,
        on_list_resources=shared.list_resources,
        on_list_resource_templates=shared.list_templates,
        on_read_resource=shared.read_resource,
        on_subscribe_resource=shared.subscribe,
        on_unsubscribe_resource=shared.unsubscribe,
        on_subscriptions_listen=ListenHandler(shared.bus),
        on_list_prompts=shared.list_prompts,
        on_get_prompt=shared.get_prompt,
        on_completion=shared.complete,
        on_set_logging_level=shared.set_level,
    )


def application() -> Starlette:
    """Both forms in one process, with what they know in common."""
    shared = Features()
    events, plain = _server(shared), _server(shared)
    served = [
        events.streamable_http_app(event_store=Store(), retry_interval=_RETRY_MILLISECONDS),
        plain.streamable_http_app(streamable_http_path="/json", json_response=True),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with events.session_manager.run(), plain.session_manager.run():
            yield

    return Starlette(routes=[route for part in served for route in part.routes], lifespan=lifespan)


def _text(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


def _is_modern(ctx: Context) -> bool:
    return ctx.protocol_version >= "2026-07-28"


def _header(ctx: Context, name: str) -> str:
    return "" if ctx.request is None else str(ctx.request.headers.get(name, ""))


def _session_of(ctx: Context) -> str:
    return _header(ctx, "mcp-session-id")


@contextlib.contextmanager
def features_upstream(folder: Path) -> Iterator[str]:
    """Runs it until the block ends; the origin it is served at."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.features", "--port", str(port)]
    with running(command, lambda: listens(port), folder / f"features-{port}.log", environment.clean()):
        yield f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    uvicorn.run(application(), host="127.0.0.1", port=arguments.parse_args().port)

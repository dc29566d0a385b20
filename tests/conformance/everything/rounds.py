"""What asks in the modern era: an answer that names what is still missing, and the same request again with it (MCP 2026-07-28, MRTR)."""

import json
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

from tests.conformance.everything.server import server

Answer = str | InputRequiredResult
_STATE = "request-state-nonce"


def _ask(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def _needs(state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def _given(ctx: Context, key: str, field: str) -> Any:
    """A field of what the user answered to this request; None when there is none."""
    answer = (ctx.input_responses or {}).get(key)
    return answer.content.get(field) if isinstance(answer, ElicitResult) and answer.content else None


@server.tool("test_input_required_result_elicitation")
async def elicitation(ctx: Context) -> Answer:
    """Needs a name."""
    name = _given(ctx, "user_name", "name")
    return f"Hello, {name}!" if name else _needs(user_name=_ask("What is your name?", "name"))


@server.tool("test_input_required_result_sampling")
async def sampling(ctx: Context) -> Answer:
    """Needs a word of the client's model."""
    answer = (ctx.input_responses or {}).get("capital_question")
    if isinstance(answer, CreateMessageResult) and isinstance(answer.content, TextContent):
        return f"The model said: {answer.content.text}"
    return _needs(capital_question=_sample("What is the capital of France?"))


@server.tool("test_input_required_result_list_roots")
async def list_roots(ctx: Context) -> Answer:
    """Needs the client's roots."""
    answer = (ctx.input_responses or {}).get("client_roots")
    if isinstance(answer, ListRootsResult):
        return f"The client has {len(answer.roots)} roots."
    return _needs(client_roots=ListRootsRequest())


@server.tool("test_input_required_result_request_state")
async def request_state(ctx: Context) -> Answer:
    """Needs a confirmation, together with the state it gave out."""
    if ctx.request_state == _STATE and _given(ctx, "confirm", "ok") is not None:
        return "state-ok: confirmed"
    return _needs(_STATE, confirm=_ask("Please confirm", "ok", "boolean"))


@server.tool("test_input_required_result_tampered_state")
async def tampered_state(ctx: Context) -> Answer:
    """Needs a confirmation; the SDK refuses a state that was changed before this is asked."""
    return f"state-ok: {ctx.request_state}" if ctx.request_state else _needs(_STATE, confirm=_ask("Please confirm", "ok", "boolean"))


@server.tool("test_input_required_result_multiple_inputs")
async def multiple_inputs(ctx: Context) -> Answer:
    """Needs something of each kind."""
    wanted: dict[str, InputRequest] = {
        "user_name": _ask("What is your name?", "name"),
        "greeting": _sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    return "All inputs received." if wanted.keys() <= (ctx.input_responses or {}).keys() else _needs(_STATE, **wanted)


@server.tool("test_input_required_result_multi_round")
async def multi_round(ctx: Context) -> Answer:
    """Needs a name, then a colour; the state remembers what was said."""
    state = json.loads(ctx.request_state or "{}")
    name, colour = state.get("name") or _given(ctx, "step1", "name"), _given(ctx, "step2", "color")
    if name is None:
        return _needs(json.dumps({"round": 1}), step1=_ask("Step 1: What is your name?", "name"))
    if colour is None:
        return _needs(json.dumps({"round": 2, "name": name}), step2=_ask("Step 2: What is your favorite color?", "color"))
    return f"{name} likes {colour}."


@server.tool("test_input_required_result_capabilities")
async def capabilities(ctx: Context) -> Answer:
    """Asks for what this client can give, and for nothing else."""
    able = ctx.client_capabilities
    wanted: dict[str, InputRequest] = {}
    if able is None or able.sampling is not None:
        wanted["sample"] = _sample("Say hello")
    if able is None or able.elicitation is not None:
        wanted["ask"] = _ask("What is your name?", "name")
    return _needs(_STATE, **wanted)


@server.prompt("test_input_required_result_prompt")
async def prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
    """Needs a context."""
    context = _given(ctx, "user_context", "context")
    if context is None:
        return _needs(user_context=_ask("What context should the prompt use?", "context"))
    return [UserMessage(TextContent(text=f"Use the following context: {context}"))]

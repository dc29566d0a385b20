"""What a tool does while it works: it logs, tells of progress and of changes, cuts its stream, and (in the old era) asks the client."""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.shared.exceptions import MCPError
from mcp.types import MISSING_REQUIRED_CLIENT_CAPABILITY, SamplingMessage, TextContent

from tests.conformance.everything.server import server

_CONTACT = {
    "type": "object",
    "properties": {"username": {"type": "string"}, "email": {"type": "string"}},
    "required": ["username", "email"],
}
_DEFAULTS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}
_CHOICES = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]}},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
    },
}


@server.tool("test_tool_with_logging")
async def with_logging(ctx: Context) -> str:
    """Logs three times."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(said)
    return "Tool with logging executed successfully"


@server.tool("test_tool_with_progress")
async def with_progress(ctx: Context) -> str:
    """Tells three times how far it is."""
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100, f"Completed step {progress} of 100")
    return "Tool with progress executed successfully"


@server.tool("test_sampling")
async def sampling(prompt: str, ctx: Context) -> str:
    """Asks the client's model."""
    message = SamplingMessage(role="user", content=TextContent(text=prompt))
    answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {answer.content.text if isinstance(answer.content, TextContent) else 'no text'}"


async def _elicit(ctx: Context, message: str, schema: dict[str, Any]) -> str:
    answer = await ctx.session.elicit(message, schema, ctx.request_id)
    return f"action={answer.action}, content={answer.content}"


@server.tool("test_elicitation")
async def elicitation(message: str, ctx: Context) -> str:
    """Asks the user."""
    return f"User response: {await _elicit(ctx, message, _CONTACT)}"


@server.tool("test_elicitation_sep1034_defaults")
async def elicitation_with_defaults(ctx: Context) -> str:
    """Asks the user, with an answer proposed for every field."""
    return f"Elicitation completed: {await _elicit(ctx, 'Please review the defaults', _DEFAULTS)}"


@server.tool("test_elicitation_sep1330_enums")
async def elicitation_with_choices(ctx: Context) -> str:
    """Asks the user to choose, in each way that a choice can be written."""
    return f"Elicitation completed: {await _elicit(ctx, 'Please choose', _CHOICES)}"


@server.tool("test_missing_capability")
async def missing_capability(ctx: Context) -> str:
    """Works only for clients that have a model."""
    able = ctx.session.client_capabilities
    if able is None or able.sampling is None:
        needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(code=MISSING_REQUIRED_CLIENT_CAPABILITY, message="This tool asks the client's model", data=needed)
    return "The client has a model."


@server.tool("test_reconnection")
async def reconnection(ctx: Context) -> str:
    """Ends its stream in mid-call; the rest is for whoever comes back for it."""
    await ctx.info("Before disconnect")
    await ctx.close_sse_stream()
    await ctx.info("After reconnect")
    return "Reconnection test completed"


def _passing() -> str:
    """Comes and goes."""
    return "here"


def _passing_prompt() -> list[UserMessage]:
    """Comes and goes."""
    return [UserMessage(TextContent(text="here"))]


@server.tool("test_trigger_tool_change")
async def trigger_tool_change(ctx: Context) -> str:
    """Changes the list of tools, and back."""
    server.add_tool(_passing, "test_passing_tool")
    server.remove_tool("test_passing_tool")
    await ctx.notify_tools_changed()
    return "The list of tools has changed."


@server.tool("test_trigger_prompt_change")
async def trigger_prompt_change(ctx: Context) -> str:
    """Changes the list of prompts, and back."""
    server.add_prompt(Prompt.from_function(_passing_prompt, name="test_passing_prompt"))
    server.remove_prompt("test_passing_prompt")
    await ctx.notify_prompts_changed()
    return "The list of prompts has changed."

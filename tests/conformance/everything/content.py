"""What is simply there: content of every kind in tools, resources and prompts, completion, and an input schema with every keyword."""

import base64
import json
from typing import Annotated, Any

from mcp.server import ServerRequestContext
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import (
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    PromptReference,
    ResourceTemplateReference,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

from tests.conformance.everything.server import server

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="  # one red pixel
_WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="  # one silent sample
_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {"$anchor": "addressDef", "type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


@server.tool("test_simple_text")
def simple_text() -> str:
    """Answers with a text."""
    return "This is a simple text response for testing."


@server.tool("test_image_content")
def image_content() -> list[ImageContent]:
    """Answers with an image."""
    return [ImageContent(data=_PNG, mime_type="image/png")]


@server.tool("test_audio_content")
def audio_content() -> list[AudioContent]:
    """Answers with a sound."""
    return [AudioContent(data=_WAV, mime_type="audio/wav")]


@server.tool("test_embedded_resource")
def embedded_resource() -> list[EmbeddedResource]:
    """Answers with a resource."""
    return [_embedded("test://embedded-resource", "This is an embedded resource content.")]


@server.tool("test_multiple_content_types")
def multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    """Answers with a text, an image and a resource."""
    return [
        TextContent(text="Multiple content types test:"),
        ImageContent(data=_PNG, mime_type="image/png"),
        _embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ]


@server.tool("test_error_handling")
def error_handling() -> str:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@server.tool("test_x_mcp_header")
def x_mcp_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none") -> str:
    """Has an argument that clients mirror in the header `Mcp-Param-Region`."""
    return f"region={region}"


@server.tool("json_schema_2020_12_tool")
def json_schema_2020_12_tool() -> str:
    """Has an input schema with the keywords of JSON Schema 2020-12."""
    return "done"


server._tool_manager._tools[
    "json_schema_2020_12_tool"
].parameters = _SCHEMA  # the SDK derives schemas from signatures, which know fewer words


@server.resource("test://static-text")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """An image."""
    return base64.b64decode(_PNG)


@server.resource("test://template/{id}/data")
def template(id: str) -> str:  # noqa: A002  (the suite's name)
    """A text for each id."""
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.resource("test://watched-resource")
def watched() -> str:
    """A text that can be watched."""
    return "Watched resource content"


@server.prompt("test_simple_prompt")
def simple_prompt() -> list[UserMessage]:
    """A text."""
    return [UserMessage(TextContent(text="This is a simple prompt for testing."))]


@server.prompt("test_prompt_with_arguments")
def prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """A text with two arguments in it."""
    return [UserMessage(TextContent(text=f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


@server.prompt("test_prompt_with_embedded_resource")
def prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803  (the suite's name)
    """A resource and a text about it."""
    return [
        UserMessage(_embedded(resourceUri, "Embedded resource content for testing.")),
        UserMessage(TextContent(text="Please process the embedded resource above.")),
    ]


@server.prompt("test_prompt_with_image")
def prompt_with_image() -> list[UserMessage]:
    """An image and a text about it."""
    return [
        UserMessage(ImageContent(data=_PNG, mime_type="image/png")),
        UserMessage(TextContent(text="Please analyze the image above.")),
    ]


@server.completion()  # type: ignore[no-untyped-call,untyped-decorator]  # the SDK forgot its type
async def complete(
    ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, context: CompletionContext | None
) -> Completion:
    """Two ways to go on from what was typed."""
    return Completion(values=[f"{argument.value}{ending}" for ending in ("-one", "-two")], total=2, has_more=False)


async def _accept(ctx: ServerRequestContext, params: Any) -> EmptyResult:
    """The old era's requests that only want to be heard."""
    return EmptyResult()


for _method, _params in (
    ("logging/setLevel", SetLevelRequestParams),
    ("resources/subscribe", SubscribeRequestParams),
    ("resources/unsubscribe", UnsubscribeRequestParams),
):
    server._lowlevel_server.add_request_handler(_method, _params, _accept)  # the server above it has no door for them

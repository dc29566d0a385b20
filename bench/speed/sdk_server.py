"""A real server of the official SDK: `python -m bench.speed.sdk_server PORT`; its low-level server, without sessions, answering in JSON."""

import sys
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server


async def _list(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    return types.ListToolsResult(tools=[types.Tool(name="echo", input_schema=schema)])


async def _call(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=(params.arguments or {})["text"])])


if __name__ == "__main__":
    server: Server[Any] = Server("bench", on_list_tools=_list, on_call_tool=_call)
    application = server.streamable_http_app(json_response=True, stateless_http=True)
    uvicorn.run(application, port=int(sys.argv[1]), log_level="warning", access_log=False)

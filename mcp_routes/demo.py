"""A small MCP server to try the gateway with: `python -m mcp_routes.demo --port 9100`.

Built on the official SDK, so that both eras of the protocol are real. Part of development only: the gateway itself never imports it, nor
the SDK.
"""

import argparse
import asyncio

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("Demo", instructions="Tools that show what a gateway must carry: an answer, a calculation, and progress.")


@server.tool()
def echo(text: str) -> str:
    """Answers with the text it was given."""
    return text


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two whole numbers."""
    return a + b


@server.tool()
async def slow(ctx: Context, steps: int = 5, delay: float = 0.3) -> str:
    """Works for a while and reports its progress after each step. `delay` is in seconds a step."""
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps, f"step {step} of {steps}")
        await asyncio.sleep(delay)
    return f"{steps} steps done"


@server.resource("demo://greeting")
def greeting() -> str:
    """A text that never changes."""
    return "Hello from behind the gateway."


@server.prompt()
def summarise(text: str) -> str:
    """Asks for a summary."""
    return f"Summarise this in one sentence:\n\n{text}"


def main() -> None:
    """Serves the demo on this machine only, at `/mcp`."""
    arguments = argparse.ArgumentParser(description="A demo MCP server for the gateway.")
    arguments.add_argument("--port", type=int, default=9100)
    server.run("streamable-http", host="127.0.0.1", port=arguments.parse_args().port)


if __name__ == "__main__":
    main()

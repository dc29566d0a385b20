"""A FastMCP client as a program: `python -m tests.clients.real.fastmcp_program URL` signs in, lists the tools and calls one.

A process of its own: the library warns and logs as it likes, and opens the browser of its user.
"""

import asyncio
import sys

from fastmcp.client import Client


async def main(url: str) -> None:
    async with Client(url, auth="oauth") as client:
        print(*sorted(tool.name for tool in await client.list_tools()))
        print((await client.call_tool("echo", {"text": "hello"})).content[0].text)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

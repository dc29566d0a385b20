"""FastMCP's proxy with one client for all requests, its fastest form: `python -m bench.speed.fastmcp_proxy PORT UPSTREAM`.

Runs in an environment of its own (requirements-bench.txt): FastMCP's server brings more than the rest of the project together.
"""

import asyncio
import sys

import uvicorn
from fastmcp import Client
from fastmcp.server.providers.proxy import FastMCPProxy


async def serve(port: int, upstream: str) -> None:
    """Until the process ends, with the upstream's session open all the while."""
    async with Client(upstream) as client:
        application = FastMCPProxy(client_factory=lambda: client).http_app(json_response=True, stateless_http=True)
        await uvicorn.Server(uvicorn.Config(application, port=port, log_level="warning", access_log=False)).serve()


if __name__ == "__main__":
    import uvloop

    uvloop.install()
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))

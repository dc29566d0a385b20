"""The gateway's server and protocol in this process, on a real socket, in front of an application of the test's own."""

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, ParamSpec

import uvicorn
import uvloop

from gatewaysite.protocol import GuardedHttp
from gatewaysite.server import GatewayServer
from tests.support.processes import PATIENCE

Handler = Callable[[Any, Any, Any], Awaitable[None]]
P = ParamSpec("P")


@dataclass
class Application:
    """Hands requests to `handler`, and notes what it is told of the server's end, in order."""

    handler: Handler
    told: list[str] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            return await self.handler(scope, receive, send)
        await receive()
        scope["state"].update(stopping=lambda: self.told.append("stopping"), out_of_time=lambda: self.told.append("out of time"))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.told.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})


@dataclass
class Serving:
    """A running server: `told` is what its application heard, `ended` is done once it has stopped."""

    port: int
    server: GatewayServer
    told: list[str]
    ended: "asyncio.Future[None]"

    async def until_connected(self, number: int) -> None:
        """Waits until so many connections are left."""
        await _until(lambda: len(self.server.server_state.connections) == number)

    async def stop(self) -> None:
        """As a signal does, and waits."""
        self.server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await self.ended


@contextlib.asynccontextmanager
async def serving(handler: Handler, grace: float = 0, keep_alive: float = PATIENCE, **options: Any) -> AsyncIterator[Serving]:
    """Serves until the block ends."""
    application = Application(handler)
    config = uvicorn.Config(application, log_config=None, http=GuardedHttp, ws="none", lifespan="on", access_log=False, **options)
    config.timeout_keep_alive = keep_alive  # type: ignore[assignment]  # uvicorn says int; any number of seconds will do
    server = GatewayServer(config, grace)
    listening = socket.create_server(("127.0.0.1", 0))
    ended = asyncio.ensure_future(server.serve([listening]))
    await _until(lambda: server.started)
    running = Serving(listening.getsockname()[1], server, application.told, ended)
    try:
        yield running
    finally:
        server.hurry()
        await asyncio.wait_for(ended, PATIENCE)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  (uvicorn has no event for it)
            await asyncio.sleep(0.01)


async def answer(send: Any, body: bytes = b"ok", status: int = 200) -> None:
    """A whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


def on_uvloop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that runs in the event loop that serves, where transports behave as they do there."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        uvloop.run(test(*args, **kwargs))

    return run

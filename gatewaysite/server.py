"""uvicorn's server, for gunicorn's workers and `runserver` alike: how it ends, and its clock over open connections.

Knows connections, tasks and seconds; what streams and calls are, the application says in its lifespan (`stopping`, `out_of_time`).
"""

import asyncio
import contextlib
import gc
import logging
import socket
import time
from collections.abc import Callable
from typing import cast

import uvicorn

from gatewaysite.protocol import GuardedHttp

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
"""Between two looks at every open connection: one timer a process instead of one or more a request."""

PARTING_SECONDS = 0.5
"""For what is ended at the end of the grace to say so, and then for what was said to leave."""

SECONDS_AFTER_GRACE = 5
"""What has to be left between the grace and the moment at which somebody else kills the process."""

UNSENT_BYTES = 128 * 1024
"""Of an answer, that the system may hold for a client that does not read. It takes megabytes else, and nobody sees whether they move."""


class GatewayServer(uvicorn.Server):
    """Stops in steps. Accepting ends at once, idle connections close, and the application ends what never ends of itself (`stopping`).

    What runs has `grace` seconds to finish. Then the application ends it in its own words (`out_of_time`), what is still there is
    cancelled, connections whose client takes nothing are cut, and the lifespan ends. uvicorn alone waits for open streams until the end
    of the grace, and cancels calls without waiting for what they still have to say.
    """

    def __init__(self, config: uvicorn.Config, grace: float) -> None:
        super().__init__(config)
        self._grace = grace
        self._hurried = asyncio.Event()
        self._rounds: asyncio.Future[None] | None = None
        self._stopping: Callable[[], None] = _nothing
        self._out_of_time: Callable[[], None] = _nothing
        config.timeout_graceful_shutdown = int(grace) + SECONDS_AFTER_GRACE - 2  # the last resort: for a task that cannot be cancelled

    def hurry(self) -> None:
        """Stops without a grace."""
        self.should_exit = True
        self._hurried.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in sockets or ():
            _bound_what_the_system_holds(listening)
        await super().startup(sockets)
        self._stopping = self.lifespan.state.pop("stopping", _nothing)  # what stays there is copied for each request
        self._out_of_time = self.lifespan.state.pop("out_of_time", _nothing)
        self._rounds = asyncio.ensure_future(self._go_round())
        # All that is there by now stays: the garbage collector's looking through it made each request dearer by a twentieth.
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        ending = asyncio.ensure_future(self._end_in_steps())
        try:
            await super().shutdown(sockets)
        finally:
            ending.cancel()
            if self._rounds is not None:
                self._rounds.cancel()

    async def _end_in_steps(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), self._grace)
        self._out_of_time()
        await asyncio.sleep(PARTING_SECONDS)
        for task in tuple(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(PARTING_SECONDS)
        for connection in tuple(self.server_state.connections):
            cast(GuardedHttp, connection).transport.abort()

    async def _go_round(self) -> None:
        """Looks at every connection, and tells gunicorn that this process lives: uvicorn no longer does once it stops."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            clock = time.monotonic()
            for connection in tuple(self.server_state.connections):
                try:
                    cast(GuardedHttp, connection).check(clock)
                except Exception:  # one that is just going must not keep the others from being looked at, for ever
                    log.exception("a connection could not be looked at")
            if self.should_exit and self.config.callback_notify is not None:
                await self.config.callback_notify()


def _nothing() -> None:
    """For an application that has nothing to end."""


def _bound_what_the_system_holds(listening: socket.socket) -> None:
    """For all connections that will be accepted here: they inherit it."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and listening.family in (socket.AF_INET, socket.AF_INET6):
        listening.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)

"""Running an exchange for as long as somebody wants it: until it ends, its client leaves, or it is cut.

It runs in the request's own task, which is cancelled for whatever ends it early. Knows connections and tasks; knows nothing of what is
exchanged. Source: ASGI, "HTTP Connection Scope" (`http.disconnect`).
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from mcp_routes.proxy.headers import Receive, Scope

if TYPE_CHECKING:
    from mcp_routes.proxy.refusals import Refusal  # the server's protocol imports this module before Django is set up

LEAVING = "gateway.leaving"
"""Where the server's protocol keeps, in the scope, a function that takes what to call once the connection is lost (None: nothing more).

A server without it is asked by a task that waits in `receive()`, which costs more than the rest of a short exchange.
"""


async def while_wanted(
    scope: Scope, receive: Receive, exchange: Coroutine[Any, Any, None], cut: "asyncio.Future[Refusal]"
) -> "Refusal | None":
    """Runs an exchange until it ends, the client leaves or it is cut; what it was cut for, if it was."""
    wanted = _Wanted()
    cut.add_done_callback(wanted.give_up)
    with_no_client = _when_left(scope, receive, wanted.give_up)
    try:
        await exchange
    except asyncio.CancelledError:
        if not wanted.is_given_up or wanted.task.uncancel() > 0:  # the server stops
            raise
        return cut.result() if cut.done() else None
    finally:
        wanted.is_over = True
        with_no_client()
    return None


class _Wanted:
    """Whether an exchange is still wanted. Giving it up cancels its task, once, and not after its end."""

    __slots__ = ("is_given_up", "is_over", "task")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (a coroutine runs in one)
        self.task = task
        self.is_given_up = self.is_over = False

    def give_up(self, _: object = None) -> None:
        if not self.is_over and not self.is_given_up:
            self.is_given_up = True
            self.task.cancel()


def _when_left(scope: Scope, receive: Receive, tell: Callable[[], None]) -> Callable[[], None]:
    """Has it told when the client leaves; what is given back ends that."""
    leaving: Callable[[Callable[[], None] | None], None] | None = scope.get(LEAVING)
    if leaving is not None:
        leaving(tell)
        return partial(leaving, None)
    waiting = asyncio.ensure_future(_left(receive, tell))
    return partial(_stop, waiting)


def _stop(waiting: "asyncio.Task[None]") -> None:
    waiting.cancel()


async def _left(receive: Receive, tell: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    tell()

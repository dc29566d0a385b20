"""The server that the rooms beside this one furnish, and what it remembers of its event streams."""

import asyncio

from mcp.server.mcpserver import MCPServer, RequestStateSecurity
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.types import JSONRPCError, JSONRPCMessage, JSONRPCResponse

server = MCPServer("Everything", version="1", request_state_security=RequestStateSecurity(keys=[b"nothing is secret in a test" * 2]))


class Events(EventStore):
    """The events of all streams. A stream is named by its request's id, so that this serves one client at a time.

    A stream that somebody comes back for is told once it is whole: what a tool says between the SDK's replay and its return to the living
    stream would be lost.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[str, JSONRPCMessage | None]] = []
        self._grown = asyncio.Condition()

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        async with self._grown:
            self._kept.append((stream_id, message))
            self._grown.notify_all()
            return str(len(self._kept))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        last = int(last_event_id)
        stream_id = self._kept[last - 1][0]
        async with self._grown:
            await self._grown.wait_for(
                lambda: any(isinstance(said, JSONRPCResponse | JSONRPCError) for _, said in self._of(stream_id, last))
            )
        for number, message in self._of(stream_id, last):
            await send_callback(EventMessage(message, str(number)))
        return stream_id

    def _of(self, stream_id: str, after: int) -> list[tuple[int, JSONRPCMessage]]:
        later = enumerate(self._kept[after:], after + 1)
        return [(number, message) for number, (of, message) in later if of == stream_id and message is not None]

"""The whole ASGI application in this process, dispatcher included, with no server and no socket.

Plays the server: hands over what a client sends, message by message, and keeps what the application answers. Knows ASGI and no path.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from tests.support.processes import PATIENCE

Header = tuple[bytes, bytes]


@dataclass
class Exchange:
    """One request and its answer. `body` are the pieces in which the body arrives; a client whose body is not `whole` sends no more."""

    method: str
    path: str
    headers: tuple[Header, ...] = ()
    body: tuple[bytes, ...] = (b"",)
    whole: bool = True
    host: str = "localhost:9000"
    peer: str = "127.0.0.1"
    sent: list[dict[str, Any]] = field(default_factory=list)
    taken: int = 0
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the application waits for something that does not come."""

    async def run(self) -> "Exchange":
        """Lets the application answer."""
        from gatewaysite.asgi import application

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", self.host.encode()), *self.headers],
            "client": (self.peer, 5000),
            "server": ("127.0.0.1", 9000),
        }
        async with asyncio.timeout(PATIENCE):  # the application then answers as to a server that stops
            await application(scope, self._receive, self._send)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.sent[0]["headers"] if key.lower() == name), None)

    @property
    def content(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def json(self) -> Any:
        return json.loads(self.content)

    async def _receive(self) -> dict[str, Any]:
        if self.taken == len(self.body):
            self.waiting.set()
            await asyncio.Event().wait()  # the client stays
        self.taken += 1
        is_last = self.taken == len(self.body)
        return {"type": "http.request", "body": self.body[self.taken - 1], "more_body": not (is_last and self.whole)}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

"""The upstream connections of this process: opened when needed, kept for a moment, never shared by two requests at a time.

Knows addresses and how long to wait for them; knows nothing of what is sent. Source: RFC 9112 §9.3, RFC 8305 (happy eyeballs).
"""

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

import aiohappyeyeballs

from mcp_routes.proxy.connection import Connection

CONNECT_SECONDS = 5
"""For the name, the connection and, with https, the handshake."""

IDLE_SECONDS = 4
"""Common servers close an idle connection after 5 s; a POST sent on one that is just being closed could not be repeated."""

_SWEEP_SECONDS = 1
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305 §5


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream is: what a connection is made to, and what its requests name."""

    host: str
    port: int
    is_tls: bool
    authority: bytes
    target: bytes


@lru_cache(maxsize=1024)
def address(url: str) -> Address:
    """The address of an upstream's URL, which `mcp_routes.upstream.validate_url` has judged."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
    name = f"[{host}]" if ":" in host else host
    authority = name if parts.port in (None, 443 if is_tls else 80) else f"{name}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(host, port, is_tls, authority.encode("ascii"), target.encode("ascii"))


class Pool:
    """Connections by address. Its event loop is the one it is made in."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int, bool], list[tuple[float, Connection]]] = {}
        self._tls = ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])
        self._lookups: dict[tuple[str, int], asyncio.Future[list[Any]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def connection(self, to: Address) -> Connection:
        """One that is free; whoever gets it asks on it. Raises OSError (also for TLS), and TimeoutError after `CONNECT_SECONDS`."""
        key = (to.host, to.port, to.is_tls)
        idle = self._idle.get(key)
        while idle:  # the one used last, so that those not needed any more grow old
            since, connection = idle.pop()
            if not connection.is_closing() and time.monotonic() - since < IDLE_SECONDS and connection.is_silent():
                return connection
            connection.close()
        return await self.new_connection(to)

    async def new_connection(self, to: Address) -> Connection:
        """One on which nothing was asked yet. Raises as `connection` does."""
        loop = asyncio.get_running_loop()
        give_back = partial(self._give_back, (to.host, to.port, to.is_tls))
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101  (a coroutine runs in one)
        async with asyncio.timeout(CONNECT_SECONDS):
            cancels = task.cancelling()
            found = await asyncio.shield(self._looked_up(to.host, to.port))
            connected = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1)
            try:
                if task.cancelling() > cancels:  # it keeps to itself what cancels it while it ends its other attempts
                    raise asyncio.CancelledError
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                tls, name = (self._tls, to.host) if to.is_tls else (None, None)
                _, connection = await loop.create_connection(lambda: Connection(give_back), sock=connected, ssl=tls, server_hostname=name)
            except BaseException:
                connected.close()
                raise
        return connection

    def _looked_up(self, host: str, port: int) -> "asyncio.Future[list[Any]]":
        """The look-up under way of this name, or a new one. Few threads do them: a silent name server must not take them all."""
        key = (host, port)
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
            self._lookups[key] = lookup
            lookup.add_done_callback(partial(self._forget_lookup, key))
        return lookup

    def _forget_lookup(self, key: tuple[str, int], lookup: "asyncio.Future[list[Any]]") -> None:
        del self._lookups[key]
        if not lookup.cancelled():
            lookup.exception()  # all who waited may have left

    def _give_back(self, key: tuple[str, int, bool], connection: Connection) -> None:
        if self._is_closed:
            return connection.close()
        self._idle.setdefault(key, []).append((time.monotonic(), connection))
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Closes what has been idle for too long, and what its upstream has closed."""
        self._sweeping = None
        oldest = time.monotonic() - IDLE_SECONDS
        for key, waiting in list(self._idle.items()):
            kept = []
            for since, connection in waiting:
                if since > oldest and not connection.is_closing():
                    kept.append((since, connection))
                else:
                    connection.close()
            if kept:
                self._idle[key] = kept
            else:
                del self._idle[key]
        if self._idle:
            self._sweeping = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def close(self) -> None:
        """Closes what is idle, and what is given back from now on."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for lookup in self._lookups.values():
            lookup.cancel()
        for waiting in self._idle.values():
            for _, connection in waiting:
                connection.close()
        self._idle.clear()

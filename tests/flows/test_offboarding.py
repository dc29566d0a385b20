"""A user is deleted at WorkOS, whose emulator sends the webhook: they are out on every process, open streams included."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.flows.conftest import INITIALIZE, House
from tests.flows.visitor import Visitor
from tests.flows.workers import Line, a_line_to_each
from tests.support.emulator import Emulator
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE
from tests.support.webhooks import PATH, SECRET

PROMISED = 1.5  # seconds from the deletion until it is true everywhere


def ask_workos(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    answer = requests.request(method, emulator.url + path, json=body, headers={"Authorization": f"Bearer {emulator.api_key}"}, timeout=10)
    answer.raise_for_status()
    return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def house(start_gateway: Callable[..., Gateway], emulator: Emulator, redis_url: str) -> Iterator[House]:
    """Two workers; WorkOS tells them of deleted users and of nothing else."""
    gateway = start_gateway("gunicorn", WORKOS_WEBHOOK_SECRET=SECRET, CACHE_URL=redis_url)
    endpoint = {"endpoint_url": gateway.url + PATH, "secret": SECRET, "events": ["user.deleted"]}
    made = ask_workos(emulator, "POST", "/webhook_endpoints", endpoint)
    yield House(gateway)
    ask_workos(emulator, "DELETE", f"/webhook_endpoints/{made['id']}")


async def status(line: Line, head: str, body: bytes = b"") -> int:
    """Asks one process; the status of its answer."""
    line.writer.write(f"{head}\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    answered = (await line.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if "transfer-encoding: chunked" in answered:
        await line.reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        length = next(text.partition(":")[2] for text in answered.split("\r\n") if text.startswith("content-length:"))
        await line.reader.readexactly(int(length))
    return int(answered.split(" ")[1])


async def call(line: Line, token: str) -> int:
    kinds = "Content-Type: application/json\r\nAccept: application/json, text/event-stream"
    return await status(line, f"POST /mcp/demo HTTP/1.1\r\n{kinds}\r\nAuthorization: Bearer {token}", json.dumps(INITIALIZE).encode())


async def account(line: Line, visitor: Visitor) -> int:
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.session.cookies.items())
    return await status(line, f"GET /account/ HTTP/1.1\r\nCookie: {cookies}")


async def stream(line: Line, token: str, session: str) -> None:
    """Opens the event stream of a session at one process, up to its head."""
    kinds = "Accept: text/event-stream\r\nMCP-Protocol-Version: 2025-11-25"
    head = f"GET /mcp/demo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nMcp-Session-Id: {session}\r\n{kinds}"
    line.writer.write(f"{head}\r\n\r\n".encode())
    assert b" 200 " in (await line.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0]


async def ended(line: Line) -> float:
    """Waits for the proper end of a stream; when it came."""
    await line.reader.readuntil(b"0\r\n\r\n")
    return time.monotonic()


async def out(line: Line, token: str, visitor: Visitor) -> float:
    """Waits until one process refuses token and session; when it did."""
    while (await call(line, token), await account(line, visitor)) != (401, 303):  # noqa: ASYNC110  (nobody tells)
        await asyncio.sleep(0.05)
    return time.monotonic()


@pytest.mark.asyncio
async def test_a_user_deleted_at_workos_is_out_everywhere(house: House, emulator: Emulator) -> None:
    person = {"email": "dora@example.com", "first_name": "Dora", "email_verified": True, "password": "unused"}
    dora = await asyncio.to_thread(ask_workos, emulator, "POST", "/user_management/users", person)
    visitor = await asyncio.to_thread(house.visitor, "dora")
    tokens, others = await asyncio.gather(asyncio.to_thread(house.tokens, "demo", "dora"), asyncio.to_thread(house.tokens, "demo", "bob"))
    token = tokens["access_token"]
    async with a_line_to_each(house.gateway) as lines, a_line_to_each(house.gateway) as watched, asyncio.timeout(PATIENCE):
        assert len(lines) == 2
        for line, quiet in zip(lines, watched, strict=True):
            assert (await call(line, token), await account(line, visitor)) == (200, 200)
            begun = await asyncio.to_thread(house.call, "demo", token)
            await stream(quiet, token, begun.headers["Mcp-Session-Id"])
        endings = [asyncio.create_task(ended(quiet)) for quiet in watched]
        began = time.monotonic()
        await asyncio.to_thread(ask_workos, emulator, "DELETE", f"/user_management/users/{dora['id']}")
        moments = await asyncio.gather(*(out(line, token, visitor) for line in lines), *endings)
        assert max(moments) - began < PROMISED
        assert [await call(line, others["access_token"]) for line in lines] == [200, 200], "and nobody else"
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": tokens["client_id"]}
    refused = await asyncio.to_thread(house.gateway.post, "/oauth/token", data=form)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")

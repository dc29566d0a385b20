"""WorkOS takes a connection and says nothing: whoever signs in waits, and nobody else does."""

import asyncio
import contextlib
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.flows.dataplane_fixtures import PING, PONG, Answer, Received, Served, call, gateway, post, send, upstream
from tests.support.processes import PATIENCE, free_port

pytestmark = pytest.mark.asyncio

WAITING = 24  # more than the connection pool holds


@pytest.fixture(scope="module")
def provider_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, either_database: str, provider_port: int) -> Iterator[Served]:
    workos = {
        "WORKOS_CLIENT_ID": "client_1",
        "WORKOS_CLIENT_SECRET": "sk_1",
        "WORKOS_API_BASE_URL": f"http://127.0.0.1:{provider_port}",
    }
    with gateway(tmp_path_factory.mktemp("silent"), **workos) as running:
        yield running


async def begin(served: Served) -> tuple[str, str]:
    """Starts a sign-in: its state, and the cookies of the browser that began."""
    answer: Answer = await call(served, "GET", "/oauth/login", [])
    cookies = "; ".join(value.partition(";")[0] for name, value in answer.headers if name == "set-cookie")
    return parse_qs(urlsplit(answer.header("location") or "").query)["state"][0], cookies


async def test_sign_ins_that_wait_hold_no_connection_to_the_database(served: Served, provider_port: int) -> None:
    asked = asyncio.Semaphore(0)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            asked.release()
            await reader.read()

    async def pong(received: Received) -> None:
        await received.answer(PONG)

    provider = await asyncio.start_server(say_nothing, "127.0.0.1", provider_port)
    async with upstream(served, pong):
        for _ in range(WAITING):
            state, cookies = await begin(served)
            await send(served, "GET", f"/oauth/callback?state={state}&code=x", [("Cookie", cookies)])
        async with asyncio.timeout(PATIENCE):
            for _ in range(WAITING):
                await asked.acquire()
        answers = [(await post(served, PING)).status for _ in range(WAITING)]
    provider.close()
    assert answers == [200] * WAITING

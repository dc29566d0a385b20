"""The main job, end to end on real parts: discover, register, sign in, consent, call, refresh, revoke."""

import asyncio
import json
import subprocess
import time
from typing import Any

import pytest
import requests

from tests.flows.conftest import House
from tests.flows.sdk import SdkClient
from tests.support.emulator import NODE_FOLDER


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_python_sdk_goes_all_the_way(house: House, mode: str) -> None:
    program = SdkClient(house.route("demo"), house.visitor().authorize)
    async with program.connected(mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"echo", "add", "slow"}
        assert text_of(await client.call_tool("echo", {"text": "hello"})) == "hello"
        assert text_of(await client.call_tool("add", {"a": 2, "b": 3})) == "5"
        assert (await client.list_resources()).resources
        assert (await client.list_prompts()).prompts
    assert len(program.visits) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_progress_arrives_while_the_tool_runs(house: House, mode: str) -> None:
    arrivals: list[float] = []

    async def arrived(progress: float, total: float | None, message: str | None) -> None:
        arrivals.append(time.monotonic())

    async with SdkClient(house.route("demo"), house.visitor().authorize).connected(mode) as client:
        answer = await client.call_tool("slow", {"steps": 3}, progress_callback=arrived)
        ended = time.monotonic()
    assert "3 steps" in text_of(answer) and len(arrivals) == 3
    assert ended - arrivals[0] > 0.4, "the first step was reported only when the tool had ended"


def test_a_token_is_refreshed_without_the_browser_and_revoked_for_good(house: House) -> None:
    program = SdkClient(house.route("demo"), house.visitor().authorize)

    async def use() -> None:
        async with program.connected() as client:
            await client.list_tools()

    asyncio.run(use())
    tokens, client_id = program.storage.tokens, program.storage.client
    assert tokens is not None and client_id is not None and tokens.refresh_token is not None

    form = {"client_id": client_id.client_id, "refresh_token": tokens.refresh_token, "grant_type": "refresh_token"}
    fresh = requests.post(f"{house.url}/oauth/token", data=form, timeout=10).json()
    assert house.call("demo", fresh["access_token"]).status_code == 200
    assert house.call("demo", tokens.access_token).status_code == 200

    revoked = requests.post(
        f"{house.url}/oauth/revoke", data={"client_id": client_id.client_id, "token": fresh["refresh_token"]}, timeout=10
    )
    assert revoked.status_code == 200
    for token in (fresh["access_token"], tokens.access_token):
        answer = house.call("demo", token)
        assert answer.status_code == 401 and 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_typescript_sdk_goes_all_the_way(house: House, mode: str) -> None:
    command = ["node", "connect.mjs", house.route("demo"), mode]
    with subprocess.Popen(command, cwd=NODE_FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        said = []
        for line in program.stdout:
            said.append(json.loads(line))
            if "authorize" in said[-1]:
                program.stdin.write(house.visitor().authorize(said[-1]["authorize"]) + "\n")
                program.stdin.flush()
    assert program.returncode == 0
    assert set(said[-1]["tools"]) >= {"echo", "add", "slow"}
    assert said[-1]["progress"] == [1, 2] and "2 steps" in said[-1]["slow"]


def text_of(answer: Any) -> str:
    return str(answer.content[0].text)

"""The main job, end to end on real parts: discover, register, sign in, consent, call, refresh, revoke."""

import asyncio
import json
import subprocess
import time
from typing import Any

import pytest
import requests

from tests.flows.conftest import House
from tests.flows.sdk import NEGOTIATED, SdkClient
from tests.support.emulator import NODE_FOLDER
from tests.support.processes import PATIENCE


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", NEGOTIATED)
async def test_the_python_sdk_goes_all_the_way(house: House, mode: str) -> None:
    program = SdkClient(house.route("demo"), house.visitor().authorize)
    async with program.connected(mode) as client:
        assert client.protocol_version == NEGOTIATED[mode]
        assert {tool.name for tool in (await client.list_tools()).tools} >= {"echo", "add", "slow"}
        assert text_of(await client.call_tool("echo", {"text": "hello"})) == "hello"
        assert text_of(await client.call_tool("add", {"a": 2, "b": 3})) == "5"
        assert (await client.list_resources()).resources
        assert (await client.list_prompts()).prompts
    assert len(program.visits) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", NEGOTIATED)
async def test_progress_arrives_while_the_tool_runs(house: House, mode: str) -> None:
    arrivals: list[float] = []

    async def arrived(progress: float, total: float | None, message: str | None) -> None:
        arrivals.append(time.monotonic())

    async with SdkClient(house.route("demo"), house.visitor().authorize).connected(mode) as client:
        answer = await client.call_tool("slow", {"steps": 3}, progress_callback=arrived)
        ended = time.monotonic()
    assert "3 steps" in text_of(answer) and len(arrivals) == 3
    assert ended - arrivals[0] > 0.4, "the first step was reported only when the tool had ended"


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", NEGOTIATED)
async def test_an_expired_token_is_refreshed_without_the_browser_and_a_revoked_one_leads_back_to_it(house: House, mode: str) -> None:
    program = SdkClient(house.route("demo"), house.visitor().authorize)
    async with program.connected(mode) as client:
        assert text_of(await client.call_tool("echo", {"text": "signed in"})) == "signed in"
        first = program.storage.tokens
        assert first is not None

        program.let_its_token_expire()
        await asyncio.to_thread(house.expire, first.access_token)
        house.ended("demo", first.access_token)
        assert text_of(await client.call_tool("echo", {"text": "refreshed"})) == "refreshed"
        second = program.storage.tokens
        assert second is not None and program.storage.client is not None
        assert first.access_token != second.access_token and first.refresh_token != second.refresh_token
        assert len(program.visits) == 1

        program.answers.clear()
        form = {"client_id": program.storage.client.client_id, "token": second.refresh_token}
        assert requests.post(f"{house.url}/oauth/revoke", data=form, timeout=10).status_code == 200
        async with asyncio.timeout(PATIENCE):
            while ("POST", "/mcp/demo", 401) not in program.answers:  # another process knows of it within a second
                assert text_of(await client.call_tool("echo", {"text": "signed in again"})) == "signed in again"
    assert len(program.visits) == 2
    for token in (first.access_token, second.access_token):
        assert 'error="invalid_token"' in house.ended("demo", token).headers["WWW-Authenticate"]


@pytest.mark.parametrize("mode", NEGOTIATED)
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
    assert said[-1]["version"] == NEGOTIATED[mode]
    assert set(said[-1]["tools"]) >= {"echo", "add", "slow"}
    assert said[-1]["progress"] == [1, 2] and "2 steps" in said[-1]["slow"]


def text_of(answer: Any) -> str:
    return str(answer.content[0].text)

"""Starting and stopping under gunicorn."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.flows.dataplane_fixtures import PING, Received, gateway, hang_up, post, upstream
from tests.support.gateway import SERVERS
from tests.support.processes import PATIENCE, ROOT, free_port


@pytest.mark.asyncio
async def test_sigterm_ends_open_streams_properly(tmp_path: Path) -> None:
    async def behaviour(request: Received) -> None:
        request.begin_stream()
        request.chunk(b"data: 1\n\n")
        await request.closed_by_gateway()

    with gateway(tmp_path, "gunicorn", GUNICORN_CMD_ARGS="--graceful-timeout 6") as served:
        async with upstream(served, behaviour):
            answer = await post(served, PING)
            assert await answer.chunk() == b"data: 1\n\n"
            served.gateway.process.send_signal(signal.SIGTERM)
            assert await answer.chunk() == b""  # the end of the body, not of the connection
            await hang_up()
        assert await asyncio.to_thread(served.gateway.process.wait, PATIENCE) == 0
    assert "Traceback" not in served.log()


@pytest.mark.parametrize(
    ("settings", "named"), [({"DEBUG": "perhaps"}, "DEBUG is 'perhaps'"), ({"DEBUG": "false"}, "SECRET_KEY is not set")]
)
def test_a_misconfiguration_is_refused_at_start_with_a_sentence(settings: dict[str, str], named: str) -> None:
    environment = {**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, "ENV_FILE": os.devnull, **settings}
    started = subprocess.run(
        SERVERS["gunicorn"](free_port()), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert started.returncode == 1
    assert named in started.stderr
    assert "Traceback" not in started.stderr

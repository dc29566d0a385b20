"""The TypeScript SDK of the 1.x line, on which most clients are still built, as a program. (tests/flows/test_journey.py has 2.x.)"""

import json

import pytest

from tests.clients.real.desk import Desk
from tests.flows.conftest import House
from tests.support import machine
from tests.support.emulator import NODE_FOLDER
from tests.support.processes import until

pytestmark = pytest.mark.whichever_database


@pytest.mark.parametrize(
    ("asked", "kept"), [("", "none"), ("none", "none"), ("client_secret_post", "client_secret_post"), ("client_secret_basic",) * 2]
)
def test_it_signs_in_refreshes_and_calls_a_tool(house: House, desk: Desk, asked: str, kept: str) -> None:
    with desk.running([machine.node(), str(NODE_FOLDER / "connect-v1.mjs"), house.route("demo"), asked]) as program:
        until(lambda: bool(program.said) or program.process.poll() is not None, program.report)
        assert program.said, program.report()
        program.says(house.visitor().authorize(json.loads(program.said[0])["authorize"]))
        printed = json.loads(program.ends().splitlines()[-1])
    assert {"echo", "add"} <= set(printed.pop("tools"))
    assert printed == {"echo": "hello", "rotated": True, "method": kept}

"""FastMCP's client, which looks at the authorization page itself before its user does."""

import sys

import pytest

from tests.clients.real.desk import Desk
from tests.flows.conftest import House
from tests.support.processes import ROOT

pytestmark = pytest.mark.whichever_database


def test_it_signs_in_lists_the_tools_and_calls_one(house: House, desk: Desk) -> None:
    command = [sys.executable, "-m", "tests.clients.real.fastmcp_program", house.route("demo")]
    with desk.running(command, PYTHONPATH=str(ROOT)) as client:
        client.signs_in(house.visitor())
        printed = client.ends().splitlines()
    assert {"echo", "add"} <= set(printed[0].split())
    assert printed[1] == "hello"

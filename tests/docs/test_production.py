"""README.md, "In production": what it says to run once a day."""

import re
import shlex
from collections.abc import Callable

from tests.flows.conftest import House
from tests.support.gateway import Gateway
from tests.support.processes import ROOT


def test_the_daily_command_runs_as_printed_beside_a_gateway_in_use(start_gateway: Callable[..., Gateway]) -> None:
    production = (ROOT / "README.md").read_text().partition("## In production")[2].partition("\n## ")[0]
    commands = re.findall(r"^python manage\.py (cleanup.*)$", production, re.MULTILINE)
    assert commands == ["cleanup"]
    house = House(start_gateway("gunicorn"))
    tokens = house.tokens("demo")
    for command in [*commands, "cleanup --dry-run"]:
        said = house.gateway.manage(*shlex.split(command))
        assert "access tokens: 0 " in said and "journal events: 0 " in said
    assert house.call("demo", tokens["access_token"]).status_code == 200

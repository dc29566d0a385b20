"""The conformance suite's server mode: what it finds through the gateway is what it finds at the upstream itself, check by check."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.token_holder import holding
from tests.flows.conftest import House
from tests.support import environment, node22
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE, free_port, listens, running

pytestmark = pytest.mark.whichever_database

PASSING = {"2025-06-18": 56, "2025-11-25": 84, "2026-07-28": 152}
"""How many checks the upstream itself passes in each revision: with fewer there would be less to compare."""

OF_ONE_RUN = frozenset(
    (
        *("serverUrl", "url", "hostHeader", "originHeader"),  # where it was sent
        *("sessionId", "sessionIdSent", "requestState", "subscriptionId", "io.modelcontextprotocol/subscriptionId"),
        *("event", "eventId", "lastEventId", "lastEventIdUsed"),  # the upstream counts its events
        "headers",  # what passes of them is the data plane's own tests' concern
    )
)
"""What a check saw that no two runs have in common, by its key."""


class Check(NamedTuple):
    """Which check: the suite uses one id for several cases, tells most of them apart by name, and the rest by their order."""

    scenario: str
    id: str
    name: str
    turn: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the suite made of a check, and what it saw."""

    status: str
    saw: Any


@dataclass(frozen=True, slots=True)
class OwnAnswer:
    """Why the gateway answers a check's request itself, and the keys of what the check saw that this changes."""

    why: str
    keys: frozenset[str]


_IN_ITS_OWN_WORDS = OwnAnswer(
    "headers are held against the body before anything passes; the sentence differs", frozenset(("message", "data"))
)
OWN_ANSWERS = {
    ("dns-rebinding-protection", "localhost-host-rebinding-rejected"): OwnAnswer(
        "a request for a foreign host is a 400 here and a 421 there", frozenset(("statusCode", "body"))
    ),
    ("http-header-validation", "sep-2243-server-reject-invalid-headers"): _IN_ITS_OWN_WORDS,
    ("http-header-validation", "sep-2243-server-reject-error-code"): _IN_ITS_OWN_WORDS,
    ("server-stateless", "sep-2575-http-server-header-mismatch-400"): _IN_ITS_OWN_WORDS,
}
"""By scenario and id: where what was seen may differ. The outcome may not."""


@dataclass(frozen=True, slots=True)
class Found:
    """The outcomes of one revision: at the upstream itself, and through the gateway."""

    revision: str
    directly: dict[Check, Outcome]
    through: dict[Check, Outcome]


@pytest.fixture(scope="module")
def everything(workshop: Path) -> Iterator[str]:
    """The MCP endpoint of the upstream."""
    port = free_port()
    command = [sys.executable, "-m", "tests.conformance.everything", "--port", str(port)]
    with running(command, lambda: listens(port), workshop / f"everything-{port}.log", environment.clean()):
        yield f"http://localhost:{port}/mcp"


@pytest.fixture(scope="module")
def addresses(everything: str, start_gateway: Callable[..., Gateway], redis_url: str) -> Iterator[tuple[str, str]]:
    """The upstream's, and the one at which the gateway serves it to a client without a token."""
    house = House(start_gateway("gunicorn", CACHE_URL=redis_url))
    house.gateway.manage("mcproute", "add", "everything", everything)
    port = free_port()
    with holding(house.tokens("everything")["access_token"], port, house.gateway.port):
        yield everything, f"http://localhost:{port}/mcp/everything"


@pytest.fixture(scope="module", params=PASSING)
def found(request: pytest.FixtureRequest, addresses: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Found:
    """One side after the other: the upstream tells every listener of its changes, and each side must hear its own alone."""
    directly, through = (run(url, request.param, tmp_path_factory.mktemp("suite")) for url in addresses)
    return Found(request.param, directly, through)


def run(url: str, revision: str, folder: Path) -> dict[Check, Outcome]:
    """Runs every scenario of a revision; it ends with an error when a check failed, which is for the tests to say."""
    command = [
        *(node22.node(), str(node22.script("@modelcontextprotocol/conformance", "dist/index.js")), "server"),
        *("--url", url, "--suite", "all", "--spec-version", revision, "--output-dir", str(folder)),
    ]
    said = subprocess.run(command, check=False, cwd=folder, env=environment.clean(), capture_output=True, text=True, timeout=4 * PATIENCE)
    outcomes = {}
    for path in folder.rglob("checks.json"):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT[^/]*$", "", path.parent.name)
        turns: Counter[tuple[str, str]] = Counter()
        for check in json.loads(path.read_text()):
            named = check["id"], check["name"]
            saw = without({key: check.get(key) for key in ("details", "errorMessage")}, OF_ONE_RUN)
            outcomes[Check(scenario, *named, turns[named])] = Outcome(check["status"], saw)
            turns[named] += 1
    assert outcomes, said.stdout + said.stderr
    return outcomes


def without(saw: Any, keys: frozenset[str]) -> Any:
    """The same without these keys, at any depth."""
    if isinstance(saw, dict):
        return {key: without(value, keys) for key, value in saw.items() if key not in keys}
    return [without(item, keys) for item in saw] if isinstance(saw, list) else saw


def test_the_upstream_itself_passes_every_check(found: Found) -> None:
    assert {check: outcome for check, outcome in found.directly.items() if outcome.status not in ("SUCCESS", "INFO")} == {}
    assert sum(outcome.status == "SUCCESS" for outcome in found.directly.values()) >= PASSING[found.revision]


def test_every_check_has_the_same_outcome_through_the_gateway(found: Found) -> None:
    assert _statuses(found.through) == _statuses(found.directly)


def test_every_check_saw_the_same_except_where_the_gateway_answers_itself(found: Found) -> None:
    both = found.directly.keys() & found.through.keys()
    differing = {check for check in both if found.through[check].saw != found.directly[check].saw}
    assert differing == {check for check in both if (check.scenario, check.id) in OWN_ANSWERS}
    for check in differing:
        keys = OWN_ANSWERS[check.scenario, check.id].keys
        assert without(found.through[check].saw, keys) == without(found.directly[check].saw, keys), check


def _statuses(outcomes: dict[Check, Outcome]) -> dict[Check, str]:
    return {check: outcome.status for check, outcome in outcomes.items()}

"""The MCP project's conformance suite against the gateway as an authorization server: no failure, and no warning."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.conformance.narrowed import narrowed
from tests.flows.conftest import House
from tests.support import node22
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE, free_port

pytestmark = pytest.mark.whichever_database

SECRETS = ("client_secret_post", "client_secret_basic")
SCENARIOS = {"authorization-server-metadata-endpoint", "authorization-code-grant"}


@pytest.fixture(scope="module")
def house(start_gateway: Callable[..., Gateway]) -> House:
    return House(start_gateway())


@pytest.fixture(scope="module", params=SECRETS)
def house_of_secrets(request: pytest.FixtureRequest, start_gateway: Callable[..., Gateway]) -> Iterator[tuple[House, str]]:
    """A gateway that tells of one way to authenticate only, and that way."""
    port = free_port()
    gateway = start_gateway(GATEWAY_ORIGIN=f"http://localhost:{port}")
    with narrowed(port, gateway.port, (request.param,)):
        yield House(gateway), request.param


@dataclass(frozen=True, slots=True)
class Run:
    """What the suite found: the statuses of its checks, and what stands behind each that is no success."""

    scenarios: set[str]
    wrong: list[dict[str, Any]]


def run(house: House, folder: Path, issuer: str, client: dict[str, Any], *arguments: str) -> Run:
    """Runs every scenario; alice approves in her browser, which ends at the suite's own callback."""
    port = urlsplit(client["redirect_uris"][0]).port
    command = [
        *(node22.node(), str(node22.script("@modelcontextprotocol/conformance", "dist/index.js")), "authorization"),
        *("--url", issuer, "--client-id", client["client_id"], "--port", str(port), "--output-dir", str(folder), *arguments),
    ]
    if "client_secret" in client:
        command += ["--client-secret", client["client_secret"]]
    said = []
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as suite:
        patience = threading.Timer(2 * PATIENCE, suite.kill)  # it waits for its callback for five minutes
        patience.start()
        assert suite.stdout is not None
        for line in suite.stdout:
            said.append(line)
            if line.startswith(f"{house.url}/oauth/authorize"):
                requests.get(house.visitor().authorize(line.strip()), timeout=PATIENCE)
        patience.cancel()
    results = {path: json.loads(path.read_text()) for path in folder.rglob("checks.json")}
    checks = [check for found in results.values() for check in found]
    assert checks, "".join(said)
    wrong = [check for check in checks if check["status"] not in ("SUCCESS", "INFO")]
    return Run({path.parent.name for path in results}, wrong)


def client_of(house: House, method: str = "none") -> dict[str, Any]:
    return house.register(
        client_name="Conformance suite", redirect_uris=[f"http://127.0.0.1:{free_port()}/callback"], token_endpoint_auth_method=method
    )


def everything_was_asked(found: Run) -> bool:
    return all(any(scenario in name for name in found.scenarios) for scenario in SCENARIOS)


def test_a_public_client_at_a_routes_own_issuer(house: House, tmp_path: Path) -> None:
    found = run(house, tmp_path, house.route("demo"), client_of(house))
    assert everything_was_asked(found), found.scenarios
    assert found.wrong == []


def test_a_public_client_at_the_origins_issuer_names_the_resource(house: House, tmp_path: Path) -> None:
    found = run(house, tmp_path, house.url, client_of(house), "--resource", house.route("demo"))
    assert everything_was_asked(found), found.scenarios
    assert found.wrong == []


@pytest.mark.parametrize("at_route", [True, False], ids=["route", "origin"])
def test_a_confidential_client_shows_its_secret(house_of_secrets: tuple[House, str], tmp_path: Path, at_route: bool) -> None:
    house, method = house_of_secrets
    issuer = house.route("demo") if at_route else house.url
    found = run(house, tmp_path, issuer, client_of(house, method), "--resource", house.route("demo"))
    assert everything_was_asked(found), found.scenarios
    assert found.wrong == []


def test_a_confidential_client_that_keeps_its_secret_to_itself_gets_nothing(house: House, tmp_path: Path) -> None:
    """RFC 6749 §3.2.1. With the whole metadata before it the suite chooses `none` for a client that has a secret."""
    found = run(house, tmp_path, house.route("demo"), client_of(house, "client_secret_post"))
    assert [check["errorMessage"] for check in found.wrong if check["status"] == "FAILURE"] == ["Invalid status code: 401"]

"""docs/security.md: no defence without a test, and no test that is not there."""

import re
import subprocess
import sys

import pytest

from tests.support import environment
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
pytestmark = pytest.mark.whichever_database

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition("## Threats and defences")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| Asset", "| ---"))
]
ATTACKS = ROOT / "tests" / "attacks"
GROUPS = {
    "registration", "authorize", "pkce", "redirects", "consent", "signing_in", "tokens", "endings", "revoke", "introspect", "metadata",
    "metadata_documents", "ssrf", "cookies", "assertions", "floods", "webhook", "admin", "auditors", "malformed",
}  # fmt: skip
WANTED = 120
SOURCE = re.compile(r"RFC ?\d{3,4}|RFC 6265bis|CVE-\d|CWE-\d|GHSA-|OWASP|MCP |draft-|NIST|Fetch|contract")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2][:60])
def test_each_line_names_a_test_that_is_there(row: list[str]) -> None:
    asset, attacker, attack, defence, test = row
    assert asset and attacker and attack and defence
    found = re.fullmatch(r"`([a-z_/]+\.py)`(?: (test_\w+))?", test)
    assert found, test
    text = (ROOT / "tests" / found[1]).read_text()
    assert re.search(rf"def {found[2] or 'test_'}", text), test


def test_each_attacker_and_each_asset_is_told() -> None:
    attackers = {row[1] for row in ROWS}
    assert attackers == set(re.findall(r"\*\*(\w+)\*\*: ", PAGE.partition("## Who attacks")[2].partition("\n## ")[0]))
    assert len(ROWS) >= 50


def test_hostile_cases_are_grouped_by_endpoint_and_each_group_names_its_sources() -> None:
    there = {path.stem.removeprefix("test_") for path in ATTACKS.glob("test_*.py")}
    assert there >= GROUPS
    for path in [*ATTACKS.glob("test_*.py"), *(ROOT / "tests" / "attacks_wire").glob("test_*.py")]:
        assert SOURCE.search(path.read_text()), f"{path.name} names no source"


def test_there_are_enough_of_them() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/attacks"]
    listed = subprocess.run(command, cwd=ROOT, env=environment.clean(), capture_output=True, text=True, timeout=120, check=False).stdout
    functions = {line.partition("[")[0] for line in listed.splitlines() if "::" in line}
    assert len(functions) >= WANTED, f"{len(functions)} different ones"

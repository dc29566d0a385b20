"""The rules of the house, which nobody should have to remember: settings are documented, files stay a head long, names refuse somebody."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import environment
from tests.support.processes import ROOT

MOST_LINES = 400
NAMES_THAT_REFUSE_NOBODY = {"base", "common", "helper", "helpers", "misc", "util", "utils"}
PACKAGES = ("gatewaysite", "oauthgw", "mcp_routes")
READ_BEFORE_DOTENV = {"ENV_FILE"}  # it says where `.env` is, so it cannot be in there


def sources(*folders: str) -> list[Path]:
    """The Python files of these folders, migrations left out."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts and "node_modules" not in path.parts]


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


OURS = sources(*PACKAGES, "tests", "bench")


def read_settings() -> dict[str, str]:
    """The settings that `gatewaysite.settings` reads, with the method that reads each."""
    tree = ast.parse((ROOT / "gatewaysite" / "settings.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args]
    return {
        call.args[0].value: call.func.attr
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "_env"
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def test_every_setting_is_in_the_example_and_the_example_names_no_other() -> None:
    assert read_settings().keys() == environment.setting_names()


def test_every_setting_of_the_example_has_a_sentence_above_it() -> None:
    blocks = re.split(r"\n\s*\n", (ROOT / ".env.example").read_text())
    settings = [block for block in blocks if re.search(r"^(# )?[A-Z_]+=", block, re.MULTILINE)]
    assert len(settings) == len(environment.setting_names()), "one block each"
    assert [block for block in settings if not re.match(r"# \S+ \S+ \S+", block)] == []


def test_only_debug_is_switched_on_in_the_example() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["DEBUG=true"]


def test_the_example_shows_the_defaults_that_hold(tmp_path: Path) -> None:
    """With every commented default switched on, the settings are those without any: an outdated default would show."""
    text = (ROOT / ".env.example").read_text()
    example = tmp_path / "example.env"
    example.write_text(re.sub(r"^# ([A-Z_]+=.+)$", r"\1", text, flags=re.MULTILINE).replace("GATEWAY_ORIGIN=https://mcp.example.com", ""))
    nothing = tmp_path / "nothing.env"
    nothing.write_text("DEBUG=true\n")
    assert "ACCESS_TOKEN_TTL_SECONDS=" in example.read_text()
    assert gateway_settings(example) == gateway_settings(nothing)


def gateway_settings(env_file: Path) -> str:
    """What the gateway makes of a settings file, in a process of its own."""
    told = {**environment.clean(SECRET_KEY="k" * 50), "ENV_FILE": str(env_file)}
    command = [sys.executable, "-c", "from gatewaysite.settings import GATEWAY; print(GATEWAY)"]
    return subprocess.run(command, cwd=ROOT, env=told, check=True, capture_output=True, text=True).stdout


def test_the_environment_is_read_in_one_place() -> None:
    """Commands may be pointed at a variable by their user (`mcproute --header 'K: env:NAME'`); nothing else looks."""
    readers = [
        shown(path)
        for path in sources(*PACKAGES)
        if re.search(r"os\.environ(\.get\(|\[)|os\.getenv\(", path.read_text()) and "commands" not in path.parts
    ]
    assert readers == ["gatewaysite/settings.py"]
    names = set(re.findall(r"os\.environ\.get\(\"([A-Z_]+)\"", (ROOT / "gatewaysite" / "settings.py").read_text()))
    assert names == READ_BEFORE_DOTENV


@pytest.mark.parametrize("path", OURS, ids=shown)
def test_a_file_is_a_head_long(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES, f"{shown(path)} has {lines} lines: give one of its concerns a room of its own"


def test_no_file_or_folder_has_a_name_that_refuses_nobody() -> None:
    vague = [shown(path) for path in OURS if NAMES_THAT_REFUSE_NOBODY & {part.removesuffix(".py") for part in path.relative_to(ROOT).parts}]
    assert vague == []


def test_a_module_opens_with_what_it_knows() -> None:
    silent = [shown(path) for path in OURS if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))]
    assert [path for path in silent if not path.endswith("apps.py")] == []

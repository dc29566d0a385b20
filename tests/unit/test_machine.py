"""What `make test` says on a machine that lacks something it may not install: the one command that brings it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import machine

Install = Callable[[str, str], None]


@pytest.fixture
def has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`has("node", "v18.19.0")`: a machine of an ordinary user, with programs that print a version and no others."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def put(name: str, version: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / name).chmod(0o755)

    return put


def test_node_20_or_later_is_taken(has: Install) -> None:
    has("npm", "10.8.2")
    for version in ("v20.0.0", "v22.21.1"):
        has("node", version)
        assert machine.node().endswith("/node")
        assert machine.main() == 0


def test_an_older_one_is_refused_with_the_command_that_brings_a_newer(has: Install, capsys: pytest.CaptureFixture[str]) -> None:
    has("npm", "9.2.0")
    has("node", "v18.20.4")
    assert machine.main() == 1
    said = capsys.readouterr().out
    assert "v18.20.4" in said and "20 or later" in said
    assert said.rstrip().endswith("Install it with: sudo npx --yes n 22")


def test_without_node_one_command_brings_it_and_npm(has: Install, capsys: pytest.CaptureFixture[str]) -> None:
    assert machine.main() == 1
    assert capsys.readouterr().out.rstrip().endswith("npm is missing. Install it with: sudo apt-get install nodejs npm")

"""No request travels further through our code than it did (bench/walks.py keeps how far)."""

import subprocess
import sys

import pytest

from bench.walks import CEILINGS, GOALS, Length
from tests.support import environment
from tests.support.processes import ROOT


def test_no_walk_is_longer_than_its_ceiling() -> None:
    walked = subprocess.run(
        [sys.executable, "-m", "bench.walks"], cwd=ROOT, env=environment.clean(), capture_output=True, text=True, timeout=120, check=False
    )
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert [line.split()[0] for line in walked.stdout.splitlines()] == ["walk", *CEILINGS], "the table, and no other line"
    assert CEILINGS.keys() == GOALS.keys()


@pytest.mark.parametrize(
    ("length", "exceeds"),
    [(Length(5, 30, 6), False), (Length(4, 29, 5), False), (Length(6, 1, 1), True), (Length(1, 31, 1), True), (Length(1, 1, 7), True)],
)
def test_a_ceiling_holds_for_each_of_its_figures(length: Length, exceeds: bool) -> None:
    assert length.exceeds(Length(5, 30, 6)) is exceeds

"""No rule is forgotten."""

import re
from pathlib import Path

LATER = {16}  # see this package's docstring


def test_each_rule_of_the_field_has_a_test_that_is_named_after_it() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert {int(number) for number in re.findall(r"^def test_rule_(\d\d)_", tests, re.MULTILINE)} == set(range(1, 21)) - LATER

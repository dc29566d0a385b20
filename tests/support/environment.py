"""The environment of what tests run: none of the developer's own settings, all of what a test needs.

Knows names; `.env.example` lists every setting (tests/unit/test_house.py sees to that).
"""

import os
import re
from functools import cache

from tests.support.processes import ROOT

_NAME = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]+)=", re.MULTILINE)


@cache
def setting_names() -> frozenset[str]:
    """Every setting that the gateway reads."""
    return frozenset(_NAME.findall((ROOT / ".env.example").read_text()))


def clean(**settings: str) -> dict[str, str]:
    """A process environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if name not in setting_names()}
    return {**kept, "ENV_FILE": os.devnull, "DJANGO_SETTINGS_MODULE": "gatewaysite.settings", **settings}

"""docs/running.md: the doctor's commands, on a gateway as it is run in production."""

import re
import subprocess
import sys
from collections.abc import Callable

from tests.support.gateway import Gateway
from tests.support.processes import ROOT

GOOD = ("settings", "database", "encryption", "WorkOS keys", "WorkOS API key", "redirect URI", "route demo", "public metadata")


def run(arguments: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_doctor_finds_nothing_wrong_with_a_gateway_that_runs(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("gunicorn", WORKOS_WEBHOOK_SECRET="whsec_0123456789abcdef")
    page = (ROOT / "docs" / "running.md").read_text()
    commands = re.findall(r"^python manage\.py (doctor.*?)(?: +#.*)?$", page, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        arguments = [gateway.url if word.startswith("https:") else word for word in command.split()]
        ran = run(arguments, gateway.environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        for good in GOOD:
            assert re.search(rf"^ok       {good}:", ran.stdout, re.MULTILINE), ran.stdout
        for secret in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEYS", "WORKOS_CLIENT_SECRET", "WORKOS_WEBHOOK_SECRET"):
            assert gateway.environment[secret] not in ran.stdout + ran.stderr


def test_it_answers_in_a_sentence_when_the_settings_cannot_even_be_read(start_gateway: Callable[..., Gateway]) -> None:
    ran = run(["doctor"], {**start_gateway().environment, "RATE_LIMIT_SCALE": "many"})
    assert ran.returncode == 1
    assert ran.stderr.startswith("RATE_LIMIT_SCALE is 'many': write a number") and "Traceback" not in ran.stderr

"""`manage.py doctor`, as a whole: what it prints, and that it fails when something is wrong."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db.utils import ConnectionHandler

from gatewaysite import diagnosis
from mcp_routes.models import McpRoute
from oauthgw.guard.finding import Verdict
from tests.unit.conftest import Party
from tests.unit.doctor.conftest import Answers, json_answer

pytestmark = pytest.mark.django_db


def lines(*options: str) -> list[str]:
    out = StringIO()
    try:
        call_command("doctor", *options, stdout=out, no_color=True)
    except CommandError as error:
        out.write(f"FAILED {error}\n")
    return out.getvalue().splitlines()


def test_each_line_begins_with_its_verdict(without_workos: None) -> None:
    said = lines()
    assert {line.split()[0] for line in said} <= set(Verdict)
    assert not any(line.startswith("problem") for line in said), said
    assert [line for line in said if line.startswith("ok       database:")]


def test_a_problem_makes_it_fail(without_workos: None, demo: McpRoute) -> None:
    said = lines()
    assert [line for line in said if line.startswith("problem  route demo:")]
    assert said[-1] == "FAILED 1 problem was found."


def test_disabled_routes_are_not_asked(without_workos: None, demo: McpRoute) -> None:
    McpRoute.objects.update(enabled=False)
    assert not [line for line in lines() if "route demo" in line]


def test_an_address_that_was_named_is_examined(without_workos: None, serve: Callable[[Answers], str]) -> None:
    url = serve(lambda method, path, headers: json_answer({}, 502))
    assert [line for line in lines("--url", url) if line.startswith(f"problem  public address {url}:")]


def test_settings_that_contradict_each_other_are_lines_and_no_traceback(without_workos: None, configure: Any) -> None:
    configure(debug=False, sign_in_allow=("nobody",), origin="")
    said = lines()
    assert [line for line in said if line.startswith("problem  settings (oauthgw.E006): SIGN_IN_ALLOW holds 'nobody'")]
    assert [line for line in said if line.startswith("problem  settings (gateway.E006): GATEWAY_ORIGIN is not set")]


def test_a_cache_that_is_down(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
    cache.close()
    assert [finding.verdict for finding in diagnosis.of_cache()] == [Verdict.PROBLEM]


@pytest.mark.parametrize(("mode", "verdicts"), [("DELETE", [Verdict.WARNING]), ("WAL", [])])
def test_sqlite_without_a_write_ahead_log_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, verdicts: list[Verdict]
) -> None:
    options = {"init_command": f"PRAGMA journal_mode={mode};"}
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "gateway.sqlite3"), "OPTIONS": options}
    connection = ConnectionHandler({"default": database})["default"]
    monkeypatch.setattr(diagnosis, "connection", connection)
    assert [finding.verdict for finding in diagnosis.of_journal_mode()] == verdicts
    connection.close()


def test_what_no_key_opens_is_named_by_row(demo: McpRoute, website: Party, replace_encryption_key: Callable[[], None]) -> None:
    replace_encryption_key()
    found = [str(finding) for finding in diagnosis.of_database() if finding.verdict is Verdict.PROBLEM]
    assert len(found) == 1 and "client Website" in found[0] and website.secret not in found[0]


def test_values_under_an_older_key_are_told(website: Party, add_encryption_key: Callable[[], None]) -> None:
    add_encryption_key()
    assert "run python manage.py rotate_keys" in " ".join(map(str, diagnosis.of_database()))

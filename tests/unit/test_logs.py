"""What the log of one process says while tokens come and go, with everything that may be switched to DEBUG at DEBUG."""

import asyncio
import logging
import re
from collections.abc import Iterator
from logging.config import DictConfigurator
from typing import Any

import gunicorn.config
import pytest

from gatewaysite import logs
from gatewaysite.worker import LineLogger
from mcp_routes.models import McpRoute
from oauthgw import principals
from tests.unit.conftest import VERIFIER, Party, Person, sent_to_client, signed_value
from tests.unit.posting import basic, post

WEB = "https://app.example.com/cb"


def is_pinned(name: str) -> bool:
    return any(name == pinned or name.startswith(f"{pinned}.") for pinned in logs.PINNED)


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The root logger and each library's at DEBUG, except those that the gateway pins."""
    caplog.set_level("DEBUG")
    for name in list(logging.root.manager.loggerDict):
        if not is_pinned(name):
            caplog.set_level("DEBUG", name)
    return caplog


def told(caplog: pytest.LogCaptureFixture) -> str:
    """Every record, with whatever a formatter could print of it."""
    return "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records) + caplog.text


def test_no_log_at_any_level_holds_what_a_token_request_carries(
    demo: McpRoute, alice: Person, website: Party, everything: pytest.LogCaptureFixture
) -> None:
    page = alice.open(website.client, redirect_uri=WEB)
    code = sent_to_client(alice.decide(page))["code"]
    header = basic(f"{website.client.client_id}:{website.secret}")
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER, "redirect_uri": WEB}
    first: dict[str, Any] = post(website.http, form, Authorization=header).json()
    second: dict[str, Any] = website.refresh(first["refresh_token"]).json()
    assert website.refresh(second["refresh_token"], client_secret="canary-wrong-secret").status_code == 401
    assert website.redeem(code, code_verifier="canary-wrong-verifier".ljust(43, "w")).status_code == 400
    assert principals.resolve_now(second["access_token"], demo.pk) is not None
    credentials = {"client_id": website.client.client_id, "client_secret": website.secret}
    assert website.post("/oauth/revoke", {**credentials, "token": second["refresh_token"]}).status_code == 200
    assert website.refresh(second["refresh_token"]).status_code == 400

    logging.getLogger("a.library").debug("at work")
    text = told(everything)
    assert "a.library" in text  # DEBUG is on
    secrets = [value for answer in (first, second) for name, value in answer.items() if name.endswith("_token")]
    assert len(secrets) == 4
    for secret in (*secrets, code, VERIFIER, website.secret, header, "canary-wrong", signed_value(page)):
        assert secret not in text


@pytest.mark.parametrize(
    "name",
    ["oauthlib.oauth2.rfc6749.grant_types.refresh_token", "oauth2_provider.views.base", "django.db.backends", "urllib3.connectionpool"],
)
def test_a_library_that_prints_credentials_at_debug_stays_above_it(everything: pytest.LogCaptureFixture, name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert logging.getLogger(name).isEnabledFor(logging.INFO)


def test_without_that_oauthlib_prints_the_refresh_token(
    demo: McpRoute, alice: Person, editor: Party, everything: pytest.LogCaptureFixture
) -> None:
    """Why it is pinned; and that the test above would see it."""
    token = editor.redeem(alice.code(editor.client)).json()["refresh_token"]
    everything.set_level("DEBUG", "oauthlib")
    assert editor.refresh(token).status_code == 200
    assert token in told(everything)


class TestALine:
    """What standard error gets: strangers choose paths, URLs and names that end up in messages."""

    @pytest.fixture
    def formatter(self) -> logging.Formatter:
        """As Django's start configures it."""
        configured = DictConfigurator(logs.config()).configure_formatter(logs.config()["formatters"]["line"])
        assert isinstance(configured, logging.Formatter)
        return configured

    def record(self, message: str, *args: Any, failed: BaseException | None = None) -> logging.LogRecord:
        info = None if failed is None else (type(failed), failed, failed.__traceback__)
        return logging.LogRecord("a.name", logging.INFO, __file__, 1, message, args, info)

    def test_a_message_begins_no_line_of_its_own_and_steers_no_terminal(self, formatter: logging.Formatter) -> None:
        line = formatter.format(self.record("not fetched: %s", "/x\n2026 INFO x forged\x1b[2J"))
        assert line.endswith(r" INFO a.name not fetched: /x\n2026 INFO x forged\x1b[2J")

    @pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029], ids=hex)
    def test_each_control_character_is_escaped(self, formatter: logging.Formatter, code: int) -> None:
        line = formatter.format(self.record(f"a{chr(code)}b"))
        assert line.isprintable() and len(line.splitlines()) == 1

    def test_what_people_write_is_left_as_it_is(self, formatter: logging.Formatter) -> None:
        assert formatter.format(self.record("Zoë → “C:\\new” 日本 \N{NO-BREAK SPACE}")).endswith("Zoë → “C:\\new” 日本 \N{NO-BREAK SPACE}")

    @pytest.mark.parametrize("seen_before", [False, True], ids=["first", "after another handler"])
    def test_a_traceback_keeps_its_lines_and_none_of_them_passes_for_a_record(
        self, formatter: logging.Formatter, seen_before: bool
    ) -> None:
        try:
            raise ValueError("no\n2026 INFO x forged\x1b[2J\r\u2028")
        except ValueError as error:
            record = self.record("it failed", failed=error)
        record.stack_info = "Stack:\n\tforged\x1b[2J"
        if seen_before:
            logging.Formatter().format(record)
        first, *lines = formatter.format(record).split("\n")
        assert first.endswith("it failed")
        assert lines[0] == "  Traceback (most recent call last):"
        assert r"  2026 INFO x forged\x1b[2J\r\u2028" in lines
        assert lines[-2:] == ["  Stack:", "  \tforged\\x1b[2J"]
        assert all(line.startswith("  ") for line in lines)

    def test_gunicorns_own_log_is_as_careful(self, capfd: pytest.CaptureFixture[str]) -> None:
        log: Any = LineLogger(gunicorn.config.Config())  # type: ignore[no-untyped-call]
        try:
            log.error("Exception in worker: %s", "/x\n2026 INFO x forged\x1b[2J")
        finally:
            log.error_log.handlers.clear()
        assert capfd.readouterr().err.endswith("Exception in worker: /x\\n2026 INFO x forged\\x1b[2J\n")


class TestAccessLog:
    """A line a request, written many at a time."""

    @pytest.fixture
    def written(self) -> Iterator[list[str]]:
        """What a handler of the gateway's own format writes, piece by piece."""
        pieces: list[str] = []

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                pieces.append(self.format(record))

        handler = Handler()
        handler.setFormatter(logs.LineFormatter("{asctime} {levelname} {name} {message}", style="{"))
        logger = logging.getLogger("tests.access")
        logger.addHandler(handler)
        logger.setLevel("INFO")
        yield pieces
        logger.removeHandler(handler)

    @pytest.mark.asyncio
    async def test_lines_of_a_moment_are_written_at_once_and_each_is_a_line_like_any_other(self, written: list[str]) -> None:
        access = logs.AccessLog(logging.getLogger("tests.access"))
        for line in ("GET /a 200", "GET /\x1b[2J\n 404"):
            access.add(line)
        assert written == []
        while not written:  # noqa: ASYNC110  (a log has no event)
            await asyncio.sleep(0.01)
        first, second = written[0].split("\n")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO tests\.access GET /a 200", first)
        assert second.endswith(r" INFO tests.access GET /\x1b[2J\n 404")
        assert len(written) == 1

    @pytest.mark.asyncio
    async def test_what_is_left_at_the_end_is_written_then(self, written: list[str]) -> None:
        access = logs.AccessLog(logging.getLogger("tests.access"))
        access.add("GET /a 200")
        access.flush()
        access.flush()
        assert len(written) == 1

    @pytest.mark.asyncio
    async def test_nothing_is_gathered_for_a_logger_that_wants_none(self, written: list[str]) -> None:
        logging.getLogger("tests.access").setLevel("WARNING")
        access = logs.AccessLog(logging.getLogger("tests.access"))
        access.add("GET /a 200")
        access.flush()
        assert written == []

    def test_lines_whose_loop_has_ended_are_written_with_a_later_one(self, written: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        access = logs.AccessLog(logging.getLogger("tests.access"))

        async def add(line: str) -> None:
            access.add(line)

        asyncio.run(add("GET /a 200"))
        assert written == []
        monkeypatch.setattr(access, "_since", access._since - 2)
        asyncio.run(add("GET /b 200"))
        assert [line.endswith(end) for line, end in zip(written[0].split("\n"), ("/a 200", "/b 200"), strict=True)] == [True, True]

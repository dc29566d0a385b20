"""Every endpoint is fuzzed, none breaks, and whatever would break is seen."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.endpoints import ADMIN, ENDPOINTS, OUTSIDE
from tests.fuzz.house import Log
from tests.fuzz.properties import broken
from tests.fuzz.seed import patterns
from tests.fuzz.stranger import http, stranger
from tests.fuzz.wire import Answer, Connection, Hung, Request
from tests.fuzz.words import DATA_PLANE, Asked
from tests.support.processes import PATIENCE

SAFE = (("content-type", "application/json"), ("x-content-type-options", "nosniff"), ("cache-control", "no-store"))
PAGE = (
    *(("content-type", "text/html; charset=utf-8"), ("x-content-type-options", "nosniff"), ("cache-control", "no-store")),
    *(
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ),
)
ERROR = b'{"error": "invalid_request"}'


def test_every_address_of_the_site_has_a_grammar_and_no_grammar_is_for_another() -> None:
    """Who adds an endpoint says how it is fuzzed."""
    assert {ADMIN if pattern.startswith(ADMIN) else pattern for pattern in patterns()} == ENDPOINTS.keys() - OUTSIDE


def asked(path: str = "/oauth/token", endpoint: str = "x", failing: tuple[int, ...] = ()) -> Asked:
    return Asked(endpoint, Request("POST", path.encode()), failing=failing)


def without(headers: tuple[tuple[str, str], ...], name: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in headers if key != name)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(500, SAFE, ERROR), "answered 500"),
        (Answer(503, SAFE, ERROR), "answered 503"),
        (Answer(200, SAFE, b"Traceback (most recent call last):"), "trace"),
        (Answer(200, PAGE, b'<div id="traceback">'), "trace"),
        (Answer(400, SAFE, b'{"error": "x", "d": "File \\"/a/b.py\\", line 3"}'), "trace"),
        (Answer(400, SAFE, b'{"error": "canary"}'), "secret"),
        (Answer(302, (*SAFE, ("location", "/?x=canary")), b""), "secret"),
        (Answer(200, without(SAFE, "content-type"), b"x"), "content type"),
        (Answer(200, without(SAFE, "x-content-type-options"), b"x"), "sniffed"),
        (Answer(400, without(SAFE, "cache-control"), ERROR), "cache"),
        (Answer(400, SAFE, b"<p>no</p>"), "no JSON"),
        (Answer(400, SAFE, b"{}"), "names none"),
        (Answer(200, without(PAGE, "content-security-policy"), b""), "policy"),
        (Answer(200, without(PAGE, "x-frame-options"), b""), "framed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_must_not_be_answered_is_seen(answer: Answer, told: str) -> None:
    assert told in " ".join(broken(asked(), answer, (b"canary",)))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (asked(), Answer(400, SAFE, ERROR)),
        (asked("/"), Answer(200, PAGE, b"<p>hello</p>")),
        (asked("/mcp/told", DATA_PLANE, failing=(502,)), Answer(502, SAFE, ERROR)),
        (asked("/?q=canary"), Answer(200, PAGE, b"canary")),
    ],
    ids=["refusal", "page", "fault of an upstream", "what was sent"],
)
def test_what_may_be_answered_is_not_complained_about(question: Asked, answer: Answer) -> None:
    assert list(broken(question, answer, (b"canary",))) == []


def test_an_error_in_the_log_is_seen_and_a_warning_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("2026-01-01 00:00:00,000 WARNING x ERROR in a word\n")
    log = Log(path)
    assert log.errors(False) == ""
    with path.open("a") as file:
        file.write("2026-01-01 00:00:00,000 ERROR x failed\n")
    assert "failed" in log.errors(False)
    assert log.errors(False) == ""


def test_a_server_that_does_not_answer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.wire.DEADLINE", 0.05)
    released = threading.Event()
    with stranger() as silent:
        silent.answer = lambda path: http(b"") if released.wait(PATIENCE) else b""
        with pytest.raises(Hung):
            Connection(silent.port).ask(Request("GET", b"/"))
        released.set()


def test_nothing_breaks_meanwhile(fuzzed: Callable[[], tuple[int, str]], either_database: str) -> None:
    """While all other tests run, each endpoint is asked thousands of odd things (`tests.fuzz.rounds`)."""
    status, said = fuzzed()
    print(said)
    assert status == 0, said

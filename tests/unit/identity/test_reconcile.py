"""`manage.py reconcile`: what WorkOS's list of events tells that no webhook did."""

from collections.abc import Callable
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from oauthgw.identity import events, reconcile, workos_api
from oauthgw.models import EventCursor, Grant
from tests.unit.conftest import Party, Person
from tests.unit.identity.conftest import Reply, Standin

pytestmark = pytest.mark.django_db(transaction=True)


def told(number: int, name: str = "session.created", **data: Any) -> dict[str, Any]:
    return {"object": "event", "id": f"event_{number:03}", "event": name, "data": data, "created_at": timezone.now().isoformat()}


class Listed:
    """WorkOS's list of events, served as it serves it."""

    def __init__(self, workos: Standin) -> None:
        self.workos = workos
        self.events: list[dict[str, Any]] = []
        workos.answer_api = self.answer

    def answer(self, path: str) -> Reply:
        query = parse_qs(urlsplit(path).query)
        assert urlsplit(path).path == "/events"
        assert query["order"] == ["asc"]
        after, limit = query.get("after", [""])[0], int(query["limit"][0])
        if after and after not in [event["id"] for event in self.events]:
            return Reply(422, {"message": "Validation failed", "code": "invalid_cursor"})
        page = [event for event in self.events if event["id"] > after and event["event"] in query["events[]"]][:limit]
        return Reply(body={"object": "list", "data": page, "list_metadata": {"before": None, "after": page[-1]["id"] if page else None}})

    @property
    def queries(self) -> list[dict[str, list[str]]]:
        return [parse_qs(urlsplit(path).query) for path, _ in self.workos.asked]


@pytest.fixture
def listed(with_workos: Standin) -> Listed:
    return Listed(with_workos)


@pytest.fixture
def connected(demo: Any, alice: Person, editor: Party) -> Person:
    assert editor.redeem(alice.code(editor.client)).status_code == 200
    return alice


def run() -> str:
    out = StringIO()
    call_command("reconcile", stdout=out)
    return out.getvalue().strip()


def test_a_removal_that_no_webhook_told_is_made_true(listed: Listed, connected: Person) -> None:
    listed.events = [told(1, "user.deleted", id="user_alice")]
    assert run() == "1 event of WorkOS read."
    assert Grant.objects.get().revoked_reason == "The user was deleted at WorkOS."


def test_it_begins_thirty_days_back_and_goes_on_where_it_ended(listed: Listed, connected: Person) -> None:
    listed.events = [told(1, "user.updated", id="user_x", email="x@example.com")]
    run()
    listed.events.append(told(2, "user.deleted", id="user_alice"))
    assert run() == "1 event of WorkOS read."
    first, second = listed.queries
    assert "range_start" in first and "after" not in first and set(first["events[]"]) == events.NAMES
    assert second["after"] == ["event_001"] and "range_start" not in second
    assert Grant.objects.get().revoked_at is not None


def test_a_long_list_is_read_page_by_page(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workos_api, "PAGE", 2)
    listed.events = [told(number, "user.deleted", id=f"user_{number}") for number in range(1, 6)]
    assert run() == "5 events of WorkOS read."
    assert EventCursor.objects.get().event_id == "event_005"


def test_an_event_is_applied_together_with_the_cursor_or_not_at_all(
    listed: Listed, connected: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed.events = [told(1, "user.deleted", id="user_alice")]

    def fail(event: events.Event) -> None:
        raise RuntimeError("the process was stopped here")

    monkeypatch.setattr(events, "apply", fail)
    with pytest.raises(RuntimeError):
        run()
    monkeypatch.undo()
    run()
    assert Grant.objects.get().revoked_at is not None


def test_an_outage_on_the_way_keeps_what_was_read(listed: Listed, connected: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workos_api, "PAGE", 1)
    listed.events = [told(1, "user.deleted", id="user_alice"), told(2, "user.deleted", id="user_b")]
    listed.workos.answer_api = lambda path: Reply(503, b"") if "after=" in path else listed.answer(path)
    with pytest.raises(CommandError, match="WorkOS has a problem at the moment"):
        run()
    assert EventCursor.objects.get().event_id == "event_001"
    assert Grant.objects.get().revoked_at is not None


def test_an_event_that_workos_keeps_no_more_begins_anew(listed: Listed) -> None:
    EventCursor.objects.create(provider="workos", event_id="event_000_long_gone")
    listed.events = [told(1, "user.deleted", id="user_x")]
    assert run() == "1 event of WorkOS read."


def test_an_event_that_cannot_be_read_holds_nothing_up(listed: Listed, connected: Person) -> None:
    listed.events = [{"id": "event_000", "event": "user.deleted", "data": "?", "created_at": "?"}, told(1, "user.deleted", id="user_alice")]
    assert run() == "2 events of WorkOS read."
    assert Grant.objects.get().revoked_at is not None


def test_whoever_finds_another_process_ahead_applies_nothing(listed: Listed, connected: Person) -> None:
    cursor = EventCursor.objects.create(provider="workos", event_id="event_777")
    assert not reconcile._take(cursor, "event_001", "event_002", told(2, "user.deleted", id="user_alice"))
    assert Grant.objects.get().revoked_at is None
    assert EventCursor.objects.get().event_id == "event_777"


def test_a_wrong_key_is_named_with_the_mend(listed: Listed) -> None:
    listed.workos.answer_api = lambda path: Reply(401, {"message": "Unauthorized", "code": "unauthorized"})
    with pytest.raises(CommandError, match="WORKOS_CLIENT_SECRET"):
        run()


def test_without_workos_there_is_nothing_to_ask(without_workos: None, decide: Callable[..., None], db: None) -> None:
    with pytest.raises(CommandError, match="WORKOS_CLIENT_ID is not set"):
        run()


def test_a_list_that_goes_round_in_circles_is_given_up(listed: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workos_api, "PAGE", 2)
    page = [told(number, "user.deleted", id=f"user_{number}") for number in (1, 2)]
    listed.workos.answer_api = lambda path: Reply(body={"data": page})
    with pytest.raises(CommandError, match="cannot be followed"):
        run()
    assert EventCursor.objects.get().event_id == "event_002"


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_question_that_workos_does_not_take_is_no_sign_in_that_failed(listed: Listed, status: int) -> None:
    listed.workos.answer_api = lambda path: Reply(status, {"message": "Validation failed"})
    with pytest.raises(CommandError, match="WorkOS does not answer this question"):
        run()

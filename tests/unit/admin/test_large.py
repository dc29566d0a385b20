"""Lists of a million rows: what is found, paged and offered by date is what Django would, by another way."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from oauthgw.admin.large import LatePages, moments, search
from oauthgw.journal.models import Event
from tests.unit.admin.conftest import Operator, Scene

pytestmark = pytest.mark.django_db

DATES = [
    datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2025, 1, 31, 12, tzinfo=UTC),
    datetime(2026, 2, 28, tzinfo=UTC),
    datetime(2026, 2, 28, 5, tzinfo=UTC),
    datetime(2026, 3, 1, tzinfo=UTC),
    datetime(2028, 2, 29, 1, tzinfo=UTC),
]


@pytest.fixture
def dated(db: None) -> Any:
    for at in DATES:
        event = Event.objects.create(kind=Event.Kind.SIGNED_OUT)
        Event.objects.filter(pk=event.pk).update(at=at)
    return Event.objects.all()


@pytest.mark.parametrize("kind", ["year", "month", "day"])
def test_dates_are_those_that_django_finds(dated: Any, kind: str) -> None:
    assert moments(dated, "at", kind) == list(dated.datetimes("at", kind))
    some = dated.filter(at__year=2026)
    assert moments(some, "at", kind) == list(some.datetimes("at", kind))
    assert moments(dated.none(), "at", kind) == []


def test_the_list_offers_them(operator: Operator, dated: Any) -> None:
    text = operator.text("journal/event/")
    assert all(f"?at__year={year}" in text for year in (2024, 2025, 2026, 2028)) and "at__year=2027" not in text
    assert "at__month=2" in operator.text("journal/event/", at__year="2026")
    assert "at__year" not in operator.text("journal/event/", q="nobody"), "a search offers none"


def test_each_page_holds_its_rows_in_order(db: None) -> None:
    for number in range(7):
        User.objects.create(username=f"user_{number}")
    pages = LatePages(User.objects.order_by("-username"), 3)
    assert [[user.username[-1] for user in pages.page(number)] for number in pages.page_range] == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("alice", True),
        ("ALICE@example.com website", True),
        ("alice nobody", False),
        ('"alice@example.com"', True),
        ("'alice", True),
        ("100%", False),
        ("a_ice", False),
        ("\\", False),
        ("", True),
    ],
)
def test_every_word_has_to_be_found_and_no_sign_means_more_than_itself(scene: Scene, term: str, found: bool) -> None:
    from oauthgw.models import Grant

    fields = ("user__email", "client__name")
    assert search(Grant.objects.all(), fields, term.replace("'", "")).exists() is found


@pytest.mark.parametrize("word", ["#1x", "9" * 40, "-1", "1.5", "\uff11", "999.999.1.1", "::1%eth0", "\x00"])
def test_what_cannot_stand_in_a_column_is_found_nowhere(scene: Scene, word: str) -> None:
    assert not search(Event.objects.all(), ("=grant_id", "=address"), f"x{word}").exists()
    search(Event.objects.all(), ("=grant_id", "=address"), word).exists()


def test_more_neighbours_than_are_named_are_found_all_the_same(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    from oauthgw.admin import large
    from oauthgw.models import Grant

    monkeypatch.setattr(large, "_NAMED", 0)
    assert search(Grant.objects.all(), ("user__email",), "alice").count() == 1

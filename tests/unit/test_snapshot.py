"""The routes as the data plane reads them: what is answered without asking, and what is not."""

import asyncio
from typing import Any

import pytest

from mcp_routes import snapshot, upstream
from mcp_routes.models import McpRoute
from mcp_routes.snapshot import Route
from oauthgw.guard import recent, sealed
from oauthgw.journal.changes import Entry
from oauthgw.journal.models import Change

pytestmark = pytest.mark.django_db(transaction=True)  # the data plane looks rows up in threads of its own


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the database was asked for."""
    questions: list[str] = []
    real = snapshot._find

    def find(slug: str) -> Route | None:
        questions.append(slug)
        return real(slug)

    monkeypatch.setattr(snapshot, "_find", find)
    return questions


def find(slug: str) -> Route | None:
    return asyncio.run(snapshot.find(slug))


def note_what_is_published() -> None:
    for change in Change.objects.all():
        snapshot.apply(Entry(change.pk, change.topic, change.key))


def test_a_route_in_use_is_asked_for_once(demo: McpRoute, asked: list[str]) -> None:
    first = find("demo")
    assert first is not None
    assert find("demo") is first
    assert asked == ["demo"]


def test_where_it_leads_by_now_is_known_once_its_change_is_noted(demo: McpRoute) -> None:
    find("demo")
    demo.upstream_url = "https://elsewhere.example.com/mcp"
    demo.save()
    note_what_is_published()
    found = find("demo")
    assert found is not None and found.upstream_url == demo.upstream_url


def test_a_change_of_another_is_nothing_to_it(demo: McpRoute, asked: list[str]) -> None:
    find("demo")
    snapshot.apply(Entry(1, "route", demo.pk + 1))
    find("demo")
    assert asked == ["demo"]


def test_a_change_that_nobody_told_of_is_known_after_five_seconds(demo: McpRoute, monkeypatch: pytest.MonkeyPatch) -> None:
    find("demo")
    McpRoute.objects.update(enabled=False)
    assert find("demo") is not None
    monkeypatch.setattr(recent, "KEPT_SECONDS", 0.0)
    assert find("demo") is None


def test_what_is_no_route_is_asked_for_once_until_it_is_one(db: None, asked: list[str]) -> None:
    assert [find("demo"), find("demo")] == [None, None]
    assert asked == ["demo"]
    McpRoute.objects.create(slug="demo", name="Demo tools", upstream_url="http://127.0.0.1:9/mcp")
    note_what_is_published()
    assert find("demo") is not None


def test_a_renamed_route_is_reached_by_both_names_once_that_is_noted(demo: McpRoute) -> None:
    assert [find("demo") is None, find("renamed") is None] == [False, True]
    demo.slug = "renamed"
    demo.save()
    note_what_is_published()
    found = [find("demo"), find("renamed")]
    assert [(route.id, route.slug) for route in found if route] == [(demo.pk, "demo"), (demo.pk, "renamed")]


def test_a_removed_route_is_none_once_that_is_noted(demo: McpRoute) -> None:
    assert find("demo") is not None
    demo.delete()
    note_what_is_published()
    assert find("demo") is None


class TestItsHeaders:
    @pytest.fixture
    def keyed(self, demo: McpRoute) -> McpRoute:
        demo.auth_mode = McpRoute.AuthMode.HEADERS
        demo.set_headers({"X-Api-Key": "canary"})
        demo.save()
        return demo

    def test_are_opened_once(self, keyed: McpRoute, monkeypatch: pytest.MonkeyPatch) -> None:
        route = find("demo")
        assert route is not None and route.headers()["X-Api-Key"].reveal() == "canary"

        def open_again(stored: str) -> Any:
            raise AssertionError("opened twice")

        monkeypatch.setattr(upstream, "opened_headers", open_again)
        assert route.headers()["X-Api-Key"].reveal() == "canary"

    def test_are_shown_nowhere(self, keyed: McpRoute) -> None:
        route = find("demo")
        assert route is not None
        assert "canary" not in f"{route.headers()} {route} {vars(snapshot._recent)}"

    def test_that_no_key_opens_are_a_fault_each_time(self, keyed: McpRoute, replace_encryption_key: Any) -> None:
        replace_encryption_key()
        route = find("demo")
        assert route is not None
        for _ in range(2):
            with pytest.raises(sealed.Unsealable):
                route.headers()

"""The route form: header values go in and never come out, and a slug that is given up is never lost."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from mcp_routes.models import FormerSlug, McpRoute
from tests.unit.admin.conftest import HEADER_VALUE, Operator, Scene
from tests.unit.doctor.conftest import json_answer, serving

FORM = {"slug": "demo", "name": "Demo tools", "upstream_url": "https://upstream.example.com/mcp", "auth_mode": "headers", "enabled": "on"}
LIST = "mcp_routes/mcproute/"


def post(operator: Operator, path: str, **changed: str) -> Any:
    form = {name: value for name, value in {**FORM, **changed}.items() if value}
    return operator.browser.post(f"/admin/{LIST}{path}", form, follow=True)


def change(operator: Operator, scene: Scene, **changed: str) -> Any:
    return post(operator, f"{scene.route.pk}/change/", **changed)


def errors(answer: Any) -> dict[str, list[str]]:
    """What the form refused, empty when it was saved."""
    return dict(answer.context["adminform"].form.errors) if "adminform" in answer.context else {}


def headers() -> dict[str, str]:
    return {name: value.reveal() for name, value in McpRoute.objects.get(slug="demo").headers().items()}


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_a_route_is_added_with_its_headers(operator: Operator) -> None:
    answer = post(operator, "add/", headers="X-Api-Key: canary-1\r\nX-Team: blue\r\n")
    assert errors(answer) == {}
    assert headers() == {"X-Api-Key": "canary-1", "X-Team": "blue"}
    assert "canary" not in answer.content.decode()


def test_a_route_without_headers_is_added(operator: Operator) -> None:
    assert errors(post(operator, "add/", auth_mode="none")) == {}
    assert headers() == {}


def test_the_form_shows_the_names_of_stored_headers_and_no_value(operator: Operator, scene: Scene) -> None:
    text = operator.text(f"{LIST}{scene.route.pk}/change/")
    assert "X-Api-Key" in text
    assert HEADER_VALUE not in text


def test_the_list_shows_no_key_that_stands_in_an_upstreams_query(operator: Operator, scene: Scene) -> None:
    McpRoute.objects.update(upstream_url="https://upstream.example.com/mcp?api_key=canary-2")
    text = operator.text(LIST)
    assert "https://upstream.example.com/mcp?…" in text
    assert "canary-2" not in text


def test_an_empty_field_keeps_the_stored_headers(operator: Operator, scene: Scene) -> None:
    assert errors(change(operator, scene, name="Other")) == {}
    assert McpRoute.objects.get().name == "Other"
    assert headers() == {"X-Api-Key": HEADER_VALUE}


@pytest.mark.parametrize(
    "elsewhere", ["https://other.example.com/mcp", "http://upstream.example.com/mcp", "https://upstream.example.com:1/mcp"]
)
def test_stored_headers_do_not_follow_to_another_host(operator: Operator, scene: Scene, elsewhere: str) -> None:
    assert "headers" in errors(change(operator, scene, upstream_url=elsewhere))
    assert errors(change(operator, scene, upstream_url=elsewhere, headers="X-Api-Key: canary-3")) == {}
    assert headers() == {"X-Api-Key": "canary-3"}


def test_stored_headers_stay_for_another_path_of_their_host(operator: Operator, scene: Scene) -> None:
    assert errors(change(operator, scene, upstream_url="https://upstream.example.com/v2/mcp")) == {}
    assert headers() == {"X-Api-Key": HEADER_VALUE}


def test_new_headers_replace_all_stored_ones(operator: Operator, scene: Scene) -> None:
    assert errors(change(operator, scene, headers="X-Other: v")) == {}
    assert headers() == {"X-Other": "v"}


def test_headers_are_removed_on_request_when_the_route_adds_nothing(operator: Operator, scene: Scene) -> None:
    assert errors(change(operator, scene, auth_mode="none", remove_headers="on")) == {}
    assert McpRoute.objects.get().sealed_headers == ""


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"auth_mode": "none"}, "auth_mode", "would not be sent"),
        ({"remove_headers": "on"}, "auth_mode", "none is given"),
        ({"remove_headers": "on", "headers": "X-A: v"}, "remove_headers", "Either enter new headers"),
        ({"auth_mode": "none", "headers": "X-A: v"}, "auth_mode", "would not be sent"),
        ({"headers": "X-A"}, "headers", "Line 1 is not a header"),
        ({"headers": "Host: v"}, "headers", "set by the gateway itself"),
        ({"upstream_url": "upstream.example.com"}, "upstream_url", "absolute http or https URL"),
        ({"slug": "Demo"}, "slug", "lower-case letters"),
        ({"access_token_ttl": "28801"}, "access_token_ttl", "less than or equal to 28800"),
    ],
)
def test_a_mistake_is_refused_at_its_field_and_changes_nothing(
    operator: Operator, scene: Scene, changed: dict[str, str], field: str, says: str
) -> None:
    answer = change(operator, scene, **changed)
    assert says in " ".join(errors(answer)[field])
    assert headers() == {"X-Api-Key": HEADER_VALUE}


def test_typed_headers_are_not_shown_back_after_a_mistake_elsewhere(operator: Operator, scene: Scene) -> None:
    answer = change(operator, scene, slug="Demo", headers="X-Api-Key: canary-typed")
    assert "canary" not in answer.content.decode()
    assert errors(answer)["headers"] == ["Enter the headers again: what you typed is not shown back."]


def test_the_history_of_a_route_holds_no_value(operator: Operator, scene: Scene) -> None:
    change(operator, scene, headers="X-Api-Key: canary-typed")
    assert "canary" not in " ".join(entry.change_message for entry in LogEntry.objects.all())


def test_headers_that_no_key_opens_are_named_as_such(operator: Operator, scene: Scene) -> None:
    McpRoute.objects.update(sealed_headers="v1.deadbeef.AAAA")
    assert "cannot be opened with the configured TOKEN_ENCRYPTION_KEYS" in operator.text(f"{LIST}{scene.route.pk}/change/")
    assert errors(change(operator, scene, headers="X-Api-Key: again")) == {}
    assert headers() == {"X-Api-Key": "again"}


def test_a_renamed_route_keeps_its_former_slug(operator: Operator, scene: Scene) -> None:
    answer = change(operator, scene, slug="tools")
    assert "demo stays an alias" in said(answer)
    assert FormerSlug.objects.get().slug == "demo"
    assert operator.page(LIST, q="demo").context["cl"].result_count == 1
    assert errors(post(operator, "add/", auth_mode="none"))["slug"] == [
        "This slug belonged to another route before; clients may still hold tokens for it."
    ]


def test_deleting_asks_first_and_says_what_ends(operator: Operator, scene: Scene) -> None:
    text = operator.text(f"{LIST}{scene.route.pk}/delete/")
    assert "1 connection will end at once" in text
    assert "stay reserved" in text
    assert McpRoute.objects.exists()


def test_a_deleted_route_ends_its_connections_and_keeps_its_slug(operator: Operator, scene: Scene) -> None:
    answer = operator.browser.post(f"/admin/{LIST}{scene.route.pk}/delete/", {"post": "yes"}, follow=True)
    assert "1 connection ended with the removal" in said(answer)
    scene.grant.refresh_from_db()
    assert not scene.grant.is_live
    assert FormerSlug.objects.get().slug == "demo"
    assert errors(post(operator, "add/", auth_mode="none"))["slug"]


def test_deleting_several_asks_and_does_the_same(operator: Operator, scene: Scene) -> None:
    other = McpRoute.objects.create(slug="other", name="Other", upstream_url="https://upstream.example.com/mcp")
    keys = (scene.route.pk, other.pk)
    assert "All connections of these routes will end" in operator.act(LIST, "delete_selected", *keys, confirmed=False).content.decode()
    answer = operator.act(LIST, "delete_selected", *keys, post="yes")
    assert "1 connection ended with the removal" in said(answer)
    assert set(FormerSlug.objects.values_list("slug", flat=True)) == {"demo", "other"}


def test_an_upstream_is_checked_from_its_list_and_its_page(operator: Operator, scene: Scene) -> None:
    said_hello = json_answer({"jsonrpc": "2.0", "id": 1, "result": {}})
    with serving(lambda method, path, headers: said_hello if HEADER_VALUE in headers.values() else json_answer({}, 401)) as url:
        McpRoute.objects.update(upstream_url=f"{url}/mcp?key=canary")
        answer = operator.act(LIST, "check_upstream", scene.route.pk, confirmed=False)
    assert said(answer) == f"route demo: an MCP server answers at {url.removeprefix('http://')}."
    assert "Check upstream" in operator.text(f"{LIST}{scene.route.pk}/change/")


def test_an_upstream_that_does_not_answer_is_said_with_the_mend(operator: Operator, scene: Scene) -> None:
    McpRoute.objects.update(upstream_url="http://nobody.invalid/mcp")
    answer = operator.act(LIST, "check_upstream", scene.route.pk, confirmed=False)
    assert "nobody.invalid cannot be reached" in said(answer) and "Check the upstream" in said(answer)


def test_what_becomes_of_a_slug_is_said_before_it_is_changed(operator: Operator, scene: Scene) -> None:
    assert "the former stays an alias for ever" in operator.text(f"{LIST}{scene.route.pk}/change/")

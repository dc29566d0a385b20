"""`manage.py mcproute`: what it does, what it prints, and what it never prints."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from mcp_routes.models import FormerSlug, McpRoute
from oauthgw.journal.models import Event
from oauthgw.models import Client, Grant

URL = "https://upstream.example.com/mcp"

pytestmark = pytest.mark.django_db


def mcproute(*args: str) -> str:
    out = StringIO()
    call_command("mcproute", *args, stdout=out, no_color=True)
    return out.getvalue()


def sent_to_upstream(slug: str) -> dict[str, str]:
    return {name: value.reveal() for name, value in McpRoute.objects.get(slug=slug).headers().items()}


def test_add_makes_a_route() -> None:
    said = mcproute("add", "demo-tools", URL)
    route = McpRoute.objects.get()
    assert (route.slug, route.name, route.upstream_url, route.auth_mode, route.enabled) == ("demo-tools", "Demo tools", URL, "none", True)
    assert "/mcp/demo-tools leads to https://upstream.example.com/mcp" in said


def test_add_takes_name_and_headers_and_prints_no_value() -> None:
    said = mcproute("add", "demo", URL, "--name", "Demo!", "--header", "X-Api-Key: canary-1", "--header", "X-Team: blue: green")
    assert McpRoute.objects.get().name == "Demo!"
    assert McpRoute.objects.get().auth_mode == "headers"
    assert sent_to_upstream("demo") == {"X-Api-Key": "canary-1", "X-Team": "blue: green"}
    assert "canary" not in said + mcproute("list")


def test_a_value_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "canary-env")
    mcproute("add", "demo", URL, "--auth", "headers", "--header", "X-Api-Key: env:UPSTREAM_KEY")
    assert sent_to_upstream("demo") == {"X-Api-Key": "canary-env"}


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary-file\n")
    mcproute("add", "demo", URL, "--header", f"X-Api-Key: @{tmp_path / 'key'}")
    assert sent_to_upstream("demo") == {"X-Api-Key": "canary-file"}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["Demo", URL], "slug: A slug is 1 to 63 lower-case letters"),
        (["-demo", URL], "the following arguments are required|slug: A slug"),
        (["demo", "ftp://upstream.example.com"], "upstream url: The upstream URL must be an absolute http or https URL"),
        (["demo", "https://user:canary@upstream.example.com"], "upstream url: The upstream URL must not hold credentials"),
        (["demo", URL, "--auth", "headers"], "auth mode: Fixed headers are chosen but none is given"),
        (["demo", URL, "--auth", "none", "--header", "X-Api-Key: canary"], "auth mode: Headers are stored but would not be sent"),
        (["demo", URL, "--auth", "user-oauth"], "invalid choice: 'user-oauth'"),
        (["demo", URL, "--header", "canary"], "--header 1 is not a header"),
        (["demo", URL, "--header", "X-Api-Key: env:NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE, which is not set"),
        (["demo", URL, "--header", "X-Api-Key: @/no/such/file"], "/no/such/file: No such file or directory"),
        (["demo", URL, "--header", "X-Api-Key: @/"], "from the file /: Is a directory"),
        (["demo", URL, "--header", "Host: canary"], "Host is set by the gateway itself"),
        (["demo"], "required: URL"),
        (["taken", URL], "slug: Route with this Slug already exists"),
        (["former", URL], "slug: This slug belonged to another route before"),
    ],
)
def test_bad_input_is_refused_in_words_and_changes_nothing(args: list[str], says: str) -> None:
    McpRoute.objects.create(slug="taken", name="Taken", upstream_url=URL)
    FormerSlug.objects.create(slug="former", route=None)
    with pytest.raises(CommandError, match=says) as refused:
        mcproute("add", *args)
    assert "canary" not in str(refused.value)
    assert McpRoute.objects.count() == 1


@pytest.mark.parametrize("content", [b"two\nlines", b"\xff\xfe", b""])
def test_a_file_that_holds_no_header_value_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(CommandError, match="X-Api-Key"):
        mcproute("add", "demo", URL, "--header", f"X-Api-Key: @{tmp_path / 'key'}")
    assert not McpRoute.objects.exists()


def test_list_says_how_to_begin() -> None:
    assert mcproute("list") == "There are no routes yet. Add one: manage.py mcproute add SLUG URL\n"


def test_list_is_an_aligned_table_without_what_stands_in_a_query() -> None:
    mcproute("add", "a", URL + "?key=canary")
    mcproute("add", "longer-slug", URL, "--name", "L")
    McpRoute.objects.filter(slug="a").update(enabled=False)
    assert mcproute("list").splitlines() == [
        "SLUG         NAME  STATE     AUTH  CONNECTIONS  UPSTREAM",
        "a            A     disabled  none  0            https://upstream.example.com/mcp?…",
        "longer-slug  L     enabled   none  0            https://upstream.example.com/mcp",
    ]


def test_remove_ends_the_connections_and_says_how_many(new_person: Callable[[str], object]) -> None:
    mcproute("add", "demo", URL)
    route = McpRoute.objects.get()
    client = Client.objects.create(
        client_id=f"client-{route.pk}", client_type="public", authorization_grant_type="authorization-code", client_secret=""
    )
    for name in ("alice", "bob"):
        user = new_person(name).user  # type: ignore[attr-defined]
        Grant.objects.create(user=user, client=client, resource_id=route.pk, resource="https://x/mcp/demo", scope="mcp:tools")
    assert " 2 " in mcproute("list")
    assert mcproute("remove", "demo") == "Removed demo; 2 connections ended. The slug stays reserved.\n"
    assert not Grant.objects.filter(revoked_at=None).exists()
    assert Event.objects.filter(kind=Event.Kind.GRANT_REVOKED).count() == 2
    with pytest.raises(CommandError, match="belonged to another route"):
        mcproute("add", "demo", URL)


def test_remove_of_a_former_slug_names_the_route_and_removes_nothing() -> None:
    mcproute("add", "demo", URL)
    route = McpRoute.objects.get()
    route.slug = "tools"
    route.save()
    with pytest.raises(CommandError, match="demo is a former slug of the route tools"):
        mcproute("remove", "demo")
    assert McpRoute.objects.exists()


def test_remove_of_what_is_not_there_says_so() -> None:
    with pytest.raises(CommandError, match="There is no route demo"):
        mcproute("remove", "demo")

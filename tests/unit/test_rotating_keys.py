"""`manage.py rotate_keys`: a new key in front, everything moved to it, the old one dropped, and nothing lost."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from mcp_routes.models import McpRoute
from mcp_routes.proxy import sessions
from oauthgw.guard import sealed
from oauthgw.guard.conf import gateway
from oauthgw.guard.secret import Secret
from oauthgw.identity import signin
from oauthgw.journal.changes import Topic
from oauthgw.journal.models import Change
from oauthgw.models import AccessToken, SignIn
from tests.unit.conftest import WEB, Party, Person
from tests.unit.proxy.test_sessions import ALICE as OWNER

pytestmark = pytest.mark.django_db

HEADERS = {"Authorization": "Bearer of-the-upstream"}


def rotate(*options: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def drop_old_keys(settings: Any) -> Callable[[], None]:
    def drop() -> None:
        settings.GATEWAY = replace(settings.GATEWAY, encryption_keys=settings.GATEWAY.encryption_keys[:1])

    return drop


@pytest.fixture
def upstream_route(demo: McpRoute) -> McpRoute:
    demo.auth_mode = "headers"
    demo.set_headers(HEADERS)
    demo.save()
    return demo


def test_nothing_is_lost(
    upstream_route: McpRoute, alice: Person, website: Party, add_encryption_key: Any, drop_old_keys: Callable[[], None]
) -> None:
    held = website.redeem(alice.code(website.client, redirect_uri=WEB), redirect_uri=WEB).json()["refresh_token"]
    begun = signin.begin("/account/", "browser-1")
    add_encryption_key()
    assert "client secrets: 1 re-sealed" in rotate()
    held = website.refresh(held).json()["refresh_token"]
    drop_old_keys()
    assert {name: value.reveal() for name, value in McpRoute.objects.get().headers().items()} == HEADERS
    refreshed = website.refresh(held)
    assert refreshed.status_code == 200, "neither the client's secret nor the chain may hang on the old key"
    assert website.refresh(held).json()["refresh_token"] == refreshed.json()["refresh_token"], "and a lost answer is given again"
    assert signin.finish(begun.state, frozenset({sealed.digest("browser-1")})).next == "/account/"


def test_running_processes_are_told_of_the_routes(upstream_route: McpRoute, add_encryption_key: Any) -> None:
    add_encryption_key()
    Change.objects.all().delete()
    rotate()
    assert list(Change.objects.values_list("topic", "key")) == [(Topic.ROUTE, upstream_route.pk)]
    rotate()
    assert Change.objects.count() == 1, "the second time there is nothing to tell"


def test_it_says_for_how_long_the_old_key_is_needed(
    demo: McpRoute, alice: Person, editor: Party, add_encryption_key: Any, drop_old_keys: Callable[[], None]
) -> None:
    first = editor.redeem(alice.code(editor.client)).json()["refresh_token"]
    second = editor.refresh(first).json()["refresh_token"]
    add_encryption_key()
    assert "1 connection has an answer under way that only an old key can repeat" in rotate()
    assert editor.refresh(first).json()["refresh_token"] == second, "which it does"
    AccessToken.objects.update(accepted_at=AccessToken.objects.latest("created").created)
    assert "remove them" in rotate(), "once a token of the answer was accepted, it has arrived"
    AccessToken.objects.update(accepted_at=None)
    editor.refresh(second)
    assert "remove them" in rotate(), "or the chain has gone on under the new key"


def test_a_session_id_of_the_old_key_lives_as_long_as_the_key(add_encryption_key: Any, drop_old_keys: Callable[[], None]) -> None:
    """Its client is told 404 then, and opens a new session (MCP 2025-11-25, Session Management)."""
    signed = sessions.sign("upstream-session", OWNER)
    add_encryption_key()
    rotate()
    assert sessions.open_signed(signed, OWNER) == "upstream-session"
    drop_old_keys()
    assert sessions.open_signed(signed, OWNER) is None


def test_a_dry_run_changes_nothing(upstream_route: McpRoute, add_encryption_key: Any) -> None:
    before = McpRoute.objects.get().sealed_headers
    add_encryption_key()
    assert "routes' headers: 1 to re-seal" in rotate("--dry-run")
    assert McpRoute.objects.get().sealed_headers == before
    assert sealed.key_of(before) != sealed.current_key()


def test_what_no_key_opens_is_named_and_the_rest_is_moved(
    upstream_route: McpRoute, website: Party, replace_encryption_key: Callable[[], None], settings: Any
) -> None:
    old = gateway().encryption_keys
    replace_encryption_key()
    other = McpRoute(slug="other", name="Other", upstream_url="http://127.0.0.1:9/mcp", auth_mode="headers")
    other.set_headers(HEADERS)
    other.save()
    newest = Secret("b" * 43)
    settings.GATEWAY = replace(gateway(), encryption_keys=(newest, *gateway().encryption_keys))
    with pytest.raises(CommandError) as refused:
        rotate()
    assert "- route demo: its key" in str(refused.value) and f"- client {website.client}" in str(refused.value)
    assert "of-the-upstream" not in str(refused.value)
    assert sealed.key_of(McpRoute.objects.get(slug="other").sealed_headers) == sealed.current_key()
    settings.GATEWAY = replace(gateway(), encryption_keys=(newest, *old))
    rotate()
    assert McpRoute.objects.get(slug="demo").headers()["Authorization"].reveal() == HEADERS["Authorization"]


def test_more_rows_than_a_batch_holds_are_all_moved(db: None, add_encryption_key: Any, drop_old_keys: Callable[[], None]) -> None:
    for number in range(230):
        signin.begin("/", f"browser-{number}")
    add_encryption_key()
    assert "sign-ins under way: 230 re-sealed" in rotate()
    assert {sealed.key_of(value) for value in SignIn.objects.values_list("sealed_verifier", flat=True)} == {sealed.current_key()}
    drop_old_keys()
    assert "There is one key" in rotate()


def test_a_public_client_has_nothing_to_move(editor: Party, add_encryption_key: Any) -> None:
    add_encryption_key()
    assert "client secrets: 0 re-sealed" in rotate()

"""CLIENT_REGISTRATION: open to everybody, open but waiting for an operator, or closed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.models import Client
from oauthgw.models.client import usable_clients
from tests.unit.conftest import LOOPBACK, Party, Person

Mode = Callable[[str], None]
METADATA = "/.well-known/oauth-authorization-server"


@pytest.fixture
def mode(settings: Any) -> Mode:
    """Sets CLIENT_REGISTRATION; once more to change it."""

    def set_mode(value: str) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, client_registration=value)

    return set_mode


def approve(party: Party) -> None:
    Client.objects.filter(pk=party.client.pk).update(approved_at=timezone.now())


class TestClosed:
    @pytest.mark.parametrize("path", ["/oauth/register", "/register"])
    def test_a_registration_is_refused_in_words_a_browser_may_read(self, http: Browser, db: None, mode: Mode, path: str) -> None:
        mode("closed")
        answer = http.post(path, {"redirect_uris": [LOOPBACK]}, content_type="application/json")
        assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
        assert "operator" in answer.json()["error_description"]
        assert answer["Access-Control-Allow-Origin"] == "*" and answer["Cache-Control"] == "no-store"
        assert not Client.objects.exists()

    @pytest.mark.parametrize("path", [METADATA, f"{METADATA}/mcp/demo", "/.well-known/openid-configuration"])
    def test_no_metadata_announces_an_endpoint_that_refuses_everybody(self, http: Browser, demo: McpRoute, mode: Mode, path: str) -> None:
        assert "registration_endpoint" in http.get(path).json()
        mode("closed")
        assert "registration_endpoint" not in http.get(path).json()

    def test_who_is_registered_goes_on(self, demo: McpRoute, alice: Person, editor: Party, mode: Mode) -> None:
        mode("closed")
        first = editor.redeem(alice.code(editor.client)).json()
        assert principals.resolve_now(first["access_token"], demo.pk) is not None
        assert editor.refresh(first["refresh_token"]).status_code == 200


class TestApproval:
    def test_anyone_may_register(self, mode: Mode, register: Callable[..., dict[str, Any]]) -> None:
        mode("approval")
        assert register(redirect_uris=[LOOPBACK])["client_id"]

    def test_until_it_is_approved_a_person_gets_a_page_that_says_whom_to_ask_for_what(
        self, demo: McpRoute, alice: Person, editor: Party, mode: Mode
    ) -> None:
        mode("approval")
        page = alice.open(editor.client)
        text = page.content.decode()
        assert page.status_code == 400 and "Location" not in page
        assert "waits for approval" in text and "Editor" in text and editor.client.client_id in text

    def test_once_it_is_approved_the_same_registration_connects(self, demo: McpRoute, alice: Person, editor: Party, mode: Mode) -> None:
        mode("approval")
        approve(editor)
        assert editor.redeem(alice.code(editor.client)).status_code == 200

    def test_switching_to_approval_stops_who_was_never_approved_everywhere(
        self, demo: McpRoute, alice: Person, editor: Party, mode: Mode
    ) -> None:
        first = editor.redeem(alice.code(editor.client)).json()
        page = alice.open(editor.client)
        mode("approval")
        assert principals.resolve_now(first["access_token"], demo.pk) is None
        refused = editor.refresh(first["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert "approval" in refused.json()["error_description"]
        assert editor.revoke(first["access_token"]).status_code == 401
        assert alice.decide(page).status_code == 400, "a page that was open meanwhile"

    def test_and_approving_lets_its_connections_go_on(self, demo: McpRoute, alice: Person, editor: Party, mode: Mode) -> None:
        first = editor.redeem(alice.code(editor.client)).json()
        mode("approval")
        approve(editor)
        assert principals.resolve_now(first["access_token"], demo.pk) is not None
        assert editor.refresh(first["refresh_token"]).status_code == 200

    def test_a_client_switched_off_is_unknown_rather_than_waiting(self, demo: McpRoute, alice: Person, editor: Party, mode: Mode) -> None:
        mode("approval")
        Client.objects.update(disabled_at=timezone.now())
        assert "not registered here" in alice.open(editor.client).content.decode()


@pytest.mark.parametrize("setting", ["open", "approval", "closed"])
@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("disabled", [True, False])
def test_the_query_and_the_row_say_the_same(editor: Party, mode: Mode, setting: str, approved: bool, disabled: bool) -> None:
    mode(setting)
    now = timezone.now()
    Client.objects.update(approved_at=now if approved else None, disabled_at=now if disabled else None)
    editor.client.refresh_from_db()
    expected = not disabled and (approved or setting != "approval")
    assert editor.client.is_usable(None) is expected
    assert Client.objects.filter(usable_clients()).exists() is expected

"""What was withdrawn, switched off or removed between two steps: refused at the next one, and where it can come back, nothing is lost."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from mcp_routes import removal
from mcp_routes.models import McpRoute
from oauthgw import consent
from oauthgw.models import AuthorizationCode, Client, Consent, Grant, RefreshToken
from tests.unit.conftest import LOOPBACK, ORIGIN, Party, Person, sent_to_client
from tests.unit.tokens.conftest import ok, refused, served

WEB = "https://app.example.com/cb"


def shut_out(person: Person, active: bool = False) -> None:
    person.user.is_active = active
    person.user.save()


def switch(client: Client, on: bool = False) -> None:
    Client.objects.filter(pk=client.pk).update(disabled_at=None if on else timezone.now())


class TestACodeOnItsWay:
    @pytest.fixture
    def code(self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> str:
        return alice.code(editor.client)

    def test_is_void_when_its_consent_was_withdrawn(self, editor: Party, code: str) -> None:
        consent.withdraw(Consent.objects.get(), "The user withdrew it.")
        assert refused(editor.redeem(code)) and not Grant.objects.exists()

    def test_is_good_when_the_consent_for_another_route_was_withdrawn(self, editor: Party, alice: Person, code: str) -> None:
        alice.code(editor.client, "/mcp/demo-admin", resource=None)
        consent.withdraw(Consent.objects.get(resource__endswith="/mcp/demo-admin"), "The user withdrew it.")
        assert ok(editor.redeem(code))

    def test_is_void_when_its_route_was_removed(self, editor: Party, demo: McpRoute, code: str) -> None:
        removal.remove(demo)
        assert refused(editor.redeem(code))

    def test_is_refused_while_its_route_is_switched_off_and_not_consumed(self, editor: Party, code: str) -> None:
        McpRoute.objects.filter(slug="demo").update(enabled=False)
        assert refused(editor.redeem(code))
        McpRoute.objects.filter(slug="demo").update(enabled=True)
        assert ok(editor.redeem(code))

    def test_is_refused_while_its_user_is_shut_out_and_not_consumed(self, alice: Person, editor: Party, code: str) -> None:
        shut_out(alice)
        assert refused(editor.redeem(code))
        shut_out(alice, active=True)
        assert ok(editor.redeem(code))

    def test_is_refused_while_its_client_is_switched_off_and_not_consumed(self, editor: Party, code: str) -> None:
        switch(editor.client)
        assert refused(editor.redeem(code), "invalid_client")
        switch(editor.client, on=True)
        assert ok(editor.redeem(code))


class TestAStandingConsent:
    """A redirect to a website skips the page: no code must slip out beside a withdrawal."""

    def test_gives_a_code_and_its_withdrawal_finds_that_code(self, demo: McpRoute, alice: Person, website: Party) -> None:
        alice.code(website.client, redirect_uri=WEB)
        skipped = sent_to_client(alice.open(website.client, redirect_uri=WEB))["code"]
        consent.withdraw(Consent.objects.get(), "The user withdrew it.")
        assert refused(website.redeem(skipped, redirect_uri=WEB))
        assert 'name="decision"' in alice.open(website.client, redirect_uri=WEB).content.decode()

    def test_is_not_looked_for_where_the_redirect_can_be_borrowed(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        alice.code(editor.client)
        assert 'name="decision"' in alice.open(editor.client).content.decode()


class TestARefresh:
    def test_is_refused_while_the_client_is_switched_off_and_consumes_nothing(self, editor: Party, first: dict[str, Any]) -> None:
        switch(editor.client)
        assert refused(editor.refresh(first["refresh_token"]), "invalid_client")
        assert not served(first["access_token"])
        switch(editor.client, on=True)
        assert served(first["access_token"]) and ok(editor.refresh(first["refresh_token"]))

    def test_is_refused_while_the_user_is_shut_out_and_consumes_nothing(self, alice: Person, editor: Party, first: dict[str, Any]) -> None:
        shut_out(alice)
        assert refused(editor.refresh(first["refresh_token"]))
        shut_out(alice, active=True)
        assert ok(editor.refresh(first["refresh_token"]))

    def test_of_a_spent_token_ends_the_family_even_while_the_user_is_shut_out(
        self, alice: Person, editor: Party, first: dict[str, Any]
    ) -> None:
        """Rule 3 knows no exception: whoever holds an old token may have copied it."""
        third = ok(editor.refresh(ok(editor.refresh(first["refresh_token"]))["refresh_token"]))
        shut_out(alice)
        assert refused(editor.refresh(first["refresh_token"]))
        shut_out(alice, active=True)
        assert refused(editor.refresh(third["refresh_token"]))

    @pytest.mark.parametrize("named", [{}, {"resource": f"{ORIGIN}/mcp/demo"}, {"resource": f"{ORIGIN.upper()}/mcp/demo/"}], ids=str)
    def test_works_while_the_route_is_switched_off_because_its_grants_stay(
        self, editor: Party, first: dict[str, Any], named: dict[str, str]
    ) -> None:
        McpRoute.objects.filter(slug="demo").update(enabled=False)
        assert ok(editor.refresh(first["refresh_token"], **named))["expires_in"] == 900
        assert editor.refresh(first["refresh_token"], resource=f"{ORIGIN}/mcp/other").json()["error"] == "invalid_target"

    def test_is_refused_once_the_route_was_removed(self, demo: McpRoute, editor: Party, first: dict[str, Any]) -> None:
        removal.remove(demo)
        assert refused(editor.refresh(first["refresh_token"]))


class TestKeysInTheChain:
    def test_links_derived_under_an_old_key_go_on_under_the_new_one(
        self, editor: Party, first: dict[str, Any], add_encryption_key: Callable[[], None]
    ) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        add_encryption_key()
        third = ok(editor.refresh(second["refresh_token"]))
        assert ok(editor.refresh(second["refresh_token"]))["refresh_token"] == third["refresh_token"]
        assert len(set(RefreshToken.objects.exclude(key_id="").values_list("key_id", flat=True))) == 2

    def test_an_old_key_may_go_once_the_clients_hold_what_came_after(
        self, editor: Party, first: dict[str, Any], replace_encryption_key: Callable[[], None]
    ) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        replace_encryption_key()
        third = ok(editor.refresh(second["refresh_token"]))
        assert ok(editor.refresh(second["refresh_token"]))["refresh_token"] == third["refresh_token"]

    def test_a_repeat_that_cannot_be_derived_consumes_nothing(
        self, editor: Party, first: dict[str, Any], replace_encryption_key: Callable[[], None]
    ) -> None:
        ok(editor.refresh(first["refresh_token"]))
        replace_encryption_key()
        before = list(RefreshToken.objects.order_by("pk").values())
        assert refused(editor.refresh(first["refresh_token"]))
        assert list(RefreshToken.objects.order_by("pk").values()) == before and Grant.objects.get().is_live


class TestADoubleClick:
    def test_is_one_code_and_one_word_in_the_journal(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        from oauthgw.journal.models import Event

        page = alice.open(editor.client)
        assert len({sent_to_client(alice.decide(page))["code"] for _ in range(2)}) == 1
        assert AuthorizationCode.objects.get().redirect_uri == LOOPBACK
        assert Event.objects.filter(kind=Event.Kind.CONSENT_GIVEN).count() == 1

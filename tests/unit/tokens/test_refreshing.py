"""The five rules of refreshing, one by one (oauthgw/tokens.py)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals, tokens
from oauthgw.guard.sealed import digest
from oauthgw.journal.models import Event
from oauthgw.models import AccessToken, Grant, RefreshToken
from tests.unit.conftest import ORIGIN, Party, Person
from tests.unit.tokens.conftest import ok, refused, served


def move_back(**delta: float) -> None:
    """Makes every first use of a refresh token older."""
    for row in RefreshToken.objects.exclude(spent_at=None):
        assert row.spent_at is not None
        RefreshToken.objects.filter(pk=row.pk).update(spent_at=row.spent_at - timedelta(**delta))


class TestRule1OneChain:
    def test_presenting_a_token_again_gives_the_same_next_token_and_a_fresh_access_token(
        self, editor: Party, first: dict[str, Any]
    ) -> None:
        once, twice = ok(editor.refresh(first["refresh_token"])), ok(editor.refresh(first["refresh_token"]))
        assert once["refresh_token"] == twice["refresh_token"] != first["refresh_token"]
        assert once["access_token"] != twice["access_token"]
        assert served(once["access_token"]) and served(twice["access_token"])

    def test_two_families_never_share_a_token(self, editor: Party, alice: Person, first: dict[str, Any]) -> None:
        other = ok(editor.redeem(alice.code(editor.client)))
        assert ok(editor.refresh(first["refresh_token"]))["refresh_token"] != ok(editor.refresh(other["refresh_token"]))["refresh_token"]

    def test_the_same_next_token_comes_even_after_a_new_key_was_put_in_front(
        self, editor: Party, first: dict[str, Any], add_encryption_key: Callable[[], None]
    ) -> None:
        once = ok(editor.refresh(first["refresh_token"]))
        add_encryption_key()
        assert ok(editor.refresh(first["refresh_token"]))["refresh_token"] == once["refresh_token"]

    def test_when_the_deriving_key_was_removed_the_repeat_is_refused_and_the_family_lives(
        self, editor: Party, first: dict[str, Any], replace_encryption_key: Callable[[], None]
    ) -> None:
        once = ok(editor.refresh(first["refresh_token"]))
        replace_encryption_key()
        assert refused(editor.refresh(first["refresh_token"]))
        assert ok(editor.refresh(once["refresh_token"]))


class TestRule2Forgiveness:
    def test_a_lost_answer_is_forgiven_without_a_time_limit(self, editor: Party, first: dict[str, Any]) -> None:
        ok(editor.refresh(first["refresh_token"]))
        move_back(days=20)
        assert ok(editor.refresh(first["refresh_token"]))

    def test_an_answer_that_arrived_is_forgiven_for_two_minutes(self, editor: Party, first: dict[str, Any]) -> None:
        answer = ok(editor.refresh(first["refresh_token"]))
        assert served(answer["access_token"])
        move_back(seconds=110)
        assert ok(editor.refresh(first["refresh_token"]))

    def test_after_that_it_is_theft(self, editor: Party, first: dict[str, Any]) -> None:
        answer = ok(editor.refresh(first["refresh_token"]))
        assert served(answer["access_token"])
        move_back(seconds=130)
        assert refused(editor.refresh(first["refresh_token"]))
        assert not served(answer["access_token"])

    def test_once_the_next_token_was_presented_its_predecessor_is_never_forgiven(self, editor: Party, first: dict[str, Any]) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        third = ok(editor.refresh(second["refresh_token"]))
        assert refused(editor.refresh(first["refresh_token"]))
        assert refused(editor.refresh(third["refresh_token"]))

    def test_the_direct_predecessor_of_the_head_is_still_forgiven_further_down_the_chain(
        self, editor: Party, first: dict[str, Any]
    ) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        third = ok(editor.refresh(second["refresh_token"]))
        assert ok(editor.refresh(second["refresh_token"]))["refresh_token"] == third["refresh_token"]

    def test_an_access_token_refused_on_another_route_is_no_sign_that_the_answer_arrived(
        self, editor: Party, first: dict[str, Any]
    ) -> None:
        answer = ok(editor.refresh(first["refresh_token"]))
        other = McpRoute.objects.get(slug="demo-admin")
        assert principals.resolve_now(answer["access_token"], other.pk) is None
        move_back(seconds=130)
        assert ok(editor.refresh(first["refresh_token"]))


class TestRule3Reuse:
    def test_reuse_ends_the_family_and_is_journalled_with_its_reason(self, editor: Party, first: dict[str, Any]) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        ok(editor.refresh(second["refresh_token"]))
        assert refused(editor.refresh(first["refresh_token"]))
        grant = Grant.objects.get()
        assert grant.revoked_at is not None and "used again" in grant.revoked_reason
        assert Event.objects.filter(kind=Event.Kind.REFRESH_REUSED, grant_id=grant.pk).exists()
        assert Event.objects.filter(kind=Event.Kind.GRANT_REVOKED, grant_id=grant.pk).exists()

    def test_it_ends_no_other_family_of_the_same_user_and_client(self, editor: Party, alice: Person, first: dict[str, Any]) -> None:
        other = ok(editor.redeem(alice.code(editor.client)))
        second = ok(editor.refresh(first["refresh_token"]))
        ok(editor.refresh(second["refresh_token"]))
        assert refused(editor.refresh(first["refresh_token"]))
        assert served(other["access_token"]) and ok(editor.refresh(other["refresh_token"]))


class TestRule4NothingIsConsumedByTheWrongHand:
    def test_another_clients_refresh_token_is_refused_and_stays_good(
        self, editor: Party, register: Callable[..., dict[str, Any]], first: dict[str, Any]
    ) -> None:
        stranger = register(redirect_uris=["http://127.0.0.1/"])
        assert refused(editor.refresh(first["refresh_token"], client_id=stranger["client_id"]))
        assert ok(editor.refresh(first["refresh_token"]))

    def test_a_spent_token_in_a_strangers_hand_does_not_end_the_family(
        self, editor: Party, register: Callable[..., dict[str, Any]], first: dict[str, Any]
    ) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        third = ok(editor.refresh(second["refresh_token"]))
        stranger = register(redirect_uris=["http://127.0.0.1/"])
        assert refused(editor.refresh(first["refresh_token"], client_id=stranger["client_id"]))
        assert ok(editor.refresh(third["refresh_token"]))

    @pytest.mark.parametrize("secret", ["wrong", ""])
    def test_a_wrong_secret_consumes_nothing(self, demo: McpRoute, alice: Person, website: Party, secret: str) -> None:
        redirect = "https://app.example.com/cb"
        answer = ok(website.redeem(alice.code(website.client, redirect_uri=redirect), redirect_uri=redirect))
        assert refused(website.refresh(answer["refresh_token"], client_secret=secret), "invalid_client")
        assert ok(website.refresh(answer["refresh_token"]))

    def test_a_wrong_resource_consumes_nothing(self, editor: Party, first: dict[str, Any]) -> None:
        assert refused(editor.refresh(first["refresh_token"], resource=f"{ORIGIN}/mcp/demo-admin"), "invalid_target")
        assert RefreshToken.objects.filter(spent_at=None).count() == 1
        assert ok(editor.refresh(first["refresh_token"], resource=f"{ORIGIN}/mcp/demo/"))


class TestRule5RotationRevokesNothing:
    def test_earlier_access_tokens_live_to_their_own_expiry(self, editor: Party, first: dict[str, Any]) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        assert served(first["access_token"]) and served(second["access_token"])

    def test_an_expired_access_token_is_refused(self, first: dict[str, Any]) -> None:
        assert served(first["access_token"])
        AccessToken.objects.update(expires=timezone.now())
        assert not served(first["access_token"])


class TestLifetimes:
    def test_a_refresh_token_unused_for_its_lifetime_is_refused(self, editor: Party, first: dict[str, Any]) -> None:
        RefreshToken.objects.update(expires_at=timezone.now())
        assert refused(editor.refresh(first["refresh_token"]))

    def test_each_use_starts_its_lifetime_anew(self, editor: Party, first: dict[str, Any]) -> None:
        RefreshToken.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
        ok(editor.refresh(first["refresh_token"]))
        assert RefreshToken.objects.get(spent_at=None).expires_at > timezone.now() + timedelta(days=29)

    def test_nothing_outlives_the_grants_absolute_age(self, editor: Party, first: dict[str, Any]) -> None:
        Grant.objects.update(expires_at=timezone.now() + timedelta(seconds=100))
        answer = ok(editor.refresh(first["refresh_token"]))
        assert answer["expires_in"] <= 100
        assert served(answer["access_token"])
        Grant.objects.update(expires_at=timezone.now())
        assert refused(editor.refresh(answer["refresh_token"]))
        assert not served(answer["access_token"])

    def test_a_route_may_give_its_access_tokens_a_longer_life(self, editor: Party, first: dict[str, Any]) -> None:
        assert first["expires_in"] == 900
        McpRoute.objects.filter(slug="demo").update(access_token_ttl=3600)
        assert ok(editor.refresh(first["refresh_token"]))["expires_in"] == 3600

    def test_a_user_switched_off_can_neither_call_nor_refresh(self, editor: Party, alice: Person, first: dict[str, Any]) -> None:
        alice.user.is_active = False
        alice.user.save()
        assert not served(first["access_token"])
        assert refused(editor.refresh(first["refresh_token"]))


class TestStorage:
    def test_the_database_holds_digests_and_no_value(self, editor: Party, first: dict[str, Any]) -> None:
        second = ok(editor.refresh(first["refresh_token"]))
        held = str(list(AccessToken.objects.values())) + str(list(RefreshToken.objects.values()))
        for answer in (first, second):
            for name in ("access_token", "refresh_token"):
                assert answer[name] not in held and answer[name].partition("_")[2] not in held
                assert digest(answer[name]) in held

    def test_a_token_says_what_it_is_and_carries_a_checksum(self, first: dict[str, Any]) -> None:
        token = first["access_token"]
        assert token.startswith("mcpat_") and tokens.looks_like_access_token(token)
        assert first["refresh_token"].startswith("mcprt_")
        typo = token[:-1] + ("0" if token[-1] != "0" else "1")
        assert not tokens.looks_like_access_token(typo)
        assert not tokens.looks_like_access_token(first["refresh_token"])

"""Which apps a user has connected, and what disconnecting one ends: theirs, that client's, on that route, and nothing beside it."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import connected, principals
from oauthgw.journal.models import Event
from oauthgw.models import AccessToken, Client, Consent, Grant, RefreshToken
from tests.unit.conftest import ORIGIN, Party, Person

pytestmark = pytest.mark.django_db


def connect(person: Person, party: Party, slug: str = "demo") -> dict[str, Any]:
    """All the way to tokens."""
    answer = party.redeem(person.code(party.client, f"/mcp/{slug}", resource=f"{ORIGIN}/mcp/{slug}"))
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def works(tokens: dict[str, Any], route: McpRoute) -> bool:
    return principals.resolve_now(tokens["access_token"], route.pk) is not None


def apps(person: Person) -> list[tuple[str, int]]:
    return [(app.client.name, app.resource_id) for app in connected.apps(person.user)]


def expire(**which: Any) -> None:
    past = timezone.now() - timedelta(seconds=1)
    AccessToken.objects.filter(**which).update(expires=past)
    RefreshToken.objects.filter(**which).update(expires_at=past)


class TestTheList:
    def test_an_app_is_a_client_on_a_route(self, alice: Person, editor: Party, demo: McpRoute, demo_admin: McpRoute) -> None:
        connect(alice, editor)
        connect(alice, editor, "demo-admin")
        assert sorted(apps(alice)) == [("Editor", demo.pk), ("Editor", demo_admin.pk)]

    def test_connected_twice_is_one_app_since_the_first_time(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        long_ago = timezone.now() - timedelta(days=3)
        Grant.objects.update(issued_at=long_ago)
        connect(alice, editor)
        (app,) = connected.apps(alice.user)
        assert app.since == long_ago
        assert app.last_used is not None
        assert app.last_used > long_ago

    def test_other_people_see_nothing_of_it(self, alice: Person, bob: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        assert apps(bob) == []

    @pytest.mark.parametrize("what", ["grants and consent", "grants alone", "consent alone"])
    def test_either_tokens_or_a_consent_make_one(self, alice: Person, editor: Party, demo: McpRoute, what: str) -> None:
        connect(alice, editor)
        if what == "grants alone":
            Consent.objects.update(withdrawn_at=timezone.now())
        if what == "consent alone":
            Grant.objects.update(revoked_at=timezone.now())
        (app,) = connected.apps(alice.user)
        assert (app.last_used is None) is (what == "consent alone")

    @pytest.mark.parametrize("what", ["revoked", "too old", "without a token that is still good"])
    def test_grants_that_have_ended_make_none(self, alice: Person, editor: Party, demo: McpRoute, what: str) -> None:
        connect(alice, editor)
        Consent.objects.update(withdrawn_at=timezone.now())
        assert apps(alice) != []
        if what == "revoked":
            Grant.objects.update(revoked_at=timezone.now())
        elif what == "too old":
            Grant.objects.update(expires_at=timezone.now())
        else:
            expire(user=alice.user)
        assert apps(alice) == []

    def test_a_refresh_token_alone_keeps_it(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        Consent.objects.update(withdrawn_at=timezone.now())
        AccessToken.objects.update(expires=timezone.now())
        assert len(apps(alice)) == 1

    def test_the_last_use_is_the_latest_that_is_known(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        first = connect(alice, editor)
        (issued,) = (app.last_used for app in connected.apps(alice.user))
        assert works(first, demo)
        (accepted,) = (app.last_used for app in connected.apps(alice.user))
        assert editor.refresh(first["refresh_token"]).status_code == 200
        (refreshed,) = (app.last_used for app in connected.apps(alice.user))
        assert issued < accepted < refreshed  # type: ignore[operator]  # none of them is None

    def test_the_last_used_comes_first(self, alice: Person, editor: Party, website: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        code = alice.code(website.client, redirect_uri="https://app.example.com/cb")
        website.redeem(code, redirect_uri="https://app.example.com/cb")
        assert [name for name, _ in apps(alice)] == ["Website", "Editor"]


class TestDisconnecting:
    def test_tokens_consent_and_codes_on_their_way_end(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        tokens, code = connect(alice, editor), alice.code(editor.client)
        assert connected.disconnect(alice.user, editor.client.pk, demo.pk)
        assert not works(tokens, demo)
        assert editor.refresh(tokens["refresh_token"]).status_code == 400
        assert editor.redeem(code).status_code == 400
        assert Consent.objects.standing(alice.user, editor.client, demo.pk) is None
        assert apps(alice) == []

    def test_grants_without_a_consent_end_too(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        """As an impersonator's, whose approval is not remembered."""
        tokens = connect(alice, editor)
        Consent.objects.all().delete()
        code = alice.code(editor.client)
        Consent.objects.all().delete()
        assert connected.disconnect(alice.user, editor.client.pk, demo.pk)
        assert (works(tokens, demo), editor.redeem(code).status_code) == (False, 400)

    def test_grants_that_outlived_their_consent_end_too(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        tokens = connect(alice, editor)
        Consent.objects.update(withdrawn_at=timezone.now())
        assert connected.disconnect(alice.user, editor.client.pk, demo.pk)
        assert not works(tokens, demo)

    def test_the_same_app_on_another_route_and_for_another_user_goes_on(
        self, alice: Person, bob: Person, editor: Party, demo: McpRoute, demo_admin: McpRoute
    ) -> None:
        other_route, other_user = connect(alice, editor, "demo-admin"), connect(bob, editor)
        connect(alice, editor)
        assert connected.disconnect(alice.user, editor.client.pk, demo.pk)
        assert works(other_route, demo_admin) and works(other_user, demo)
        assert Consent.objects.filter(withdrawn_at=None).count() == 2

    def test_another_client_of_the_same_user_goes_on(self, alice: Person, editor: Party, website: Party, demo: McpRoute) -> None:
        tokens = connect(alice, editor)
        connected.disconnect(alice.user, website.client.pk, demo.pk)
        assert works(tokens, demo)

    def test_twice_is_once_and_never_connected_is_told_apart(self, alice: Person, bob: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        assert connected.disconnect(alice.user, editor.client.pk, demo.pk)
        assert connected.disconnect(alice.user, editor.client.pk, demo.pk)
        assert not connected.disconnect(bob.user, editor.client.pk, demo.pk)
        assert not connected.disconnect(alice.user, Client.objects.latest("pk").pk + 1, demo.pk)

    def test_the_journal_says_who_ended_it(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        connected.disconnect(alice.user, editor.client.pk, demo.pk)
        event = Event.objects.get(kind="grant_revoked")
        assert (event.user, event.client_id, event.reason) == (alice.user, editor.client.client_id, "The user revoked it.")

    def test_all_at_once_ends_all_of_this_users(
        self, alice: Person, bob: Person, editor: Party, demo: McpRoute, demo_admin: McpRoute
    ) -> None:
        mine = [connect(alice, editor), connect(alice, editor, "demo-admin")]
        code, theirs = alice.code(editor.client), connect(bob, editor)
        assert connected.disconnect_all(alice.user) == 2
        assert [works(mine[0], demo), works(mine[1], demo_admin), works(theirs, demo)] == [False, False, True]
        assert editor.redeem(code).status_code == 400
        assert apps(alice) == []

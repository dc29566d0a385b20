"""What a refresh asks WorkOS about its user, how often, and what the answer does."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from oauthgw.identity import people, standing
from oauthgw.identity.provider import Person as Signed
from oauthgw.journal.models import Event
from oauthgw.models import BrowserSession, Grant, Identity, RefreshToken
from tests.unit.conftest import Clock, Party, Person
from tests.unit.identity.conftest import API_KEY, Reply, Standin

pytestmark = pytest.mark.django_db(transaction=True)  # as in production no transaction is open while WorkOS is asked

USERS = "/user_management/users/user_alice"
MEMBERSHIPS = "/user_management/organization_memberships"
USER = {"object": "user", "id": "user_alice", "email": "alice@example.com", "email_verified": True, "first_name": "Alice"}
MEMBERSHIP = {"user_id": "user_alice", "organization_id": "org_1", "status": "active", "role": {"slug": "member"}}


GONE = Reply(404, {"message": "User not found.", "code": "entity_not_found", "entity_id": "user_alice"})


class House:
    """Alice, a member of an organisation, connected through an editor; and WorkOS, of whom she is asked."""

    def __init__(self, workos: Standin, alice: Person, editor: Party, clock: Clock) -> None:
        self.workos, self.alice, self.editor, self.clock = workos, alice, editor, clock
        self.user: Reply = Reply(body=USER)
        self.memberships: Reply = Reply(body={"object": "list", "data": [MEMBERSHIP], "list_metadata": {}})
        workos.answer_api = lambda path: self.user if path == USERS else self.memberships
        workos.answer = lambda: Reply(400, {"error": "invalid_grant", "error_description": "The code is invalid."})
        Identity.objects.update(organization_id="org_1", role="member", permissions=["read"], asked_at=timezone.now())
        self.held = str(editor.redeem(alice.code(editor.client)).json()["refresh_token"])

    def refresh(self) -> Any:
        answer = self.editor.refresh(self.held)
        if answer.status_code == 200:
            self.held = answer.json()["refresh_token"]
        return answer

    @property
    def asked(self) -> list[str]:
        return [urlsplit(path).path for path, _ in self.workos.asked]

    @property
    def identity(self) -> Identity:
        return Identity.objects.get()

    @property
    def grant(self) -> Grant:
        return Grant.objects.get()


@pytest.fixture
def house(with_workos: Standin, demo: Any, alice: Person, editor: Party, clock: Clock) -> House:
    return House(with_workos, alice, editor, clock)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", clock)
    return clock


class TestWhenItIsAsked:
    def test_not_within_an_hour_of_the_sign_in(self, house: House) -> None:
        house.clock.forward(minutes=59)
        assert house.refresh().status_code == 200
        assert house.asked == []

    def test_once_an_hour_with_the_api_key(self, house: House) -> None:
        for _ in range(2):
            house.clock.forward(minutes=61)
            assert house.refresh().status_code == 200
            assert house.refresh().status_code == 200
        assert house.asked == [USERS, MEMBERSHIPS] * 2
        assert {key for _, key in house.workos.asked} == {f"Bearer {API_KEY}"}
        about = parse_qs(urlsplit(house.workos.asked[1][0]).query)
        assert (about["user_id"], about["organization_id"]) == (["user_alice"], ["org_1"])

    def test_never_for_whoever_shows_no_token_of_its_own(self, house: House, website: Party) -> None:
        house.clock.forward(minutes=61)
        assert house.editor.refresh("mcprt_unknown").status_code == 400
        assert website.refresh(house.held).status_code == 400
        assert house.asked == []

    def test_never_about_local_accounts_nor_without_workos(self, house: House, decide: Callable[..., None]) -> None:
        house.clock.forward(minutes=61)
        Identity.objects.update(provider="dev")
        standing.confirm(User.objects.get())
        Identity.objects.all().delete()
        assert house.refresh().status_code == 200
        assert house.asked == []

    def test_of_two_processes_one_asks(self, house: House) -> None:
        identity = house.identity
        house.clock.forward(minutes=61)
        standing.ask(identity)
        standing.ask(identity)
        assert house.asked == [USERS, MEMBERSHIPS]

    def test_no_lock_is_held_meanwhile(self, house: House) -> None:
        """The grant can be revoked while WorkOS is asked, and the refresh then sees it."""
        house.clock.forward(minutes=61)
        alone = house.user

        def revoked_meanwhile(path: str) -> Reply:
            Grant.objects.update(revoked_at=timezone.now())
            connection.close()  # the thread is the pretended WorkOS's
            return alone if path == USERS else house.memberships

        house.workos.answer_api = revoked_meanwhile
        assert house.refresh().json()["error"] == "invalid_grant"


class TestWhatTheAnswerDoes:
    def test_a_user_who_is_gone_is_out_but_not_switched_off(self, house: House) -> None:
        """The whole gateway may be of another environment since: whoever is there can sign in again."""
        house.user = GONE
        house.clock.forward(minutes=61)
        assert house.refresh().json()["error"] == "invalid_grant"
        assert house.grant.revoked_reason == "WorkOS does not know the user any more."
        assert not BrowserSession.objects.live(house.alice.user).exists()
        assert User.objects.get().is_active

    @pytest.mark.parametrize("memberships", [[], [{**MEMBERSHIP, "status": "inactive"}], [{**MEMBERSHIP, "organization_id": "org_2"}]])
    def test_a_member_no_more_is_out(self, house: House, decide: Callable[..., None], memberships: list[Any]) -> None:
        decide(sign_in_allow=("org_1",))
        house.memberships = Reply(body={"data": memberships})
        house.clock.forward(minutes=61)
        assert house.refresh().json()["error"] == "invalid_grant"
        assert house.identity.organization_id == ""

    def test_another_role_is_taken_over(self, house: House) -> None:
        house.memberships = Reply(body={"data": [{**MEMBERSHIP, "role": {"slug": "viewer"}}]})
        house.clock.forward(minutes=61)
        assert house.refresh().status_code == 200
        assert (house.identity.role, house.identity.permissions) == ("viewer", [])

    def test_another_address_is_taken_over_and_what_rested_on_the_former_ends(self, house: House, decide: Callable[..., None]) -> None:
        decide(sign_in_allow=("@example.com",))
        house.user = Reply(body={**USER, "email": "alice@elsewhere.example"})
        house.clock.forward(minutes=61)
        assert house.refresh().json()["error"] == "invalid_grant"
        assert User.objects.get().email == house.identity.email == "alice@elsewhere.example"
        assert Event.objects.filter(kind=Event.Kind.GRANT_REVOKED, reason="The user's e-mail address changed at WorkOS.").exists()

    def test_nothing_new_changes_nothing(self, house: House) -> None:
        house.clock.forward(minutes=61)
        assert house.refresh().status_code == 200
        assert (house.identity.role, house.identity.permissions, house.identity.organization_id) == ("member", ["read"], "org_1")


OUTAGES = {
    "5xx": Reply(502, b"<html>bad gateway</html>"),
    "busy": Reply(429, {"message": "slow down"}, {"Retry-After": "30"}),
    "key refused": Reply(401, {"message": "Unauthorized", "code": "unauthorized"}),
    "a 404 that speaks of no user": Reply(404, b"<html>not here</html>"),
    "another user": Reply(body={**USER, "id": "user_bob"}),
    "no object": Reply(body=[1]),
}


class TestAnOutage:
    @pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client"])
    def test_an_api_key_of_another_environment_ends_nothing(self, house: House, code: str) -> None:
        """It knows none of our users: put in by mistake, it would sign everybody out."""
        house.user = GONE
        house.workos.answer = lambda: Reply(400, {"error": code, "error_description": "Invalid client."})
        house.clock.forward(minutes=61)
        assert house.refresh().status_code == 200
        assert house.grant.revoked_at is None and house.identity.unanswered_since is not None

    @pytest.mark.parametrize("reply", OUTAGES.values(), ids=OUTAGES)
    def test_is_tolerated_for_a_day(self, house: House, reply: Reply) -> None:
        house.user = reply
        for _ in range(23):
            house.clock.forward(hours=1)
            assert house.refresh().status_code == 200
        assert house.grant.revoked_at is None

    def test_then_refreshes_wait_and_lose_nothing(self, house: House) -> None:
        up, house.user = house.user, OUTAGES["5xx"]
        house.clock.forward(hours=2)
        assert house.refresh().status_code == 200
        house.clock.forward(hours=25)
        refused = house.refresh()
        assert (refused.status_code, refused.json()["error"], refused["Retry-After"]) == (503, "temporarily_unavailable", "300")
        assert RefreshToken.objects.count() == 2
        house.user = up
        house.clock.forward(minutes=6)
        assert house.refresh().status_code == 200
        assert house.identity.unanswered_since is None

    def test_costs_one_refresh_in_five_minutes_its_time(self, house: House) -> None:
        house.user = OUTAGES["5xx"]
        house.clock.forward(minutes=61)
        for _ in range(4):
            assert house.refresh().status_code == 200
            house.clock.forward(minutes=2)
        assert house.asked == [USERS, USERS]

    def test_is_over_with_the_next_sign_in(self, house: House) -> None:
        Identity.objects.update(unanswered_since=timezone.now())
        people.admit("workos", Signed("user_alice", "alice@example.com"), admin=False)
        assert house.identity.unanswered_since is None
        assert house.identity.asked_at == house.clock.now

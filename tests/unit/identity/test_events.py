"""What an event of WorkOS ends and changes here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from oauthgw.guard.conf import WorkOS
from oauthgw.guard.secret import Secret
from oauthgw.identity import events
from oauthgw.journal.models import Change
from oauthgw.journal.models import Event as Journal
from oauthgw.models import BrowserSession, Grant, Identity
from tests.support.webhooks import PATH, SECRET, event, signature
from tests.unit.conftest import Party, Person

pytestmark = pytest.mark.django_db

START = datetime.now(UTC).replace(microsecond=0)
ORG = "org_1"


def member(role: str = "member", status: str = "active", **changed: Any) -> dict[str, Any]:
    return {"user_id": "user_alice", "organization_id": ORG, "status": status, "role": {"slug": role}, **changed}


def directory_user(**changed: Any) -> dict[str, Any]:
    return {"email": "Alice@example.com", "organization_id": ORG, "state": "active", **changed}


@dataclass
class Hook:
    """WorkOS, as it sends events."""

    http: Browser

    def send(self, name: str, after: float = 0, **data: Any) -> None:
        """An event that happened so many seconds after the start."""
        answer = self.deliver(event(name, START + timedelta(seconds=after), **data))
        assert (answer.status_code, answer.content) == (200, b"")

    def deliver(self, body: bytes, **headers: str) -> Any:
        headers = {"WorkOS-Signature": signature(body), **headers}
        return self.http.post(PATH, body, content_type="application/json", headers=headers)


@pytest.fixture
def allow(settings: Any) -> Callable[..., None]:
    def change(*entries: str, admins: tuple[str, ...] = ()) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, sign_in_allow=entries, admins=admins)

    return change


@pytest.fixture
def hook(settings: Any, http: Browser, allow: Callable[..., None]) -> Hook:
    settings.GATEWAY = replace(settings.GATEWAY, workos=WorkOS("client_1", Secret("sk_1"), webhook_secret=Secret(SECRET)))
    allow(ORG)
    return Hook(http)


@pytest.fixture
def member_alice(alice: Person) -> Person:
    """Alice, who signed in as a member of the organisation."""
    Identity.objects.filter(user=alice.user).update(
        organization_id=ORG, role="member", permissions=["read"], signed_in_at=START - timedelta(hours=1)
    )
    return alice


@dataclass
class Standing:
    """What a person was given: a refresh token, a code on its way, a browser session."""

    person: Person
    party: Party
    answer: Any
    code: str

    @property
    def is_signed_in(self) -> bool:
        return bool(self.person.browser.get("/oauth/logout").wsgi_request.user.is_authenticated)

    @property
    def grants(self) -> int:
        return Grant.objects.filter(user=self.person.user, revoked_at=None).count()

    @property
    def identity(self) -> Identity:
        return Identity.objects.get(user=self.person.user)

    def is_untouched(self) -> bool:
        return self.is_signed_in and self.grants == 1

    def is_over(self) -> bool:
        """Refused at each door, not merely marked."""
        refreshed, redeemed = self.party.refresh(self.answer["refresh_token"]), self.party.redeem(self.code)
        errors = {answer.json().get("error") for answer in (refreshed, redeemed)}
        return not self.is_signed_in and self.grants == 0 and errors == {"invalid_grant"}


@pytest.fixture
def given(demo: Any, editor: Party) -> Callable[[Person], Standing]:
    def give(person: Person) -> Standing:
        answer = editor.redeem(person.code(editor.client)).json()
        return Standing(person, editor, answer, person.code(editor.client))

    return give


@pytest.fixture
def alices(member_alice: Person, given: Callable[[Person], Standing]) -> Standing:
    return given(member_alice)


@pytest.fixture
def bobs(bob: Person, given: Callable[[Person], Standing]) -> Iterator[Standing]:
    """What somebody else of the same organisation was given; no event of these tests is about him."""
    Identity.objects.filter(user=bob.user).update(organization_id=ORG, role="member")
    standing = given(bob)
    yield standing
    assert standing.is_untouched()


def published() -> list[str]:
    topics = list(Change.objects.order_by("id").values_list("topic", flat=True))
    Change.objects.all().delete()
    return topics


def rows() -> list[Any]:
    """Everything that an event might change."""
    tables = (Identity.objects, Grant.objects, BrowserSession.objects, Journal.objects, Change.objects)
    return [list(table.order_by("pk").values()) for table in tables]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("user.deleted", {"id": "user_alice"}, id="user deleted"),
        pytest.param("organization_membership.deleted", member(), id="membership deleted"),
        pytest.param("organization_membership.updated", member(status="inactive"), id="membership deactivated"),
        pytest.param("dsync.user.deleted", directory_user(), id="removed from the directory"),
        pytest.param("dsync.user.updated", directory_user(state="inactive"), id="inactive in the directory"),
        pytest.param("dsync.user.updated", directory_user(state="suspended"), id="suspended in the directory"),
    ],
)
def test_who_is_removed_has_nothing_left(hook: Hook, alices: Standing, bobs: Standing, name: str, data: dict[str, Any]) -> None:
    published()
    hook.send(name, **data)
    assert published() == ["grant", "user"]
    kinds = list(Journal.objects.filter(user=alices.person.user).values_list("kind", flat=True))
    assert {"grant_revoked", "signed_out"} <= set(kinds)
    assert alices.is_over()
    before = rows()
    hook.send(name, **data)
    assert rows() == before, "sent again, it does nothing"


def test_a_deleted_user_is_switched_off_too(hook: Hook, alices: Standing) -> None:
    hook.send("user.deleted", id="user_alice")
    alices.person.user.refresh_from_db()
    assert not alices.person.user.is_active
    assert Journal.objects.get(kind="user_deactivated").reason == "Deleted at WorkOS."


def test_who_left_an_organisation_is_not_switched_off(hook: Hook, alices: Standing) -> None:
    hook.send("organization_membership.deleted", **member())
    alices.person.user.refresh_from_db()
    assert alices.person.user.is_active


@pytest.mark.parametrize("entry", ["*", "@example.com"])
def test_who_may_sign_in_all_the_same_keeps_what_they_have(hook: Hook, alices: Standing, allow: Callable[..., None], entry: str) -> None:
    allow(entry)
    published()
    hook.send("organization_membership.deleted", **member())
    assert alices.is_untouched()
    assert (alices.identity.organization_id, alices.identity.role, alices.identity.permissions) == ("", "", [])
    assert published() == ["user"]


def test_who_left_the_directory_has_left_whatever_the_settings_allow(hook: Hook, alices: Standing, allow: Callable[..., None]) -> None:
    allow("*")
    hook.send("dsync.user.deleted", **directory_user())
    assert alices.is_over()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("user.deleted", {"id": "user_nobody"}, id="a user who never came"),
        pytest.param("user.deleted", {}, id="no user"),
        pytest.param("user.deleted", {"id": ["user_alice"]}, id="no id"),
        pytest.param("user.deleted", {"id": "user_alice\x00"}, id="an id that no database takes"),
        pytest.param("user.created", {"id": "user_alice"}, id="another event about her"),
        pytest.param("user.deleted.v2", {"id": "user_alice"}, id="an unknown event"),
        pytest.param("organization_membership.deleted", member(organization_id="org_2"), id="another organisation"),
        pytest.param("organization_membership.deleted", member(organization_id=""), id="no organisation"),
        pytest.param("organization_membership.updated", member("admin", "pending"), id="an invitation"),
        pytest.param("organization_membership.updated", member(""), id="a membership without a role"),
        pytest.param("dsync.user.deleted", directory_user(organization_id="org_2"), id="another organisation's directory"),
        pytest.param("dsync.user.deleted", directory_user(organization_id=None), id="nobody's directory"),
        pytest.param("dsync.user.deleted", directory_user(email=None), id="a directory user without address"),
        pytest.param("dsync.user.deleted", directory_user(email="al%@example.com"), id="a pattern for an address"),
        pytest.param("dsync.user.updated", directory_user(), id="a directory user who stays"),
        pytest.param("session.revoked", {"id": "session_other", "user_id": "user_alice"}, id="a session elsewhere"),
        pytest.param("session.revoked", {"id": "", "user_id": "user_alice"}, id="no session"),
    ],
)
def test_what_is_about_nobody_here_changes_nothing(hook: Hook, alices: Standing, name: str, data: dict[str, Any]) -> None:
    before = rows()
    hook.send(name, **data)
    assert rows() == before
    assert alices.is_untouched()


def test_a_directory_of_no_organisation_speaks_for_nobody(hook: Hook, alices: Standing) -> None:
    Identity.objects.update(organization_id="")
    before = rows()
    hook.send("dsync.user.deleted", **directory_user(organization_id=None))
    hook.send("organization_membership.deleted", **member(organization_id=""))
    assert rows() == before


def test_a_revoked_session_ends_that_browser_and_nothing_else(hook: Hook, alices: Standing) -> None:
    other = Browser(HTTP_HOST="localhost:9000")
    other.force_login(alices.person.user)
    here, there = BrowserSession.objects.order_by("pk")
    BrowserSession.objects.filter(pk=there.pk).update(sid="session_1")
    hook.send("session.revoked", id="session_1", user_id="user_alice")
    assert list(BrowserSession.objects.values_list("pk", flat=True)) == [here.pk]
    assert alices.is_untouched()
    assert Journal.objects.get(kind="signed_out").reason == "The session was ended at WorkOS."


def test_another_role_is_taken_over_and_nothing_that_the_former_permitted(hook: Hook, alices: Standing) -> None:
    published()
    hook.send("organization_membership.updated", **member("viewer"))
    assert (alices.identity.organization_id, alices.identity.role, alices.identity.permissions) == (ORG, "viewer", [])
    assert published() == ["user"]
    assert alices.is_untouched()


def test_the_same_role_again_keeps_its_permissions(hook: Hook, alices: Standing) -> None:
    published()
    hook.send("organization_membership.updated", **member())
    assert (alices.identity.role, alices.identity.permissions) == ("member", ["read"])
    assert published() == []


@pytest.mark.parametrize(
    ("roles", "stays"),
    [
        pytest.param(member("viewer"), False, id="another role"),
        pytest.param(member("viewer", roles=[{"slug": "member"}]), True, id="one role of two"),
        pytest.param(member("member"), True, id="the same role"),
    ],
)
def test_an_operator_by_role_is_one_only_while_they_have_it(
    hook: Hook, alices: Standing, allow: Callable[..., None], roles: dict[str, Any], stays: bool
) -> None:
    allow("*", admins=("member",))
    user = alices.person.user
    user.is_staff = user.is_superuser = True
    user.save()
    hook.send("organization_membership.updated", **roles)
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (stays, stays)


def test_an_operator_by_role_who_leaves_is_one_no_more(hook: Hook, alices: Standing, allow: Callable[..., None]) -> None:
    allow("*", admins=("member",))
    user = alices.person.user
    user.is_staff = user.is_superuser = True
    user.save()
    hook.send("organization_membership.deleted", **member())
    user.refresh_from_db()
    assert (user.is_staff, user.is_superuser) == (False, False)


def test_no_event_makes_an_operator(hook: Hook, alices: Standing, allow: Callable[..., None]) -> None:
    allow("*", admins=("owner",))
    hook.send("organization_membership.updated", **member("owner"))
    alices.person.user.refresh_from_db()
    assert not alices.person.user.is_superuser


def test_an_older_role_does_not_undo_a_newer_one(hook: Hook, alices: Standing) -> None:
    hook.send("organization_membership.updated", after=2, **member("viewer"))
    hook.send("organization_membership.updated", after=1, **member("owner"))
    assert alices.identity.role == "viewer"
    hook.send("organization_membership.updated", after=3, **member("editor"))
    assert alices.identity.role == "editor"


def test_of_the_same_instant_removal_counts(hook: Hook, alices: Standing) -> None:
    hook.send("organization_membership.updated", after=1, **member("viewer"))
    hook.send("organization_membership.deleted", after=1, **member())
    assert alices.is_over()


def sign_in_again(alices: Standing, after: float) -> None:
    at = START + timedelta(seconds=after)
    Identity.objects.filter(user=alices.person.user).update(organization_id=ORG, role="owner", signed_in_at=at)


def test_an_old_removal_does_not_end_what_came_with_a_later_sign_in(hook: Hook, alices: Standing) -> None:
    sign_in_again(alices, after=181)
    before = rows()
    hook.send("organization_membership.deleted", **member())
    hook.send("organization_membership.updated", **member("viewer"))
    assert rows() == before


def test_a_removal_counts_although_our_clock_is_ahead(hook: Hook, alices: Standing) -> None:
    sign_in_again(alices, after=179)
    hook.send("organization_membership.deleted", **member())
    assert alices.is_over()


def test_a_removal_repeated_after_a_quick_return_does_nothing(hook: Hook, alices: Standing) -> None:
    hook.send("organization_membership.deleted", **member())
    sign_in_again(alices, after=30)
    before = rows()
    hook.send("organization_membership.deleted", **member())
    assert rows() == before


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 20_000, id="nested without end"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'"event"', id="a string"),
        pytest.param(b'{"event": "user.deleted", "data": {"id": "user_alice"}}', id="no moment"),
        pytest.param(event("user.deleted", id="user_alice").replace(b"Z", b""), id="a moment anywhere"),
        pytest.param(event("user.deleted", id="user_alice").replace(b"T", b" o'clock "), id="no date"),
        pytest.param(event("x").replace(b'"x"', b'["x"]'), id="a name that is none"),
        pytest.param(event("user.deleted").replace(b"{}", b"[]"), id="data that is none"),
    ],
)
def test_a_signed_body_that_is_no_event_is_refused(hook: Hook, alices: Standing, body: bytes) -> None:
    before = rows()
    assert hook.deliver(body).status_code == 400
    assert rows() == before


def test_the_page_about_workos_names_the_events_to_select() -> None:
    from tests.support.processes import ROOT

    page = (ROOT / "docs" / "configuring-workos.md").read_text()
    section = page.partition("### The webhook")[2].partition("\n## ")[0]
    assert {name for name in section.split("`") if name in events.NAMES} == events.NAMES

"""What operators do: each action asks first, says what will happen, does it through the domain, and says what it did."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client as Browser
from django.utils import timezone

from oauthgw import principals
from oauthgw.guard import sealed
from oauthgw.journal.models import Event
from oauthgw.models import AuthorizationCode, Client, Consent, Grant
from tests.unit.admin.conftest import Operator, Scene


def works(scene: Scene) -> bool:
    """Whether Alice's access token is accepted on her route."""
    return principals._resolve(sealed.digest(scene.access_token), scene.route.pk) is not None


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


ACTIONS = [
    ("oauthgw/client/", "disable", "client", "stop working at once"),
    ("oauthgw/client/", "remove", "client", "1 live connection of 1 user will end"),
    ("oauthgw/consent/", "withdraw", "consent", "end for good"),
    ("oauthgw/grant/", "revoke", "grant", "cannot be undone"),
    ("auth/user/", "shut_out", "alice", "cannot sign in"),
    ("auth/user/", "revoke_connections", "alice", "for good"),
]


@pytest.mark.parametrize(("path", "action", "on", "consequence"), ACTIONS, ids=[action for _, action, _, _ in ACTIONS])
def test_an_action_first_says_what_will_happen_and_does_nothing(
    operator: Operator, scene: Scene, path: str, action: str, on: str, consequence: str
) -> None:
    assert works(scene)
    question = operator.act(path, action, getattr(scene, on).pk, confirmed=False)
    assert question.status_code == 200
    assert consequence in question.content.decode()
    assert not [secret for secret in scene.secrets if secret in question.content.decode()]
    assert works(scene)


@pytest.mark.parametrize(("path", "action", "on", "consequence"), ACTIONS, ids=[action for _, action, _, _ in ACTIONS])
def test_the_questions_own_form_does_it_and_the_token_stops_working(
    operator: Operator, scene: Scene, path: str, action: str, on: str, consequence: str
) -> None:
    question = operator.act(path, action, getattr(scene, on).pk, confirmed=False)
    form = {name: question.context[name] for name in ("action", "select_across")}
    operator.browser.post(f"/admin/{path}", {**form, "confirmed": "yes", "_selected_action": question.context["selected"]})
    assert not works(scene)


@pytest.mark.parametrize(("path", "action", "on", "consequence"), ACTIONS, ids=[action for _, action, _, _ in ACTIONS])
def test_it_can_be_done_to_everything_on_every_page(
    operator: Operator, scene: Scene, path: str, action: str, on: str, consequence: str
) -> None:
    key = getattr(scene, on).pk
    question = operator.act(path, action, key, confirmed=False, select_across="1")
    assert question.context["select_across"] == "1"
    narrowed = path + "?q=alice" if path == "auth/user/" else path  # the operator is a user too
    operator.act(narrowed, action, key, select_across="1")
    assert not works(scene)


@pytest.mark.parametrize(("path", "action", "on", "consequence"), ACTIONS, ids=[action for _, action, _, _ in ACTIONS])
def test_who_may_only_look_cannot_act(scene: Scene, path: str, action: str, on: str, consequence: str) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    browser = Browser(HTTP_HOST="localhost:9000")
    browser.force_login(viewer)
    assert browser.get(f"/admin/{path}").status_code == 200
    Operator(viewer, browser).act(path, action, getattr(scene, on).pk)
    assert works(scene)


def test_a_disabled_client_can_be_enabled_again(operator: Operator, scene: Scene) -> None:
    assert said(operator.act("oauthgw/client/", "disable", scene.client.pk)) == "Disabled 1 client."
    assert "disabled since" in operator.text("oauthgw/client/", state="disabled")
    assert said(operator.act("oauthgw/client/", "enable", scene.client.pk)) == "Enabled 1 client."
    assert works(scene)
    assert Client.objects.get().disabled_at is None
    assert set(LogEntry.objects.values_list("user_id", flat=True)) == {operator.user.pk}


def test_disabling_what_is_disabled_keeps_its_date(operator: Operator, scene: Scene) -> None:
    operator.act("oauthgw/client/", "disable", scene.client.pk)
    since = Client.objects.get().disabled_at
    assert said(operator.act("oauthgw/client/", "disable", scene.client.pk)) == "Disabled 0 clients."
    assert Client.objects.get().disabled_at == since


def test_a_withdrawn_consent_ends_its_connections_and_says_how_many(operator: Operator, scene: Scene) -> None:
    assert said(operator.act("oauthgw/consent/", "withdraw", scene.consent.pk)) == "Withdrew 1 consent; 1 connection ended."
    assert Consent.objects.get().withdrawn_at is not None
    assert Consent.objects.standing(scene.alice, scene.client, scene.route.pk) is None


def test_a_revoked_connection_is_in_the_journal_with_who_did_it(operator: Operator, scene: Scene) -> None:
    assert said(operator.act("oauthgw/grant/", "revoke", scene.grant.pk)) == "Revoked 1 connection."
    event = Event.objects.get(kind=Event.Kind.GRANT_REVOKED)
    assert (event.grant_id, event.reason) == (scene.grant.pk, "An operator revoked it. (by root)")
    assert said(operator.act("oauthgw/grant/", "revoke", scene.grant.pk)) == "Revoked 0 connections."


def test_a_user_shut_out_loses_the_browser_session_and_can_be_let_in_again(operator: Operator, scene: Scene) -> None:
    browser = Browser(HTTP_HOST="localhost:9000")
    browser.force_login(scene.alice)
    operator.act("auth/user/", "shut_out", scene.alice.pk)
    assert browser.get("/admin/").status_code == 302
    assert said(operator.act("auth/user/", "let_in", scene.alice.pk)) == "Let in: 1 user."
    assert works(scene)


def test_shutting_out_and_letting_in_are_in_the_journal_with_who_did_it(operator: Operator, scene: Scene) -> None:
    for action in ("shut_out", "shut_out", "let_in"):  # what is shut out already is not shut out again
        operator.act("auth/user/", action, scene.alice.pk)
    told = Event.objects.filter(kind__startswith="user_").order_by("pk").values_list("kind", "user_id", "reason")
    assert list(told) == [("user_deactivated", scene.alice.pk, "(by root)"), ("user_activated", scene.alice.pk, "(by root)")]


def test_nobody_shuts_themselves_out(operator: Operator, scene: Scene) -> None:
    answer = operator.act("auth/user/", "shut_out", operator.user.pk, scene.alice.pk)
    assert "would shut yourself out" in said(answer)
    assert User.objects.filter(is_active=False).count() == 0


def test_all_connections_of_a_user_are_revoked_for_good(operator: Operator, scene: Scene) -> None:
    answer = operator.act("auth/user/", "revoke_connections", scene.alice.pk)
    assert said(answer) == "Revoked 1 connection of 1 user."
    assert not Grant.objects.filter(revoked_at=None).exists()


def test_a_code_on_its_way_is_revoked_with_them(operator: Operator, scene: Scene) -> None:
    fresh = AuthorizationCode.objects.get()
    AuthorizationCode.objects.create(
        user=scene.alice,
        application=scene.client,
        expires=timezone.now() + timedelta(seconds=60),
        code="c" * 64,
        resource_id=fresh.resource_id,
    )
    operator.act("auth/user/", "revoke_connections", scene.alice.pk)
    assert AuthorizationCode.objects.get(code="c" * 64).is_expired()


@pytest.mark.parametrize("key", ["x", "9" * 30, "", "-1", "٣", "1.5", "\x00"])
@pytest.mark.parametrize(
    ("path", "action"),
    [*((path, action) for path, action, _, _ in ACTIONS), ("mcp_routes/mcproute/", "delete_selected")],
    ids=[*(action for _, action, _, _ in ACTIONS), "delete_selected"],
)
def test_a_chosen_row_whose_key_is_none_is_refused(scene: Scene, operator: Operator, path: str, action: str, key: str) -> None:
    """Django hands it to the database as it is; that would be a 500."""
    form = {"action": action, "index": "0", "_selected_action": ["1", key]}
    assert operator.browser.post(f"/admin/{path}", form).status_code == 400


def test_a_rows_page_offers_what_fits_it(operator: Operator, scene: Scene) -> None:
    page = f"auth/user/{scene.alice.pk}/change/"
    assert ("Shut out…" in operator.text(page), "Let in…" in operator.text(page)) == (True, False)
    operator.act("auth/user/", "shut_out", scene.alice.pk)
    assert ("Shut out…" in operator.text(page), "Let in…" in operator.text(page)) == (False, True)
    page = f"oauthgw/client/{scene.client.pk}/change/"
    assert ("Disable…" in operator.text(page), "Enable…" in operator.text(page)) == (True, False)

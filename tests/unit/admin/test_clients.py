"""What operators decide about clients: add, approve, mark, hand out a secret, remove; and how twins are found."""

import html
import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client as Browser

from oauthgw.clients import decisions, metadata
from oauthgw.clients.registration import register
from oauthgw.journal.models import Event
from oauthgw.models import BrowserSession, Client, Consent, Grant
from tests.support.signing import Signer, jwk, rsa_key
from tests.unit.admin.conftest import Operator, Scene, what_was_seen
from tests.unit.admin.test_actions import said, works

LIST = "oauthgw/client/"
WEB = "https://app.example.com/cb"


def add(operator: Operator, **form: Any) -> Any:
    described = {"client_name": "Assistant", "redirect_uris": WEB, "token_endpoint_auth_method": "client_secret_post", **form}
    return operator.browser.post(f"/admin/{LIST}add/", described)


def shown_secret(answer: Any) -> str:
    found = re.search(r"Client secret</th><td><code>([^<]+)</code>", answer.content.decode())
    return html.unescape(found[1]) if found else ""


def authenticates(client: Client, secret: str) -> bool:
    """Whether the token endpoint lets this client in, to learn that its token is unknown."""
    form = {"grant_type": "refresh_token", "refresh_token": "x", "client_id": client.client_id, "client_secret": secret}
    answer = Browser(HTTP_HOST="localhost:9000").post("/oauth/token", urlencode(form), content_type="application/x-www-form-urlencoded")
    return bool(answer.json()["error"] == "invalid_grant")


def kinds(client_id: str) -> list[str]:
    return list(Event.objects.filter(client_id=client_id).order_by("pk").values_list("kind", flat=True))


class TestAdding:
    def test_an_operators_client_is_approved_and_its_secret_works(self, operator: Operator) -> None:
        answer = add(operator, redirect_uris=f"{WEB}\r\n  http://127.0.0.1/cb \n{WEB}")
        assert answer.status_code == 200
        client = Client.objects.get()
        assert client.redirect_uris.split() == [WEB, "http://127.0.0.1/cb"]
        assert (client.name, client.registration_source, client.client_type) == ("Assistant", "manual", "confidential")
        assert client.is_vouched_for and client.fingerprint and not client.registration_token_digest
        assert client.client_id in answer.content.decode()
        assert authenticates(client, shown_secret(answer))

    def test_the_secret_is_shown_once_on_a_page_that_nobody_stores(self, operator: Operator) -> None:
        answer = add(operator)
        secret = shown_secret(answer)
        assert len(secret) == 128 and "no-store" in answer["Cache-Control"]
        client = Client.objects.get()
        kept = [str(Client.objects.values().get()), str(list(LogEntry.objects.values())), str(list(Event.objects.values()))]
        kept += [str(session.get_decoded()) for session in BrowserSession.objects.all()]
        kept += [str(cookie) for cookie in operator.browser.cookies.values()]
        kept += [operator.text(LIST), operator.text(f"{LIST}{client.pk}/change/"), operator.text(f"{LIST}{client.pk}/history/")]
        assert not [text for text in kept if secret in text]
        assert not list(answer.context["messages"])

    def test_who_added_it_is_in_the_journal_and_the_admins_history(self, operator: Operator) -> None:
        add(operator)
        event = Event.objects.get()
        assert (event.kind, event.user) == ("client_registered", operator.user)
        assert "(by root)" in event.reason and "Assistant" in event.reason
        assert LogEntry.objects.get().user == operator.user

    def test_a_public_client_has_no_secret(self, operator: Operator) -> None:
        answer = add(operator, token_endpoint_auth_method="none", redirect_uris="http://127.0.0.1/cb")
        assert shown_secret(answer) == "" and "has no secret" in answer.content.decode()
        assert Client.objects.get().client_type == "public"

    @pytest.mark.parametrize("by", ["value", "reference"])
    def test_a_client_that_signs_has_its_keys(self, operator: Operator, by: str) -> None:
        key_set = Signer().key_set
        keys = {"jwks": json.dumps(key_set)} if by == "value" else {"jwks_uri": "https://app.example.com/jwks"}
        answer = add(operator, token_endpoint_auth_method="private_key_jwt", **keys)
        assert shown_secret(answer) == "" and Client.objects.get().signs
        assert Client.objects.get().metadata == ({"jwks": key_set} if by == "value" else keys)

    @pytest.mark.parametrize(
        ("form", "field", "sentence"),
        [
            ({"client_name": ""}, "client_name", "required"),
            ({"redirect_uris": ""}, "redirect_uris", "required"),
            ({"redirect_uris": "http://app.example.com/cb"}, "redirect_uris", "plain http"),
            ({"redirect_uris": "javascript:alert(1)"}, "redirect_uris", "scheme"),
            ({"redirect_uris": f"{WEB}\nnobodys-scheme://cb"}, "redirect_uris", "not listed here"),
            ({"redirect_uris": "\n".join(f"{WEB}/{number}" for number in range(51))}, "redirect_uris", "at most 50"),
            ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method", "valid choice"),
            ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks", "public keys"),
            ({"jwks": "{"}, "jwks", "not JSON"),
            ({"jwks": json.dumps({"keys": [jwk(rsa_key())]})}, "jwks", "private or symmetric"),
            ({"jwks_uri": "http://app.example.com/jwks"}, "jwks_uri", "https"),
            ({"jwks": json.dumps(Signer().key_set), "jwks_uri": "https://app.example.com/jwks"}, "__all__", "not both"),
        ],
    )
    def test_the_rules_are_those_of_a_registration_and_say_where_it_is_wrong(
        self, operator: Operator, form: dict[str, str], field: str, sentence: str
    ) -> None:
        answer = add(operator, **form)
        errors = answer.context["adminform"].form.errors
        assert answer.status_code == 200 and list(errors) == [field]
        assert sentence in " ".join(errors[field]) and html.escape(errors[field][0]) in answer.content.decode()
        assert not Client.objects.exists()

    def test_who_may_only_look_or_act_may_not_add(self, db: None) -> None:
        user = User.objects.create_user("viewer", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_client", "change_client", "delete_client"]))
        browser = Browser(HTTP_HOST="localhost:9000")
        browser.force_login(user)
        viewer = Operator(user, browser)
        assert "Add client" not in viewer.text(LIST)
        assert browser.get(f"/admin/{LIST}add/").status_code == add(viewer).status_code == 403
        assert not Client.objects.exists()


class TestApproving:
    def test_the_question_shows_what_is_vouched_for_as_it_is_now(self, operator: Operator, scene: Scene) -> None:
        text = operator.act(LIST, "approve", scene.client.pk, confirmed=False).content.decode()
        for shown in ("Website", scene.client.client_id, "https://app.example.com/cb", "cursor://anysphere.cursor-mcp/cb"):
            assert shown in text

    @pytest.mark.parametrize("action", ["approve", "allow_introspection"])
    @pytest.mark.parametrize(
        "change", [{"redirect_uris": "https://evil.example/cb"}, {"name": "Another"}, {"metadata": {"jwks_uri": "https://evil.example/k"}}]
    )
    def test_what_changed_behind_the_question_is_not_what_was_vouched_for(
        self, operator: Operator, scene: Scene, action: str, change: dict[str, Any]
    ) -> None:
        Client.objects.update(client_type=Client.CLIENT_CONFIDENTIAL, token_endpoint_auth_method="client_secret_basic")
        seen = what_was_seen(operator.act(LIST, action, scene.client.pk, confirmed=False))
        Client.objects.update(**change)
        assert "changed meanwhile" in said(operator.act(LIST, action, scene.client.pk, seen=seen))
        assert Client.objects.values_list("approved_at", "may_introspect").get() == (None, False)

    def test_who_came_behind_the_question_was_not_vouched_for_either(self, operator: Operator, scene: Scene) -> None:
        seen = what_was_seen(operator.act(LIST, "approve", scene.client.pk, confirmed=False, select_across="1"))
        register(metadata.read({"client_name": "Sneaky", "redirect_uris": ["https://evil.example/cb"]}))
        operator.act(LIST, "approve", scene.client.pk, seen=seen, select_across="1")
        assert list(Client.objects.filter(approved_at__isnull=False)) == [scene.client]

    def test_it_is_journalled_with_who_did_it_and_can_be_taken_back(self, operator: Operator, scene: Scene) -> None:
        assert said(operator.act(LIST, "approve", scene.client.pk)) == "Approved 1 client."
        assert Client.objects.get().is_vouched_for
        event = Event.objects.get(kind=Event.Kind.CLIENT_APPROVED)
        assert (event.client_id, event.user, event.reason) == (scene.client.client_id, operator.user, "An operator approved it. (by root)")
        assert said(operator.act(LIST, "approve", scene.client.pk)) == "Approved 0 clients."
        assert said(operator.act(LIST, "withdraw_approval", scene.client.pk)) == "Withdrew the approval of 1 client."
        assert not Client.objects.get().is_vouched_for
        assert kinds(scene.client.client_id)[-2:] == ["client_approved", "client_approval_withdrawn"]

    def test_where_it_is_needed_the_list_says_who_waits_and_approving_lets_in(
        self, settings: Any, operator: Operator, scene: Scene
    ) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, client_registration="approval")
        assert not works(scene)
        assert "waiting for approval" in operator.text(LIST, state="waiting")
        assert "stop working at once" in operator.act(LIST, "withdraw_approval", scene.client.pk, confirmed=False).content.decode()
        operator.act(LIST, "approve", scene.client.pk)
        assert works(scene)
        assert operator.page(LIST, state="waiting").context["cl"].result_count == 0
        operator.act(LIST, "withdraw_approval", scene.client.pk)
        assert not works(scene)

    def test_where_it_is_not_needed_taking_it_back_stops_nothing_and_the_question_says_so(self, operator: Operator, scene: Scene) -> None:
        operator.act(LIST, "approve", scene.client.pk)
        assert "go on working" in operator.act(LIST, "withdraw_approval", scene.client.pk, confirmed=False).content.decode()
        operator.act(LIST, "withdraw_approval", scene.client.pk)
        assert works(scene)


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("approve", "client_approved"),
        ("disable", "client_disabled"),
        ("allow_introspection", "client_changed"),
        ("new_secret", "client_secret_replaced"),
        ("remove", "client_removed"),
    ],
)
class TestJournal:
    def test_each_decision_is_an_event_with_its_operator(self, operator: Operator, scene: Scene, action: str, kind: str) -> None:
        operator.act(LIST, action, scene.client.pk)
        event = Event.objects.latest("pk")
        assert (event.kind, event.user, event.client_id) == (kind, operator.user, scene.client.client_id)
        assert "(by root)" in event.reason
        assert LogEntry.objects.filter(user=operator.user, object_id=str(scene.client.pk)).exists()

    def test_without_the_event_nothing_happens(
        self, operator: Operator, scene: Scene, action: str, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = Client.objects.values().get()

        def full(*args: Any, **about: Any) -> None:
            raise OSError("the journal cannot be written")

        monkeypatch.setattr(decisions, "record", full)
        monkeypatch.setattr("oauthgw.clients.removal.record", full)
        operator.browser.raise_request_exception = False
        assert operator.act(LIST, action, scene.client.pk).status_code == 500
        assert Client.objects.values().get() == before and Grant.objects.live().exists() and not LogEntry.objects.exists()


def test_enabling_is_journalled_too(operator: Operator, scene: Scene) -> None:
    operator.act(LIST, "disable", scene.client.pk)
    operator.act(LIST, "enable", scene.client.pk)
    assert kinds(scene.client.client_id)[-2:] == ["client_disabled", "client_enabled"]


class TestIntrospection:
    def test_the_mark_is_given_and_taken(self, operator: Operator, scene: Scene) -> None:
        assert said(operator.act(LIST, "allow_introspection", scene.client.pk)) == "Allowed introspection to 1 client."
        assert Client.objects.get().may_introspect
        assert said(operator.act(LIST, "forbid_introspection", scene.client.pk)) == "Forbade introspection to 1 client."
        assert not Client.objects.get().may_introspect

    def test_a_public_client_cannot_have_it(self, operator: Operator, db: None) -> None:
        public = register(metadata.read({"redirect_uris": [WEB]})).client
        assert said(operator.act(LIST, "allow_introspection", public.pk)) == "Allowed introspection to 0 clients."
        assert not Client.objects.get().may_introspect


class TestNewSecret:
    def test_the_old_one_stops_the_new_one_works_and_connections_go_on(self, operator: Operator, scene: Scene) -> None:
        old = next(secret for secret in scene.secrets if len(secret) == 128)
        assert authenticates(scene.client, old)
        answer = operator.act(LIST, "new_secret", scene.client.pk)
        assert "no-store" in answer["Cache-Control"] and not list(answer.context["messages"])
        assert authenticates(scene.client, shown_secret(answer)) and not authenticates(scene.client, old)
        assert works(scene)
        assert shown_secret(answer) not in operator.text(f"{LIST}{scene.client.pk}/change/")

    def test_one_at_a_time_and_only_for_a_client_that_has_one(self, operator: Operator, scene: Scene) -> None:
        public = register(metadata.read({"redirect_uris": [WEB]})).client
        before = set(Client.objects.values_list("client_secret", flat=True))
        assert "Select one client" in said(operator.act(LIST, "new_secret", scene.client.pk, public.pk))
        assert "without a secret" in said(operator.act(LIST, "new_secret", public.pk))
        assert set(Client.objects.values_list("client_secret", flat=True)) == before

    def test_the_question_comes_first(self, operator: Operator, scene: Scene) -> None:
        before = Client.objects.get().client_secret
        answer = operator.act(LIST, "new_secret", scene.client.pk, confirmed=False)
        assert "stops working at once" in answer.content.decode() and Client.objects.get().client_secret == before


class TestRemoving:
    def test_it_ends_what_the_question_said_and_leaves_its_history(self, operator: Operator, scene: Scene) -> None:
        assert said(operator.act(LIST, "remove", scene.client.pk)) == "Removed 1 client; 1 connection ended."
        assert not Client.objects.exists() and not Grant.objects.exists() and not Consent.objects.exists()
        revoked, removed = Event.objects.order_by("pk").filter(client_id=scene.client.client_id)[
            kinds(scene.client.client_id).index("grant_revoked") :
        ]
        assert revoked.reason == "An operator removed the client. (by root)"
        assert removed.kind == "client_removed" and "Website" in removed.reason

    def test_a_connection_that_rests_on_no_consent_ends_in_words_too(self, operator: Operator, scene: Scene) -> None:
        """What was approved in an impersonated session is not remembered."""
        scene.consent.delete()
        assert said(operator.act(LIST, "remove", scene.client.pk)) == "Removed 1 client; 1 connection ended."
        assert Event.objects.filter(kind=Event.Kind.GRANT_REVOKED, grant_id=scene.grant.pk).exists()

    def test_who_may_change_clients_may_not_remove_them(self, scene: Scene) -> None:
        user = User.objects.create_user("changer", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_client", "change_client"]))
        browser = Browser(HTTP_HOST="localhost:9000")
        browser.force_login(user)
        Operator(user, browser).act(LIST, "remove", scene.client.pk)
        assert Client.objects.exists()
        Operator(user, browser).act(LIST, "disable", scene.client.pk)
        assert Client.objects.get().disabled_at is not None


class TestTwins:
    @pytest.fixture
    def three(self, db: None) -> list[Client]:
        """One program that registered at three issuers, each time on another port."""
        described = [{"client_name": "Editor", "redirect_uris": [f"http://127.0.0.1:{40_000 + number}/cb"]} for number in range(3)]
        return [register(metadata.read(document)).client for document in described]

    def test_the_list_says_how_many_and_leads_to_them(self, operator: Operator, three: list[Client], scene: Scene) -> None:
        text = operator.text(LIST)
        link = f"?fingerprint__exact={three[0].fingerprint}"
        assert text.count(f'{link}">3 twins</a>') == 3 and "none" in text
        found = operator.page(LIST, fingerprint__exact=three[0].fingerprint).context["cl"].queryset
        assert set(found) == set(three)

    def test_they_can_be_filtered_by(self, operator: Operator, three: list[Client], scene: Scene) -> None:
        assert set(operator.page(LIST, twins="yes").context["cl"].queryset) == set(three)
        assert list(operator.page(LIST, twins="no").context["cl"].queryset) == [scene.client]
        assert operator.page(LIST, twins="unheard of").context["cl"].result_count == 4

    def test_clients_without_a_fingerprint_are_nobodys_twins(self, operator: Operator, three: list[Client]) -> None:
        Client.objects.update(fingerprint="")
        assert "fingerprint__exact" not in operator.text(LIST)
        assert operator.page(LIST, twins="yes").context["cl"].result_count == 0

    def test_the_page_of_one_names_the_others(self, operator: Operator, three: list[Client]) -> None:
        assert "3 twins" in operator.text(f"{LIST}{three[0].pk}/change/")

    def test_they_can_be_removed_together(self, operator: Operator, three: list[Client]) -> None:
        path = f"{LIST}?fingerprint__exact={three[0].fingerprint}"
        assert said(operator.act(path, "remove", three[0].pk, select_across="1")) == "Removed 3 clients; 0 connections ended."
        assert not Client.objects.exists()


def test_before_a_client_is_disabled_it_is_said_what_stops(operator: Operator, scene: Scene) -> None:
    asked = operator.act(LIST, "disable", scene.client.pk, confirmed=False).content.decode()
    assert "1 live connection of 1 user will stop working at once" in asked


def test_a_clients_page_leads_to_its_consents_and_its_events(operator: Operator, scene: Scene) -> None:
    text = operator.text(f"{LIST}{scene.client.pk}/change/")
    assert f'href="/admin/oauthgw/consent/?client__id__exact={scene.client.pk}"' in text
    assert operator.page("journal/event/", client_id=scene.client.client_id).context["cl"].result_count >= 2
    assert f'href="/admin/journal/event/?client_id={scene.client.client_id}"' in text

"""The account page: it shows what is the user's own, and ends that and nothing else."""

import re
from dataclasses import replace
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.models import BrowserSession, Client, Consent, Grant
from tests.unit.conftest import HOST, ORIGIN, Party, Person

pytestmark = pytest.mark.django_db

ACCOUNT = "/account/"


def connect(person: Person, party: Party, slug: str = "demo") -> str:
    answer = party.redeem(person.code(party.client, f"/mcp/{slug}", resource=f"{ORIGIN}/mcp/{slug}"))
    assert answer.status_code == 200, answer.content
    return str(answer.json()["access_token"])


def works(token: str, route: McpRoute) -> bool:
    return principals.resolve_now(token, route.pk) is not None


def page(person: Person, **query: str) -> str:
    answer = person.browser.get(ACCOUNT, query)
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def buttons(text: str) -> dict[str, str]:
    """What each button says, to eyes and ears, and what it sends."""
    found = re.findall(r'<button[^>]* name="(\w+)" value="([^"]+)"[^>]*>(.*?)</button>', text)
    return {re.sub(r"<[^>]+>", "", words): f"{name}={value}" for name, value, words in found}


def press(person: Person, **form: str) -> Any:
    return person.browser.post(ACCOUNT, form)


def another_browser(person: Person) -> Browser:
    browser = Browser(HTTP_HOST=HOST)
    browser.force_login(person.user)
    return browser


def is_signed_in(browser: Browser) -> bool:
    return bool(browser.get(ACCOUNT).status_code == 200)


def session_of(person: Person) -> BrowserSession:
    return BrowserSession.objects.filter(user=person.user).earliest("pk")


def impersonate(person: Person) -> None:
    session = person.browser.session
    session["impersonator"] = "support@example.com"
    session.save()


class TestWhoIsLetIn:
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_nobody_is_sent_to_sign_in_and_back(self, http: Browser, method: str) -> None:
        answer = getattr(http, method)(ACCOUNT, {"revoke_all": "yes"} if method == "post" else {})
        assert (answer.status_code, answer["Location"]) == (303, "/oauth/login?next=/account/")

    def test_it_needs_no_trailing_slash(self, alice: Person) -> None:
        assert alice.browser.get("/account").status_code == 200

    def test_it_takes_no_other_method(self, alice: Person) -> None:
        assert alice.browser.put(ACCOUNT).status_code == 405

    def test_nobody_keeps_it(self, alice: Person) -> None:
        assert "no-store" in alice.browser.get(ACCOUNT)["Cache-Control"]

    def test_a_form_of_another_site_ends_nothing(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        token = connect(alice, editor)
        strict = Browser(HTTP_HOST=HOST, enforce_csrf_checks=True)
        strict.cookies = alice.browser.cookies
        assert strict.post(ACCOUNT, {"revoke_all": "yes"}).status_code == 403
        assert works(token, demo)


class TestApps:
    def test_each_is_named_with_route_and_doubt_and_has_a_button_of_its_own(
        self, alice: Person, editor: Party, demo: McpRoute, demo_admin: McpRoute
    ) -> None:
        connect(alice, editor)
        connect(alice, editor, "demo-admin")
        text = page(alice)
        assert "Demo tools" in text
        assert "unverified" in text
        key = editor.client.pk
        assert {words: sent for words, sent in buttons(text).items() if words.startswith("Revoke")} == {
            "Revoke Editor on Demo tools": f"revoke={key}.{demo.pk}",
            "Revoke Editor on Demo administration": f"revoke={key}.{demo_admin.pk}",
        }

    def test_a_client_that_an_operator_vouches_for_is_verified(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        Client.objects.update(approved_at=timezone.now())
        text = page(alice)
        assert ('class="badge verified">verified' in text, "unverified" in text) == (True, False)

    def test_the_domain_of_a_metadata_document_stands_beside_its_client(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        Client.objects.update(client_id="https://app.example.com/client.json", registration_source="cimd")
        text = page(alice)
        assert 'class="badge verified">verified' in text
        assert "app.example.com" in text

    @pytest.mark.parametrize("what", ["switched off", "not approved"])
    def test_a_client_that_may_not_act_is_shown_as_that(
        self, alice: Person, editor: Party, demo: McpRoute, settings: Any, what: str
    ) -> None:
        connect(alice, editor)
        if what == "switched off":
            Client.objects.update(disabled_at=timezone.now())
        else:
            settings.GATEWAY = replace(settings.GATEWAY, client_registration="approval")
        assert {"switched off": "switched off by an operator", "not approved": "waiting for an operator"}[what] in page(alice)

    def test_a_route_that_is_switched_off_is_shown_by_its_path(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        McpRoute.objects.update(enabled=False)
        text = page(alice)
        assert "/mcp/demo" in text
        assert "not offered at present" in text

    def test_a_consent_without_tokens_is_shown_as_what_it_is(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        Grant.objects.update(revoked_at=timezone.now())
        assert "not connected now" in page(alice)

    def test_without_any_it_tells_how_to_connect(self, alice: Person) -> None:
        text = page(alice)
        assert "No app is connected" in text
        assert "start page" in text

    def test_a_name_is_shown_and_not_obeyed(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        Client.objects.update(name="<script>alert(1)</script>\u202eevil")
        text = page(alice)
        assert "<script>alert" not in text
        assert "\u202e" not in text

    def test_revoking_one_ends_it_and_says_so(self, alice: Person, editor: Party, demo: McpRoute, demo_admin: McpRoute) -> None:
        first, second = connect(alice, editor), connect(alice, editor, "demo-admin")
        answer = press(alice, revoke=f"{editor.client.pk}.{demo.pk}")
        assert (answer.status_code, answer["Location"]) == (303, ACCOUNT)
        assert [works(first, demo), works(second, demo_admin)] == [False, True]
        assert "Editor can no longer use Demo tools." in page(alice)
        assert "can no longer use" not in page(alice)  # once

    def test_a_double_click_is_no_mistake(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        for _ in range(2):
            assert press(alice, revoke=f"{editor.client.pk}.{demo.pk}").status_code == 303
        assert "was revoked already" in page(alice)

    def test_what_is_somebody_elses_is_not_there(self, alice: Person, bob: Person, editor: Party, demo: McpRoute) -> None:
        token = connect(alice, editor)
        answer = press(bob, revoke=f"{editor.client.pk}.{demo.pk}")
        assert answer.status_code == 404
        assert works(token, demo)
        assert Consent.objects.standing(alice.user, editor.client, demo.pk) is not None

    def test_revoking_all_is_asked_first(self, alice: Person, editor: Party, demo: McpRoute, demo_admin: McpRoute) -> None:
        tokens = connect(alice, editor), connect(alice, editor, "demo-admin")
        assert "/account/?ask=revoke_all" in page(alice)
        asked = page(alice, ask="revoke_all")
        assert "Editor" in asked and "Demo administration" in asked
        assert works(tokens[0], demo)
        assert buttons(asked) == {"Revoke all": "revoke_all=yes"}
        assert press(alice, revoke_all="yes").status_code == 303
        assert [works(tokens[0], demo), works(tokens[1], demo_admin)] == [False, False]
        assert "2 apps were revoked." in page(alice)

    def test_revoking_all_spares_other_people(self, alice: Person, bob: Person, editor: Party, demo: McpRoute) -> None:
        token = connect(bob, editor)
        press(alice, revoke_all="yes")
        assert works(token, demo)

    def test_asked_with_nothing_to_revoke_it_says_so(self, alice: Person) -> None:
        assert "nothing to revoke" in page(alice, ask="revoke_all")


class TestSessions:
    def test_this_browser_is_marked_and_has_no_button(self, alice: Person) -> None:
        text = page(alice)
        assert text.count("this browser") == 1
        assert buttons(text) == {}

    def test_another_can_be_signed_out(self, alice: Person) -> None:
        other = another_browser(alice)
        sent = buttons(page(alice))
        assert len(sent) == 2  # and everywhere else
        (value,) = (value.removeprefix("sign_out=") for value in sent.values() if value.startswith("sign_out="))
        answer = press(alice, sign_out=value)
        assert (answer.status_code, answer["Location"]) == (303, ACCOUNT)
        assert (is_signed_in(alice.browser), is_signed_in(other)) == (True, False)

    def test_everywhere_else_spares_this_browser_and_other_people(self, alice: Person, bob: Person) -> None:
        others = [another_browser(alice), another_browser(alice)]
        press(alice, sign_out_others="yes")
        assert "2 other browsers were signed out." in page(alice)
        assert [is_signed_in(browser) for browser in (alice.browser, bob.browser, *others)] == [True, True, False, False]

    def test_what_is_somebody_elses_is_not_there(self, alice: Person, bob: Person) -> None:
        assert press(alice, sign_out=str(session_of(bob).pk)).status_code == 404
        assert is_signed_in(bob.browser)

    def test_signing_out_elsewhere_leaves_apps_connected(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        token = connect(alice, editor)
        press(alice, sign_out_others="yes")
        assert works(token, demo)


class TestImpersonated:
    def test_it_may_look_and_finds_no_button(self, alice: Person, editor: Party, demo: McpRoute) -> None:
        connect(alice, editor)
        another_browser(alice)
        impersonate(alice)
        text = page(alice)
        assert "Impersonated session" in text
        assert "Editor" in text
        assert (buttons(text), "ask=revoke_all" in text) == ({}, False)

    @pytest.mark.parametrize("action", ["revoke", "revoke_all", "sign_out", "sign_out_others"])
    def test_it_changes_nothing(self, alice: Person, editor: Party, demo: McpRoute, action: str) -> None:
        token, other = connect(alice, editor), another_browser(alice)
        row = BrowserSession.objects.latest("pk")
        impersonate(alice)
        value = {"revoke": f"{editor.client.pk}.{demo.pk}", "sign_out": str(row.pk)}.get(action, "yes")
        assert press(alice, **{action: value}).status_code == 403
        assert (works(token, demo), is_signed_in(other)) == (True, True)

    def test_the_user_sees_that_somebody_acts_for_them_and_can_end_it(self, alice: Person) -> None:
        support = Person(alice.user, another_browser(alice))
        impersonate(support)
        assert "somebody on your behalf" in page(alice)
        press(alice, sign_out_others="yes")
        assert not is_signed_in(support.browser)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"revoke": "all"},
        {"revoke": "1"},
        {"revoke": "1.1.1"},
        {"revoke": "9" * 30 + ".1"},
        {"revoke": "\u0661.\u0661"},
        {"revoke": "1.1", "revoke_all": "yes"},
        {"revoke": ["1.1", "1.2"]},
        {"delete": "1"},
    ],
)
def test_a_form_that_says_nothing_clear_ends_nothing(alice: Person, editor: Party, demo: McpRoute, form: dict[str, Any]) -> None:
    token = connect(alice, editor)
    assert press(alice, **form).status_code == 400
    assert works(token, demo)


@pytest.mark.parametrize("value", ["abc", "-1", "9" * 30, "0"])
def test_a_session_that_cannot_be_is_not_there(alice: Person, value: str) -> None:
    assert press(alice, sign_out=value).status_code == 404


@pytest.mark.parametrize("path", ["/", "/nothing-here"])
def test_pages_lead_a_signed_in_user_to_the_account(alice: Person, http: Browser, path: str) -> None:
    assert 'href="/account/"' in alice.browser.get(path).content.decode()
    assert 'href="/account/"' not in http.get(path).content.decode()

"""The authorization endpoint: where errors go, what the page binds, what is remembered."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import FormerSlug, McpRoute
from oauthgw.journal.models import Event
from oauthgw.models import AuthorizationCode, Client, Consent, Grant
from tests.unit.conftest import LOOPBACK, ORIGIN, Party, Person, forwarded_to, sent_to_client, signed_value

WEB = "https://app.example.com/cb"


def text(answer: Any) -> str:
    return str(answer.content.decode())


class TestTheWayThrough:
    def test_approval_sends_code_state_and_issuer_to_the_client(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        sent = sent_to_client(alice.decide(alice.open(editor.client)))
        assert set(sent) == {"code", "state", "iss"}
        assert (sent["state"], sent["iss"]) == ("s-1", f"{ORIGIN}/mcp/demo")

    def test_the_root_endpoint_answers_as_the_origins_issuer(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        assert sent_to_client(alice.decide(alice.open(editor.client, "")))["iss"] == ORIGIN

    def test_cancelling_tells_the_client_and_gives_no_code(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        sent = sent_to_client(alice.decide(alice.open(editor.client), "cancel"))
        assert sent["error"] == "access_denied" and sent["state"] == "s-1" and sent["iss"] == f"{ORIGIN}/mcp/demo"
        assert not AuthorizationCode.objects.exists()

    def test_anything_but_approve_is_a_no(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        assert "error" in sent_to_client(alice.decide(alice.open(editor.client), "perhaps"))

    def test_a_visitor_is_sent_to_sign_in_and_comes_back_to_the_same_request(self, demo: McpRoute, http: Browser, editor: Party) -> None:
        visitor = Person(None, http)  # type: ignore[arg-type]
        answer = visitor.open(editor.client)
        assert answer.status_code == 302
        target = urlsplit(answer["Location"])
        assert target.path == "/oauth/login"
        back = parse_qs(target.query)["next"][0]
        assert back.startswith("/oauth/authorize/mcp/demo?") and "code_challenge=" in back

    def test_the_registered_redirects_own_query_is_kept(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]
    ) -> None:
        redirect = "https://app.example.com/cb?tenant=7"
        client = Client.objects.get(client_id=register(redirect_uris=[redirect])["client_id"])
        target = forwarded_to(alice.decide(alice.open(client, redirect_uri=redirect)))
        assert target.startswith(f"{redirect}&code=")

    def test_a_loopback_client_may_come_back_on_another_port(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        other_port = LOOPBACK.replace("33418", "50001")
        assert forwarded_to(alice.decide(alice.open(editor.client, redirect_uri=other_port))).startswith(other_port)

    def test_a_custom_scheme_is_forwarded_to(self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]) -> None:
        redirect = "cursor://anysphere.cursor-mcp/oauth/callback"
        client = Client.objects.get(client_id=register(redirect_uris=[redirect])["client_id"])
        assert forwarded_to(alice.decide(alice.open(client, redirect_uri=redirect))).startswith(f"{redirect}?code=")


class TestPagesInsteadOfRedirects:
    @pytest.mark.parametrize(
        "changed",
        [
            {"client_id": "unknown"},
            {"client_id": None},
            {"client_id": "nul\x00byte"},
            {"redirect_uri": "https://evil.example/cb"},
            {"redirect_uri": f"{LOOPBACK}/deeper"},
            {"redirect_uri": "javascript:alert(1)"},
        ],
    )
    def test_a_bad_client_or_redirect_uri_is_a_page_and_never_a_redirect(
        self, demo: McpRoute, alice: Person, editor: Party, changed: dict[str, Any]
    ) -> None:
        answer = alice.open(editor.client, **changed)
        assert answer.status_code == 400 and "text/html" in answer["Content-Type"]
        assert "Location" not in answer and "http-equiv" not in text(answer)
        assert "no-store" in answer["Cache-Control"]

    @pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "scope", "response_type", "code_challenge", "prompt"])
    def test_a_repeated_parameter_is_a_page(self, demo: McpRoute, alice: Person, editor: Party, name: str) -> None:
        good = alice.open(editor.client)
        assert good.status_code == 200
        query = good.wsgi_request.META["QUERY_STRING"] + f"&{name}=a&{name}=b"
        assert alice.browser.get(f"/oauth/authorize/mcp/demo?{query}").status_code == 400

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"response_type": "code id_token"}, "unsupported_response_type"),
            ({"response_type": "codeword"}, "unsupported_response_type"),
            ({"response_type": "none"}, "unsupported_response_type"),
            ({"response_type": None}, "invalid_request"),
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge": "short"}, "invalid_request"),
            ({"code_challenge": "x" * 44}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
            ({"resource": f"{ORIGIN}/mcp/demo-admin"}, "invalid_target"),
            ({"resource": "https://evil.example/mcp/demo"}, "invalid_target"),
            ({"resource": [f"{ORIGIN}/mcp/demo", f"{ORIGIN}/mcp/demo-admin"]}, "invalid_target"),
            ({"response_mode": "fragment"}, "invalid_request"),
            ({"request": "eyJ"}, "request_not_supported"),
            ({"request_uri": "https://a.example/r"}, "request_uri_not_supported"),
            ({"prompt": "none"}, "interaction_required"),
        ],
    )
    def test_any_other_bad_request_of_a_self_registered_client_is_a_page_with_a_link_back(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party, changed: dict[str, Any], error: str
    ) -> None:
        answer = alice.open(editor.client, **changed)
        assert answer.status_code == 400 and "Location" not in answer and "http-equiv" not in text(answer)
        assert f"{LOOPBACK}?error={error}&amp;" in text(answer)
        assert "state=s-1" in text(answer) and "iss=http" in text(answer)

    def test_the_same_from_a_client_that_an_operator_vouches_for_is_a_redirect(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        Client.objects.update(approved_at=timezone.now())
        answer = alice.open(editor.client, code_challenge_method="plain")
        assert answer.status_code == 302
        assert answer["Location"].startswith(f"{LOOPBACK}?error=invalid_request&")
        assert "state=s-1" in answer["Location"] and "iss=" in answer["Location"]

    def test_a_vouched_clients_custom_scheme_is_redirected_to_as_well(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]
    ) -> None:
        redirect = "cursor://anysphere.cursor-mcp/oauth/callback"
        client = Client.objects.get(client_id=register(redirect_uris=[redirect])["client_id"])
        Client.objects.update(approved_at=timezone.now())
        assert alice.open(client, redirect_uri=redirect, prompt="none")["Location"].startswith(f"{redirect}?error=")

    def test_a_client_switched_off_is_unknown(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        Client.objects.update(disabled_at=timezone.now())
        assert alice.open(editor.client).status_code == 400

    def test_an_endpoint_of_no_route_is_a_404_in_the_callers_form(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        program = alice.open(editor.client, "/mcp/nope")
        assert (program.status_code, program.json()["error"]) == (404, "not_found")
        alice.browser.defaults["HTTP_ACCEPT"] = "text/html,application/xhtml+xml,*/*;q=0.8"
        person = alice.open(editor.client, "/mcp/nope")
        assert person.status_code == 404 and "no such MCP server" in text(person)


class TestThePage:
    def test_it_names_client_host_route_and_user_and_calls_a_stranger_unverified(
        self, demo: McpRoute, alice: Person, editor: Party
    ) -> None:
        page = text(alice.open(editor.client))
        for expected in ("Editor", "127.0.0.1:33418", "Demo tools", "alice@example.com", "unverified"):
            assert expected in page
        Client.objects.update(approved_at=timezone.now())
        assert "unverified" not in text(alice.open(editor.client))

    def test_it_shows_no_markup_and_no_hidden_characters_of_the_clients_name(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]
    ) -> None:
        name = "<b>Bank</b>\u202e\u200b"
        client = Client.objects.get(client_id=register(client_name=name, redirect_uris=[LOOPBACK])["client_id"])
        page = text(alice.open(client))
        assert "&lt;b&gt;Bank&lt;/b&gt;" in page
        assert "<b>Bank" not in page and "\u202e" not in page and "\u200b" not in page

    def test_it_is_never_stored_or_framed_and_runs_no_inline_code(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        page = alice.open(editor.client)
        policy = page["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy and "unsafe-inline" not in policy
        assert page["X-Frame-Options"] == "DENY" and page["Referrer-Policy"] == "same-origin"
        assert "no-store" in page["Cache-Control"] and page["X-Content-Type-Options"] == "nosniff"

    def test_its_form_holds_the_csrf_token_one_signed_value_and_the_decision(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        import re

        names = re.findall(r'<(?:input|button|select|textarea)[^>]*\bname="([^"]+)"', text(alice.open(editor.client)))
        assert sorted(set(names)) == ["consent", "csrfmiddlewaretoken", "decision"]

    def test_it_is_refused_for_another_user(self, demo: McpRoute, alice: Person, bob: Person, editor: Party) -> None:
        page = alice.open(editor.client)
        bob.browser.cookies.update({name: morsel for name, morsel in alice.browser.cookies.items() if "browser" in name})
        assert bob.decide(page).status_code == 400
        assert not AuthorizationCode.objects.exists()

    def test_it_works_when_another_tabs_sign_in_has_given_the_browser_another_cookie(
        self, demo: McpRoute, alice: Person, editor: Party
    ) -> None:
        """Tabs that are opened at once each come without a cookie, and the last answer's stays."""
        page = alice.open(editor.client)
        cookies = alice.browser.cookies
        cookies["gateway_browser-0123456789ab"] = cookies["gateway_browser"].value
        cookies["gateway_browser"] = "a" * 43
        assert alice.decide(page).status_code == 200

    def test_it_is_refused_in_another_browser_of_the_same_user(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        page = alice.open(editor.client)
        elsewhere = Browser(HTTP_HOST="localhost:9000")
        elsewhere.force_login(alice.user)
        assert Person(alice.user, elsewhere).decide(page).status_code == 400
        assert sent_to_client(alice.decide(page))["code"]

    def test_an_altered_value_is_refused(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        page = alice.open(editor.client)
        value = signed_value(page)
        for altered in (value[:-1], value[1:], "", value.replace(":", ".", 1)):
            assert alice.browser.post("/oauth/authorize", {"consent": altered, "decision": "approve"}).status_code == 400

    def test_it_is_refused_after_ten_minutes(self, demo: McpRoute, alice: Person, editor: Party, monkeypatch: pytest.MonkeyPatch) -> None:
        page = alice.open(editor.client)
        from oauthgw import consent

        monkeypatch.setattr(consent, "MAX_AGE", -1)  # the clock is the one part that cannot be had for real
        assert alice.decide(page).status_code == 400
        monkeypatch.undo()
        assert alice.decide(page).status_code == 200

    def test_a_form_without_the_csrf_token_is_refused(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        strict = Browser(HTTP_HOST="localhost:9000", enforce_csrf_checks=True)
        strict.force_login(alice.user)
        page = Person(alice.user, strict).open(editor.client)
        assert Person(alice.user, strict).decide(page).status_code == 403

    def test_a_client_switched_off_meanwhile_gets_no_code(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        page = alice.open(editor.client)
        Client.objects.update(disabled_at=timezone.now())
        assert alice.decide(page).status_code == 400
        assert not AuthorizationCode.objects.exists()


class TestADoubleClick:
    def test_gives_one_usable_code_on_both_answers(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        page = alice.open(editor.client)
        first, second = (sent_to_client(alice.decide(page))["code"] for _ in range(2))
        assert first == second and AuthorizationCode.objects.count() == 1
        assert editor.redeem(first).status_code == 200

    def test_after_the_code_was_used_says_so_and_ends_nothing(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        page = alice.open(editor.client)
        editor.redeem(sent_to_client(alice.decide(page))["code"])
        answer = alice.decide(page)
        assert answer.status_code == 409 and "http-equiv" not in text(answer)
        assert Grant.objects.get().revoked_at is None


class TestAChoiceOfRoute:
    def test_a_client_that_names_none_of_several_has_the_user_choose_with_none_chosen(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party
    ) -> None:
        page = alice.open(editor.client, "", resource=None)
        assert (
            'value="/mcp/demo"' in text(page)
            and 'value="/mcp/demo-admin"' in text(page)
            and " checked" not in text(page).replace("has checked", "")
        )
        assert alice.decide(page).status_code == 400
        code = sent_to_client(alice.decide(page, route="/mcp/demo-admin"))["code"]
        assert AuthorizationCode.objects.get().resource_id == demo_admin.pk and code

    def test_the_choice_cannot_override_a_named_route(self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> None:
        alice.decide(alice.open(editor.client), route="/mcp/demo-admin")
        assert AuthorizationCode.objects.get().resource_id == demo.pk

    def test_with_one_route_there_is_nothing_to_choose(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        alice.code(editor.client, "", resource=None)
        assert AuthorizationCode.objects.get().resource_id == demo.pk

    @pytest.mark.parametrize("resource", [ORIGIN, f"{ORIGIN}/", ""])
    def test_the_bare_origin_counts_as_absent(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party, resource: str
    ) -> None:
        assert 'name="route"' in text(alice.open(editor.client, "", resource=resource))

    def test_a_route_endpoint_implies_its_route(self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> None:
        alice.code(editor.client, "/mcp/demo-admin", resource=None)
        assert AuthorizationCode.objects.get().resource_id == demo_admin.pk

    def test_a_former_path_binds_to_the_route_that_had_it(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        FormerSlug.objects.create(slug="old", route=demo)
        sent = sent_to_client(alice.decide(alice.open(editor.client, "/mcp/old", resource=f"{ORIGIN}/mcp/old")))
        row = AuthorizationCode.objects.get()
        assert (row.resource_id, row.resource, sent["iss"]) == (demo.pk, [f"{ORIGIN}/mcp/old"], f"{ORIGIN}/mcp/old")


class TestWhatIsRemembered:
    def open_web(self, person: Person, website: Party, **changed: Any) -> Any:
        return person.open(website.client, redirect_uri=WEB, **changed)

    def test_an_https_client_is_asked_about_once(self, demo: McpRoute, alice: Person, website: Party) -> None:
        assert sent_to_client(alice.decide(self.open_web(alice, website)))["code"]
        assert "code" in sent_to_client(self.open_web(alice, website))

    def test_a_loopback_client_is_asked_about_each_time(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        alice.code(editor.client)
        assert signed_value(alice.open(editor.client))

    def test_a_cancel_is_not_remembered(self, demo: McpRoute, alice: Person, website: Party) -> None:
        alice.decide(self.open_web(alice, website), "cancel")
        assert signed_value(self.open_web(alice, website))

    def test_consent_is_per_user_and_per_route(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, bob: Person, website: Party
    ) -> None:
        alice.decide(self.open_web(alice, website))
        assert signed_value(self.open_web(bob, website))
        assert signed_value(alice.open(website.client, "/mcp/demo-admin", redirect_uri=WEB, resource=None))

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "Another name"},
            {"redirect_uris": f"{WEB} https://other.example/cb"},
            {"metadata": {"client_uri": "https://other.example"}},
            {"metadata": {"jwks_uri": "https://other.example/keys"}},
        ],
        ids=["name", "redirect set", "client_uri", "keys"],
    )
    def test_what_the_user_approved_must_not_have_changed(
        self, demo: McpRoute, alice: Person, website: Party, change: dict[str, Any]
    ) -> None:
        alice.decide(self.open_web(alice, website))
        Client.objects.update(**change)
        assert signed_value(self.open_web(alice, website))

    def test_another_scope_is_asked_about(self, demo: McpRoute, alice: Person, website: Party) -> None:
        alice.decide(self.open_web(alice, website))
        assert signed_value(self.open_web(alice, website, scope="mcp:tools offline_access"))

    def test_a_redirect_host_that_never_stood_on_an_approved_page_is_asked_about(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]
    ) -> None:
        uris = [WEB, "https://second.example/cb"]
        client = Client.objects.get(client_id=register(redirect_uris=uris)["client_id"])
        alice.decide(alice.open(client, redirect_uri=WEB))
        assert signed_value(alice.open(client, redirect_uri=uris[1]))
        assert "code" in sent_to_client(alice.open(client, redirect_uri=WEB))

    @pytest.mark.parametrize("prompt", ["consent", "login", "select_account", "login consent"])
    def test_a_prompt_asks_again(self, demo: McpRoute, alice: Person, website: Party, prompt: str) -> None:
        alice.decide(self.open_web(alice, website))
        assert signed_value(self.open_web(alice, website, prompt=prompt))

    def test_approval_prompt_of_the_library_is_ignored(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        editor.redeem(alice.code(editor.client))
        assert signed_value(alice.open(editor.client, approval_prompt="auto"))

    def test_a_withdrawn_consent_is_asked_for_again_and_its_grants_have_ended(self, demo: McpRoute, alice: Person, website: Party) -> None:
        from oauthgw import consent

        code = sent_to_client(alice.decide(self.open_web(alice, website)))["code"]
        assert website.redeem(code, redirect_uri=WEB).status_code == 200
        assert consent.withdraw(Consent.objects.get(), "test") == 1
        assert Grant.objects.get().revoked_at is not None
        assert signed_value(self.open_web(alice, website))

    def test_yes_and_no_are_journalled(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        alice.decide(alice.open(editor.client))
        alice.decide(alice.open(editor.client), "cancel")
        assert Event.objects.filter(kind=Event.Kind.CONSENT_GIVEN, user=alice.user).count() == 1
        assert Event.objects.filter(kind=Event.Kind.CONSENT_REFUSED, user=alice.user).count() == 1

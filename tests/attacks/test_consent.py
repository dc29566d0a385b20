"""Consent: what may be skipped, what may be swapped, what may outlive it (RFC 9700 §4.1, §4.4, §4.11)."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes import removal
from mcp_routes.models import McpRoute
from oauthgw import consent, principals, tokens
from oauthgw.identity import sessions
from oauthgw.models import AuthorizationCode, Client, Consent, Grant
from tests.unit.conftest import HOST, LOOPBACK, ORIGIN, Party, Person, forwarded_to, sent_to_client, signed_value

WEB = "https://app.example.com/cb"


def text(answer: Any) -> str:
    return str(answer.content.decode())


def impersonating(user: User) -> Person:
    """Somebody of the provider's support, signed in as this user."""
    browser = Browser(HTTP_HOST=HOST)
    browser.force_login(user, backend="oauthgw.identity.backends.Impersonated")
    session = browser.session
    session[sessions.IMPERSONATOR] = "support@workos.example"
    session.save()
    return Person(user, browser)


class TestWhatEndsWithAConsent:
    """Whatever rests on it, codes on their way included."""

    def test_a_code_given_under_a_consent_that_was_withdrawn_is_not_redeemed(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 9700 §4.14: what the user took back is over, on its way too."""
        code = alice.code(editor.client)
        consent.withdraw(Consent.objects.get(), "test")
        assert editor.redeem(code).status_code == 400
        assert not Grant.objects.filter(revoked_at=None).exists()

    def test_a_code_for_a_route_that_was_removed_is_not_redeemed(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 8707 §2.2: a token is for the resource that was granted; for none it would be for nothing, or for everything."""
        code = alice.code(editor.client)
        removal.remove(demo)
        assert editor.redeem(code).status_code == 400
        assert not Grant.objects.filter(revoked_at=None).exists()

    def test_a_standing_consent_whose_route_was_switched_off_gives_no_code(self, demo: McpRoute, alice: Person, website: Party) -> None:
        """CWE-672."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        given = AuthorizationCode.objects.count()
        McpRoute.objects.update(enabled=False)
        assert alice.open(website.client, redirect_uri=WEB).status_code == 404
        assert AuthorizationCode.objects.count() == given

    def test_a_page_that_was_open_while_the_consent_was_withdrawn_cannot_bring_a_used_code_back(
        self, demo: McpRoute, alice: Person, website: Party
    ) -> None:
        """RFC 6749 §10.5: once."""
        page = alice.open(website.client, redirect_uri=WEB)
        website.redeem(sent_to_client(alice.decide(page))["code"], redirect_uri=WEB)
        consent.withdraw(Consent.objects.get(), "test")
        assert alice.decide(page).status_code == 409
        assert Consent.objects.get().withdrawn_at is not None


class TestImpersonation:
    """Somebody who acts as the user (RFC 8693 §1.1) is no operator, and nothing that they begin outlives its access token."""

    def test_its_grant_has_no_refresh_token(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 8693 §1.1."""
        answer = editor.redeem(impersonating(alice.user).code(editor.client)).json()
        assert "refresh_token" not in answer and answer["access_token"]

    def test_what_it_approves_is_no_consent_of_the_user(self, demo: McpRoute, alice: Person, website: Party) -> None:
        """Else support could approve a client once, and the user's own next visit gives it a full grant without a page."""
        support = impersonating(alice.user)
        assert sent_to_client(support.decide(support.open(website.client, redirect_uri=WEB)))["code"]
        assert signed_value(alice.open(website.client, redirect_uri=WEB))

    def test_it_cannot_press_the_button_of_the_users_page(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 8693 §1.1; CWE-613."""
        assert impersonating(alice.user).decide(alice.open(editor.client)).status_code == 400

    def test_it_reaches_no_admin_page_even_for_an_admin(self, demo: McpRoute, alice: Person) -> None:
        """CWE-269."""
        User.objects.update(is_staff=True, is_superuser=True)
        assert alice.browser.get("/admin/").status_code == 200
        assert impersonating(alice.user).browser.get("/admin/").status_code == 302


class TestTheSignedValue:
    def test_its_content_cannot_be_changed(self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> None:
        """Every field in turn, with the signature left as it was."""
        value = signed_value(alice.open(editor.client))
        payload, _, signature = value.partition(":")
        raw = urlsafe_b64decode(payload.lstrip(".") + "=" * (-len(payload.lstrip(".")) % 4))
        forged = urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode().rstrip("=")
        for altered in (f"{forged}:{signature}", f".{forged}:{signature}", f"{payload}:{signature[:-1]}", f"{payload}:AAAAAA:{signature}"):
            assert alice.browser.post("/oauth/authorize", {"consent": altered, "decision": "approve"}).status_code == 400
        assert not AuthorizationCode.objects.exists()

    def test_a_value_signed_for_another_purpose_is_none(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """CWE-347: one key, one salt a purpose."""
        good = signing.loads(signed_value(alice.open(editor.client)), salt="oauthgw.consent")
        other = signing.dumps(good, salt="django.contrib.sessions.backends.signed_cookies", compress=True)
        assert alice.browser.post("/oauth/authorize", {"consent": other, "decision": "approve"}).status_code == 400

    @pytest.mark.parametrize("damage", [{"nonce": None}, {"user": None}, {"request": {}}, {"request": None}, {"request": {"x": 1}}, []])
    def test_one_of_another_version_is_too_old_and_no_crash(self, demo: McpRoute, alice: Person, editor: Party, damage: Any) -> None:
        """CWE-20."""
        good = signing.loads(signed_value(alice.open(editor.client)), salt="oauthgw.consent")
        changed = {key: value for key, value in {**good, **damage}.items() if value is not None} if isinstance(damage, dict) else damage
        value = signing.dumps(changed, salt="oauthgw.consent")
        assert alice.browser.post("/oauth/authorize", {"consent": value, "decision": "approve"}).status_code == 400

    def test_a_double_click_with_two_choices_is_one_choice(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party
    ) -> None:
        """The code is of the first; a second answer for another route must neither move it nor leave a consent that gave nothing."""
        page = alice.open(editor.client, "", resource=None)
        first = sent_to_client(alice.decide(page, route="/mcp/demo"))["code"]
        alice.decide(page, route="/mcp/demo-admin")
        assert AuthorizationCode.objects.get().resource_id == demo.pk
        assert list(Consent.objects.values_list("resource_id", flat=True)) == [demo.pk]
        assert editor.redeem(first).status_code == 200

    @pytest.mark.parametrize("route", ["/mcp/nope", "/mcp/demo/", "demo", "/mcp/DEMO", "//evil.example/mcp/demo", "/mcp/demo\n", "", "/"])
    def test_a_choice_that_was_not_offered_is_none(
        self, demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party, route: str
    ) -> None:
        """CWE-639."""
        page = alice.open(editor.client, "", resource=None)
        assert alice.decide(page, route=route).status_code == (404 if route else 400)
        assert not AuthorizationCode.objects.exists()

    @pytest.mark.parametrize("field", ["redirect_uri", "scope", "resource", "client_id", "state", "code_challenge", "path"])
    def test_no_field_beside_it_has_a_say(self, demo: McpRoute, alice: Person, editor: Party, field: str) -> None:
        """maxkuminov/obsidian-mcp#4: there the form's own redirect URI was believed."""
        sent = alice.decide(alice.open(editor.client), **{field: "https://evil.example/"})
        assert f"{LOOPBACK}?code=" in text(sent) and "evil.example" not in text(sent)
        assert AuthorizationCode.objects.get().resource == [f"{ORIGIN}/mcp/demo"]

    def test_a_repeated_decision_is_no_decision(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """CWE-235."""
        page = alice.open(editor.client)
        answer = alice.browser.post("/oauth/authorize", {"consent": signed_value(page), "decision": ["cancel", "approve"]})
        assert answer.status_code == 400 and not AuthorizationCode.objects.exists()

    def test_a_decision_in_the_address_is_none(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """CWE-352: a link is no decision."""
        page = alice.open(editor.client)
        alice.browser.get("/oauth/authorize", {"consent": signed_value(page), "decision": "approve"})
        alice.browser.post(f"/oauth/authorize?decision=approve&consent={signed_value(page)}")
        assert not AuthorizationCode.objects.exists()


class TestTheDigest:
    """Two different questions have two different digests."""

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"name": "ab", "redirect_uris": WEB}, {"name": "a", "redirect_uris": f"b {WEB}"}),
            ({"name": 'a", "b'}, {"name": "a"}),
            ({"metadata": {"client_uri": "https://a.example"}}, {"metadata": {"jwks_uri": "https://a.example"}}),
            ({"metadata": {"jwks": {"keys": []}}}, {"metadata": {"jwks": {"keys": [{"kid": "1"}]}}}),
            ({"redirect_uris": f"{WEB} {WEB}x"}, {"redirect_uris": f"{WEB} {WEB}y"}),
        ],
    )
    def test_no_two_meanings_share_one(self, demo: McpRoute, alice: Person, website: Party, before: Any, after: Any) -> None:
        """CWE-345: what was approved, field by field, with nothing run together."""
        Client.objects.update(**before)
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        Client.objects.update(**after)
        answer = alice.open(website.client, redirect_uri=WEB)
        assert answer.status_code == 400 or signed_value(answer)

    @pytest.mark.parametrize(
        "uri", ["https://app.example.com:8443/cb", "https://app.example.com.evil.example/cb", "https://APP.example.com/cb"]
    )
    def test_a_host_that_only_looks_like_the_shown_one_is_another(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]], uri: str
    ) -> None:
        """RFC 9700 §4.1; CWE-1007."""
        client = Client.objects.get(client_id=register(redirect_uris=[WEB, uri])["client_id"])
        alice.decide(alice.open(client, redirect_uri=WEB))
        assert signed_value(alice.open(client, redirect_uri=uri))


class TestWhatThePageSays:
    @pytest.mark.parametrize(
        "name",
        [
            "\u3164",
            "\u115f\u1160",
            "\uffa0",
            "\u034f",
            "\u2800",
            "\ufe0f",
            "\u180b",
            "\u17b4",
            "\U0001d159",
            "\ufffc",
            "\U00016fe4",
            "\U000e0041",
        ],
        ids=lambda name: " ".join(f"U+{ord(char):04X}" for char in name),
    )
    def test_a_name_that_nobody_can_see_is_no_name(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]], name: str
    ) -> None:
        """Zero-width and blank characters beyond the categories Cf and Zs (Unicode DerivedCoreProperties, Default_Ignorable_Code_Point)."""
        client = Client.objects.get(client_id=register(client_name=name, redirect_uris=[LOOPBACK])["client_id"])
        assert "A client without a name" in text(alice.open(client))

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("Bank\u202e)kraM(", "Bank)kraM("),  # CVE-2021-42574
            ("\u2066Bank\u2069", "Bank"),
            ("B\u200ban\u00adk", "Bank"),
            ("Bank\u2028verified", "Bank verified"),
            ("Bank" + "\U000e0020\U000e0041", "Bank"),  # tag characters
            ("\x1b[31mBank\x07", "[31mBank"),
            ("Bank" + " " * 500 + "unverified", "Bank unverified"),
        ],
    )
    def test_a_name_reads_as_it_is_written(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]], name: str, shown: str
    ) -> None:
        """Unicode UTS 39 §3, UTR 36 §2.7; CWE-451."""
        client = Client.objects.get(client_id=register(client_name=name, redirect_uris=[LOOPBACK])["client_id"])
        assert f"<bdi>{shown}</bdi>" in text(alice.open(client))

    @pytest.mark.parametrize(
        ("uri", "shown"),
        [
            ("https://xn--pple-43d.com/cb", "xn--pple-43d.com"),  # Cyrillic a: never shown as letters
            ("https://app.example.com.evil.example/cb", "app.example.com.evil.example"),
            ("https://app.example.com:8443/cb", "app.example.com:8443"),
            ("https://app.example.com-" + "a" * 60 + ".evil.example/cb", "app.example.com-" + "a" * 60 + ".evil.example"),
            ("https://evil.example/app.example.com", "evil.example"),
            ("https://192.168.0.1/cb", "192.168.0.1"),
            ("vscode://evil.extension/app.example.com", "vscode://evil.extension"),
        ],
    )
    def test_the_host_that_gets_the_code_is_shown_whole_and_in_ascii(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]], uri: str, shown: str
    ) -> None:
        """RFC 5890 §4.4, UTS 39 (homographs); RFC 9700 §4.11.2."""
        client = Client.objects.get(client_id=register(redirect_uris=[uri])["client_id"])
        assert f'<strong class="host target"><bdi>{shown}</bdi></strong>' in text(alice.open(client, redirect_uri=uri))

    def test_a_pile_of_combining_marks_does_not_climb_over_the_warning(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]
    ) -> None:
        """CWE-451."""
        client = Client.objects.get(client_id=register(client_name="A" + "\u0336\u20e0" * 39, redirect_uris=[LOOPBACK])["client_id"])
        page = text(alice.open(client))
        assert "unverified" in page and page.count("\u20e0") <= 8

    @pytest.mark.parametrize(
        "name",
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "{{ settings.SECRET_KEY }}",
            "{% debug %}",
            "&lt;b&gt;",
            "</title><script>",
            "'';!--\"<XSS>=&{()}",
        ],
    )
    def test_no_text_of_the_clients_is_markup_anywhere(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]], name: str
    ) -> None:
        """RFC 7591 §5, RFC 6819 §4.4.1.5; CVE-2025-62800 (FastMCP: a name that is script)."""
        client = Client.objects.get(
            client_id=register(client_name=name, redirect_uris=[WEB, LOOPBACK], client_uri="https://a.example/<b>'\"")["client_id"]
        )
        pages = [
            alice.open(client),
            alice.decide(alice.open(client)),
            alice.open(client, redirect_uri="https://evil.example/<script>'\""),
            alice.open(client, code_challenge="<script>"),
            alice.open(client, client_id="<script>alert(1)</script>"),
        ]
        User.objects.update(is_staff=True, is_superuser=True)
        pages += [
            alice.browser.get(f"/admin/oauthgw/client/{client.pk}/change/"),
            alice.browser.get("/admin/oauthgw/client/?q=<script>alert(1)"),
        ]
        for page in pages:
            for raw in ("<script>alert", "<img src=x", "<XSS>", "</title><script>", "<b>'"):
                assert raw not in text(page)

    def test_a_client_that_calls_itself_verified_stays_unverified(
        self, demo: McpRoute, alice: Person, register: Callable[..., dict[str, Any]]
    ) -> None:
        """RFC 7591 §5; CWE-915."""
        answer = register(
            client_name="Claude (verified)",
            redirect_uris=[LOOPBACK],
            approved_at="2026-01-01",
            registration_source="manual",
            skip_authorization=True,
            client_id="mine",
            client_secret="mine",
            user=1,
            metadata={"x": 1},
            disabled_at=None,
            allowed_origins="*",
        )
        client = Client.objects.get(client_id=answer["client_id"])
        assert not client.is_vouched_for and client.client_id != "mine" and not client.skip_authorization and client.user_id is None
        assert "unverified" in text(alice.open(client))

    def test_another_client_may_not_take_the_consent_of_one_that_looks_the_same(
        self, demo: McpRoute, alice: Person, website: Party, register: Callable[..., dict[str, Any]]
    ) -> None:
        """GHSA-c2jp-c369-7pvx (FastMCP): consent is per client."""
        alice.decide(alice.open(website.client, redirect_uri=WEB))
        twin = register(client_name="Website", redirect_uris=[WEB], token_endpoint_auth_method="client_secret_post")
        assert signed_value(alice.open(Client.objects.get(client_id=twin["client_id"]), redirect_uri=WEB))


def test_a_former_user_of_the_same_browser_leaves_no_page_to_the_next(demo: McpRoute, alice: Person, bob: Person, editor: Party) -> None:
    """RFC 6819 §4.4.1.9: a decision is the user's who saw the page."""
    page = alice.open(editor.client)
    alice.browser.force_login(bob.user)
    assert alice.decide(page).status_code == 400


def test_after_signing_out_a_page_is_worth_nothing(demo: McpRoute, alice: Person, editor: Party) -> None:
    """CWE-613."""
    page = alice.open(editor.client)
    alice.browser.post("/oauth/logout")
    assert alice.decide(page).status_code == 400
    alice.browser.force_login(alice.user)
    assert alice.decide(page).status_code == 400


def test_an_access_token_is_for_the_route_on_the_page_and_no_other(
    demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party
) -> None:
    """RFC 8707 §2, RFC 9700 §2.3."""
    token = editor.redeem(alice.code(editor.client)).json()["access_token"]
    assert principals.resolve_now(token, demo.pk) is not None and principals.resolve_now(token, demo_admin.pk) is None
    assert tokens.looks_like_access_token(token)


def test_an_operators_approval_lets_no_program_on_this_computer_skip_the_page(
    demo: McpRoute, alice: Person, editor: Party, website: Party
) -> None:
    """RFC 8252 §8.6: whoever listens on a loopback port can present the approved client's id."""
    Client.objects.update(approved_at=timezone.now())
    alice.decide(alice.open(editor.client))
    assert signed_value(alice.open(editor.client))
    alice.decide(alice.open(website.client, redirect_uri=WEB))
    assert forwarded_to(alice.open(website.client, redirect_uri=WEB)).startswith(f"{WEB}?code=")


def test_the_value_holds_no_secret(demo: McpRoute, alice: Person, editor: Party) -> None:
    """It is signed, not encrypted: whoever reads it must not be able to make the code of it."""
    value = signing.loads(signed_value(page := alice.open(editor.client)), salt="oauthgw.consent")
    code = sent_to_client(alice.decide(page))["code"]
    assert code not in json.dumps(value)

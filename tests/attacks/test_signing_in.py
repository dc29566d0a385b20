"""Sign-in: where it may lead, whom it lets in, whose browser it was (RFC 9700 §4.7, §4.11; RFC 8725)."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from mcp_routes.models import McpRoute
from oauthgw.identity import people
from oauthgw.identity.provider import Person, ProviderError
from oauthgw.models import SignIn
from tests.support.asgi import Exchange
from tests.unit.conftest import HOST
from tests.unit.identity.conftest import Reply, Standin, begin, come_back


class TestWhoMaySignIn:
    @pytest.mark.parametrize(
        ("email", "verified"),
        [
            ("eve@example.com", False),
            ("eve@example.com.evil.example", True),
            ("eve@sub.example.com", True),
            ("eve@evilexample.com", True),
            ("example.com", True),
            ("eve@ex\u0430mple.com", True),
            ("eve@example.com\u200b", True),
            ("eve@", True),
            ("@", True),
            ("", True),
            ("eve@example.com@evil.example", True),
            ("eve@EXAMPLE.COM.", True),
            ('"eve@evil.example"@example.com', True),
            ("eve@evil.example@example.com", True),
        ],
    )
    def test_only_a_verified_plain_address_of_the_very_domain_counts(self, configure: Any, email: str, verified: bool) -> None:
        """A second '@' (RFC 5321 §4.1.2 quoted local part) makes systems disagree on the domain: such an address is none for a rule."""
        configure(sign_in_allow=("@example.com",))
        assert people.may_sign_in(Person("user_1", email="alice@Example.COM", email_verified=True))
        assert not people.may_sign_in(Person("user_1", email=email, email_verified=verified))

    @pytest.mark.parametrize("organization", ["", "org_10", "ORG_1", "org_1 ", "*", "@example.com"])
    def test_an_organisation_is_compared_whole(self, configure: Any, organization: str) -> None:
        """CWE-697."""
        configure(sign_in_allow=("org_1",))
        assert people.may_sign_in(Person("user_1", organization_id="org_1"))
        assert not people.may_sign_in(Person("user_1", organization_id=organization))

    @pytest.mark.parametrize(
        "person",
        [
            Person("user_1", email="root@example.com"),
            Person("user_1", email="root@ex\u0430mple.com", email_verified=True),
            Person("user_1", email="root@example.com", email_verified=True, impersonator="x"),
            Person("user_1", role="Operator", roles=frozenset({"Operator"})),
            Person("user_1", permissions=("operator",)),
            Person("operator"),
            Person("user_1", first_name="operator", email="operator"),
            Person("user_1", role="root@example.com", roles=frozenset({"root@example.com"})),
            Person("user_1", role="", roles=frozenset({""})),
        ],
    )
    def test_nothing_but_a_verified_address_or_a_role_makes_an_admin(self, configure: Any, person: Person) -> None:
        """CWE-269, CWE-1007."""
        configure(admins=("root@example.com", "operator"))
        assert people.is_admin(Person("u", email="ROOT@example.com", email_verified=True))
        assert people.is_admin(Person("u", role="operator", roles=frozenset({"operator"})))
        assert not people.is_admin(person)

    def test_a_local_superusers_name_cannot_be_taken_by_signing_in(self, with_workos: Standin, db: None) -> None:
        """CWE-287: account takeover by a name that both sides use."""
        User.objects.create_superuser("user_01ALICE", password="correct horse battery")
        browser = Browser(HTTP_HOST=HOST)
        assert come_back(browser, begin(browser)).status_code == 403
        assert "_auth_user_id" not in browser.session


class TestForgedAnswers:
    """RFC 8725 §2, §3."""

    @pytest.mark.parametrize(
        "forged",
        [
            lambda real, other: real.token(algorithm="none", key=""),
            lambda real, other: real.token(algorithm="HS256", key="x" * 64),
            lambda real, other: real.token(key=other),
            lambda real, other: real.token(key=other, headers={"kid": "key-1", "jku": "https://evil.example/keys"}),
            lambda real, other: real.token(headers={"kid": None}),
            lambda real, other: real.token(headers={"kid": "../../etc/passwd"}),
            lambda real, other: real.token(headers={"crit": ["exp"]}),
            lambda real, other: real.token(iss="https://evil.example"),
            lambda real, other: real.token(iss=None),
            lambda real, other: real.token(sub="user_01BOB"),
            lambda real, other: real.token(sub=None),
            lambda real, other: real.token(exp=1),
            lambda real, other: real.token(exp=None),
            lambda real, other: real.token(iat=4_000_000_000),
            lambda real, other: real.token(nbf=4_000_000_000),
            lambda real, other: real.token(aud="client_other"),
            lambda real, other: real.token(aud=[]),
            lambda real, other: real.token(client_id="client_other"),
            lambda real, other: real.token() + "x",
            lambda real, other: "a.b.c",
            lambda real, other: "." * 50_000,
        ],
        ids=[
            "alg none (RFC 8725 §2.1)",
            "alg HS256 (RFC 8725 §2.1)",
            "another key",
            "jku (RFC 8725 §3.10)",
            "no key id",
            "a path as key id (RFC 8725 §3.10)",
            "crit (RFC 7515 §4.1.11)",
            "another issuer",
            "no issuer",
            "another's sub",
            "no sub",
            "expired",
            "no expiry",
            "issued in the future",
            "not yet valid",
            "another environment's aud",
            "nobody's aud",
            "another environment's client_id",
            "a longer signature",
            "no token",
            "fifty thousand dots",
        ],
    )
    def test_a_token_that_does_not_prove_it_signs_nobody_in(self, with_workos: Standin, signing_keys: Any, db: None, forged: Any) -> None:
        """RFC 8725 §2.1 (`none`), §2.1 (HS256 with a public key), §2.7 (another's audience), §2.9 (`jku`)."""
        token = forged(with_workos, signing_keys[1])
        good = with_workos.signed_in()
        with_workos.answer = lambda: Reply(body={**good, "access_token": token})
        with pytest.raises(ProviderError):
            with_workos.exchange()


class TestWhoseBrowser:
    def test_an_answer_for_another_browser_signs_nobody_in_and_does_not_use_the_attempt_up(self, with_workos: Standin, db: None) -> None:
        """Login CSRF (RFC 6749 §10.12): the attacker's own state and code in the victim's browser."""
        attacker, victim = Browser(HTTP_HOST=HOST), Browser(HTTP_HOST=HOST)
        state = begin(attacker)
        begin(victim)
        assert come_back(victim, state).status_code == 400 and "_auth_user_id" not in victim.session
        assert come_back(attacker, state).status_code == 302

    def test_an_answer_counts_once(self, with_workos: Standin, db: None) -> None:
        """RFC 6749 §10.12; RFC 9700 §4.7."""
        browser = Browser(HTTP_HOST=HOST)
        state = begin(browser)
        assert come_back(browser, state).status_code == 302
        exchanged = len(with_workos.received)
        assert come_back(browser, state).status_code == 400 and len(with_workos.received) == exchanged

    def test_a_session_key_planted_before_is_worth_nothing_after(self, with_workos: Standin, db: None) -> None:
        """CWE-384."""
        browser = Browser(HTTP_HOST=HOST)
        session = browser.session
        session["planted"] = True
        session.save()
        planted = session.session_key
        browser.cookies["gateway_session"] = str(planted)
        come_back(browser, begin(browser))
        assert browser.session.session_key != planted and "planted" not in browser.session

    @pytest.mark.parametrize(
        "query",
        [
            {"state": ""},
            {"state": "x", "code": "a", "error": "b"},
            {"state": "x"},
            {"code": "x"},
            {"state": ["a", "b"], "code": "x"},
            {"state": "a\x00", "code": "x"},
            {"state": "x", "code": "c" * 3000},
        ],
    )
    def test_an_answer_that_is_incomplete_or_ambiguous_is_a_page(self, with_workos: Standin, db: None, query: dict[str, Any]) -> None:
        """CWE-235; RFC 6749 §4.1.2."""
        browser = Browser(HTTP_HOST=HOST)
        begin(browser)
        assert browser.get("/oauth/callback", query).status_code == 400

    def test_the_providers_error_is_text_and_no_markup(self, with_workos: Standin, db: None) -> None:
        """CVE-2025-62800 (FastMCP: the error of a callback as markup)."""
        browser = Browser(HTTP_HOST=HOST)
        answer = come_back(browser, begin(browser), error="<script>x", error_description="<script>alert(1)</script>")
        assert answer.status_code == 400 and b"<script>" not in answer.content

    def test_the_verifier_is_gone_from_the_row_once_it_was_used(self, with_workos: Standin, db: None) -> None:
        """CWE-312."""
        browser = Browser(HTTP_HOST=HOST)
        come_back(browser, begin(browser))
        assert SignIn.objects.get().sealed_verifier == ""

    def test_signing_out_needs_the_form(self, with_workos: Standin, db: None) -> None:
        """CWE-352."""
        browser = Browser(HTTP_HOST=HOST, enforce_csrf_checks=True)
        come_back(browser, begin(browser))
        assert browser.get("/oauth/logout").status_code == 200 and browser.post("/oauth/logout").status_code == 403
        assert "_auth_user_id" in browser.session

    def test_the_providers_address_cannot_be_extended_by_a_hint(self, with_workos: Standin, db: None) -> None:
        """CWE-88, CVE-2025-6514 (mcp-remote: an address made of another's words)."""
        hint = "a@b.example&provider=GoogleOAuth&redirect_uri=https://evil.example#"
        query = parse_qs(urlsplit(Browser(HTTP_HOST=HOST).get("/oauth/login", {"login_hint": hint, "prompt": "x&y=z"})["Location"]).query)
        assert (
            query["provider"] == ["authkit"]
            and query["login_hint"] == [hint]
            and query["redirect_uri"] == [f"http://{HOST}/oauth/callback"]
            and "y" not in query
        )


class TestWhereItLeads:
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/",
            "//evil.example/",
            "///evil.example/",
            "/\\evil.example/",
            "\\\\evil.example/",
            "/\t/evil.example/",
            "/\n/evil.example/",
            "\t//evil.example/",
            " //evil.example/",
            "/\u2028/evil.example/",
            "https:evil.example",
            "http:///evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "evil.example",
            "@evil.example",
            ".evil.example",
            "/oauth/login?next=//evil.example/",
            "/oauth%2flogin?next=//evil.example/",
            "/oauth/callback?code=x&state=y",
        ],
    )
    def test_nobody_is_sent_to_another_site_after_signing_in(self, with_workos: Standin, db: None, target: str) -> None:
        """RFC 9700 §4.11.1, CWE-601; WHATWG URL §4.4 on slashes, tabs and line breaks."""
        browser = Browser(HTTP_HOST=HOST)
        assert come_back(browser, begin(browser, target))["Location"] == "/"

    def test_the_words_of_a_stranger_are_shown_to_nobody(self, with_workos: Standin, db: None) -> None:
        """CWE-451: an error that belongs to no attempt of this browser is a message of whoever made the link."""
        query = {"state": "guessed", "error": "access_denied", "error_description": "Call +1 555 0100 now"}
        answer = Browser(HTTP_HOST=HOST).get("/oauth/callback", query)
        assert answer.status_code == 400 and b"555" not in answer.content

    @pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE"])
    def test_only_a_visit_ends_a_sign_in(self, with_workos: Standin, db: None, method: str) -> None:
        """RFC 9110 §9.2.1; a form that another site posts would come without the browser's cookie, and a prefetch is no visit."""
        browser = Browser(HTTP_HOST=HOST)
        state = begin(browser)
        assert browser.generic(method, f"/oauth/callback?code=x&state={state}").status_code == 405
        assert come_back(browser, state).status_code == 302, "and uses nothing up"


class TestWhoseAccount:
    def test_an_address_is_no_identity(self, with_workos: Standin, db: None) -> None:
        """ "nOAuth" (Descope, 2023), CWE-290: people are told apart by `sub`, never by an e-mail address that somebody may take over."""
        users = []
        for subject in ("user_01ALICE", "user_01EVE"):
            browser = Browser(HTTP_HOST=HOST)
            with_workos.answer = lambda subject=subject: Reply(body=with_workos.signed_in(user={"id": subject}))  # type: ignore[misc]
            come_back(browser, begin(browser))
            users.append(browser.session["_auth_user_id"])
        assert users[0] != users[1]

    def test_a_removed_person_is_not_let_in_by_an_answer_on_its_way(self, with_workos: Standin, db: None) -> None:
        """CWE-613."""
        browser = Browser(HTTP_HOST=HOST)
        come_back(browser, begin(browser))
        state = begin(again := Browser(HTTP_HOST=HOST))
        User.objects.update(is_active=False)
        assert come_back(again, state).status_code == 403 and "_auth_user_id" not in again.session


class TestCookies:
    def test_a_cookie_that_a_sibling_domain_planted_is_not_read(
        self, with_workos: Standin, configure: Any, db: None, settings: Any
    ) -> None:
        """Cookie tossing (CWE-784, RFC 6265bis §4.1.3.2): over https only `__Host-` names count, and only this host can set them."""
        configure(origin="https://localhost:9000")
        attacker, victim = Browser(HTTP_HOST=HOST), Browser(HTTP_HOST=HOST)
        state = begin(attacker)
        name, cookie = next((name, cookie) for name, cookie in attacker.cookies.items() if name == "__Host-browser")
        assert cookie["secure"] and cookie["httponly"] and cookie["path"] == "/" and not cookie["domain"] and cookie["samesite"] == "Lax"
        for planted in ("gateway_browser", "browser", name.lower(), f"{name}-x"):
            victim.cookies[planted] = cookie.value
        assert come_back(victim, state).status_code == 400 and "_auth_user_id" not in victim.session

    def test_the_attackers_state_is_worth_nothing_with_the_victims_own_cookie(self, with_workos: Standin, db: None) -> None:
        """GHSA-rww4-4w9c-7733 (FastMCP): the provider's link of one browser, opened in another that is signed in there."""
        attacker, victim = Browser(HTTP_HOST=HOST), Browser(HTTP_HOST=HOST)
        come_back(victim, begin(victim))
        before = victim.session["_auth_user_id"]
        assert come_back(victim, begin(attacker)).status_code == 400
        assert victim.session["_auth_user_id"] == before and len(with_workos.received) == 1

    @pytest.mark.parametrize(
        "damage", [str.upper, str.lower, lambda state: state[:-1], lambda state: state + "=", lambda state: state + "\u200b"]
    )
    def test_a_state_is_compared_whole(self, with_workos: Standin, db: None, damage: Any) -> None:
        """RFC 6749 §10.12."""
        browser = Browser(HTTP_HOST=HOST)
        assert come_back(browser, damage(begin(browser))).status_code == 400 and not with_workos.received


class TestDevLogin:
    @pytest.mark.parametrize(
        "changed",
        [{"debug": False}, {"origin": "https://gateway.example"}, {"origin": "https://localhost.evil.example"}],
    )
    def test_it_exists_only_where_every_condition_holds(
        self, without_workos: None, configure: Any, db: None, changed: dict[str, Any]
    ) -> None:
        """CWE-489."""
        browser = Browser(HTTP_HOST=HOST)
        assert browser.get("/oauth/dev-login").status_code == 200
        configure(**changed)
        assert browser.get("/oauth/dev-login").status_code == 404
        assert browser.post("/oauth/dev-login", {"user": "admin"}).status_code == 404

    def test_it_cannot_be_posted_from_another_site(self, without_workos: None, db: None) -> None:
        """CWE-352, also from another port of this computer."""
        browser = Browser(HTTP_HOST=HOST, enforce_csrf_checks=True)
        browser.get("/oauth/dev-login")
        token = browser.cookies["gateway_csrf"].value
        for origin in ("https://evil.example", "null", f"http://{HOST}.evil.example", "http://localhost:9001"):
            form = {"user": "admin", "csrfmiddlewaretoken": token}
            assert browser.post("/oauth/dev-login", form, headers={"Origin": origin}).status_code == 403
        assert (
            browser.post(
                "/oauth/dev-login", {"user": "admin", "csrfmiddlewaretoken": token}, headers={"Origin": f"http://{HOST}"}
            ).status_code
            == 303
        )

    @pytest.mark.parametrize("user", ["", "nobody", "demo-admin", "admin ", "ADMIN", "__class__"])
    def test_it_knows_its_demo_users_only(self, without_workos: None, db: None, user: str) -> None:
        """CWE-287."""
        assert Browser(HTTP_HOST=HOST).post("/oauth/dev-login", {"user": user}).status_code == 400
        assert not User.objects.exists()

    def test_a_demo_session_ends_when_a_provider_is_configured(
        self, without_workos: None, configure: Any, standin: Standin, db: None
    ) -> None:
        """CWE-613."""
        browser = Browser(HTTP_HOST=HOST)
        browser.post("/oauth/dev-login", {"user": "admin"})
        assert browser.get("/admin/").status_code == 200
        configure(workos=standin.settings)
        assert browser.get("/admin/").status_code == 302


def asked(host: str, path: str, *, peer: str = "127.0.0.1", headers: tuple[tuple[bytes, bytes], ...] = ()) -> int:
    """The status that the whole application answers, dispatcher included."""
    return asyncio.run(Exchange("GET", path, headers, host=host, peer=peer).run()).status


class TestDevLoginsHost:
    """The Host that was sent must be loopback, also when ALLOWED_HOSTS lets others in."""

    def test_with_a_loopback_origin_a_foreign_host_that_is_allowed_finds_nothing(
        self, without_workos: None, configure: Any, settings: Any
    ) -> None:
        """CWE-350: DNS rebinding brings a foreign Host to a loopback peer."""
        configure(origin="http://localhost:9000")
        settings.ALLOWED_HOSTS = ["localhost", "tunnel.example"]
        assert asked("localhost:9000", "/oauth/dev-login") == 200
        assert asked("tunnel.example", "/oauth/dev-login") == 404  # by the Host that was sent, not by the origin that Django sees

    def test_without_an_origin_a_foreign_host_is_refused_altogether(self, without_workos: None, settings: Any) -> None:
        """CWE-350."""
        settings.ALLOWED_HOSTS = ["*"]
        assert asked("tunnel.example", "/oauth/dev-login") == 400

    @pytest.mark.parametrize("header", [b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-anything"])
    def test_a_request_that_came_through_something_finds_nothing(self, without_workos: None, header: bytes) -> None:
        """A tunnel's peer is loopback; CWE-290."""
        assert asked("localhost:9000", "/oauth/dev-login", headers=((header, b"x"),)) == 404

    def test_another_machine_finds_nothing(self, without_workos: None) -> None:
        """CWE-290."""
        assert asked("localhost:9000", "/oauth/dev-login", peer="192.0.2.1") == 404


@pytest.mark.parametrize("path", ["/", "/oauth/logout", "/oauth/authorize", "/admin/", "/oauth/login"])
def test_a_session_cookie_with_a_nul_is_no_session(http: Browser, demo: McpRoute, path: str) -> None:
    r"""In a quoted cookie (RFC 2109 §4.1) `\000` stands for it; no database can be asked for it."""
    http.raise_request_exception = False
    assert http.get(path, headers={"Cookie": 'gateway_session="\\000aaaaaaaaaaaa"'}).status_code < 500

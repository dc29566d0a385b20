"""Sign-in: where it may lead, whom it lets in, whose browser it was (RFC 9700 §4.7, §4.11; RFC 8725)."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from oauthgw.identity import people
from oauthgw.identity.provider import Person, ProviderError
from oauthgw.models import SignIn
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
        configure(admins=("root@example.com", "operator"))
        assert people.is_admin(Person("u", email="ROOT@example.com", email_verified=True))
        assert people.is_admin(Person("u", role="operator", roles=frozenset({"operator"})))
        assert not people.is_admin(person)

    def test_a_local_superusers_name_cannot_be_taken_by_signing_in(self, with_workos: Standin, db: None) -> None:
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
    )
    def test_a_token_that_does_not_prove_it_signs_nobody_in(self, with_workos: Standin, signing_keys: Any, db: None, forged: Any) -> None:
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
        browser = Browser(HTTP_HOST=HOST)
        state = begin(browser)
        assert come_back(browser, state).status_code == 302
        exchanged = len(with_workos.received)
        assert come_back(browser, state).status_code == 400 and len(with_workos.received) == exchanged

    def test_a_session_key_planted_before_is_worth_nothing_after(self, with_workos: Standin, db: None) -> None:
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
        browser = Browser(HTTP_HOST=HOST)
        begin(browser)
        assert browser.get("/oauth/callback", query).status_code == 400

    def test_the_providers_error_is_text_and_no_markup(self, with_workos: Standin, db: None) -> None:
        browser = Browser(HTTP_HOST=HOST)
        answer = come_back(browser, begin(browser), error="<script>x", error_description="<script>alert(1)</script>")
        assert answer.status_code == 400 and b"<script>" not in answer.content

    def test_the_verifier_is_gone_from_the_row_once_it_was_used(self, with_workos: Standin, db: None) -> None:
        browser = Browser(HTTP_HOST=HOST)
        come_back(browser, begin(browser))
        assert SignIn.objects.get().sealed_verifier == ""

    def test_signing_out_needs_the_form(self, with_workos: Standin, db: None) -> None:
        browser = Browser(HTTP_HOST=HOST, enforce_csrf_checks=True)
        come_back(browser, begin(browser))
        assert browser.get("/oauth/logout").status_code == 200 and browser.post("/oauth/logout").status_code == 403
        assert "_auth_user_id" in browser.session

    def test_the_providers_address_cannot_be_extended_by_a_hint(self, with_workos: Standin, db: None) -> None:
        hint = "a@b.example&provider=GoogleOAuth&redirect_uri=https://evil.example#"
        query = parse_qs(urlsplit(Browser(HTTP_HOST=HOST).get("/oauth/login", {"login_hint": hint, "prompt": "x&y=z"})["Location"]).query)
        assert (
            query["provider"] == ["authkit"]
            and query["login_hint"] == [hint]
            and query["redirect_uri"] == [f"http://{HOST}/oauth/callback"]
            and "y" not in query
        )


class TestDevLogin:
    @pytest.mark.parametrize(
        "changed",
        [{"debug": False}, {"origin": "https://gateway.example"}, {"origin": "https://localhost.evil.example"}],
    )
    def test_it_exists_only_where_every_condition_holds(
        self, without_workos: None, configure: Any, db: None, changed: dict[str, Any]
    ) -> None:
        browser = Browser(HTTP_HOST=HOST)
        assert browser.get("/oauth/dev-login").status_code == 200
        configure(**changed)
        assert browser.get("/oauth/dev-login").status_code == 404
        assert browser.post("/oauth/dev-login", {"user": "admin"}).status_code == 404

    def test_it_cannot_be_posted_from_another_site(self, without_workos: None, db: None) -> None:
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
        assert Browser(HTTP_HOST=HOST).post("/oauth/dev-login", {"user": user}).status_code == 400
        assert not User.objects.exists()

    def test_a_demo_session_ends_when_a_provider_is_configured(
        self, without_workos: None, configure: Any, standin: Standin, db: None
    ) -> None:
        browser = Browser(HTTP_HOST=HOST)
        browser.post("/oauth/dev-login", {"user": "admin"})
        assert browser.get("/admin/").status_code == 200
        configure(workos=standin.settings)
        assert browser.get("/admin/").status_code == 302

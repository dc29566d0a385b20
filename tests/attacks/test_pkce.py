"""PKCE from both ends: what a challenge may be, what proves it, whose code it protects (RFC 7636 §7, RFC 9700 §2.1.1, §4.5, §4.8)."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw.models import AuthorizationCode, Client
from tests.unit.conftest import CHALLENGE, LOOPBACK, VERIFIER, WEB, Party, Person


def challenge_of(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class TestTheChallenge:
    @pytest.mark.parametrize(
        "changed",
        [
            {"code_challenge": None, "code_challenge_method": None},  # CVE-2025-4144 (workers-oauth-provider): PKCE that can be left out
            {"code_challenge": None},
            {"code_challenge": ""},
            {"code_challenge_method": None},  # RFC 7636 §4.3: the default would be plain
            {"code_challenge_method": ""},
            {"code_challenge_method": "plain", "code_challenge": VERIFIER},  # RFC 9700 §2.1.1
            {"code_challenge_method": "s256"},
            {"code_challenge_method": "S256 "},
            {"code_challenge_method": "S512"},
            {"code_challenge_method": "none"},
            {"code_challenge": CHALLENGE + "="},
            {"code_challenge": CHALLENGE[:-1]},
            {"code_challenge": CHALLENGE + "\n"},
            {"code_challenge": CHALLENGE[:-1] + "+"},
            {"code_challenge": CHALLENGE[:-1] + "\uff21"},
            {"code_challenge": "A" * 43 + "," + CHALLENGE},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("kind", ["editor", "website"])
    def test_nothing_but_a_whole_s256_challenge_leads_to_a_code(
        self, request: pytest.FixtureRequest, demo: McpRoute, alice: Person, kind: str, changed: dict[str, Any]
    ) -> None:
        """RFC 9700 §2.1.1 and §4.8.2 (downgrade): of confidential clients too, and approved ones."""
        client = request.getfixturevalue(kind).client
        Client.objects.update(approved_at=timezone.now())
        answer = alice.open(client, redirect_uri=LOOPBACK if kind == "editor" else WEB, **changed)
        assert answer.status_code == 302 and "error=invalid_request" in answer["Location"] and "code=" not in answer["Location"]
        assert not AuthorizationCode.objects.exists()

    def test_it_cannot_be_added_or_changed_on_the_consent_page(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 9700 §4.8: who changes it between page and decision could redeem with a verifier of their own."""
        page = alice.open(editor.client)
        alice.decide(page, code_challenge=challenge_of("w" * 43), code_challenge_method="plain")
        row = AuthorizationCode.objects.get()
        assert (row.code_challenge, row.code_challenge_method) == (CHALLENGE, "S256")


class TestTheVerifier:
    @pytest.mark.parametrize(
        "verifier",
        [CHALLENGE, "", "w" * 43, VERIFIER.upper(), VERIFIER + "v", VERIFIER[:-1], VERIFIER + "%00", challenge_of(CHALLENGE), "null"],
    )
    def test_only_the_preimage_redeems(self, demo: McpRoute, alice: Person, editor: Party, verifier: str) -> None:
        """RFC 7636 §4.6, §7.1. The challenge itself was in the address bar, in logs and in histories."""
        code = alice.code(editor.client)
        assert editor.redeem(code, code_verifier=verifier).status_code == 400
        assert editor.redeem(code).status_code == 200, "a wrong verifier ends nothing"

    def test_leaving_it_out_is_no_way_round(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """CVE-2025-4144; RFC 9700 §2.1.1: a challenge in the one request demands a verifier in the other."""
        form = {"grant_type": "authorization_code", "code": alice.code(editor.client), "redirect_uri": LOOPBACK}
        assert editor.token(**form).status_code == 400
        assert editor.token(**form, code_challenge=CHALLENGE, code_challenge_method="plain").status_code == 400

    def test_a_secret_is_no_substitute(self, demo: McpRoute, alice: Person, website: Party) -> None:
        """RFC 9700 §4.5.3.1: PKCE protects confidential clients from injected codes; the secret does not."""
        code = alice.code(website.client, redirect_uri=WEB)
        assert website.token(grant_type="authorization_code", code=code, redirect_uri=WEB).status_code == 400
        assert website.redeem(code, redirect_uri=WEB, code_verifier="w" * 43).status_code == 400

    def test_each_code_has_its_own(self, demo: McpRoute, alice: Person, bob: Person, website: Party) -> None:
        """RFC 9700 §4.5 (code injection): the victim's code in the attacker's session of one and the same client, which sends the
        attacker's verifier."""
        verifier = "a" * 43
        stolen = alice.code(website.client, redirect_uri=WEB)
        own = bob.code(website.client, redirect_uri=WEB, code_challenge=challenge_of(verifier))
        assert website.redeem(stolen, redirect_uri=WEB, code_verifier=verifier).status_code == 400
        assert website.redeem(own, redirect_uri=WEB, code_verifier=verifier).status_code == 200

    def test_guessing_ends_with_the_code(self, demo: McpRoute, alice: Person, editor: Party) -> None:
        """RFC 7636 §7.1: whatever was guessed, the code lives a minute and once."""
        code = alice.code(editor.client)
        AuthorizationCode.objects.update(expires=timezone.now())
        assert editor.redeem(code).json()["error"] == "invalid_grant"


def test_another_client_with_the_right_verifier_gets_nothing(
    demo: McpRoute, alice: Person, editor: Party, register: Callable[..., dict[str, Any]]
) -> None:
    """RFC 6749 §4.1.3: the code is bound to its client, so that a leaked pair of code and verifier helps no other."""
    code = alice.code(editor.client)
    twin = Party(editor.http, Client.objects.get(client_id=register(client_name="Editor", redirect_uris=[LOOPBACK])["client_id"]))
    assert twin.redeem(code).json()["error"] == "invalid_grant"
    assert editor.redeem(code).status_code == 200


def test_a_verifier_of_odd_characters_is_a_refusal(demo: McpRoute, alice: Person, editor: Party) -> None:
    """RFC 7636 §4.1: 43 to 128 unreserved characters."""
    code = alice.code(editor.client)
    for verifier in ("\ud7ff" * 43, "%" * 43, " " * 43, "v" * 42, "v" * 129, VERIFIER + "\n"):
        assert editor.redeem(code, code_verifier=verifier).status_code == 400
    assert editor.redeem(code).status_code == 200

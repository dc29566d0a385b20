"""`private_key_jwt`: a client that signs gets in wherever it has to prove itself, however its keys are published."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import FormerSlug, McpRoute
from oauthgw import principals
from oauthgw.clients import key_sets, keys
from oauthgw.guard import fetch
from oauthgw.guard.turns import Turns
from oauthgw.models import Client, UsedAssertion
from tests.support.documents import Documents, published
from tests.support.signing import Signer
from tests.unit.conftest import ORIGIN, VERIFIER, WEB, Party, Person, SigningParty

Register = Callable[..., dict[str, Any]]


@pytest.fixture
def redeemable(demo: McpRoute, alice: Person, chatbot: SigningParty) -> dict[str, str]:
    return {
        "grant_type": "authorization_code",
        "code": alice.code(chatbot.client, redirect_uri=WEB),
        "code_verifier": VERIFIER,
        "redirect_uri": WEB,
    }


def test_what_was_registered_is_answered_without_a_secret(register: Register) -> None:
    signer = Signer()
    answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
    assert (answer["token_endpoint_auth_method"], answer["jwks"]) == ("private_key_jwt", signer.key_set)
    assert "client_secret" not in answer
    assert Client.objects.get().client_type == "confidential"


def test_a_code_is_redeemed_refreshed_and_revoked_with_an_assertion_each_time(
    http: Browser, demo: McpRoute, chatbot: SigningParty, redeemable: dict[str, str]
) -> None:
    first = chatbot.token(**redeemable)
    assert first.status_code == 200, first.content
    second = chatbot.refresh(first.json()["refresh_token"])
    assert second.status_code == 200
    token = second.json()["access_token"]
    assert principals.resolve_now(token, demo.pk) is not None
    form = {"token": token, **chatbot.signer.form(chatbot.client.client_id, f"{ORIGIN}/oauth/revoke")}
    assert chatbot.post("/oauth/revoke", form).status_code == 200
    assert principals.resolve_now(token, demo.pk) is None


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_each_announced_algorithm_is_accepted(http: Browser, demo: McpRoute, alice: Person, register: Register, algorithm: str) -> None:
    announced = http.get("/.well-known/oauth-authorization-server").json()
    assert algorithm in announced["token_endpoint_auth_signing_alg_values_supported"]
    assert "private_key_jwt" in announced["token_endpoint_auth_methods_supported"]
    signer = Signer(algorithm)
    answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
    party = SigningParty(http, Client.objects.get(client_id=answer["client_id"]), signer=signer)
    assert party.redeem(alice.code(party.client, redirect_uri=WEB), redirect_uri=WEB).status_code == 200


@pytest.mark.parametrize(
    "audience",
    [
        ORIGIN,
        f"{ORIGIN}/",
        f"{ORIGIN}/mcp/demo",
        f"{ORIGIN}/mcp/demo-admin",
        f"{ORIGIN}/mcp/old",
        f"{ORIGIN}/oauth/token",
        f"{ORIGIN}/token",
        "http://127.0.0.1:9000",
        "HTTP://LOCALHOST:9000/oauth/token",
        ["https://elsewhere.example", ORIGIN],
        [7, ORIGIN],
    ],
    ids=str,
)
def test_an_assertion_may_be_for_any_issuer_of_ours_or_the_token_endpoint(
    chatbot: SigningParty, demo: McpRoute, demo_admin: McpRoute, redeemable: dict[str, str], audience: Any
) -> None:
    FormerSlug.objects.create(slug="old", route=demo)
    chatbot.audience = audience
    assert chatbot.token(**redeemable).status_code == 200


def test_with_a_configured_origin_only_that_one_is_meant(settings: Any, http: Browser, chatbot: SigningParty, demo: McpRoute) -> None:
    settings.GATEWAY = replace(settings.GATEWAY, origin="https://mcp.example.com")
    refresh = {"grant_type": "refresh_token", "refresh_token": "unknown"}
    for audience, error in ((ORIGIN, "invalid_client"), ("https://mcp.example.com/mcp/demo", "invalid_grant")):
        chatbot.audience = audience
        assert chatbot.token(**refresh).json()["error"] == error


def test_the_client_id_may_be_sent_too(chatbot: SigningParty, redeemable: dict[str, str]) -> None:
    assert chatbot.token(**redeemable, client_id=chatbot.client.client_id).status_code == 200


@pytest.mark.parametrize("changed", [{"iat": None}, {"nbf": 1}, {"exp": int(time.time()) + 3600}], ids=["no iat", "an old nbf", "an hour"])
def test_claims_that_are_optional_or_within_bounds_are_no_hindrance(
    chatbot: SigningParty, redeemable: dict[str, str], changed: dict[str, Any]
) -> None:
    assert chatbot.token(**redeemable, **chatbot.signer.form(chatbot.client.client_id, ORIGIN, **changed)).status_code == 200


def test_a_key_without_an_id_is_found(http: Browser, demo: McpRoute, register: Register) -> None:
    signer = Signer(key_id="")
    answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
    for header in ({}, {"kid": "as the client calls it"}):
        form = signer.form(answer["client_id"], ORIGIN, header=header)
        refused = Party(http, Client.objects.get()).post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": "x", **form})
        assert refused.json()["error"] == "invalid_grant", "it was let in, and the token is unknown"


def test_an_assertion_is_spent_even_if_what_it_was_shown_for_is_refused(chatbot: SigningParty) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "unknown", **chatbot.signer.form(chatbot.client.client_id, ORIGIN)}
    assert [chatbot.post("/oauth/token", form).json()["error"] for _ in range(2)] == ["invalid_grant", "invalid_client"]
    assert UsedAssertion.objects.count() == 1


class TestKeySetsByReference:
    @pytest.fixture
    def website(self, settings: Any) -> Iterator[Documents]:
        cache.clear()
        with published() as documents:
            settings.GATEWAY = replace(settings.GATEWAY, fetch_trusted_hosts=(documents.authority,))
            yield documents

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch, website: Documents) -> Callable[[float], None]:
        """Moves the time by which sets grow old, the cache's own with it."""
        passed = [0.0]
        real = key_sets.now
        monkeypatch.setattr(key_sets, "now", lambda: real() + passed[0])

        def move(seconds: float) -> None:
            passed[0] += seconds
            name = key_sets._name(f"{website.url}/jwks.json")
            cache.delete_many([f"{name}:asked", f"{name}:failed"])

        return move

    @pytest.fixture
    def assistant(self, http: Browser, website: Documents, register: Register) -> SigningParty:
        """A client whose keys are at a URL."""
        signer = Signer("ES256")
        uri = website.publish("/jwks.json", signer.key_set)
        answer = register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)
        assert answer["jwks_uri"] == uri and "jwks" not in answer
        return SigningParty(http, Client.objects.get(client_id=answer["client_id"]), signer=signer)

    def proven(self, party: SigningParty) -> bool:
        """Whether the client is let in, to learn that its token is unknown."""
        return bool(party.refresh("unknown").json()["error"] == "invalid_grant")

    def test_the_set_is_fetched_once_and_kept(self, website: Documents, assistant: SigningParty) -> None:
        assert [self.proven(assistant) for _ in range(3)] == [True] * 3
        assert website.paths() == ["/jwks.json"]

    def test_a_new_key_is_found_after_a_minute_and_its_fetch_is_no_more_often(
        self, website: Documents, assistant: SigningParty, clock: Callable[[float], None]
    ) -> None:
        assert self.proven(assistant)
        assistant.signer = Signer("ES256", key_id="key-2")
        website.publish("/jwks.json", assistant.signer.key_set)
        assert not self.proven(assistant) and len(website.asked) == 1
        clock(61)
        assert self.proven(assistant) and len(website.asked) == 2
        assistant.signer = Signer("ES256", key_id="made up")
        assert not self.proven(assistant) and not self.proven(assistant)
        assert len(website.asked) == 2

    def test_made_up_key_ids_do_not_make_us_knock_more_often_at_a_door_that_is_shut(
        self, website: Documents, assistant: SigningParty, clock: Callable[[float], None]
    ) -> None:
        assert self.proven(assistant)
        website.serve("/jwks.json", b"", 500)
        clock(61)
        assistant.signer = Signer("ES256", key_id="made up")
        assert not any(self.proven(assistant) for _ in range(3))
        assert len(website.asked) == 2

    def test_nobody_is_asked_for_the_keys_of_a_client_that_may_not_come_in(self, website: Documents, assistant: SigningParty) -> None:
        Client.objects.update(disabled_at=timezone.now())
        assert not self.proven(assistant)
        assert website.asked == []

    def test_a_key_that_was_withdrawn_is_forgotten_within_the_hour(
        self, website: Documents, assistant: SigningParty, clock: Callable[[float], None]
    ) -> None:
        assert self.proven(assistant)
        website.publish("/jwks.json", Signer("ES256", key_id="key-2").key_set)
        assert self.proven(assistant)
        clock(3601)
        assert not self.proven(assistant)

    def test_while_the_set_is_out_of_reach_the_last_one_serves_and_a_first_one_is_a_503(
        self, website: Documents, assistant: SigningParty, clock: Callable[[float], None]
    ) -> None:
        website.serve("/jwks.json", b"", 500)
        answer = assistant.refresh("unknown")
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        website.publish("/jwks.json", assistant.signer.key_set)
        clock(61)
        assert self.proven(assistant), "no error is kept for longer than a minute"
        website.serve("/jwks.json", b"", 500)
        clock(3601)
        assert self.proven(assistant)

    @pytest.mark.parametrize("status", [200, 500], ids=["no key set", "an error"])
    def test_an_address_without_a_key_set_is_asked_once_a_minute_and_the_answer_stays_the_same(
        self, website: Documents, assistant: SigningParty, clock: Callable[[float], None], status: int
    ) -> None:
        website.serve("/jwks.json", b"{}", status)
        answers = [assistant.refresh("unknown") for _ in range(3)]
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        assert len(website.asked) == 1
        clock(61)
        assert assistant.refresh("unknown").content == answers[0].content
        assert len(website.asked) == 2

    def test_that_the_gateway_was_busy_itself_is_held_against_nobody(
        self, website: Documents, assistant: SigningParty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as busy:
            busy.setattr(fetch, "_places", Turns("all", 0))
            busy.setattr(fetch, "TOTAL_SECONDS", 0.1)
            answer = assistant.refresh("unknown")
            assert answer.status_code == 503 and "too much just now" in answer.json()["error_description"]
        assert self.proven(assistant)

    def test_without_a_cache_a_failure_is_not_remembered_either(self, settings: Any, website: Documents, assistant: SigningParty) -> None:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
        website.serve("/jwks.json", b"", 500)
        assert [assistant.refresh("unknown").status_code for _ in range(2)] == [503, 503]
        assert len(website.asked) == 2

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"keys": [{"kty": "oct", "k": "eA"}]}'])
    def test_what_is_no_key_set_proves_nobody(self, website: Documents, assistant: SigningParty, body: bytes) -> None:
        website.serve("/jwks.json", body)
        answer = assistant.refresh("unknown")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert "key set" in answer.json()["error_description"]

    def test_without_a_cache_it_is_fetched_each_time(self, settings: Any, website: Documents, assistant: SigningParty) -> None:
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}
        assert self.proven(assistant) and self.proven(assistant)
        assert len(website.asked) == 2

    def test_a_private_address_that_no_operator_trusts_is_never_asked(
        self, settings: Any, website: Documents, assistant: SigningParty
    ) -> None:
        settings.GATEWAY = replace(settings.GATEWAY, fetch_trusted_hosts=())
        assert assistant.refresh("unknown").status_code == 503
        assert website.asked == []

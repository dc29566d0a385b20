"""A gateway in use, and an operator who looks at it."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client as Browser
from django.utils import timezone

from mcp_routes.models import McpRoute
from oauthgw import tokens
from oauthgw.clients import metadata
from oauthgw.clients.registration import register
from oauthgw.guard import sealed
from oauthgw.models import AccessToken, AuthorizationCode, Client, Consent, Grant, Identity, RefreshToken

HEADER_VALUE = "canary-header-value"


@dataclass
class Scene:
    """Alice, connected through a confidential client to a route with fixed headers; all she holds, and all that is stored of it."""

    alice: User
    client: Client
    route: McpRoute
    grant: Grant
    consent: Consent
    access_token: str
    secrets: set[str]


def what_was_seen(question: Any) -> str:
    """The signed value of a question's page; empty where there was no question."""
    found = re.search(r'name="seen" value="([^"]*)"', question.content.decode())
    return found[1] if found else ""


@dataclass
class Operator:
    """A superuser in the admin."""

    user: User
    browser: Browser

    def page(self, path: str, **query: str) -> Any:
        answer = self.browser.get(f"/admin/{path}", query)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer

    def text(self, path: str, **query: str) -> str:
        return str(self.page(path, **query).content.decode())

    def act(self, path: str, action: str, *keys: int, confirmed: bool = True, **form: str) -> Any:
        """Runs an action of a list, through its question; without `confirmed`, up to it."""
        if confirmed and not {"seen", "post"} & form.keys():  # Django's own question is answered by `post`
            form = {**form, "seen": what_was_seen(self.act(path, action, *keys, confirmed=False, **form))}
        form = {"action": action, **({"confirmed": "yes"} if confirmed else {"index": "0"}), **form}
        return self.browser.post(f"/admin/{path}", {**form, "_selected_action": [str(key) for key in keys]}, follow=True)


@pytest.fixture
def operator(db: None) -> Operator:
    password = PBKDF2PasswordHasher().encode("canary-password", "canarysalt", iterations=1)  # a million rounds would prove no more
    user = User.objects.create(username="root", email="root@example.com", password=password, is_staff=True, is_superuser=True)
    browser = Browser(HTTP_HOST="localhost:9000")
    browser.force_login(user)
    return Operator(user, browser)


@pytest.fixture
def scene(db: None) -> Scene:
    alice = User.objects.create_user("user_alice", email="alice@example.com")
    Identity.objects.create(
        user=alice, provider="workos", subject="user_alice", email=alice.email, email_verified=True, organization_id="org_1"
    )
    route = McpRoute(slug="demo", name="Demo tools", upstream_url="https://upstream.example.com/mcp", auth_mode="headers")
    route.set_headers({"X-Api-Key": HEADER_VALUE})
    route.save()
    registered = register(
        metadata.read(
            {
                "client_name": "Website",
                "redirect_uris": ["https://app.example.com/cb", "cursor://anysphere.cursor-mcp/cb"],
                "token_endpoint_auth_method": "client_secret_post",
            }
        )
    )
    client, uri = registered.client, "https://mcp.example.com/mcp/demo"
    code = AuthorizationCode.objects.create(
        code=sealed.digest("canary-code"),
        user=alice,
        application=client,
        expires=timezone.now() + timedelta(seconds=60),
        redirect_uri="https://app.example.com/cb",
        scope="mcp:tools",
        code_challenge="c" * 43,
        resource_id=route.pk,
        resource=[uri],
    )
    with transaction.atomic():
        first = tokens.mint(code, with_refresh_token=True, signed_for=False)
        assert first.refresh_token is not None
        presented = tokens.find_refresh_token(first.refresh_token.reveal(), client)
        assert presented is not None
        assert tokens.may_be_exchanged(presented)
        second = tokens.exchange(presented, first.refresh_token.reveal())
    grant = Grant.objects.get()
    consent = Consent.objects.create(
        user=alice, client=client, resource_id=route.pk, resource=uri, scope="mcp:tools", digest="d" * 64, given_at=timezone.now()
    )
    values = [registered.secret, first.access_token, first.refresh_token, second.access_token, second.refresh_token]
    client.refresh_from_db()
    stored = {
        *AccessToken.objects.values_list("token_checksum", flat=True),
        *RefreshToken.objects.values_list("token_checksum", flat=True),
        *RefreshToken.objects.exclude(nonce="").values_list("nonce", flat=True),
        code.code,
        client.client_secret,
        route.sealed_headers,
    }
    secrets = {value.reveal() for value in values if value is not None} | stored | {HEADER_VALUE, "canary-code"}
    return Scene(alice, client, route, grant, consent, first.access_token.reveal(), secrets)

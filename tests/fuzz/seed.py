"""What is in the fuzzed gateway's database before the first request. Runs inside the gateway's own settings (`manage.py shell`).

People, clients and tokens come in two kinds: what the fuzzing may do anything to, and what must work when it is over (`kept`).
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client as Browser
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from mcp_routes.models import FormerSlug, McpRoute
from oauthgw import tokens
from oauthgw.clients import metadata
from oauthgw.clients.registration import Registered, register
from oauthgw.guard import sealed
from oauthgw.models import AuthorizationCode, Client, Consent, Identity

WEB = "https://app.example.com/cb"
LOOPBACK = "http://127.0.0.1:33418/callback"
HEADER_VALUE = "canary-header-value"


def patterns(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[str]:
    """Every address of the site, as it is written in the URLconf."""
    for entry in (resolver or get_resolver()).url_patterns:
        written = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield written
        else:
            yield from patterns(entry, written)


def sow(upstream: str, demo: str, origin: str) -> None:
    """Makes the rows, and prints what whoever asks has to know of them."""
    told, kept_route = _route("told", f"{upstream}/mcp", {"X-Api-Key": HEADER_VALUE}), _route("demo", demo)
    FormerSlug.objects.create(slug="told-before", route=told)
    alice, victim = _person("alice"), _person("victim")
    root = User.objects.create(username="root", email="root@example.com", is_staff=True, is_superuser=True)
    root.set_unusable_password()
    root.save()
    public = _register(client_name="Public", redirect_uris=[LOOPBACK, WEB])
    secret = _register(client_name="Secret", redirect_uris=[WEB], token_endpoint_auth_method="client_secret_post")
    managed = _register(client_name="Managed", redirect_uris=[WEB])
    prey = _register(client_name="Prey", redirect_uris=[WEB])
    kept = _register(client_name="Kept", redirect_uris=[LOOPBACK])
    Client.objects.filter(pk=secret.client.pk).update(may_introspect=True)
    print(
        json.dumps(
            {
                "public": public.client.client_id,
                "secret": [secret.client.client_id, _text(secret.secret)],
                "managed": [managed.client.client_id, _text(managed.registration_token)],
                "prey": [[victim.pk, root.pk + 10_000], [prey.client.pk], _text(prey.registration_token)],
                "token": _tokens(alice, public.client, told, origin)[0],
                "to_revoke": [_tokens(victim, secret.client, told, origin) for _ in range(20)],
                "kept": [kept.client.client_id, *_tokens(alice, kept.client, kept_route, origin)],
                "root": _session(root),
                "alice": _session(alice),
                "patterns": list(patterns()),
                "actions": {
                    f"{model._meta.app_label}/{model._meta.model_name}": _actions(admin) for model, admin in site._registry.items()
                },
                "cookie": settings.SESSION_COOKIE_NAME,
            }
        )
    )


def count() -> None:
    """Prints how many rows each table has."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        counts = {}
        for table in tables:
            cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608
            counts[table] = cursor.fetchone()[0]
    print(json.dumps(counts))


def _text(secret: Any) -> str:
    return secret.reveal() if secret is not None else ""


def _route(slug: str, url: str, headers: dict[str, str] | None = None) -> McpRoute:
    made = McpRoute(slug=slug, name=slug, upstream_url=url, auth_mode="headers" if headers else "none")
    made.set_headers(headers or {})
    made.save()
    return made


def _person(name: str) -> User:
    user = User.objects.create_user(f"user_{name}", email=f"{name}@example.com")
    Identity.objects.create(
        user=user, provider="workos", subject=f"user_{name}", email=user.email, email_verified=True, organization_id="org_1"
    )
    return user


def _register(**members: Any) -> Registered:
    return register(metadata.read(members))


@transaction.atomic
def _tokens(user: User, client: Client, route: McpRoute, origin: str) -> tuple[str, str]:
    """An access token and its refresh token."""
    uri = f"{origin}/mcp/{route.slug}"
    code = AuthorizationCode.objects.create(
        code=sealed.digest(f"{AuthorizationCode.objects.count()}"),
        user=user,
        application=client,
        expires=timezone.now() + timedelta(seconds=60),
        redirect_uri=client.redirect_uris.split()[0],
        scope="mcp:tools",
        code_challenge="c" * 43,
        resource_id=route.pk,
        resource=[uri],
    )
    Consent.objects.get_or_create(
        user=user,
        client=client,
        resource_id=route.pk,
        defaults={"resource": uri, "scope": "mcp:tools", "digest": "d" * 64, "given_at": timezone.now()},
    )
    minted = tokens.mint(code, with_refresh_token=True, signed_for=False)
    return _text(minted.access_token), _text(minted.refresh_token)


def _session(user: User) -> str:
    browser = Browser(HTTP_HOST="localhost")
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


def _actions(admin: Any) -> list[str]:
    return [*(action if isinstance(action, str) else action.__name__ for action in admin.actions or ()), "delete_selected"]

"""What the token endpoint costs: CPU and queries of one request, for a public and a confidential client, beside /healthz.

`python -m bench.tokens [DATABASE_URL]` runs the ASGI application in this process, on a throw-away SQLite file or on the (empty) database
that is named, and prints Markdown. CPU time is the whole process's, so that what other programs do matters little; rounds of each kind
take turns, and the median round counts. The ratios of one run compare; milliseconds belong to the machine they were measured on.
"""

import asyncio
import json
import os
import platform
import secrets
import statistics
import sys
import tempfile
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

from bench.walks import CHALLENGE, FORM, ORIGIN, REDIRECT, VERIFIER, Answer, ask

ROUNDS, REQUESTS = 9, 25  # requests a round, of each kind
PACKAGES = ("Django", "django-oauth-toolkit", "oauthlib")


@dataclass
class Queries:
    """Statements that reached the database, whichever thread sent them."""

    count: int = 0

    def watch(self, connection: Any, **_: Any) -> None:
        """A receiver for Django's `connection_created`."""
        connection.execute_wrappers.append(self._seen)

    def _seen(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        self.count += 1
        return execute(sql, *rest)


@dataclass
class Party:
    """A client with a grant of its own: how it identifies itself, and the refresh token that it holds."""

    client: Any
    form: dict[str, str]
    headers: tuple[tuple[str, str], ...] = ()
    refresh_token: str = ""
    codes: list[str] = field(default_factory=list)

    async def redeem(self) -> Answer:
        form = {"grant_type": "authorization_code", "code": self.codes.pop(), "code_verifier": VERIFIER, "redirect_uri": REDIRECT}
        return await self._tokens(form)

    async def refresh(self) -> Answer:
        answer = await self._tokens({"grant_type": "refresh_token", "refresh_token": self.refresh_token})
        self.refresh_token = json.loads(answer.body)["refresh_token"]
        return answer

    async def _tokens(self, form: dict[str, str]) -> Answer:
        answer = await ask("POST", "/oauth/token", (FORM, *self.headers), urlencode({**self.form, **form}).encode())
        if answer.status != 200:
            raise SystemExit(f"the token endpoint answered {answer.status}: {answer.body[:300]!r}")
        return answer


def parties() -> dict[str, Party]:
    """A public client, and confidential ones of both kinds, on one route, with a code for every redemption to come."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    from mcp_routes.models import McpRoute
    from oauthgw import consent
    from oauthgw.authorization import AuthorizationRequest
    from oauthgw.clients import metadata, registration
    from oauthgw.resources import backend

    call_command("migrate", verbosity=0)
    McpRoute.objects.create(slug="demo", name="Demo tools", upstream_url="http://127.0.0.1:9/mcp")
    user, resource = User.objects.create_user("bench"), backend().find("/mcp/demo")
    assert resource is not None

    def party(method: str) -> Party:
        registered = registration.register(metadata.read({"redirect_uris": [REDIRECT], "token_endpoint_auth_method": method}))
        client, secret = registered.client, registered.secret.reveal() if registered.secret is not None else ""
        if method == "client_secret_basic":
            made = Party(client, {}, (("authorization", "Basic " + b64encode(f"{client.client_id}:{secret}".encode()).decode()),))
        else:
            made = Party(client, {"client_id": client.client_id, **({"client_secret": secret} if secret else {})})
        request = AuthorizationRequest(client.client_id, REDIRECT, "", "mcp:tools", CHALLENGE, ORIGIN, f"{ORIGIN}/mcp/demo", "/mcp/demo")
        for _ in range((ROUNDS + 1) * REQUESTS + 1):
            url = consent.approve(consent.ask(request), client, user, resource, impersonated=False)
            made.codes.append(url.partition("code=")[2].partition("&")[0])
        return made

    return {method: party(method) for method in ("none", "client_secret_post", "client_secret_basic")}


async def measure(made: dict[str, Party], queries: Queries) -> dict[str, tuple[float, float]]:
    """CPU milliseconds and queries of each kind of request."""
    kinds: dict[str, Callable[[], Awaitable[Answer]]] = {
        "/healthz": lambda: ask("GET", "/healthz"),
        "public client: code": made["none"].redeem,
        "public client: refresh": made["none"].refresh,
        "client_secret_post: code": made["client_secret_post"].redeem,
        "client_secret_post: refresh": made["client_secret_post"].refresh,
        "client_secret_basic: refresh": made["client_secret_basic"].refresh,
    }
    for party in made.values():
        answer = await party.redeem()
        party.refresh_token = json.loads(answer.body)["refresh_token"]
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    sent: dict[str, float] = {}
    for turn in range(ROUNDS + 1):
        for kind, request in kinds.items():
            queries.count, began = 0, time.process_time()
            for _ in range(REQUESTS):
                await request()
            sent[kind] = queries.count / REQUESTS
            if turn:  # the first warms up
                spent[kind].append((time.process_time() - began) * 1000 / REQUESTS)
    return {kind: (statistics.median(spent[kind]), sent[kind]) for kind in kinds}


def report(measured: dict[str, tuple[float, float]], database: str) -> None:
    base = measured["/healthz"][0]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"{database}; Python {platform.python_version()}, {packages}; {platform.machine()}, {os.cpu_count()} cores\n")
    print("| request | CPU ms | to /healthz | statements |\n| --- | ---: | ---: | ---: |")
    for kind, (milliseconds, queries) in measured.items():
        print(f"| {kind} | {milliseconds:.2f} | {milliseconds / base:.1f} | {queries:.1f} |")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/tokens.sqlite3"
        # As in production: under DEBUG Django keeps a copy of each statement.
        keys = {"SECRET_KEY": secrets.token_urlsafe(50), "TOKEN_ENCRYPTION_KEYS": urlsafe_b64encode(secrets.token_bytes(32)).decode()}
        provider = {"WORKOS_CLIENT_ID": "client_bench", "WORKOS_CLIENT_SECRET": "sk_bench", "SIGN_IN_ALLOW": "*"}  # nobody signs in
        os.environ.update(keys, **provider, DEBUG="false", GATEWAY_ORIGIN=ORIGIN, ENV_FILE=os.devnull, DATABASE_URL=url)
        os.environ["RATE_LIMIT_SCALE"] = "1000"  # counted as in production, and from one address more than anybody may
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gatewaysite.settings")
        import logging

        import django
        from django.db.backends.signals import connection_created

        queries = Queries()
        connection_created.connect(queries.watch)
        django.setup()
        logging.disable(logging.INFO)
        from django.db import connection

        made = parties()
        database = "PostgreSQL" if connection.vendor == "postgresql" else "SQLite"
        report(asyncio.run(measure(made, queries)), database)


if __name__ == "__main__":
    main()

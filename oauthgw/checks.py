"""System checks of the authorization server's settings: who signs in, what clients may register, how long tokens live.

Knows settings; reads no environment, database or network. A check named "unless DEBUG" lets a laptop run without the setting.
"""

import re
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error, register

from oauthgw.clients import redirects
from oauthgw.guard import fetch
from oauthgw.guard.conf import gateway

_CLIENT_ID = re.compile(r"client_[A-Za-z0-9_]+")
_ALLOWED = re.compile(r"\*|@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|org_[A-Za-z0-9_]+")
_SECRET_LENGTH = 16
_DASHBOARD = "from the WorkOS dashboard (API Keys)"


@register
def check_workos(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The provider is configured whole or not at all."""
    workos = gateway().workos
    if not workos.client_id and not workos.client_secret:
        if gateway().debug:
            return []
        return [
            Error(
                f"WORKOS_CLIENT_ID and WORKOS_CLIENT_SECRET are not set, so nobody could sign in: copy client id and API key {_DASHBOARD}.",
                id="oauthgw.E001",
            )
        ]
    if not workos.client_secret:
        return [
            Error(
                f"WORKOS_CLIENT_ID is set but WORKOS_CLIENT_SECRET is not: copy the API key of the same environment {_DASHBOARD}.",
                id="oauthgw.E002",
            )
        ]
    if not workos.client_id:
        return [
            Error(
                f"WORKOS_CLIENT_SECRET is set but WORKOS_CLIENT_ID is not: copy the client id of the same environment {_DASHBOARD}.",
                id="oauthgw.E003",
            )
        ]
    problems: list[CheckMessage] = []
    if not _CLIENT_ID.fullmatch(workos.client_id):
        problems.append(
            checks.Warning(
                f"WORKOS_CLIENT_ID does not look like one (client_…): copy it {_DASHBOARD}; it is not the API key.", id="oauthgw.W002"
            )
        )
    if not workos.client_secret.reveal().startswith("sk_"):
        problems.append(
            checks.Warning(
                f"WORKOS_CLIENT_SECRET does not begin with sk_: it should be the API key, copied {_DASHBOARD}.", id="oauthgw.W001"
            )
        )
    return problems


@register
def check_webhook_secret(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Whoever knows it can sign people out: WorkOS makes one of random characters, and a made-up one would match nothing."""
    secret = gateway().workos.webhook_secret.reveal()
    if not secret or gateway().debug or len(secret) >= _SECRET_LENGTH:
        return []
    return [
        Error(
            "WORKOS_WEBHOOK_SECRET can be guessed: copy the signing secret of the endpoint from the WorkOS dashboard (Webhooks).",
            id="oauthgw.E014",
        )
    ]


@register
def check_who_may_sign_in(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Nobody by accident, and no entry that would silently match nobody."""
    allowed = gateway().sign_in_allow
    if not allowed and not gateway().debug:
        return [
            Error(
                "SIGN_IN_ALLOW is not set, so nobody could sign in: list WorkOS organisations (org_…) or e-mail domains (@example.com), or "
                "write * to let in everyone your WorkOS environment does.",
                id="oauthgw.E005",
            )
        ]
    return [
        Error(
            f"SIGN_IN_ALLOW holds {entry!r}, which matches nobody: write an organisation id (org_…), a domain (@example.com) or *.",
            id="oauthgw.E006",
        )
        for entry in allowed
        if not _ALLOWED.fullmatch(entry)
    ]


@register
def check_admins(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Administrators are named one by one, or by a role that somebody gave them."""
    roles = [entry for entry in gateway().admins if "@" not in entry]
    anyone = [
        checks.Warning(
            f"GATEWAY_ADMINS holds the role {entry!r} while SIGN_IN_ALLOW is *: whoever has this role in any organisation of your WorkOS "
            "environment administers the gateway. List your organisations (org_…) in SIGN_IN_ALLOW.",
            id="oauthgw.W005",
        )
        for entry in roles
        if "*" in gateway().sign_in_allow and not gateway().debug
    ]
    return anyone + [
        Error(
            f"GATEWAY_ADMINS holds {entry!r}: write whole e-mail addresses or WorkOS roles; everyone, domains and organisations "
            "cannot be administrators.",
            id="oauthgw.E007",
        )
        for entry in gateway().admins
        if "*" in entry or entry.startswith(("@", "org_"))
    ]


@register
def check_redirect_schemes(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Only a client's own private-use scheme can be listed; the rule is the one that judges redirect URIs."""
    return [
        Error(
            f"CLIENT_REDIRECT_SCHEMES holds {entry!r}, which is no client's own scheme: write names such as cursor, without ://. https and "
            "loopback http need no entry.",
            id="oauthgw.E008",
        )
        for entry in gateway().client_redirect_schemes
        if entry in ("http", "https") or not redirects.acceptable(f"{entry}://callback")
    ]


@register
def check_hosts_of_documents(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Hosts are compared as they stand in a URL, so that an entry with more in it would silently match nothing."""
    return [
        *_not_hosts("CIMD_ALLOWED_HOSTS", gateway().cimd_allowed_hosts, "oauthgw.E012"),
        *_not_hosts("FETCH_TRUSTED_HOSTS", gateway().fetch_trusted_hosts, "oauthgw.E013"),
    ]


def _not_hosts(setting: str, entries: tuple[str, ...], check_id: str) -> list[CheckMessage]:
    return [
        Error(
            f"{setting} holds {entry!r}, which is no host: write names such as app.example.com, or with a port app.example.com:8443; no "
            "scheme, path, wildcard or network.",
            id=check_id,
        )
        for entry in entries
        if not _is_host(entry)
    ]


def _is_host(entry: str) -> bool:
    try:
        target = fetch.judge(f"https://{entry}/")
    except fetch.RefusedUrl:
        return False
    return entry in (target.name, f"{target.name}:{target.port}")


@register
def check_lifetimes(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A refresh token should outlive the access token that it replaces, and the time in which a repeated refresh is forgiven."""
    settings = gateway()
    problems: list[CheckMessage] = []
    if settings.refresh_token_ttl <= settings.access_token_ttl:
        problems.append(
            checks.Warning(
                f"REFRESH_TOKEN_TTL_SECONDS ({settings.refresh_token_ttl}) should be more than ACCESS_TOKEN_TTL_SECONDS "
                f"({settings.access_token_ttl}): else no refresh token lives to be used.",
                id="oauthgw.W003",
            )
        )
    if settings.refresh_replay >= settings.refresh_token_ttl:
        problems.append(
            checks.Warning(
                f"REFRESH_REPLAY_SECONDS ({settings.refresh_replay}) should be less than REFRESH_TOKEN_TTL_SECONDS "
                f"({settings.refresh_token_ttl}): else a stolen refresh token is never noticed. The default is 120.",
                id="oauthgw.W004",
            )
        )
    return problems

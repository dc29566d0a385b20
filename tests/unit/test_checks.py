"""The start checks: each misconfiguration is refused by name, and the nearest good configuration is not."""

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured

from gatewaysite.checks import refuse_misconfiguration
from gatewaysite.environment import Environment
from oauthgw.guard.conf import Gateway, WorkOS
from oauthgw.guard.secret import Secret

ROOT = Path(__file__).resolve().parents[2]
STRONG = "".join(chr(33 + n) for n in range(60))
KEY = urlsafe_b64encode(bytes(range(32))).decode()
OTHER_KEY = urlsafe_b64encode(bytes(range(1, 33))).decode()
SCHEMES = ("cursor", "vscode-insiders")

PRODUCTION = Gateway(
    debug=False,
    origin="https://mcp.example.com",
    encryption_keys=(Secret(KEY),),
    workos=WorkOS(client_id="client_01HZ", client_secret=Secret("sk_test_canary")),
    sign_in_allow=("@example.com", "org_01HZ"),
    admins=("alice@example.com", "admin"),
    client_redirect_schemes=SCHEMES,
)
LAPTOP = Gateway(debug=True, origin="", encryption_keys=(Secret(KEY),), sign_in_allow=("*",), client_redirect_schemes=SCHEMES)


class Site:
    """The settings in force; `with_` changes some of them."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings
        self.with_(PRODUCTION)

    def with_(self, gateway: Gateway, **plain: Any) -> "Site":
        defaults = {
            "SECRET_KEY": STRONG,
            "SECRET_KEY_IS_SET": True,
            "ENCRYPTION_KEYS_ARE_SET": True,
            "ALLOWED_HOSTS": ["mcp.example.com"],
        }
        for name, value in {**defaults, **plain, "GATEWAY": gateway}.items():
            setattr(self._settings, name, value)
        return self

    def messages(self) -> list[CheckMessage]:
        return [message for message in run_checks() if str(message.id).startswith(("gateway.", "oauthgw.", "mcp_routes."))]

    def ids(self) -> list[str]:
        return [str(message.id) for message in self.messages()]


@pytest.fixture
def site(settings: Any) -> Site:
    return Site(settings)


def workos(client_id: str = "client_01HZ", client_secret: str = "sk_live_x") -> WorkOS:
    return WorkOS(client_id=client_id, client_secret=Secret(client_secret))


def test_a_whole_production_configuration_passes(site: Site) -> None:
    assert site.ids() == []


def test_a_laptop_needs_nothing_set(site: Site) -> None:
    plain = {"SECRET_KEY_IS_SET": False, "ENCRYPTION_KEYS_ARE_SET": False, "ALLOWED_HOSTS": ["localhost", "127.0.0.1", "[::1]"]}
    assert site.with_(LAPTOP, **plain).ids() == []


@pytest.mark.parametrize(
    ("changed", "plain", "expected", "named"),
    [
        ({}, {"SECRET_KEY_IS_SET": False}, "gateway.E001", "SECRET_KEY"),
        ({}, {"SECRET_KEY": "short"}, "gateway.E002", "SECRET_KEY"),
        ({}, {"SECRET_KEY": "ab" * 40}, "gateway.E002", "SECRET_KEY"),
        ({}, {"SECRET_KEY": "django-insecure-" + STRONG}, "gateway.E002", "SECRET_KEY"),
        ({}, {"ENCRYPTION_KEYS_ARE_SET": False}, "gateway.E003", "TOKEN_ENCRYPTION_KEYS"),
        ({"encryption_keys": (Secret("too-short"),)}, {}, "gateway.E004", "key 1 of 1"),
        ({"encryption_keys": (Secret(KEY), Secret(KEY.replace("A", "+", 1)))}, {}, "gateway.E004", "key 2 of 2"),
        ({"encryption_keys": (Secret(KEY), Secret(KEY.rstrip("=")))}, {}, "gateway.E005", "TOKEN_ENCRYPTION_KEYS"),
        ({"encryption_keys": (Secret(KEY), Secret("A" * 43))}, {}, "gateway.E008", "key 2 of 2"),
        ({"encryption_keys": (Secret(urlsafe_b64encode(b"correct-horse!!!" * 2).decode()),)}, {}, "gateway.E008", "key 1 of 1"),
        ({"origin": ""}, {}, "gateway.E006", "GATEWAY_ORIGIN"),
        ({}, {"ALLOWED_HOSTS": ["other.example.com"]}, "gateway.E007", "ALLOWED_HOSTS"),
        ({"origin": "http://[::1]:9000"}, {"ALLOWED_HOSTS": ["localhost"]}, "gateway.E007", "[::1]"),
        ({"workos": WorkOS()}, {}, "oauthgw.E001", "WORKOS_CLIENT_ID"),
        ({"workos": workos(client_secret="")}, {}, "oauthgw.E002", "WORKOS_CLIENT_SECRET is not"),
        ({"workos": workos(client_id="")}, {}, "oauthgw.E003", "WORKOS_CLIENT_ID is not"),
        ({"workos": workos(client_id="sk_live_x")}, {}, "oauthgw.W002", "client_…"),
        ({"debug": True}, {}, "gateway.W001", "DEBUG"),
        ({"workos": workos(client_secret="client_01HZ")}, {}, "oauthgw.W001", "WORKOS_CLIENT_SECRET"),
        ({"workos": replace(workos(), webhook_secret=Secret("whsec"))}, {}, "oauthgw.E014", "WORKOS_WEBHOOK_SECRET"),
        ({"sign_in_allow": ()}, {}, "oauthgw.E005", "SIGN_IN_ALLOW"),
        ({"sign_in_allow": ("example.com",)}, {}, "oauthgw.E006", "'example.com'"),
        ({"sign_in_allow": ("alice@example.com",)}, {}, "oauthgw.E006", "'alice@example.com'"),
        ({"sign_in_allow": ("@*.example.com",)}, {}, "oauthgw.E006", "'@*.example.com'"),
        ({"admins": ("*",)}, {}, "oauthgw.E007", "GATEWAY_ADMINS"),
        ({"admins": ("@example.com",)}, {}, "oauthgw.E007", "GATEWAY_ADMINS"),
        ({"sign_in_allow": ("*",)}, {}, "oauthgw.W005", "'admin'"),
        ({"client_redirect_schemes": ("https",)}, {}, "oauthgw.E008", "'https'"),
        ({"client_redirect_schemes": ("http",)}, {}, "oauthgw.E008", "'http'"),
        ({"client_redirect_schemes": ("javascript",)}, {}, "oauthgw.E008", "'javascript'"),
        ({"client_redirect_schemes": ("data",)}, {}, "oauthgw.E008", "'data'"),
        ({"client_redirect_schemes": ("cursor://",)}, {}, "oauthgw.E008", "CLIENT_REDIRECT_SCHEMES"),
        ({"client_redirect_schemes": ("my scheme",)}, {}, "oauthgw.E008", "CLIENT_REDIRECT_SCHEMES"),
        ({"cimd_allowed_hosts": ("https://app.example.com",)}, {}, "oauthgw.E012", "CIMD_ALLOWED_HOSTS"),
        ({"cimd_allowed_hosts": ("app.example.com/client.json",)}, {}, "oauthgw.E012", "'app.example.com/client.json'"),
        ({"cimd_allowed_hosts": ("*.example.com",)}, {}, "oauthgw.E012", "'*.example.com'"),
        ({"cimd_allowed_hosts": (".example.com",)}, {}, "oauthgw.E012", "'.example.com'"),
        ({"cimd_allowed_hosts": ("user@example.com",)}, {}, "oauthgw.E012", "'user@example.com'"),
        ({"fetch_trusted_hosts": ("*",)}, {}, "oauthgw.E013", "FETCH_TRUSTED_HOSTS"),
        ({"fetch_trusted_hosts": ("10.0.0.0/8",)}, {}, "oauthgw.E013", "'10.0.0.0/8'"),
        ({"fetch_trusted_hosts": ("http://idp.internal",)}, {}, "oauthgw.E013", "'http://idp.internal'"),
        ({"fetch_trusted_hosts": ("idp.internal:",)}, {}, "oauthgw.E013", "'idp.internal:'"),
        ({"fetch_trusted_hosts": ("idp.internal:99999",)}, {}, "oauthgw.E013", "'idp.internal:99999'"),
        ({"fetch_trusted_hosts": ("::1",)}, {}, "oauthgw.E013", "'::1'"),
        ({"access_token_ttl": 3600, "refresh_token_ttl": 3600}, {}, "oauthgw.W003", "REFRESH_TOKEN_TTL_SECONDS"),
        ({"refresh_token_ttl": 3600, "refresh_replay": 3600}, {}, "oauthgw.W004", "REFRESH_REPLAY_SECONDS"),
        ({"allowed_origins": ("http://app.example.com",)}, {}, "mcp_routes.W001", "ALLOWED_ORIGINS"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_misconfiguration_is_named(site: Site, changed: dict[str, Any], plain: dict[str, Any], expected: str, named: str) -> None:
    messages = site.with_(replace(PRODUCTION, **changed), **plain).messages()
    assert [message.id for message in messages] == [expected]
    assert named in messages[0].msg


@pytest.mark.parametrize(
    ("changed", "plain"),
    [
        ({"encryption_keys": (Secret(KEY.rstrip("=")), Secret(OTHER_KEY))}, {}),
        ({"origin": "https://mcp.example.com:8443"}, {}),
        ({"origin": "http://[::1]:9000"}, {"ALLOWED_HOSTS": ["[::1]"]}),
        ({}, {"ALLOWED_HOSTS": [".example.com", "other.example.com"]}),
        ({"sign_in_allow": ("*",), "admins": ("op@example.com",)}, {}),
        ({"sign_in_allow": ("org_01HZ",), "admins": ("admin",)}, {}),
        ({"sign_in_allow": ("@Sub.Example.com", "org_01HZ")}, {}),
        ({"admins": ()}, {}),
        ({"client_redirect_schemes": ()}, {}),
        ({"client_redirect_schemes": ("com.example.app", "vscode")}, {}),
        ({"cimd_allowed_hosts": ("app.example.com", "chatgpt.com:443", "xn--bcher-kva.example")}, {}),
        ({"fetch_trusted_hosts": ("idp.internal", "127.0.0.1:80", "[::1]", "[::1]:8000", "localhost:9000")}, {}),
        ({"access_token_ttl": 3599, "refresh_token_ttl": 3600}, {}),
        ({"refresh_token_ttl": 3600, "refresh_replay": 3599}, {}),
        ({"allowed_origins": ("http://localhost:6274", "https://app.example.com")}, {}),
    ],
)
def test_its_nearest_good_sibling_passes(site: Site, changed: dict[str, Any], plain: dict[str, Any]) -> None:
    assert site.with_(replace(PRODUCTION, **changed), **plain).ids() == []


@pytest.mark.parametrize("changed", [{"workos": workos(client_secret="")}, {"encryption_keys": (Secret("short"),)}], ids=["workos", "keys"])
def test_debug_does_not_excuse_half_a_configuration(site: Site, changed: dict[str, Any]) -> None:
    assert len(site.with_(replace(LAPTOP, **changed), ALLOWED_HOSTS=["localhost"]).ids()) == 1


def test_no_sentence_holds_a_secret(site: Site) -> None:
    secrets = ("canary-key-one", "canary-api-key", "canary-secret-key")
    gateway = replace(PRODUCTION, encryption_keys=(Secret(secrets[0]),), workos=workos(client_secret=secrets[1]))
    messages = site.with_(gateway, SECRET_KEY=secrets[2]).messages()
    assert {message.id for message in messages} == {"gateway.E002", "gateway.E004", "oauthgw.W001"}
    assert not [message for message in messages for secret in secrets if secret in str(message)]


def test_a_server_refuses_to_start_with_every_sentence_at_once(site: Site) -> None:
    site.with_(replace(PRODUCTION, origin="", sign_in_allow=()))
    with pytest.raises(ImproperlyConfigured, match=r"(?s)GATEWAY_ORIGIN is not set.*SIGN_IN_ALLOW is not set"):
        refuse_misconfiguration()


def test_a_server_starts_with_a_warning(site: Site) -> None:
    refuse_misconfiguration()
    site.with_(replace(PRODUCTION, allowed_origins=("http://app.example.com",)))
    refuse_misconfiguration()


ENVIRONMENT = {
    "SECRET_KEY": STRONG,
    "TOKEN_ENCRYPTION_KEYS": f"{KEY},{OTHER_KEY}",
    "GATEWAY_ORIGIN": "https://mcp.example.com",
    "WORKOS_CLIENT_ID": "client_01HZ",
    "WORKOS_CLIENT_SECRET": "sk_test_x",
    "SIGN_IN_ALLOW": "@example.com",
}


def check(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` in a process of its own, with nothing in its environment but this."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "manage.py", "check", *options]
    return subprocess.run(
        command, cwd=ROOT, env={**kept, "ENV_FILE": os.devnull, **environment}, capture_output=True, text=True, check=False
    )


def test_nothing_set_at_all_names_everything_that_is_needed() -> None:
    result = check({})
    assert result.returncode == 1
    for name in ENVIRONMENT:
        assert f"{name} " in result.stderr, result.stderr


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("GATEWAY_ORIGIN", "https://exämple.com", "xn--"),
        ("GATEWAY_ORIGIN", "https://mcp.example.com/path", "scheme and host only"),
        ("GATEWAY_ORIGIN", "http://mcp.example.com", "use https"),
        ("WORKOS_API_BASE_URL", "https://api.workos.com?key=1", "https URL"),
        ("WORKOS_API_BASE_URL", "https://user@api.workos.com", "https URL"),
        ("DEBUG", "maybe", "true or false"),
        ("ACCESS_TOKEN_TTL_SECONDS", "30000", "from 1 to 28800"),
        ("RATE_LIMIT_SCALE", "-1", "from 0 to 1000"),
    ],
)
def test_a_misspelt_value_is_refused_by_name(name: str, value: str, named: str) -> None:
    result = check({**ENVIRONMENT, name: value})
    assert result.returncode != 0
    assert f"{name} is " in result.stderr and named in result.stderr


@pytest.mark.parametrize("value", ["-0.5", "1000.1", "1e3", "nan", "inf", "1,5", ".5", "many"])
def test_a_factor_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("A_SCALE", value)
    with pytest.raises(ImproperlyConfigured, match=r"A_SCALE is .*: write a number from 0 to 1000, such as 2 or 0.5"):
        Environment().factor("A_SCALE", 1.0, maximum=1000)


@pytest.mark.parametrize(("value", "read"), [("0", 0), ("0.5", 0.5), ("3", 3), ("1000", 1000), ("", 1)])
def test_a_factor_may_be_none_a_fraction_or_large(monkeypatch: pytest.MonkeyPatch, value: str, read: float) -> None:
    monkeypatch.setenv("A_SCALE", value)
    assert Environment().factor("A_SCALE", 1.0, maximum=1000) == read


def test_a_list_without_entries_counts_as_not_set() -> None:
    assert check({**ENVIRONMENT, "ALLOWED_HOSTS": "", "ALLOWED_ORIGINS": " , "}).returncode == 0
    assert "SIGN_IN_ALLOW is not set" in check({**ENVIRONMENT, "SIGN_IN_ALLOW": ""}).stderr


def test_production_settings_pass_the_deployment_checks_without_a_warning() -> None:
    result = check(ENVIRONMENT, "--deploy", "--fail-level", "WARNING")
    assert result.returncode == 0, result.stderr

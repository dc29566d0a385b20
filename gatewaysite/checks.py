"""The start checks: a misconfiguration is refused with a sentence that names the setting and the mend.

Here is what concerns the site (keys, origin, hosts); `oauthgw.checks` and `mcp_routes.checks` bring their own. Knows settings; reads
no environment, database or network.
"""

import logging
import re
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.http.request import validate_host

from oauthgw.guard.conf import gateway
from oauthgw.guard.origin import hostname, is_loopback_host

log = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")  # 32 bytes in base64url
_MIN_LENGTH, _MIN_DISTINCT = 50, 5  # as Django's own security.W009, which runs only under --deploy
_MIN_DISTINCT_BYTES = 16  # of 32 random ones about 30 differ; fewer than 16 do not happen
_HOW_TO_MAKE_ONE = "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
_HOW_TO_MAKE_A_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


def refuse_misconfiguration() -> None:
    """Runs every system check, as `runserver` does and a server alone does not. Raises ImproperlyConfigured with all sentences."""
    messages = [message for message in checks.run_checks() if not message.is_silenced()]
    serious = [message for message in messages if message.is_serious()]
    for message in messages:
        if not message.is_serious():
            log.warning("%s", message.msg)
    if serious:
        serious.sort(key=lambda message: str(message.id))  # the registry keeps no order
        raise ImproperlyConfigured("\n".join(["The gateway does not start:", *(f"- {message.msg}" for message in serious)]))


@register
def check_secret_key(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Sessions, CSRF tokens and the consent form are signed with it."""
    if not settings.SECRET_KEY_IS_SET:
        if gateway().debug:
            return []
        return [Error(f"SECRET_KEY is not set: make one with {_HOW_TO_MAKE_ONE} and keep it.", id="gateway.E001")]
    key = str(settings.SECRET_KEY)
    if not gateway().debug and (len(key) < _MIN_LENGTH or len(set(key)) < _MIN_DISTINCT or key.startswith("django-insecure-")):
        return [Error(f"SECRET_KEY can be guessed: use at least {_MIN_LENGTH} random characters ({_HOW_TO_MAKE_ONE}).", id="gateway.E002")]
    return []


@register
def check_encryption_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Values at rest, session ids and refresh chains hang on them. Keys are named by their position, never shown."""
    if not settings.ENCRYPTION_KEYS_ARE_SET:
        if gateway().debug:
            return []
        return [Error(f"TOKEN_ENCRYPTION_KEYS is not set: make a key with {_HOW_TO_MAKE_A_KEY} and keep it.", id="gateway.E003")]
    keys = [key.reveal() for key in gateway().encryption_keys]
    problems: list[CheckMessage] = [
        Error(
            f"TOKEN_ENCRYPTION_KEYS: key {position} of {len(keys)} is not 32 bytes in base64url. Make one with {_HOW_TO_MAKE_A_KEY}.",
            id="gateway.E004",
        )
        for position, key in enumerate(keys, start=1)
        if not _is_key(key)
    ]
    if not problems and not gateway().debug:
        problems += [
            Error(
                f"TOKEN_ENCRYPTION_KEYS: key {position} of {len(keys)} can be guessed. Make one with {_HOW_TO_MAKE_A_KEY}.",
                id="gateway.E008",
            )
            for position, key in enumerate(keys, start=1)
            if len(set(_bytes(key))) < _MIN_DISTINCT_BYTES
        ]
    if not problems and len({_bytes(key) for key in keys}) < len(keys):
        problems.append(Error("TOKEN_ENCRYPTION_KEYS holds the same key twice: remove the second.", id="gateway.E005"))
    return problems


@register
def check_origin(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Issuer, resources and links are made of it, and its host must be let in."""
    origin = gateway().origin
    if not origin:
        if gateway().debug:
            return []
        return [
            Error("GATEWAY_ORIGIN is not set: write the address clients use, such as https://mcp.example.com.", id="gateway.E006"),
        ]
    name = hostname(urlsplit(origin).netloc)
    if not validate_host(name, settings.ALLOWED_HOSTS):
        return [
            Error(
                f"ALLOWED_HOSTS does not hold {name}, the host of GATEWAY_ORIGIN, so every request would be refused: add it, or leave "
                "ALLOWED_HOSTS out.",
                id="gateway.E007",
            )
        ]
    return []


@register
def check_debug(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """DEBUG is for a laptop."""
    if gateway().debug and gateway().origin and not is_loopback_host(urlsplit(gateway().origin).netloc):
        return [
            checks.Warning(
                "DEBUG is on although GATEWAY_ORIGIN is a public address: its error pages show the code to everybody. Set DEBUG=false.",
                id="gateway.W001",
            )
        ]
    return []


def _is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None and len(_bytes(text)) == 32


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.rstrip("=") + "=")

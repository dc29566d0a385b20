"""Reading the environment strictly: a misspelt value is refused with a sentence that names the setting.

Knows how to parse; `gatewaysite.settings` knows what is there and what it means.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ import Env

_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off", "")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Environment:
    """Typed look-ups on the process environment (and `.env`, once read). Each raises ImproperlyConfigured for a value it cannot read."""

    def __init__(self) -> None:
        self._env = Env()

    def text(self, name: str, default: str = "") -> str:
        """A set variable without a value counts as not set."""
        return str(self._env.str(name, "")).strip() or default

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, str(default)).lower()
        if value not in _TRUE + _FALSE:
            raise ImproperlyConfigured(f"{name} is {value!r}: write true or false.")
        return value in _TRUE

    def number(self, name: str, default: int, minimum: int = 1, maximum: int = 10**9) -> int:
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or not minimum <= int(value) <= maximum:
            raise ImproperlyConfigured(f"{name} is {value!r}: write a whole number from {minimum} to {maximum}.")
        return int(value)

    def factor(self, name: str, default: float, maximum: float) -> float:
        """A number that something is multiplied by, from 0 on."""
        value = self.text(name, str(default))
        if not _DECIMAL.fullmatch(value) or float(value) > maximum:
            raise ImproperlyConfigured(f"{name} is {value!r}: write a number from 0 to {maximum:g}, such as 2 or 0.5.")
        return float(value)

    def choice(self, name: str, *choices: str) -> str:
        """One of a few words; the first is the default."""
        value = self.text(name, choices[0]).lower()
        if value not in choices:
            raise ImproperlyConfigured(f"{name} is {value!r}: write {', '.join(choices[:-1])} or {choices[-1]}.")
        return value

    def words(self, name: str, default: tuple[str, ...] = (), *, may_be_empty: bool = False) -> tuple[str, ...]:
        """A comma-separated list without empty entries. Set without a value it counts as not set, unless `may_be_empty`."""
        value = str(self._env.str(name, ",".join(default)))
        words = tuple(word for word in (part.strip() for part in value.split(",")) if word)
        return words if words or may_be_empty else default

    def origin(self, name: str) -> str:
        """An origin (scheme, host and port, nothing else) in its canonical spelling; https, or http on a loopback host."""
        value = self.text(name)
        return as_origin(name, value) if value else ""

    def origins(self, name: str) -> tuple[str, ...]:
        return tuple(as_origin(name, word, loopback_only=False) for word in self.words(name))

    def base_url(self, name: str, default: str) -> str:
        """An https URL (http only on loopback) without a trailing slash."""
        value = self.text(name, default).rstrip("/")
        parts = urlsplit(value)
        is_plain = not parts.query and not parts.fragment and "@" not in parts.netloc
        if not is_plain or not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
            raise ImproperlyConfigured(f"{name} is {value!r}: write an https URL (plain http only for a loopback host).")
        return value

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        try:
            return tuple(ip_network(word) for word in self.words(name))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {error}. Write addresses or networks such as 10.0.0.0/8, separated by commas.") from error


def as_origin(name: str, value: str, loopback_only: bool = True) -> str:
    """The canonical spelling of an origin. Raises ImproperlyConfigured for anything that is more, or less, than an origin."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is {value!r}: {error}.") from error
    host = parts.hostname or ""
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ImproperlyConfigured(f"{name} is {value!r}: write scheme and host only, such as https://mcp.example.com.")
    if not host.isascii():
        raise ImproperlyConfigured(f"{name} is {value!r}: write the host in the ASCII form that browsers send (xn--…).")
    if loopback_only and parts.scheme == "http" and host not in LOOPBACK:
        raise ImproperlyConfigured(f"{name} is {value!r}: plain http works only on a loopback host; use https.")
    shown = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{shown}" + ("" if port in (None, default) else f":{port}")

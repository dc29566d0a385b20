"""Which origin the gateway speaks as, which hosts reach it, and who is calling.

Answers come from `GATEWAY_ORIGIN`, never from a request's headers. Only while it is unset (DEBUG on a laptop) each loopback host and
port is an origin of its own. Knows hosts and addresses; knows nothing of routes or views.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from django.http import HttpRequest

from oauthgw.guard.conf import gateway

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")  # as `urlsplit().hostname` gives them
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")  # as they stand in a Host header or URL
PEER = "gateway.peer"
"""Where the ASGI scope keeps the address of the connection itself; `scope["client"]` is the client's, which proxies may have told."""
SENT_HOST = "gateway.host"
"""Where it keeps the Host that was sent; the header itself becomes the configured origin's."""
BROWSER_HOST = "localhost"
MOVED_FROM = "gateway_host"  # the query parameter that remembers, on a laptop, which loopback name a client used
_PLAIN_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_PORT = re.compile(r":[0-9]{1,5}\Z")
_FORWARDING_HEADERS = (b"forwarded", b"via")


def of_host(host: str) -> str:
    """The public origin for a request that arrived under this (already allowed) `Host`."""
    return gateway().origin or f"http://{host.lower()}"


def of(request: HttpRequest) -> str:
    """The public origin for a Django request."""
    return gateway().origin or of_host(request.get_host())


def discovered(request: HttpRequest) -> str:
    """The origin under which the client found the gateway: its issuer. Differs from `of` only after `moved_browser`."""
    host = request.GET.get(MOVED_FROM, "")
    if gateway().origin or not gateway().workos.client_id or not _PLAIN_HOST.fullmatch(host):
        return of(request)
    return of_host(host) if _port(host) == _port(request.get_host()) else of(request)


def moved_browser(request: HttpRequest) -> str | None:
    """Where a browser page should be asked instead, on a laptop with WorkOS: the loopback name whose callback is registered there.

    `127.0.0.1` and `localhost` keep separate cookies, and the provider redirects to one of them. None when the request is at home.
    """
    here = request.get_host()
    if gateway().origin or not gateway().workos.client_id or hostname(here) == BROWSER_HOST:
        return None
    port = _port(here)
    query = request.GET.copy()
    query[MOVED_FROM] = here
    return f"http://{BROWSER_HOST}{f':{port}' if port else ''}{request.path}?{query.urlencode()}"


def spellings(origin: str) -> tuple[str, ...]:
    """Every origin under which this gateway may be named in a `resource`: itself, and on a laptop its loopback siblings."""
    if gateway().origin:
        return (gateway().origin,)
    port = _port(origin)
    return tuple(f"http://{host}:{port}" if port else f"http://{host}" for host in LOOPBACK_HOSTS)


def hostname(host: str) -> str:
    """The host part of a `Host` value, lower-cased, without its port; IPv6 keeps its brackets."""
    host = host.lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _port(host: str) -> str:
    """The port at the end of a host or origin; empty when it names none."""
    return host.rpartition(":")[2] if _PORT.search(host) else ""


def is_loopback_host(host: str) -> bool:
    """Whether a `Host` value (with or without a port) names this machine."""
    return hostname(host) in LOOPBACK_HOSTS


def is_loopback_address(address: str) -> bool:
    """Whether a peer's IP address is this machine's own."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def address(text: str) -> str | None:
    """An IP address in its one spelling, as it is stored; None for anything else (a Unix socket has no address)."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def is_forwarded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request passed a proxy or tunnel that says so: then a loopback peer proves nothing."""
    return any(name in _FORWARDING_HEADERS or name.startswith(b"x-forwarded-") for name, _ in headers)


def client_address(peer: str, forwarded_for: Iterable[str]) -> str:
    """The client's address: the peer, or behind `TRUSTED_PROXIES` the right-most `X-Forwarded-For` entry that is none of them.

    Entries left of that one are the client's own word and are ignored.
    """
    if not gateway().trusted_proxies or not _is_trusted_proxy(peer):
        return peer
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    for hop in reversed(hops):
        if not _is_address(hop):
            return peer
        if not _is_trusted_proxy(hop):
            return hop
        peer = hop
    return peer


def _is_address(text: str) -> bool:
    """Whether this is an IP address; one with a zone (`%…`, of any text) means something only to the machine that wrote it."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_trusted_proxy(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in gateway().trusted_proxies)

"""The one client for URLs that others influence: metadata documents, key sets. It cannot be sent anywhere but to the public internet.

Blocking; call it in a thread, and never inside a transaction. Knows sockets, TLS and one GET request; follows no redirect, reads no
environment (no proxy, no netrc), keeps no cookie. The address is looked up once, judged, and connected to, so that a name that changes its
answer meanwhile (DNS rebinding) leads nowhere else. It is built on sockets because libraries look names up again, retry and decompress.
"""

import io
import re
import socket
import ssl
import threading
import time
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

import certifi

from oauthgw.guard.conf import gateway
from oauthgw.guard.turns import NoTurn, Turns

TOTAL_SECONDS = 5.0  # from the look-up of the name to the last byte
MAX_BYTES = 64 * 1024
MAX_URL = 2000
AT_ONCE = 32  # fetches of one purpose in this process; others wait for their turn within their own time
OF_ONE = 4  # of these from one host, from one network, or by the word of one domain's name servers
_DEFAULT_PORTS = {"https": 443, "http": 80}
_FIRST_FREE_PORT = 1024  # below it, all but 443 belong to other protocols (mail, shells, directories)
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")

_UNICAST = ip_network("2000::/3")  # all IPv6 that is routed publicly (RFC 4291 §2.4, IANA)
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052 §2.1
_SPECIAL = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # a public address that inside Azure answers with the machine's own configuration
        "192.0.0.0/24",  # protocol assignments (RFC 6890); Oracle's metadata service. Python 3.11.7 calls most of it global
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "2001::/23",  # protocol assignments (RFC 2928): Teredo, benchmarking, ORCHID
        "3fff::/20",  # documentation (RFC 9637)
    )
)

_ISATAP = (0x00005EFE, 0x02005EFE)  # how the lower half of such an address begins (RFC 5214 §6.1)

_look_ups, _places = Turns("look-ups of", AT_ONCE), Turns("all", AT_ONCE)
_domains, _hosts, _networks = Turns("domain", OF_ONE), Turns("host", OF_ONE), Turns("network", OF_ONE)


class Purpose(StrEnum):
    """What a URL is asked for. Each has places of its own, so that slow documents keep nobody from proving who they are."""

    DOCUMENTS = "documents"
    KEYS = "key sets"


class CouldNotFetch(Exception):
    """Nothing usable came back. `str()` is for the log; `sentence` is for a page, and tells what anybody outside could find out too."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(reason)
        self.sentence = sentence


class RefusedUrl(CouldNotFetch):
    """A URL that is never asked, whoever answers there."""


class TooBusy(CouldNotFetch):
    """All places stayed taken. It says nothing of what would have been answered."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A successful answer (200). Header names are in lower case; several lines of one header are joined by commas."""

    content: bytes
    content_type: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked, taken apart. `host` is in lower case, an IPv6 address without its brackets; `path` includes the query.

    `trusted` is an operator's word: it may be private, and may speak plain http.
    """

    host: str
    port: int
    secure: bool
    trusted: bool
    path: str
    authority: str

    @property
    def name(self) -> str:
        """The host as URLs and settings spell it."""
        return f"[{self.host}]" if ":" in self.host else self.host


def fetch(url: str, *, accept: str = "application/json", purpose: Purpose = Purpose.DOCUMENTS) -> Fetched:
    """Gets a URL: at most 64 kB in at most 5 seconds, name look-up included. Raises CouldNotFetch, whatever is in the way.

    https on port 443 or from 1024 up, on a host all of whose addresses are public; a host of FETCH_TRUSTED_HOSTS may be private, on any
    port, and plain http.
    """
    target = judge(url)
    deadline = time.monotonic() + TOTAL_SECONDS
    with _explained(target), _hosts.take(target.host, deadline), _connection(target, purpose, deadline) as connection:
        connection.settimeout(_remaining(deadline))
        connection.sendall(_request(target, accept))
        with HTTPResponse(_Timed(connection, deadline), method="GET") as response:  # type: ignore[arg-type]  # makefile() is all it asks
            response.begin()
            return _read(target, response)


def judge(url: str) -> Target:
    """A URL that may be asked; whatever else is in the way shows when it is. Raises RefusedUrl. Pure."""
    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise RefusedUrl("malformed URL", f"The address is not a URL of at most {MAX_URL} printable ASCII characters.")
    if "#" in url:
        raise RefusedUrl("URL with a fragment", "The address has a fragment; leave out everything from '#'.")
    try:
        parts = urlsplit(url)
        port = _DEFAULT_PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError as error:
        raise RefusedUrl("malformed URL", "The address is not a valid URL.") from error
    if "@" in parts.netloc:
        raise RefusedUrl("URL with user information", "The address holds user information; leave out everything before '@'.")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise RefusedUrl("malformed host", "The address names no host, or one that programs read in different ways.")
    return _allowed(parts, port)


def is_trusted(host: str, port: int | None) -> bool:
    """Whether an operator named this host (as in a URL, in lower case), or this host and port, in FETCH_TRUSTED_HOSTS."""
    return is_listed(host, port, gateway().fetch_trusted_hosts)


def is_listed(host: str, port: int | None, entries: Container[str]) -> bool:
    """Whether a setting's entries hold this host, which stands for all its ports, or this host and port."""
    return host in entries or f"{host}:{port}" in entries


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, and not to this machine, its network or its cloud.

    An IPv6 address that stands for an IPv4 address (IPv4-mapped, 6to4, NAT64) is as public as that one; one that leads to an IPv4 address
    behind a router (ISATAP) is public if both are.
    """
    parsed = _meant(address)
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and not _is_special(parsed)
    if (int(parsed) >> 32) & 0xFFFFFFFF in _ISATAP and not is_public(str(_last_bits(parsed))):
        return False
    return parsed in _UNICAST and parsed.is_global and not _is_special(parsed)


def _meant(address: str) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, or else the address itself."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return parsed
    return parsed.ipv4_mapped or parsed.sixtofour or (_last_bits(parsed) if parsed in _NAT64 else parsed)


def _last_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)


def _is_special(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _SPECIAL)


def _allowed(parts: SplitResult, port: int) -> Target:
    host = (parts.hostname or "").lower()
    trusted = is_trusted(f"[{host}]" if ":" in host else host, port)
    if parts.scheme != "https" and not (trusted and parts.scheme == "http"):
        raise RefusedUrl("not https", "The address does not begin with https://.")
    if not trusted and port != _DEFAULT_PORTS["https"] and port < _FIRST_FREE_PORT:
        raise RefusedUrl(f"port {port}", f"Port {port} is not one where documents are served; use 443, or one from {_FIRST_FREE_PORT} up.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port, parts.scheme == "https", trusted, path, parts.netloc)


@contextmanager
def _connection(target: Target, purpose: Purpose, deadline: float) -> Iterator[socket.socket]:
    """A connection to the first address that takes one; each may use its share of the time that is left."""
    addresses = _resolve(target, purpose, deadline)
    with ExitStack() as kept:
        for left in range(len(addresses), 0, -1):
            share = time.monotonic() + _remaining(deadline) / left
            try:
                plain = kept.enter_context(_opened(target, addresses[-left], purpose, share))
                break
            except OSError:
                if left == 1:
                    raise
        yield kept.enter_context(_secured(target, plain, deadline))


@contextmanager
def _opened(target: Target, address: str, purpose: Purpose, deadline: float) -> Iterator[socket.socket]:
    """First the network's share, then a place: who has many slow names or addresses in one network takes few places.

    An operator's own hosts may all be in one network.
    """
    with ExitStack() as turns:
        if not target.trusted:
            turns.enter_context(_networks.take(_network(address), deadline))
        turns.enter_context(_places.take(purpose, deadline))
        with socket.create_connection((address, target.port), timeout=_remaining(deadline)) as plain:
            yield plain


def _network(address: str) -> str:
    """What is usually one owner's: a /24 of IPv4, a /48 of IPv6 (RFC 6177 §2)."""
    meant = _meant(address)
    return str(ip_network((meant, 24 if meant.version == 4 else 48), strict=False))


def _resolve(target: Target, purpose: Purpose, deadline: float) -> list[str]:
    """The addresses of the host, in the system's order; all of them are fit to connect to.

    The look-up has a thread of its own, because nothing can end it in time; and turns of its own, because name servers may be slow too.
    """
    with _domains.take(".".join(target.host.split(".")[-2:]), deadline), _look_ups.take(purpose, deadline):
        answer: Future[list[str]] = Future()
        threading.Thread(target=_look_up, args=(target, answer), name="fetch-dns", daemon=True).start()
        addresses = answer.result(_remaining(deadline))
    private = [address for address in addresses if not target.trusted and not is_public(address)]
    if private or not addresses:
        raise CouldNotFetch(f"not public: {', '.join(private)}", _not_found(target))
    return addresses


def _look_up(target: Target, answer: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        answer.set_result(list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found)))
    except Exception as error:  # noqa: BLE001  (whatever it is, it belongs to the thread that waits)
        answer.set_exception(error)


def _secured(target: Target, plain: socket.socket, deadline: float) -> socket.socket:
    """TLS whose certificate is good for the host's name, whichever address was connected to."""
    if not target.secure:
        return plain
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_default_verify_paths()  # and the machine's own store: a trusted private host has a private authority
    plain.settimeout(_remaining(deadline))
    return context.wrap_socket(plain, server_hostname=target.host)


def _request(target: Target, accept: str) -> bytes:
    lines = (
        f"GET {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        f"Accept: {accept}",
        "Accept-Encoding: identity",
        "User-Agent: mcp-gateway",
        "Connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")


def _read(target: Target, response: HTTPResponse) -> Fetched:
    if 300 <= response.status < 400:
        raise CouldNotFetch(
            f"status {response.status}", f"{target.host} answered with a redirect ({response.status}), and none is followed."
        )
    if response.status != 200:
        raise CouldNotFetch(f"status {response.status}", f"{target.host} answered with the status {response.status} instead of a document.")
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise CouldNotFetch("compressed", f"{target.host} answered with a compressed document, which was not asked for.")
    return Fetched(_body(target, response), headers.get("content-type", ""), MappingProxyType(headers))


def _body(target: Target, response: HTTPResponse) -> bytes:
    content = b""
    if (response.length or 0) <= MAX_BYTES:
        while len(content) <= MAX_BYTES and (piece := response.read1(MAX_BYTES)):
            content += piece
    if len(content) > MAX_BYTES or (response.length or 0) > MAX_BYTES:
        raise CouldNotFetch("too large", f"{target.host} answered with more than {MAX_BYTES // 1024} kB.")
    if response.length:
        raise ConnectionError("the body ended early")
    return content


@contextmanager
def _explained(target: Target) -> Iterator[None]:
    """Everything that can go wrong on the way, in words."""
    host = target.host
    try:
        yield
    except (socket.gaierror, UnicodeError) as error:
        raise CouldNotFetch(f"name look-up: {error}", _not_found(target)) from error
    except NoTurn as error:
        raise TooBusy(f"too many fetches at once: {error}", "The gateway is fetching too much just now. Try again in a minute.") from error
    except TimeoutError as error:
        raise CouldNotFetch("too slow", f"{host} did not answer within {TOTAL_SECONDS:g} seconds.") from error
    except ssl.SSLCertVerificationError as error:
        raise CouldNotFetch(f"certificate: {error.verify_message}", f"{host} has no certificate that is valid for this name.") from error
    except ssl.SSLError as error:
        raise CouldNotFetch(f"TLS: {error.reason}", f"{host} does not speak TLS in a way that the gateway accepts.") from error
    except HTTPException as error:
        raise CouldNotFetch(f"HTTP: {type(error).__name__}", f"{host} gave an answer that is not HTTP, or broke off.") from error
    except OSError as error:
        raise CouldNotFetch(f"connection: {error}", f"{host} refused the connection, could not be reached, or broke off.") from error


def _not_found(target: Target) -> str:
    """One sentence for two causes: which private names exist is not told to strangers (the log has it)."""
    return f"The name {target.host} leads to no address on the public internet."


def _remaining(deadline: float) -> float:
    """Seconds until the deadline. Raises TimeoutError when it has passed."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


class _Timed(io.RawIOBase):
    """A connection's reading side whose reads share one deadline: a byte now and then would never meet a time-out of each read."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        """What `HTTPResponse` asks of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's buffer type has no name before Python 3.12
        self._connection.settimeout(_remaining(self._deadline))
        return self._connection.recv_into(buffer)

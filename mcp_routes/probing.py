"""Whether a route's upstream answers as an MCP server, asked as the gateway itself would ask it.

One `initialize` with the route's own headers, over the way that calls take: no proxy of the environment, no redirect followed. Knows the
upstream's answers and what they mean to an operator; knows no request of ours.
"""

import json
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError

from mcp_routes.models import McpRoute
from oauthgw.guard.finding import Finding, ok, problem
from oauthgw.guard.sealed import Unsealable
from oauthgw.guard.secret import Secret

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
_MOST = 64 * 1024
_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "mcp-gateway", "version": "1"}},
}
_SCHEMES = ("Basic", "Bearer", "Digest", "DPoP", "Negotiate")
_KINDS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Upstream:
    """What has to be known of a route to ask; taken from it beforehand, so that several can be asked at once without the database."""

    slug: str
    url: str
    headers: dict[str, Secret]
    opens: bool = True  # whether the stored headers could be opened

    @classmethod
    def of(cls, route: McpRoute) -> "Upstream":
        try:
            return cls(route.slug, route.upstream_url, route.headers())
        except Unsealable:
            return cls(route.slug, route.upstream_url, {}, opens=False)


def probe(upstream: Upstream) -> Finding:
    """Asks, and says in words what came back. Blocks on the network for some seconds at most; raises nothing."""
    about = f"route {upstream.slug}"
    if not upstream.opens:
        mend = "Enter the headers again, or add the key they were sealed with to TOKEN_ENCRYPTION_KEYS."
        return problem(about, "its stored headers cannot be opened with the configured keys.", mend)
    host = urlsplit(upstream.url).netloc
    try:
        with requests.Session() as session:
            session.trust_env = False
            return _judged(about, upstream, session)
    except requests.exceptions.SSLError:
        return problem(about, f"the certificate of {host} is not accepted.", "Use the name in it, and trust its issuer here.")
    except (requests.Timeout, TimeoutError):
        return problem(about, f"{host} does not answer in time.", "See whether the server runs, and whether this machine may reach it.")
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        return problem(about, f"{host} cannot be reached ({type(error).__name__}).", "Check the upstream's URL, and that the server runs.")


def _judged(about: str, upstream: Upstream, session: requests.Session) -> Finding:
    headers = _KINDS | {name: value.reveal() for name, value in upstream.headers.items()}
    timeout = (CONNECT_SECONDS, ANSWER_SECONDS)
    with session.post(upstream.url, json=_INITIALIZE, headers=headers, timeout=timeout, allow_redirects=False, stream=True) as answer:
        status, kind = answer.status_code, answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if status in (401, 403):
            return _not_let_in(about, upstream, status, _scheme(answer))
        if 300 <= status < 400:
            to = urlsplit(answer.headers.get("Location", ""))._replace(query="", fragment="").geturl()
            return problem(about, f"it redirects to {to!r}, and calls follow no redirect.", "Use that address, if it is the server's own.")
        said = _message(answer, kind)
        session_id = answer.headers.get("Mcp-Session-Id")
    if session_id:
        session.delete(upstream.url, headers=headers | {"Mcp-Session-Id": session_id}, timeout=timeout, allow_redirects=False).close()
    if said is not None:  # also an error of JSON-RPC: a server of the modern era knows no initialize
        return ok(about, f"{_name(said)} answers at {urlsplit(upstream.url).netloc}.")
    if status in (404, 405):
        return problem(about, f"there is no MCP endpoint at this address (status {status}).", "Check the path: it mostly is /mcp.")
    if status >= 500:
        return problem(about, f"the server has a problem (status {status}).", "Look into its log.")
    return problem(about, f"the answer is no MCP message (status {status}, {kind or 'no type'}).", "Check the upstream's URL.")


def _not_let_in(about: str, upstream: Upstream, status: int, scheme: str) -> Finding:
    """The server is alive, and every call through the route would fail alike."""
    asked = f"status {status}, it asks for {scheme}" if scheme else f"status {status}"
    if upstream.headers:
        return problem(about, f"it does not accept the route's headers ({asked}).", "Enter them again.")
    return problem(about, f"it lets nobody in without credentials ({asked}).", "Give the route the headers that it wants.")


def _scheme(answer: requests.Response) -> str:
    """The first challenge's scheme (RFC 9110 §11.6.1) when it is a known one: other words could be a header of ours, sent back."""
    named = answer.headers.get("WWW-Authenticate", "").split(" ")[0].lower()
    return next((scheme for scheme in _SCHEMES if scheme.lower() == named), "")


def _message(answer: requests.Response, kind: str) -> dict[str, object] | None:
    """The JSON-RPC message in the answer's beginning; of an event stream, its first one."""
    content, deadline = b"", time.monotonic() + ANSWER_SECONDS
    while chunk := answer.raw.read1(_MOST, decode_content=True):
        content += chunk
        if time.monotonic() > deadline:  # a byte now and then would never meet the read timeout
            raise TimeoutError
        if len(content) > _MOST or (kind == "text/event-stream" and b"\n\n" in content.replace(b"\r", b"")):
            break
    if kind == "text/event-stream":
        lines = content.replace(b"\r", b"").split(b"\n\n")[0].split(b"\n")
        content = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and said.get("jsonrpc") == "2.0" else None


def _name(said: dict[str, object]) -> str:
    """What the server calls itself, which is its own word."""
    result = said.get("result")
    info = result.get("serverInfo") if isinstance(result, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    shown = "".join(char for char in name if char.isprintable())[:60] if isinstance(name, str) else ""
    return f"“{shown}”" if shown else "an MCP server"

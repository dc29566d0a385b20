"""Whether the gateway looks from outside as it means to: at its public address, through whatever stands in front of it.

Asks as a client would, and compares. Knows the contract with clients; knows nothing of how it is kept.
"""

from collections.abc import Iterator
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from oauthgw.guard.finding import Finding, ok, problem, warning

SECONDS = 10.0
ROUTES = 5  # as many are looked at; what is wrong with one is wrong with all
_PROXY = "Let whatever stands in front pass path, Host and method unchanged."


class _NotThere(Exception):
    """The address does not answer; the text says how."""


def findings(url: str, origin: str, slugs: list[str], *, asked_for: bool) -> Iterator[Finding]:
    """Compares what answers at `url` with what should, under the configured `origin`.

    When nobody named the address (`asked_for`), that nothing answers there may only mean that the gateway does not run.
    """
    about = f"public address {url}"
    try:
        alive = _get(f"{url}/healthz")
    except _NotThere as error:
        judge = problem if asked_for else warning
        yield judge(about, str(error), "Start the gateway, and see that this name leads to it; or name another address with --url.")
        return
    if alive.is_redirect:
        yield problem(about, f"it redirects to {alive.headers.get('Location', '')!r}.", "Set GATEWAY_ORIGIN to where it leads.")
        return
    if alive.status_code != 200 or _json(alive).get("status") != "alive":
        mend = f"{_PROXY} A 400 says that ALLOWED_HOSTS does not hold the host." if alive.status_code == 400 else _PROXY
        yield problem(about, f"what answers there is not this gateway (status {alive.status_code}).", mend)
        return
    yield ok(about, "the gateway answers.")
    if url.startswith("https:") and "Strict-Transport-Security" not in alive.headers:
        yield warning(about, "Strict-Transport-Security does not arrive.", "Set GATEWAY_ORIGIN to https, or let it pass.")
    try:
        yield _metadata(url, origin)
        for slug in slugs[:ROUTES]:
            yield _route(url, origin, slug)
    except _NotThere as error:
        yield problem(about, str(error), _PROXY)


def _metadata(url: str, origin: str) -> Finding:
    answer = _get(f"{url}/.well-known/oauth-authorization-server")
    document = _json(answer)
    if answer.status_code != 200 or not document:
        return problem("public metadata", f"/.well-known/oauth-authorization-server is not served (status {answer.status_code}).", _PROXY)
    if document.get("issuer") != origin:
        mend = "Set GATEWAY_ORIGIN to the address that clients use."
        return problem("public metadata", f"the issuer is {document.get('issuer')!r} and should be {origin!r}.", mend)
    if answer.headers.get("Access-Control-Allow-Origin") != "*":
        return problem("public metadata", "Access-Control-Allow-Origin does not arrive, so that browsers may not read it.", _PROXY)
    return ok("public metadata", f"the issuer is {origin}.")


def _route(url: str, origin: str, slug: str) -> Finding:
    """RFC 9728 §5.1: the challenge leads to the metadata, and that names the resource."""
    about, resource = f"public route {slug}", f"{origin}/mcp/{slug}"
    where = f"{origin}/.well-known/oauth-protected-resource/mcp/{slug}"
    challenged = _get(f"{url}/mcp/{slug}", post=True)
    if challenged.status_code != 401 or f'resource_metadata="{where}"' not in challenged.headers.get("WWW-Authenticate", ""):
        return problem(about, f"a call without a token is not answered with our challenge (status {challenged.status_code}).", _PROXY)
    document = _json(_get(f"{url}/.well-known/oauth-protected-resource/mcp/{slug}"))
    if document.get("resource") != resource:
        return problem(about, f"its metadata name the resource {document.get('resource')!r}, not {resource!r}.", _PROXY)
    return ok(about, f"clients are told how to sign in at {resource}")


def _get(url: str, *, post: bool = False) -> requests.Response:
    """Without proxies of this machine's own and without following redirects. Raises _NotThere."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            method = "POST" if post else "GET"
            return session.request(method, url, json={} if post else None, timeout=SECONDS, allow_redirects=False)
    except requests.exceptions.SSLError as error:
        raise _NotThere("its certificate is not accepted: it has run out, or does not hold this name.") from error
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise _NotThere(f"nothing answers there ({type(error).__name__}).") from error


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}

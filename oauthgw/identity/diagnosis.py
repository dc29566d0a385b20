"""Whether WorkOS will sign anybody in: its keys, our API key, our redirect URI, and the webhook's secret.

Asks WorkOS four questions that change nothing there. Knows what its answers mean; knows no request of ours and no table.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from oauthgw.guard.conf import WorkOS, gateway
from oauthgw.guard.finding import Finding, ok, problem, skipped, warning
from oauthgw.identity import jwks, wire
from oauthgw.identity.provider import Kind, ProviderError
from oauthgw.identity.workos import WorkOSProvider, endpoints
from oauthgw.identity.workos_api import WorkOSApi
from oauthgw.identity.workos_refusals import REDIRECT_URI_MEND

_ONE_ENVIRONMENT = "Copy client ID and API key again, both from one WorkOS environment (dashboard, API Keys)."
_LATER = "Try again later; WorkOS reports outages at status.workos.com."
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B: nobody ever redeems it


def findings(redirect_uri: str) -> Iterator[Finding]:
    """One finding a question. `redirect_uri` is the one that has to be registered; empty when the origin is not known."""
    workos = gateway().workos
    if not workos.client_id:
        yield skipped("WorkOS", "WORKOS_CLIENT_ID is not set, so that demo users sign in.")
        return
    yield _keys(workos)
    yield _api_key(workos)
    yield _redirect_uri(workos, redirect_uri) if redirect_uri else skipped("redirect URI", "the gateway's origin is not known here.")
    yield _webhook(workos)


def _keys(workos: WorkOS) -> Finding:
    """Seed of every sign-in: the key set at the client ID's own address."""
    try:
        count = jwks.count(endpoints(workos.client_id, workos.api_base_url).jwks)
    except ProviderError as error:
        if error.kind is Kind.MISCONFIGURED:
            return problem("WorkOS keys", f"there is no key set for WORKOS_CLIENT_ID ({error.detail}).", _ONE_ENVIRONMENT)
        return problem("WorkOS keys", f"{error.sentence} ({error.detail})", _LATER)
    if not count:
        return problem("WorkOS keys", "the key set holds no RSA key.", _ONE_ENVIRONMENT)
    return ok("WorkOS keys", "the key set answers, with " + ("1 key." if count == 1 else f"{count} keys."))


def _api_key(workos: WorkOS) -> Finding:
    """Whether WORKOS_CLIENT_SECRET is a valid API key, and one of the client ID's own environment."""
    try:
        WorkOSApi(workos).check_key()
    except ProviderError as error:
        if error.kind is Kind.MISCONFIGURED:
            return problem("WorkOS API key", f"WorkOS does not accept it ({error.detail}).", error.mend)
        return problem("WorkOS API key", f"{error.sentence} ({error.detail})", _LATER)
    try:
        WorkOSProvider(workos).confirm_credentials()
    except ProviderError as error:
        if error.kind is Kind.MISCONFIGURED:
            says = f"it is valid, and belongs to another environment than WORKOS_CLIENT_ID ({error.detail})."
            return problem("WorkOS API key", says, _ONE_ENVIRONMENT)
        return problem("WorkOS API key", f"{error.sentence} ({error.detail})", _LATER)
    if gateway().secure and workos.client_secret.reveal().startswith("sk_test_"):
        return warning("WorkOS API key", "it is accepted, and it is one of a staging environment.", "Use the production environment's.")
    return ok("WorkOS API key", "it is accepted, with this client ID.")


def _redirect_uri(workos: WorkOS, redirect_uri: str) -> Finding:
    """Begins a sign-in and looks where it leads: WorkOS sends a browser to a page of its own when it does not know the address."""
    url = WorkOSProvider(workos).authorize_url(state="doctor", challenge=_CHALLENGE, redirect_uri=redirect_uri)
    mend = f"{REDIRECT_URI_MEND} It is {redirect_uri}"
    try:
        answer = wire.ask("GET", url)
    except ProviderError as error:
        return problem("redirect URI", f"{error.sentence} ({error.detail})", _LATER)
    target = urlsplit(answer.location)  # for an address that it does not know: https://error.workos.com/sso/redirect-uri-invalid
    if "redirect-uri" in target.path or "redirect_uri" in f"{target.path}?{target.query}".replace("redirect_uri=", ""):
        return problem("redirect URI", "WorkOS does not know it (Invalid redirect URI).", mend)
    if (target.hostname or "").startswith("error."):
        return problem("sign-in", f"WorkOS refuses to begin one: {target.path.rpartition('/')[2] or 'no reason given'}.", _ONE_ENVIRONMENT)
    if answer.status in (301, 302, 303, 307) and target.scheme in ("https", "http"):
        return ok("redirect URI", f"WorkOS begins a sign-in that returns to {redirect_uri}")
    return problem("redirect URI", f"WorkOS does not begin a sign-in (status {answer.status}).", mend)


def _webhook(workos: WorkOS) -> Finding:
    if workos.webhook_secret:
        return ok("WorkOS webhook", "its secret is set.")
    mend = "Create an endpoint at WorkOS for /webhooks/workos, and set WORKOS_WEBHOOK_SECRET."
    return warning("WorkOS webhook", "without it, whoever is removed at WorkOS keeps access for up to an hour.", mend)

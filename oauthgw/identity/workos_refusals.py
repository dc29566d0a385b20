"""What WorkOS's refusals mean, in a sentence for the person and one for whoever runs the gateway.

Knows both shapes of error (`code`, `message` and `error`, `error_description`); knows nothing of how the request was made.
"""

from typing import Any

from oauthgw.identity.provider import Kind, ProviderError
from oauthgw.identity.wire import Answer

UNTRUSTED_MEND = (
    "If this happens to everyone: WORKOS_CLIENT_ID and WORKOS_CLIENT_SECRET belong to different WorkOS environments, or "
    "WORKOS_API_BASE_URL is wrong. Copy client id and API key again from one environment (dashboard, API Keys)."
)

_CREDENTIALS = frozenset({"invalid_client", "unauthorized_client", "invalid_client_id", "invalid_client_secret", "unauthorized"})
_CREDENTIALS_MEND = (
    "Copy the API key again into WORKOS_CLIENT_SECRET, from the environment that WORKOS_CLIENT_ID belongs to (WorkOS dashboard, "
    "API Keys). The key is shown once: if it is lost, make a new one."
)
_REDIRECT_URI = frozenset({"invalid_redirect_uri", "redirect_uri_mismatch", "redirect_uri_invalid"})
REDIRECT_URI_MEND = (
    "In the WorkOS dashboard, under Redirects, add exactly the address of this gateway followed by /oauth/callback, in the environment "
    "of WORKOS_CLIENT_ID."
)

# The 403 states that hosted AuthKit settles itself; they reach us only when it was left half-way.
_UNFINISHED = {
    "email_verification_required": "Your e-mail address has to be verified first: open the message WorkOS sent you, then sign in again.",
    "mfa_enrollment": "A second factor has to be set up before you can sign in: sign in again and follow the steps.",
    "mfa_challenge": "The second factor was not completed: sign in again and enter it.",
    "mfa_verification": "The second factor was not completed: sign in again and enter it.",
    "organization_selection_required": "You belong to several organisations: sign in again and choose one.",
    "sso_required": "Your organisation requires its own single sign-on: sign in again and choose it.",
    "organization_authentication_methods_required": "Your organisation allows only certain ways to sign in: sign in again and use one.",
    "radar_challenge": "WorkOS wants to check that it is really you: sign in again and follow the steps.",
    "radar_sign_up_challenge": "WorkOS wants to check that it is really you: sign in again and follow the steps.",
}


def refusal(answer: Answer) -> ProviderError:
    """The error for any answer of the token endpoint that is not 200. What WorkOS wrote is named by its code only."""
    code = error_code(answer.body)
    detail = f"status {answer.status}" + (f", {code}" if code else "")
    if answer.status == 429:
        return ProviderError(
            Kind.BUSY, "WorkOS is receiving too many sign-ins right now.", detail=detail, retry_after=answer.retry_after or 30
        )
    if answer.status >= 500:
        return ProviderError(Kind.FAILING, "WorkOS has a problem at the moment.", detail=detail, retry_after=answer.retry_after)
    if answer.status == 401 or code in _CREDENTIALS:
        return ProviderError(
            Kind.MISCONFIGURED, "WorkOS does not accept this gateway's credentials.", mend=_CREDENTIALS_MEND, detail=detail
        )
    if code in _REDIRECT_URI:
        return ProviderError(Kind.MISCONFIGURED, "WorkOS does not know this gateway's redirect URI.", mend=REDIRECT_URI_MEND, detail=detail)
    if answer.status == 403:
        return ProviderError(Kind.INCOMPLETE, _UNFINISHED.get(code, "WorkOS needs another step before you are signed in."), detail=detail)
    if answer.status in (400, 422):
        return ProviderError(Kind.REFUSED, "WorkOS did not accept this sign-in: it took too long, or was already used.", detail=detail)
    return ProviderError(Kind.FAILING, "WorkOS gave an answer that this gateway did not expect.", detail=detail)


def error_code(body: dict[str, Any] | None) -> str:
    """The error's code from either shape; empty when there is none that looks like one."""
    for name in ("code", "error"):
        value = (body or {}).get(name)
        if isinstance(value, str) and 0 < len(value) <= 64 and value.isascii() and value.replace("_", "").replace("-", "").isalnum():
            return value
    return ""

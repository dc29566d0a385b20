"""What people read when a sign-in does not work out, and the link that lets them try again.

Words only; whether something is wrong is decided in `oauthgw.identity`.
"""

from urllib.parse import urlencode

from oauthgw.guard.conf import gateway
from oauthgw.identity.provider import Kind, Person, ProviderError
from oauthgw.identity.signin import Why
from oauthgw.views.pages import Problem

_TRY_AGAIN = "Try again"
_TEMPORARY = (Kind.UNREACHABLE, Kind.SLOW, Kind.BUSY, Kind.FAILING)

# What the provider's redirect may say instead of a code (RFC 6749 §4.1.2.1), and what it means here.
_RETURNED = {
    "access_denied": "The sign-in was cancelled, or was not allowed.",
    "login_required": "You are not signed in at the provider.",
    "user_not_found": "The provider knows nobody with this e-mail address.",
    "no_users": "The provider knows no users yet.",
    "server_error": "The provider has a problem at the moment.",
    "temporarily_unavailable": "The provider is not available at the moment.",
    "invalid_client": (
        "The provider does not know this gateway. For its operator: copy client id and API key again, both from one WorkOS environment."
    ),
    "invalid_redirect_uri": (
        "The provider does not know this gateway's redirect URI. For its operator: in the WorkOS dashboard, under Redirects, add exactly "
        "this gateway's address followed by /oauth/callback."
    ),
}


def retry_url(next_path: str) -> str:
    """Where a new sign-in begins that returns to the same place."""
    return f"/oauth/login?{urlencode({'next': next_path})}"


def malformed(why: str) -> Problem:
    return Problem(
        400,
        "This sign-in link is not complete",
        "Nothing was changed.",
        why=why,
        steps=("Start again from the app you came from, or with the link below.",),
        link_url="/oauth/login",
        link_label="Sign in",
    )


def not_yours(why: Why, next_path: str, *, signed_in: bool) -> Problem:
    """The answer belongs to no attempt that this browser may still finish."""
    retry = retry_url(next_path)
    if why is Why.USED:
        if signed_in:
            return Problem(
                400, "You have already signed in", "This sign-in was completed before.", link_url=next_path, link_label="Continue"
            )
        return Problem(
            400,
            "This sign-in was already used",
            "A sign-in works once, so going back or reloading does not repeat it.",
            link_url=retry,
            link_label=_TRY_AGAIN,
        )
    if why is Why.EXPIRED:
        return Problem(
            400,
            "This sign-in took too long",
            "For your safety it is valid for 15 minutes only.",
            link_url=retry,
            link_label=_TRY_AGAIN,
        )
    if why is Why.OTHER_BROWSER:
        return Problem(
            400,
            "This sign-in began in another browser",
            "Nobody was signed in here.",
            why="It can be finished only where it was started. Cookies that are blocked or were deleted look the same.",
            steps=(
                "Go back to the app you came from and start again, all in one browser.",
                "If cookies are blocked for this site, allow them.",
                "If you did not start this sign-in, close this page.",
            ),
            link_url="/oauth/login",
            link_label="Sign in here",
        )
    return Problem(
        400,
        "This sign-in is not known here",
        "Nobody was signed in.",
        why="Its link was changed, or it is so old that it was removed.",
        steps=("Go back to the app you came from and start again.",),
        link_url="/oauth/login",
        link_label="Sign in",
    )


def returned_error(code: str, description: str, next_path: str) -> Problem:
    """The provider sent the person back with an error. Only for an attempt of this browser: the text comes with the link."""
    shown = "".join(char for char in description if char.isprintable())[:200]
    return Problem(
        400,
        "You were not signed in",
        _RETURNED.get(code, "The provider did not complete the sign-in."),
        why=f"It says: {shown}" if shown else "",
        link_url=retry_url(next_path),
        link_label=_TRY_AGAIN,
    )


def provider_failed(error: ProviderError, next_path: str) -> Problem:
    """The provider gave no person: 503 where waiting helps, else 502."""
    steps = ["Wait a moment, then try again." if error.kind in _TEMPORARY else "Try again."]
    if error.mend:
        steps.append(f"For whoever runs this gateway: {error.mend}")
    elif error.kind in _TEMPORARY:
        steps.append("If it goes on, tell whoever runs this gateway; WorkOS reports outages at status.workos.com.")
    return Problem(
        503 if error.kind in _TEMPORARY else 502,
        "Signing in did not work",
        error.sentence,
        why="Nobody was signed in, and nothing was changed.",
        steps=tuple(steps),
        link_url=retry_url(next_path),
        link_label=_TRY_AGAIN,
    )


def not_allowed(person: Person, next_path: str) -> Problem:
    """`SIGN_IN_ALLOW` does not name this person."""
    who = person.email or "This account"
    unverified = not person.email_verified and any(entry.startswith("@") for entry in gateway().sign_in_allow)
    return Problem(
        403,
        "This account may not sign in here",
        f"{who} is not among the people this gateway lets in.",
        why="Its e-mail address is not verified, which may be the reason." if unverified else "",
        steps=(
            "Sign in with another account, for example that of your organisation.",
            "Or ask whoever runs this gateway to let you in.",
            "For whoever runs this gateway: SIGN_IN_ALLOW names the organisations and e-mail domains that may sign in.",
        ),
        link_url=f"{retry_url(next_path)}&prompt=login",
        link_label="Use another account",
    )


def deactivated() -> Problem:
    return Problem(
        403,
        "This account is switched off",
        "An operator of this gateway has switched this account off, so it cannot sign in.",
        steps=("Ask whoever runs this gateway.",),
    )


def name_taken() -> Problem:
    return Problem(
        403,
        "This account cannot be set up",
        "Another account of this gateway already has the same internal name.",
        steps=("Ask whoever runs this gateway: the other account is in the admin pages, under Users.",),
    )


def no_provider() -> Problem:
    """Neither a provider nor, for this request, the demo users."""
    return Problem(
        503,
        "Signing in is not set up",
        "This gateway has no sign-in provider yet.",
        why="Demo users exist only on the computer that the gateway runs on, and only while DEBUG is on." if gateway().debug else "",
        steps=(
            (
                "For whoever runs this gateway: set WORKOS_CLIENT_ID and WORKOS_CLIENT_SECRET to the client id and API key of one WorkOS "
                "environment (dashboard, API Keys), add this gateway's address followed by /oauth/callback under Redirects, and restart."
            ),
        ),
    )

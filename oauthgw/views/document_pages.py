"""What people see when an app's client ID metadata document is of no use: it could not be fetched, it is not valid, or it is not accepted.

Words only; whether something is wrong is decided by `oauthgw.clients`.
"""

from oauthgw.clients import cimd, naming
from oauthgw.clients.cimd import InvalidDocument, NotAccepted
from oauthgw.guard.fetch import CouldNotFetch
from oauthgw.views.pages import Problem

UNUSABLE = (CouldNotFetch, InvalidDocument, NotAccepted)
_SHOWN = 300
_HOW_TO_SERVE = (
    "Their server must answer with the document itself, not with a redirect, within five seconds, over https, and must not turn programs "
    "away."
)
_WHAT_TO_WRITE = (
    "the client ID is the https address of a JSON object with the members client_id (that same address), client_name and redirect_uris, "
    "and with token_endpoint_auth_method none, or private_key_jwt and its keys."
)


def explained(client_id: str, unusable: CouldNotFetch | InvalidDocument | NotAccepted) -> Problem:
    """The page for each: 400, and never a redirect, because nobody vouches for an address to go to (RFC 6749 §4.1.2.1)."""
    if isinstance(unusable, CouldNotFetch):
        return _could_not_fetch(client_id, unusable)
    if isinstance(unusable, InvalidDocument):
        return _invalid(client_id, unusable)
    return _not_accepted(client_id, unusable)


def _could_not_fetch(client_id: str, problem: CouldNotFetch) -> Problem:
    return Problem(
        400,
        "This app's description could not be fetched",
        f"The app introduces itself by a document on {cimd.domain(client_id)}, and this gateway could not get it: {_shown(client_id)}",
        problem.sentence,
        (
            "Go back to the app and connect again in a moment: the gateway then asks anew.",
            "If it lasts, tell the app's makers. " + _HOW_TO_SERVE,
            "If you run this gateway: its log says more. A host of your own network is asked only if FETCH_TRUSTED_HOSTS names it.",
        ),
    )


def _invalid(client_id: str, problem: InvalidDocument) -> Problem:
    return Problem(
        400,
        "This app's description is not valid",
        f"The app introduces itself by a document that this gateway cannot use: {_shown(client_id)}",
        str(problem),
        (
            "Tell the app's makers what stands here; you can do nothing about it yourself.",
            "If you are its maker: " + _WHAT_TO_WRITE,
        ),
    )


def _not_accepted(client_id: str, problem: NotAccepted) -> Problem:
    return Problem(
        400,
        "This app is not accepted here",
        f"The app introduces itself by a document on {cimd.domain(client_id)}: {_shown(client_id)}",
        str(problem),
        ("Ask the operator of this gateway to accept the app, and tell them the address above.",),
    )


def _shown(client_id: str) -> str:
    return naming.clean(client_id, _SHOWN)

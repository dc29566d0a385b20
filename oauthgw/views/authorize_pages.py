"""What people see at the authorization endpoint: the consent page, the page that forwards, and what can be wrong.

Words and contexts only; whether something is wrong is decided elsewhere.
"""

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from oauthlib.oauth2 import OAuth2Error

from oauthgw import consent, loops, resources
from oauthgw.authorization import AuthorizationRequest, Refused
from oauthgw.clients import cimd, naming, redirects
from oauthgw.guard import sealed
from oauthgw.identity import browser
from oauthgw.models import Client
from oauthgw.models.identity import label
from oauthgw.resources import ProtectedResource
from oauthgw.views.pages import Problem, show

_ABILITIES = (
    "Use its tools in your name",
    "Read the resources and prompts it offers",
    "Stay connected until the connection expires or is ended",
)


@dataclass(frozen=True, slots=True)
class Page:
    """One consent page. Without a resource the person chooses the route."""

    asked: consent.Asked
    client: Client
    resource: ProtectedResource | None
    user: AbstractBaseUser


def consent_page(request: HttpRequest, page: Page) -> HttpResponse:
    """The page that asks. It carries one signed value, bound to this user and this browser."""
    asked, client = page.asked, page.client
    response = HttpResponse()
    digest = sealed.digest(browser.ensure(request, response))
    context = {
        "client_name": shown_name(client),
        "verified": client.is_vouched_for,
        "publisher": cimd.domain(client.client_id) if client.is_of_document else "",
        "client_host": urlsplit(client.metadata.get("client_uri", "")).hostname or "",
        "redirect_host": redirects.host(asked.request.redirect_uri),
        "redirect_kind": _kind(asked.request.redirect_uri),
        "resource": page.resource,
        "routes": [] if page.resource is not None else resources.backend().listed(),
        "abilities": _ABILITIES,
        "user_label": label(page.user),
        "switch_url": f"/oauth/login?{urlencode({'prompt': 'login', 'next': request.get_full_path()})}",
        "signed": consent.sign(asked, page.user, digest),
        "action": "/oauth/authorize",
    }
    response.content = render(request, "consent.html", context).content
    return no_store(response)


def forward(request: HttpRequest, client: Client, asked: AuthorizationRequest, target: str, *, approved: bool) -> HttpResponse:
    """The page after the decision: it forwards by itself and shows a link.

    Never a redirect: `form-action 'self'` would stop it in browsers, and custom schemes need a page to come from.
    """
    context = {
        "target": target,
        "client_name": shown_name(client),
        "redirect_host": redirects.host(asked.redirect_uri),
        "approved": approved,
    }
    return no_store(render(request, "forward.html", context))


def no_store(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def shown_name(client: Client) -> str:
    return naming.clean(client.name) or "A client without a name"


def _kind(uri: str) -> str:
    if redirects.is_loopback(uri):
        return "loopback"
    return "web" if redirects.is_https(uri) else "app"


_LIBRARY_SENTENCES = {
    "Code challenge required.": "PKCE is required: send a code_challenge with code_challenge_method=S256.",
    "Missing response_type parameter.": "The parameter response_type is missing; only code is supported.",
}


def explained(error: OAuth2Error) -> str:
    """What oauthlib found wrong with a request, in a sentence that helps its reader."""
    if error.error == "unsupported_response_type":
        return "Only response_type=code is supported."
    return _LIBRARY_SENTENCES.get(error.description or "", error.description or "The request is not valid.")


def malformed(sentence: str) -> Problem:
    return Problem(
        400,
        "This sign-in request is not valid",
        "The app that sent you here made a request that cannot be read.",
        sentence,
        ("Go back to the app and connect again.", "If it happens again, tell the app's makers what stands here."),
    )


def bad_client_or_redirect(query: QueryDict) -> Problem:
    """Unknown client or wrong redirect URI: never a redirect (RFC 6749 §4.1.2.1)."""
    client_id = query.get("client_id", "")
    client = Client.objects.filter(client_id=client_id, disabled_at=None).first() if "\x00" not in client_id else None
    if client is None:
        return Problem(
            400,
            "This app is not registered here",
            f"The app presented a client ID that this gateway does not know: {naming.clean(client_id) or 'none at all'}.",
            "Its registration may have been removed, or it belongs to another gateway.",
            (
                "In the app, remove this MCP server and add it again: the app then registers anew.",
                "In Claude Code: claude mcp remove, then claude mcp add. In VS Code: MCP: List Servers, then Disconnect Account.",
            ),
        )
    if client.awaits_approval:
        return waits_for_approval(client)
    wanted = naming.clean(query.get("redirect_uri", ""), 300)
    return Problem(
        400,
        "This app asked to be reached at an address it did not register",
        f"{shown_name(client)} wants the answer at {wanted}."
        if wanted
        else f"{shown_name(client)} did not say where to send the answer, and it registered several addresses.",
        "An answer goes only to an address that was registered before, so that nobody else can receive it. Nothing was sent there.",
        (_how_to_register_another_address(client),),
    )


def _how_to_register_another_address(client: Client) -> str:
    if client.is_of_document:
        return f"Tell the app's makers: the document {naming.clean(client.client_id, 300)} must list this address in redirect_uris."
    return "In the app, remove this MCP server and add it again: the app then registers its present address."


def waits_for_approval(client: Client) -> Problem:
    """Never a redirect either: nobody vouches for the address (RFC 9700 §4.11.2)."""
    return Problem(
        400,
        "This app waits for approval",
        f"{shown_name(client)} is registered here, but an operator of this gateway has not approved it yet.",
        "On this gateway an app may connect only after an operator has looked at it. Nothing was sent to the app.",
        (
            f"Ask whoever runs this gateway to approve it, and tell them its name and its client ID: {client.client_id}.",
            "Once it is approved, go back to the app and connect again: it need not register anew.",
            "If you run this gateway: the admin lists it under Clients, state waiting.",
        ),
    )


def refused(client: Client, asked: AuthorizationRequest, why: Refused, target: str) -> Problem:
    return Problem(
        400,
        "This connection cannot be made",
        f"{shown_name(client)} made a request that the gateway refuses ({why.error}).",
        why.description,
        ("Return to the app: it is told the same, and may offer to try again.",),
        link_url=target,
        link_label="Return to the app",
        redirect_host=redirects.host(asked.redirect_uri),
    )


def stale() -> Problem:
    return Problem(
        400,
        "This page is too old",
        "Nothing was approved.",
        "A consent page works for ten minutes, for the person and in the browser that opened it.",
        ("Go back to the app and connect again.",),
    )


def client_changed() -> Problem:
    return Problem(
        400,
        "This app has changed meanwhile",
        "Nothing was approved.",
        "The app was switched off, or its registered addresses changed while the page was open.",
        ("Go back to the app and connect again.",),
    )


def unknown_route(path: str) -> Problem:
    return Problem(
        404,
        "There is no such MCP server here",
        f"Nothing is published at {naming.clean(path, 100)}.",
        "It may have been removed or switched off by an operator, or the address has a typing error.",
        ("Check the MCP server's URL in the app.", "Ask the operator of this gateway for the right one."),
    )


def choose_a_route() -> Problem:
    return Problem(
        400,
        "Choose an MCP server",
        "Nothing was approved, because no MCP server was chosen.",
        "The app did not say which one it wants, so the choice is yours.",
        ("Go back one page and choose one.",),
    )


def already_decided(client: Client, asked: AuthorizationRequest) -> Problem:
    return Problem(
        409,
        "You have answered this already",
        f"The answer went to {shown_name(client)}, and was used or has expired.",
        "Each page counts once, and for a minute, so that a double click connects once.",
        ("Return to the app. If it is not connected, connect again from there.",),
        redirect_host=redirects.host(asked.redirect_uri),
    )


def loop(request: HttpRequest, client: Client, asked: AuthorizationRequest, found: loops.Loop) -> HttpResponse:
    """Instead of another code: what goes round, and how to get out. It works again by itself (`Retry-After`)."""
    name = shown_name(client)
    problem = Problem(
        429,
        "This app keeps asking you to sign in",
        f"{name} was connected {loops.CODES} times within two minutes and used none of these connections. The gateway stopped the loop.",
        "Most often the app cannot keep or send what it was given: its storage is locked or full, it is out of date, or a proxy between it "
        "and the gateway takes the Authorization header away. Signing in once more would only open the next tab.",
        (
            f"Look in the app first: it may be connected already. It can be connected again in {found.seconds} seconds.",
            "Restart or update the app. If that does not help, remove this MCP server there and add it again.",
            "If it goes round again, give the operator of this gateway the request id below; its journal says what happened.",
        ),
        link_url=asked.error_url("temporarily_unavailable", "The app signed in again and again without using its tokens; try again later."),
        link_label="Return to the app",
        redirect_host=redirects.host(asked.redirect_uri),
    )
    response = show(request, problem)
    response["Retry-After"] = str(found.seconds)
    return response

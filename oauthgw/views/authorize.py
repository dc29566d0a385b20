"""The authorization endpoint (OAuth 2.1 §4.1.1) and the decision on its page.

First what decides where errors go (client and redirect URI: a page), then everything else. The steps are here; each rule is in the room
it names: authorization, consent, codes.
"""

from typing import Any, cast

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from oauth2_provider.exceptions import FatalClientError, OAuthToolkitError
from oauth2_provider.http import OAuth2ResponseRedirect
from oauth2_provider.views.mixins import OAuthLibMixin

from oauthgw import authorization, codes, consent, loops, resources
from oauthgw.authorization import AuthorizationRequest, Refused
from oauthgw.clients import documents
from oauthgw.guard import limits, origin
from oauthgw.identity import browser, sessions
from oauthgw.models import Client
from oauthgw.models.client import usable_clients
from oauthgw.views import authorize_pages as pages
from oauthgw.views import document_pages, limited, parameters
from oauthgw.views.endpoints import not_found
from oauthgw.views.pages import show


@never_cache
@require_http_methods(["GET", "POST"])
@limited.page(limits.AUTHORIZE)
def authorize(request: HttpRequest, path: str = "") -> HttpResponse:
    """GET asks, POST decides. `path` is the route that a per-route endpoint implies."""
    if path and resources.backend().find(path) is None:
        # A person gets a page; a program that probes gets what it can read.
        return show(request, pages.unknown_route(path)) if _is_browser(request) else not_found(request)
    if request.method == "POST":
        return decide(request)
    try:
        given = parameters.of_query(request)
        documents.fetch_if_due(given.get("client_id", ""), given.get("redirect_uri", ""), address=request.META.get("REMOTE_ADDR", ""))
        client, checked_redirect = _client_and_redirect(request)
    except parameters.Malformed as malformed:
        return show(request, pages.malformed(str(malformed)))
    except documents.TooManyUnknown as too_many:
        return limited.told(request, too_many.seconds)
    except document_pages.UNUSABLE as unusable:
        return show(request, document_pages.explained(given["client_id"], unusable))
    except FatalClientError:
        return show(request, pages.bad_client_or_redirect(request.GET))
    except OAuthToolkitError as refused:  # client and redirect URI are good, and the request still is not
        oauth_error = refused.oauthlib_error
        asked = _as_asked(request, given, oauth_error.redirect_uri or "", path, None)
        return _tell_client(request, asked, Refused(oauth_error.error, pages.explained(oauth_error)))
    return _ask_or_continue(request, given, client, checked_redirect, path)


def _client_and_redirect(request: HttpRequest) -> tuple[Client, str]:
    """Oauthlib's judgement: fatal when client or redirect URI are bad, an OAuthToolkitError for everything else."""
    _, credentials = OAuthLibMixin().validate_authorization_request(request)
    return cast("Client", credentials["request"].client), str(credentials["redirect_uri"])


def _ask_or_continue(request: HttpRequest, given: Any, client: Client, redirect_uri: str, path: str) -> HttpResponse:
    unresolved = _as_asked(request, given, redirect_uri, path, None)
    try:
        authorization.refuse_unsupported(given)
        resource = authorization.requested_resource(request.GET.getlist("resource"), path, origin.discovered(request))
    except Refused as refused:
        return _tell_client(request, unresolved, refused)
    if not request.user.is_authenticated:
        return redirect(f"/oauth/login?{urlencode({'next': request.get_full_path()})}")
    resource = resource or _only_one()
    asked = consent.ask(_as_asked(request, given, redirect_uri, path, resource))
    user = cast("AbstractBaseUser", request.user)
    asks_again = "prompt" in given or _is_impersonated(request)  # whatever is to be prompted, the page has it: consent, and "not you?"
    loop = loops.stopped(client, user, resource) if resource is not None else None
    if loop is not None:
        return pages.loop(request, client, asked.request, loop)
    target = consent.repeat(asked, client, user, resource) if resource is not None and not asks_again else None
    if target is not None:
        return pages.forward(request, client, asked.request, target, approved=True)
    return pages.consent_page(request, pages.Page(asked, client, resource, user))


@transaction.atomic
def decide(request: HttpRequest) -> HttpResponse:
    """The answer to the page: everything but the decision (and the choice of a route) comes from the signed value."""
    if not request.user.is_authenticated:
        return show(request, pages.stale())
    user = cast("AbstractBaseUser", request.user)
    try:
        form = parameters.single(request.POST)
        asked = consent.unsign(form.get("consent", ""), user, browser.digests(request))
    except (parameters.Malformed, consent.Stale):
        return show(request, pages.stale())
    client = Client.objects.filter(usable_clients(), client_id=asked.request.client_id).first()
    if client is None or not client.redirect_uri_allowed(asked.request.redirect_uri):
        return show(request, pages.client_changed())
    if form.get("decision") != "approve":
        return pages.forward(request, client, asked.request, consent.refuse(asked, client, user), approved=False)
    chosen = asked.request.resource_path or form.get("route", "")
    resource = resources.backend().find(chosen)
    if resource is None:
        return show(request, pages.choose_a_route() if not chosen else pages.unknown_route(chosen))
    loop = loops.stopped(client, user, resource)
    if loop is not None:
        return pages.loop(request, client, asked.request, loop)
    try:
        target = consent.approve(asked, client, user, resource, impersonated=_is_impersonated(request))
    except codes.AlreadyRedeemed:
        return show(request, pages.already_decided(client, asked.request))
    return pages.forward(request, client, asked.request, target, approved=True)


def _as_asked(
    request: HttpRequest, given: Any, redirect_uri: str, path: str, resource: resources.ProtectedResource | None
) -> AuthorizationRequest:
    at = origin.discovered(request)
    return AuthorizationRequest(
        client_id=given.get("client_id", ""),
        redirect_uri=redirect_uri,
        state=given.get("state", ""),
        scope=authorization.scope_of(given),
        code_challenge=given.get("code_challenge", ""),
        origin=at,
        issuer=at + path,
        resource_path=resource.path if resource is not None else "",
    )


def _tell_client(request: HttpRequest, asked: AuthorizationRequest, refused: Refused) -> HttpResponse:
    """An error for the client: by redirect if an operator vouches for it, else a page with a link (RFC 9700 §4.11.2)."""
    client = Client.objects.get(client_id=asked.client_id)
    redirect_uri = asked.redirect_uri or client.default_redirect_uri
    asked = AuthorizationRequest.from_dict(asked.as_dict() | {"redirect_uri": redirect_uri})
    target = asked.error_url(refused.error, refused.description)
    if client.is_vouched_for:
        return cast("HttpResponseRedirect", OAuth2ResponseRedirect(target, client.get_allowed_schemes()))
    return show(request, pages.refused(client, asked, refused, target))


def _only_one() -> resources.ProtectedResource | None:
    """The one resource there is: a client that names none can mean no other."""
    listed = resources.backend().listed()
    return listed[0] if len(listed) == 1 else None


def _is_browser(request: HttpRequest) -> bool:
    """Whether the request asks for HTML by name: programs ask for JSON, or for anything."""
    return "text/html" in request.headers.get("Accept", "")


def _is_impersonated(request: HttpRequest) -> bool:
    """Whether somebody else acts for the signed-in user: what they approve is not the user's word, and ends with its access token."""
    return bool(request.session.get(sessions.IMPERSONATOR))

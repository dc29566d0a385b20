"""Signing in and out: the pages a browser passes through.

Each parses, asks `oauthgw.identity` one question at a time, and answers. Knows requests and responses; the rules are in the rooms it names.
"""

import logging
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from oauthgw import identity
from oauthgw.guard import limits, origin
from oauthgw.guard.database import give_connection_back
from oauthgw.identity import browser, dev, people, sessions, signin
from oauthgw.identity.provider import Person, Provider, ProviderError
from oauthgw.journal.recorder import Kind, caller, record
from oauthgw.models.identity import label
from oauthgw.views import endpoints, limited, parameters
from oauthgw.views import signin_problems as problems
from oauthgw.views.pages import show

CALLBACK = "/oauth/callback"
_CODE_LENGTH = 2_000
_USER_AGENT_LENGTH = 500
_EMAIL_LENGTH = 254
_PROMPTS = ("login", "select_account")

log = logging.getLogger(__name__)


@never_cache
@require_http_methods(["GET"])
@limited.page(limits.LOGIN)
def login(request: HttpRequest) -> HttpResponse:
    """Begins a sign-in, also for somebody who is signed in already and wants to be somebody else."""
    try:
        given = parameters.single(request.GET)
    except parameters.Malformed as malformed:
        return show(request, problems.malformed(str(malformed)))
    next_path = signin.safe_next(given.get("next", "/"))
    provider = identity.configured()
    if provider is None:
        if dev.permitted(request):
            return HttpResponseRedirect(f"/oauth/dev-login?{urlencode({'next': next_path})}")
        return show(request, problems.no_provider())
    known = browser.read(request) is not None
    response = HttpResponseRedirect("/")
    value = browser.ensure(request, response)
    begun = signin.begin(next_path, value)
    if not known:
        browser.pin(response, value, begun.state)
    response["Location"] = provider.authorize_url(
        state=begun.state,
        challenge=begun.challenge,
        redirect_uri=origin.of(request) + CALLBACK,
        login_hint=given.get("login_hint", "")[:_EMAIL_LENGTH],
        prompt=given.get("prompt", "") if given.get("prompt") in _PROMPTS else "",
    )
    return response


@never_cache
@require_http_methods(["GET"])
@limited.page(limits.CALLBACK)
def callback(request: HttpRequest) -> HttpResponse:
    """The provider's redirect back: with a code, or with an error (RFC 6749 §4.1.2)."""
    provider = identity.configured()
    if provider is None:
        return show(request, problems.no_provider())
    try:
        given = parameters.single(request.GET)
    except parameters.Malformed as malformed:
        return show(request, problems.malformed(str(malformed)))
    state, code, error = given.get("state", ""), given.get("code", ""), given.get("error", "")
    if not state or not (code or error) or (code and error) or len(code) > _CODE_LENGTH:
        return show(request, problems.malformed("It carries no usable state, or neither a code nor an error."))
    try:
        attempt = signin.finish(state, browser.digests(request))
    except signin.NotYours as refused:
        log.info("sign-in refused: %s", refused.why)
        return show(request, problems.not_yours(refused.why, refused.next, signed_in=request.user.is_authenticated))
    return _answer(request, provider, attempt, code, error, given.get("error_description", ""))


def _answer(request: HttpRequest, provider: Provider, attempt: signin.Finished, code: str, error: str, description: str) -> HttpResponse:
    """The rest of the callback, for an attempt that this browser began."""
    if error:
        log.info("sign-in: the provider answered with an error")
        return show(request, problems.returned_error(error, description, attempt.next))
    give_connection_back()
    try:
        person = provider.exchange(
            code=code,
            verifier=attempt.verifier.reveal(),
            ip=caller.get().address or request.META.get("REMOTE_ADDR", ""),
            user_agent=_user_agent(request),
        )
    except ProviderError as failed:
        log.warning("sign-in: %s", failed)
        record(Kind.SIGN_IN_REFUSED, reason=f"{provider.name}: {failed}")
        response = show(request, problems.provider_failed(failed, attempt.next))
        if failed.retry_after is not None:
            response["Retry-After"] = str(failed.retry_after)
        return response
    if not people.may_sign_in(person):
        record(Kind.SIGN_IN_REFUSED, reason=f"{person.email or person.subject} is not in SIGN_IN_ALLOW")
        return show(request, problems.not_allowed(person, attempt.next))
    return _admit(request, provider.name, person, attempt.next, admin=people.is_admin(person))


def _admit(request: HttpRequest, provider: str, person: Person, next_path: str, *, admin: bool) -> HttpResponse:
    try:
        user = people.admit(provider, person, admin=admin)
    except people.Deactivated:
        record(Kind.SIGN_IN_REFUSED, reason=f"{person.email or person.subject} is switched off")
        return show(request, problems.deactivated())
    except people.NameTaken:
        record(Kind.SIGN_IN_REFUSED, reason=f"the name {person.subject} is taken")
        return show(request, problems.name_taken())
    sessions.start(request, user, person, provider=provider, demo=provider == dev.PROVIDER)
    response = HttpResponseRedirect(next_path)
    response.status_code = 303 if request.method == "POST" else 302
    return response


@never_cache
@require_http_methods(["GET", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """GET asks, POST signs out, here and at the provider."""
    if not request.user.is_authenticated:
        return render(request, "signed_out.html", {"target": ""})
    provider = identity.configured()
    if provider is not None and request.session.get(sessions.PROVIDER) != provider.name:
        provider = None
    if request.method == "GET":
        context = {"user_label": label(request.user), "provider_logout": bool(provider and request.session.get(sessions.SID))}
        return render(request, "logout.html", context)
    record(Kind.SIGNED_OUT, user=request.user)
    session_id = sessions.end(request)
    target = provider.sign_out_url(session_id=session_id, return_to=f"{origin.of(request)}/") if provider and session_id else ""
    # A page that forwards, not a redirect: `form-action 'self'` would stop that in Chromium, as it governs what follows a form.
    response = render(request, "signed_out.html", {"target": target})
    browser.forget(request, response)
    return response


@never_cache
@require_http_methods(["GET", "POST"])
def dev_login(request: HttpRequest) -> HttpResponse:
    """Sign-in without a provider, where `dev.permitted`; everywhere else there is nothing at this address."""
    if not dev.permitted(request):
        return endpoints.error(404, "not_found", "There is nothing at this address.")
    try:
        given = parameters.single(request.GET if request.method == "GET" else request.POST)
    except parameters.Malformed as malformed:
        return show(request, problems.malformed(str(malformed)))
    next_path = signin.safe_next(given.get("next", "/"))
    chosen = dev.demo_user(given.get("user", ""))
    if request.method == "GET" or chosen is None:
        response = render(
            request, "dev_login.html", {"users": dev.DEMO_USERS, "next": next_path}, status=200 if request.method == "GET" else 400
        )
    else:
        response = _admit(request, dev.PROVIDER, chosen.person(), next_path, admin=chosen.admin)
    browser.ensure(request, response)
    return response


def _user_agent(request: HttpRequest) -> str:
    return "".join(char for char in request.headers.get("User-Agent", "") if char.isprintable())[:_USER_AGENT_LENGTH]

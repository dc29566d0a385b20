"""What operators can do with clients: each action asks first and says what will happen; `oauthgw.clients` does it and journals it."""

import json
from collections.abc import Callable

from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from oauthgw.admin.client_pages import secret_page
from oauthgw.admin.confirm import SHOWN, Question, ask, is_as_shown, plural
from oauthgw.admin.readonly import ReadOnlyAdmin, operator
from oauthgw.clients import decisions, removal
from oauthgw.guard.conf import gateway
from oauthgw.guard.sealed import digest
from oauthgw.models import Client, Grant

Clients = QuerySet[Client]
Decision = Callable[[Clients, AbstractBaseUser], list[Client]]
Vouching = Callable[[Clients, AbstractBaseUser, decisions.Condition], list[Client]]

_ENABLE = Question(
    title="Enable these clients?",
    consequences=("They can connect again, and their connections that have not expired or been revoked work at once.",),
    button="Enable",
)
_APPROVE = Question(
    title="Approve these clients?",
    consequences=(
        "You vouch for their names and redirect URIs: users no longer see the word “unverified”, and errors are sent back to them.",
        "Where clients have to be approved, they can connect from now on. A client that changes its registration loses the approval.",
    ),
    button="Approve",
)
_ALLOW_INTROSPECTION = Question(
    title="Let these clients introspect tokens?",
    consequences=(
        "They may ask of any token that they are shown whose it is and what it is good for, other clients' tokens included.",
        "Public clients are left out, because they cannot prove who is asking.",
    ),
    button="Let them introspect",
)
_FORBID_INTROSPECTION = Question(
    title="Let these clients introspect tokens no more?",
    consequences=("Their questions about tokens are refused from now on. What else they do goes on.",),
    button="Take it back",
)
_NEW_SECRET = Question(
    title="Make a new secret?",
    consequences=(
        "The present secret stops working at once: until the client has the new one it can neither connect nor refresh.",
        "The new secret is shown once, on the page that follows, and stored only as a digest. Connections go on.",
        "The client cannot manage its own registration any more: whoever could do that could have another secret made.",
    ),
    button="Make a new secret",
)


class ClientActions(ReadOnlyAdmin):
    actions = (
        "approve",
        "withdraw_approval",
        "disable",
        "enable",
        "allow_introspection",
        "forbid_introspection",
        "new_secret",
        "remove",
    )

    page_actions = {  # noqa: RUF012  (as Django's own options are)
        "approve": "Approve…",
        "withdraw_approval": "Withdraw approval…",
        "disable": "Disable…",
        "enable": "Enable…",
        "new_secret": "Make a new secret…",
        "remove": "Remove…",
    }

    def unfit(self, row: Client) -> set[str]:
        return {
            "approve" if row.approved_at else "withdraw_approval",
            "disable" if row.disabled_at else "enable",
            *(() if row.is_confidential else ("new_secret",)),
        }

    def has_remove_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.delete_{self.opts.model_name}")

    @admin.action(description="Approve selected clients", permissions=["operate"])
    def approve(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        return self._vouch(request, queryset, _APPROVE, decisions.approve, "Approved")

    @admin.action(description="Withdraw approval of selected clients", permissions=["operate"])
    def withdraw_approval(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        needed = gateway().client_registration == "approval"
        question = Question(
            title="Withdraw the approval of these clients?",
            consequences=(
                "CLIENT_REGISTRATION asks for approval: their access tokens stop working at once, until they are approved again."
                if needed
                else "They go on working: CLIENT_REGISTRATION does not ask for approval.",
                "On the consent page they are “unverified” again, and users are told of errors instead of being sent back with them.",
            ),
            button="Withdraw approval",
        )
        page = ask(self, request, queryset, question)
        return page or self._decide(request, queryset, decisions.withdraw_approval, "Withdrew the approval of")

    @admin.action(description="Disable selected clients", permissions=["operate"])
    def disable(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        page = ask(self, request, queryset, _what_disabling_stops(queryset))
        return page or self._decide(request, queryset, decisions.disable, "Disabled")

    @admin.action(description="Enable selected clients", permissions=["operate"])
    def enable(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        page = ask(self, request, queryset, _ENABLE)
        return page or self._decide(request, queryset, decisions.enable, "Enabled")

    @admin.action(description="Let selected clients introspect tokens", permissions=["operate"])
    def allow_introspection(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        return self._vouch(request, queryset, _ALLOW_INTROSPECTION, decisions.allow_introspection, "Allowed introspection to")

    @admin.action(description="Let selected clients introspect tokens no more", permissions=["operate"])
    def forbid_introspection(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        page = ask(self, request, queryset, _FORBID_INTROSPECTION)
        return page or self._decide(request, queryset, decisions.forbid_introspection, "Forbade introspection to")

    @admin.action(description="Make a new secret for the selected client", permissions=["operate"])
    def new_secret(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        clients = list(queryset[:2])
        if len(clients) != 1:
            self.message_user(request, "Select one client: its new secret is shown once. Nothing was changed.", "error")
            return None
        page = ask(self, request, queryset, _NEW_SECRET)
        if page is not None:
            return page
        with transaction.atomic():
            registered = decisions.replace_secret(clients[0], operator(request))
            if registered is not None:
                self.log_change(request, registered.client, "Made a new secret.")
        if registered is None:
            self.message_user(request, "This client authenticates without a secret. Nothing was changed.", "error")
            return None
        return secret_page(self, request, registered, "A new secret was made")

    @admin.action(description="Remove selected clients", permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: Clients) -> HttpResponse | None:
        page = ask(self, request, queryset, _what_removal_ends(queryset))
        if page is not None:
            return page
        with transaction.atomic():
            clients = list(queryset)
            self.log_deletions(request, queryset)
            ended = sum(removal.remove(client, "An operator removed the client.", operator(request)) for client in clients)
        self.message_user(request, f"Removed {plural(len(clients), 'client')}; {plural(ended, 'connection')} ended.")
        return None

    def _vouch(self, request: HttpRequest, queryset: Clients, question: Question, vouch: Vouching, done: str) -> HttpResponse | None:
        """A decision about what the operator has read: each client in full, and only as long as it stays so."""
        if queryset.count() > SHOWN:
            self.message_user(request, f"Select at most {SHOWN} clients: each has to be read. Nothing was changed.", "error")
            return None
        page = ask(self, request, queryset, question, show=_what_is_vouched_for)
        if page is not None:
            return page
        still = is_as_shown(request, _what_is_vouched_for)
        changed = sum(not still(client) for client in queryset)
        if changed:
            self.message_user(request, f"{plural(changed, 'client')} changed meanwhile and stayed as before: look again.", "warning")
        return self._decide(request, queryset, lambda clients, by: vouch(clients, by, still), done)

    def _decide(self, request: HttpRequest, queryset: Clients, decide: Decision, done: str) -> HttpResponse | None:
        """Carries it out; back to the list."""
        with transaction.atomic():
            concerned = decide(queryset, operator(request))
            for client in concerned:
                self.log_change(request, client, f"{done} it.")
        self.message_user(request, f"{done} {plural(len(concerned), 'client')}.")
        return None


def _what_is_vouched_for(client: Client) -> str:
    """As it is now: it may have changed since the list was opened."""
    proof = str(client.get_token_endpoint_auth_method_display())
    website, key_uri, key_set = (client.metadata.get(name, "") for name in ("client_uri", "jwks_uri", "jwks"))
    keys = f", keys at {key_uri}" if key_uri else f", keys {digest(json.dumps(key_set, sort_keys=True))[:16]}" if key_set else ""
    return (
        f"{client}, client ID {client.client_id}, {f'website {website}, ' if website else ''}redirects to: "
        f"{client.redirect_uris.replace(' ', ', ')}; authentication: {proof}{keys}"
    )


def _what_disabling_stops(queryset: Clients) -> Question:
    return Question(
        title="Disable these clients?",
        consequences=(
            f"{_connected(queryset)} will stop working at once, on every route, and open streams end.",
            "They can neither connect nor refresh.",
            "Nothing is deleted: enabling a client lets its connections work again, as far as they have not expired.",
        ),
        button="Disable",
    )


def _what_removal_ends(queryset: Clients) -> Question:
    return Question(
        title="Remove these clients?",
        consequences=(
            f"{_connected(queryset)} will end at once and for good; consents are withdrawn.",
            "A client that wants to come back registers anew, one with a metadata document only connects: to keep it out, disable it.",
            "What happened stays in the journal.",
        ),
        button="Remove",
    )


def _connected(queryset: Clients) -> str:
    """How many live connections these clients have, and of how many users."""
    live = Grant.objects.live().filter(client__in=queryset.order_by().values("pk"))
    return f"{plural(live.count(), 'live connection')} of {plural(live.values('user').distinct().count(), 'user')}"

"""Pages about one client that are no list: the form that adds one, and the page that shows a secret, once.

A secret is in the answer to the request that made it and nowhere else: no message, session or cookie carries it, nobody may store the page.
"""

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from oauthgw.clients import metadata, redirects
from oauthgw.clients.metadata import ClientMetadata
from oauthgw.clients.registration import Registered
from oauthgw.guard import origin
from oauthgw.models import Client

if TYPE_CHECKING:
    _Admin = ModelAdmin[Client]
else:
    _Admin = ModelAdmin

_FIELD_OF = {"jwks_uri": "jwks_uri", "jwks": "jwks", "client_name": "client_name", "private_key_jwt": "jwks"}  # by the first word

_EITHER_WAY = "The secret, in the Authorization header or in the request body"


class PreRegistrationForm(forms.Form):
    """A client as an operator describes it, judged by the rules of a registration. ID and secret are made by the gateway."""

    client_name = forms.CharField(
        label="Name",
        max_length=255,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="As users will see it on the consent page.",
    )
    redirect_uris = forms.CharField(
        label="Redirect URIs",
        widget=forms.Textarea(attrs={"rows": 4, "cols": 80, "spellcheck": "false"}),
        help_text="One a line, in full; on loopback addresses any port will match.",
    )
    token_endpoint_auth_method = forms.ChoiceField(
        label="Authentication",
        choices=Client.AuthMethod.choices,
        help_text="A program on users' machines can keep no secret: it is public. For the others a secret is made, or they sign.",
    )
    jwks = forms.CharField(
        label="Public keys",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 80, "spellcheck": "false"}),
        help_text="For a client that signs: its JWK Set, or else the URL below.",
    )
    jwks_uri = forms.CharField(label="URL of the public keys", required=False, widget=forms.URLInput(attrs={"class": "vURLField"}))

    def clean_redirect_uris(self) -> list[str]:
        """Nothing is dropped silently here, as it is for clients that register themselves: an operator can mend it."""
        uris = list(dict.fromkeys(self.cleaned_data["redirect_uris"].split()))
        redirects.validate_all(uris)
        return uris

    def clean_jwks(self) -> Any:
        text = self.cleaned_data["jwks"].strip()
        try:
            return json.loads(text) if text else None
        except (ValueError, RecursionError) as error:
            raise ValidationError("This is not JSON.") from error

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            cleaned["judged"] = metadata.read({name: value for name, value in cleaned.items() if value not in (None, "")})
        except metadata.InvalidMetadata as refused:
            self.add_error(_FIELD_OF.get(refused.description.split()[0]), refused.description)
        return cleaned

    @property
    def judged(self) -> ClientMetadata:
        """What the form describes, once it is valid."""
        found: ClientMetadata = self.cleaned_data["judged"]
        return found


def form_page(admin: _Admin, request: HttpRequest, form: PreRegistrationForm) -> HttpResponse:
    """The form, in the admin's own clothes."""
    fieldsets = [(None, {"fields": list(form.fields)})]
    context = {
        **admin.admin_site.each_context(request),
        "title": "Add client",
        "adminform": AdminForm(form, fieldsets, {}, model_admin=admin),  # type: ignore[arg-type]  # any form will do
        "inline_admin_formsets": [],
        "media": admin.media + form.media,
        "errors": [form.non_field_errors(), *form.errors.values()] if form.errors else [],
        "original": None,
        "is_popup": False,
        "show_save_and_continue": False,
        "show_save_and_add_another": False,
    }
    return admin.render_change_form(request, context, add=True)


def secret_page(admin: _Admin, request: HttpRequest, registered: Registered, title: str) -> HttpResponse:
    """What the client's owner needs; the only time that the secret is shown."""
    at, client = origin.of(request), registered.client
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "opts": admin.opts,
        "client": client,
        "method": _EITHER_WAY if registered.secret is not None else Client.AuthMethod(client.token_endpoint_auth_method).label,
        "secret": registered.secret.reveal() if registered.secret is not None else "",
        "issuer": at,
        "token_endpoint": f"{at}/oauth/token",
    }
    return TemplateResponse(request, "admin/oauthgw/client/secret.html", context, headers={"Cache-Control": "no-store"})

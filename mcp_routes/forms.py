"""The form in which an operator describes a route.

Header values go in and never come out: not when the page is opened, and not when a mistake elsewhere brings it back.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError

from mcp_routes import upstream
from mcp_routes.models import McpRoute

if TYPE_CHECKING:
    _RouteForm = forms.ModelForm[McpRoute]
else:
    _RouteForm = forms.ModelForm


class WriteOnlyTextarea(forms.Textarea):
    """A text area that renders empty, whatever was stored or sent."""

    def format_value(self, value: Any) -> None:
        return None


class RouteForm(_RouteForm):
    headers = forms.CharField(
        label="Fixed headers",
        required=False,
        strip=False,
        widget=WriteOnlyTextarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text="One “Name: value” a line. Stored encrypted and never shown again; what you enter replaces all stored headers, "
        "an empty field keeps them.",
    )
    remove_headers = forms.BooleanField(label="Remove the stored headers", required=False)

    class Meta:
        model = McpRoute
        fields = ("slug", "name", "description", "upstream_url", "auth_mode", "access_token_ttl", "enabled")
        help_texts = {  # noqa: RUF012  (as Django's own options are)
            "slug": "The route's address is /mcp/ followed by it. When you change it, the former stays an alias for ever: "
            "clients that know it go on, and no other route ever gets it."
        }

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and self.errors and self._were_typed() and "headers" not in self.errors:
            self.add_error("headers", "Enter the headers again: what you typed is not shown back.")

    def clean_headers(self) -> dict[str, str]:
        return upstream.parse_headers(self.cleaned_data["headers"].splitlines())

    def clean(self) -> dict[str, Any]:
        """Puts the headers into the route, so that its own rules see the whole."""
        super().clean()
        headers, remove = self.cleaned_data.get("headers"), self.cleaned_data.get("remove_headers")
        if headers and remove:
            raise ValidationError({"remove_headers": "Either enter new headers, which replace the stored ones, or remove them."})
        if headers or remove:
            self.instance.set_headers(headers or {})
        elif self.instance.sealed_headers and self._leads_elsewhere():
            raise ValidationError(
                {"headers": "Enter the headers again: stored ones are not sent to a host that they were not entered for."}
            )
        return self.cleaned_data

    def _leads_elsewhere(self) -> bool:
        """Whether the upstream is another scheme, host or port than before: who may not read the stored headers must not redirect them."""
        before, after = (urlsplit(str(url)) for url in (self.initial.get("upstream_url", ""), self.cleaned_data.get("upstream_url", "")))
        return bool(after.netloc) and (before.scheme, before.netloc) != (after.scheme, after.netloc)

    def _were_typed(self) -> bool:
        return bool(str(self.data.get(self.add_prefix("headers"), "")).strip())

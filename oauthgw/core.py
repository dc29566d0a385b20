"""The seam where a request is handed to oauthlib: the parameters it knows, and nothing else.

oauthlib keeps every parameter as an attribute of its request, and so would let a client set whatever its own code or ours looks for there.
"""

from django.http import HttpRequest, QueryDict
from oauth2_provider.oauth2_backends import OAuthLibCore
from oauthlib.common import Request, urlencode

from oauthgw.models import Client

_AUTHORIZATION = ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method")
_TOKEN = (
    *("grant_type", "code", "redirect_uri", "client_id", "client_secret", "code_verifier", "refresh_token", "scope", "resource"),
    *("token", "token_type_hint"),
)


class KnownParameters(OAuthLibCore):  # type: ignore[misc]  # django-oauth-toolkit is not typed
    """django-oauth-toolkit's `OAUTH2_BACKEND_CLASS`. A parameter without a value is as if it were left out (RFC 6749 §3.1, §3.2)."""

    def _get_escaped_full_path(self, request: HttpRequest) -> str:
        if request.method != "GET":
            return request.path  # a token request with a query was refused before it came here
        return f"{request.path}?{urlencode(_known(request.GET, _AUTHORIZATION))}"

    def extract_body(self, request: HttpRequest) -> list[tuple[str, str]]:
        return _known(request.POST, _TOKEN)

    def authenticated_client(self, request: HttpRequest) -> Client | None:
        """The client that proves itself in this request; None also for a public one, which cannot."""
        uri, method, body, headers = self._extract_params(request)
        asked = Request(uri, method, body, headers)
        client: Client | None = asked.client if self.server.request_validator.authenticate_client(asked) else None
        return client if client is not None and client.is_confidential else None


def _known(given: QueryDict, names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, value) for name, values in given.lists() if name in names for value in values if isinstance(value, str) and value]

"""What a client does on its way in, as a value: one row of the catalogue, and the requests that follow from it.

Rows hold what differs; what every client does alike (PKCE with S256, a state, form-encoded token requests) is written once, here.
`{origin}`, `{resource}` and `{slug}` stand for the gateway's own, `{document_server}` for where documents are published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

AUTHORIZE, TOKEN, REFRESH = "authorize", "token", "refresh"
EVERYWHERE = (AUTHORIZE, TOKEN, REFRESH)
OF_THE_RESOURCE = "mcp:tools"  # the scope of the challenge, and of the resource's metadata
WITH_OFFLINE = "mcp:tools offline_access"  # added by who finds it in the server's metadata (SEP-2207)

CODE_AND_REFRESH = ["authorization_code", "refresh_token"]
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

BY_CHALLENGE = (
    "401 POST /mcp/{slug}",
    "200 GET /.well-known/oauth-protected-resource/mcp/{slug}",
    "200 GET /.well-known/oauth-authorization-server/mcp/{slug}",
)
BY_CHALLENGE_TO_A_GET = ("401 GET /mcp/{slug}", *BY_CHALLENGE[1:])
BY_PATH = BY_CHALLENGE[1:]
BY_OPENID = (*BY_CHALLENGE[:2], "200 GET /mcp/{slug}/.well-known/openid-configuration")
AT_THE_ORIGIN = ("401 POST /mcp/{slug}", "200 GET /.well-known/oauth-authorization-server")  # MCP 2025-03-26
NOT_AT_ALL = ("401 POST /mcp/{slug}",)  # the default endpoints of MCP 2025-03-26


@dataclass(frozen=True, slots=True)
class Habits:
    """A client. It registers (`registers`: the body), or publishes a metadata document (`publishes`: the document, without its client_id).

    `discovers`: its requests in order, each with the status it meets; the last document is the one it goes by.
    `returns_to`: the redirect URIs it asks for. `resource_at`: the requests in which it names the resource, spelled as in `resource`.
    `authenticates`: how, at the token endpoint. `refreshes_with_scope`: what it repeats when it refreshes.
    """

    name: str
    source: str
    returns_to: tuple[str, ...]
    registers: Mapping[str, Any] | None = None
    publishes: Mapping[str, Any] | None = None
    discovers: tuple[str, ...] = BY_CHALLENGE
    scope: str | None = OF_THE_RESOURCE
    prompt: str | None = None
    resource_at: tuple[str, ...] = EVERYWHERE
    resource: str = "{resource}"
    authenticates: str = "none"
    refreshes_with_scope: str | None = None
    state: str = "5b2f0c6e-state"
    form_type: str = "application/x-www-form-urlencoded"

    def authorization_request(self, client_id: str, redirect_uri: str, challenge: str, resource: str) -> dict[str, str]:
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "state": self.state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self.scope is not None:
            parameters["scope"] = self.scope
        if self.prompt is not None:
            parameters["prompt"] = self.prompt
        return parameters | self._resource(AUTHORIZE, resource)

    def token_request(self, code: str, redirect_uri: str, verifier: str, resource: str) -> dict[str, str]:
        parameters = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        return parameters | self._resource(TOKEN, resource)

    def refresh_request(self, refresh_token: str, resource: str) -> dict[str, str]:
        parameters = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if self.refreshes_with_scope is not None:
            parameters["scope"] = self.refreshes_with_scope
        return parameters | self._resource(REFRESH, resource)

    def _resource(self, where: str, resource: str) -> dict[str, str]:
        return {"resource": resource} if where in self.resource_at else {}

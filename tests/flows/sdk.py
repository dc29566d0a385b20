"""The official Python SDK as a client that signs in by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

REDIRECT = "http://127.0.0.1:33418/callback"
NEGOTIATED = {"auto": "2026-07-28", "legacy": "2025-11-25"}
"""The revision that each mode of an official client settles on."""


class Memory(TokenStorage):
    """Keeps what the SDK would keep on disk."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class SdkClient:
    """An MCP client program. `visit` is its user: takes the authorization URL, returns the address the browser ended at.

    `answers` are method, path and status of every answer it got, those of its sign-in and of its refreshing included.
    With a `document` (its client ID metadata document's URL) it uses that where the server announces so, and does not register.
    """

    url: str
    visit: Callable[[str], str]
    redirect_uri: str = REDIRECT
    storage: Memory = field(default_factory=Memory)
    document: str | None = None
    visits: list[str] = field(default_factory=list)
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    _provider: OAuthClientProvider | None = None

    @asynccontextmanager
    async def connected(self, mode: str = "auto") -> AsyncIterator[Client]:
        """A connected client; `mode` is "auto" (2026-07-28 first) or "legacy" (initialize)."""
        returned: list[str] = []

        async def redirect(url: str) -> None:
            self.visits.append(url)
            returned.append(await asyncio.to_thread(self.visit, url))

        async def callback() -> AuthorizationCodeResult:
            query = {name: values[0] for name, values in parse_qs(urlsplit(returned[-1]).query).items()}
            return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))

        async def note(answer: httpx2.Response) -> None:
            self.answers.append((answer.request.method, answer.request.url.path, answer.status_code))

        self._provider = OAuthClientProvider(
            self.url,
            OAuthClientMetadata(client_name="Python SDK", redirect_uris=[AnyUrl(self.redirect_uri)]),
            self.storage,
            redirect_handler=redirect,
            callback_handler=callback,
            client_metadata_url=self.document,
        )
        async with (
            httpx2.AsyncClient(auth=self._provider, timeout=30, follow_redirects=True, event_hooks={"response": [note]}) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client

    def let_its_token_expire(self) -> None:
        """What `expires_in` told it is over, by its own clock."""
        assert self._provider is not None
        self._provider.context.token_expiry_time = time.time() - 1

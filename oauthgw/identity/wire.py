"""One JSON request to the identity provider, bounded in time and size.

Knows HTTP; knows nothing of what is asked. The operator chose the address, so it needs no guard against private hosts.
"""

import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.auth
from urllib3.exceptions import HTTPError, ReadTimeoutError

from oauthgw.guard import origin
from oauthgw.guard.secret import Secret
from oauthgw.identity.provider import Kind, ProviderError

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
TOTAL_SECONDS = 20.0  # of the body: a peer that sends a byte now and then would never meet the read timeout
MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is None for anything but a JSON object; `retry_after` is in seconds; `location` is where a redirect leads."""

    status: int
    body: dict[str, Any] | None = field(repr=False)
    retry_after: int | None = None
    location: str = field(default="", repr=False)


class _Session(requests.Session):
    """Sees no redirects: the library reads their address also where it is not to follow them, and fails on one that is none."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def ask(
    method: str, url: str, body: dict[str, str] | None = None, *, bearer: Secret | None = None, read_seconds: float = READ_SECONDS
) -> Answer:
    """Sends one request and reads its JSON answer, whatever its status. Redirects are not followed.

    `bearer` goes into the Authorization header. Raises ProviderError (UNREACHABLE, SLOW, FAILING) when there is no answer, or none that
    is small enough.
    """
    try:
        with _Session() as session:
            # A loopback provider (the emulator) is never reached through the environment's proxy.
            session.trust_env = not origin.is_loopback_host(urlsplit(url).netloc)
            with session.request(
                method,
                url,
                json=body,
                headers={"Accept": "application/json", "User-Agent": "mcp-gateway"},
                auth=_Bearer(bearer) if bearer is not None else None,  # as `auth`, so that no .netrc overrides it
                timeout=(min(CONNECT_SECONDS, read_seconds), read_seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = _read(response)
                wait, location = _seconds(response.headers.get("Retry-After", "")), response.headers.get("Location", "")
                return Answer(response.status_code, _json_object(content), wait, location)
    except (requests.Timeout, ReadTimeoutError) as error:
        raise ProviderError(Kind.SLOW, "The sign-in service did not answer in time.", detail=type(error).__name__) from error
    except (requests.RequestException, HTTPError, OSError) as error:
        raise ProviderError(Kind.UNREACHABLE, "The sign-in service could not be reached.", detail=type(error).__name__) from error


@dataclass(frozen=True, slots=True)
class _Bearer(requests.auth.AuthBase):
    """RFC 6750 §2.1."""

    token: Secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token.reveal()}"
        return request


def _read(response: requests.Response) -> bytes:
    deadline = time.monotonic() + TOTAL_SECONDS
    content = b""
    while chunk := response.raw.read1(64 * 1024, decode_content=True):
        content += chunk
        if len(content) > MAX_BYTES:
            raise ProviderError(Kind.FAILING, "The sign-in service gave an answer that is far too long.", detail="answer too long")
        if time.monotonic() > deadline:
            raise ProviderError(Kind.SLOW, "The sign-in service did not answer in time.", detail="answer too slow")
    return content


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _seconds(text: str) -> int | None:
    """`Retry-After` in seconds (RFC 9110 §10.2.3), at most an hour; its date form is not worth a clock comparison."""
    return min(int(text), 3600) if text.isascii() and text.isdigit() and len(text) < 10 else None

"""A form as a program posts it: encoded here, so that a test may damage the encoding or the credentials."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.test import Client as Browser

FORM = "application/x-www-form-urlencoded"


def post(http: Browser, form: str | Mapping[str, str] | Sequence[tuple[str, str]], path: str = "/oauth/token", **headers: str) -> Any:
    """Posts a form; a text is taken to be encoded already."""
    return http.post(path, form if isinstance(form, str) else urlencode(form), content_type=FORM, headers=headers)


def basic(credentials: str | bytes) -> str:
    """An Authorization header for `client_id:secret` (RFC 7617)."""
    raw = credentials.encode() if isinstance(credentials, str) else credentials
    return "Basic " + b64encode(raw).decode()

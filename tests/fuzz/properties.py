"""What must hold of every answer, whatever was asked. Pure: knows a request and its answer, and no server."""

import json
import re
from collections.abc import Iterator

from tests.fuzz.wire import Answer
from tests.fuzz.words import DATA_PLANE, Asked

_TRACES = re.compile(
    rb"Traceback \(most|<div id=\"(?:traceback|requestinfo|explanation)\"|DJANGO_SETTINGS_MODULE|ROOT_URLCONF|URLconf"
    rb"|File \\?[\"'][^\"']+\.py|\.py\\?[\"'], line \d|site-packages|psycopg\.|sqlite3\.|OperationalError|IntegrityError|DoesNotExist"
)
_OAUTH = re.compile(rb"/(?:oauth/)?(?:token|register|revoke|introspect|jwks)(?:[/?]|$)|/\.well-known/|/webhooks/|/mcp(?:[/?]|$)")
_OURS = b"The gateway failed to handle this request"
_NOT_HTTP = (400, "text/plain; charset=utf-8", "close")  # what the server answers before there is a request


def broken(asked: Asked, answer: Answer, secrets: tuple[bytes, ...]) -> Iterator[str]:
    """What does not hold, in words."""
    if answer.status >= 500 and answer.status not in asked.failing:
        yield f"it was answered {answer.status}"
    if _OURS in answer.body:
        yield "it says itself that it failed"
    if (trace := _TRACES.search(answer.body)) is not None:
        yield f"the answer holds a trace: {trace[0]!r}"
    told = b"\n".join([answer.body, *(value.encode("latin-1") for _, value in answer.headers)])
    for number, secret in enumerate(secrets):
        if secret in told and secret not in asked.request.target + asked.request.body:
            yield f"the answer holds secret {number}"
    if (answer.status, answer.header("content-type"), answer.header("connection")) == _NOT_HTTP:
        return
    yield from _headers(asked, answer)
    if (
        answer.status >= 400
        and _OAUTH.match(asked.request.target)
        and asked.request.method != "HEAD"
        and not _is_of_upstream(asked, answer)
    ):
        yield from _error(answer)


def _headers(asked: Asked, answer: Answer) -> Iterator[str]:
    if answer.header("content-type") is None and answer.body and not _is_of_upstream(asked, answer):
        yield "it has no content type"
    if answer.header("x-content-type-options") != "nosniff":
        yield "it may be sniffed"
    if answer.status >= 400 and "no-store" not in (answer.header("cache-control") or "") and not _is_of_upstream(asked, answer):
        yield "a refusal may be kept by a cache"
    if (answer.header("content-type") or "").startswith("text/html"):
        policy = answer.header("content-security-policy") or ""
        # django-csp leaves these two to Django's own pages while DEBUG is on, whose style is inline.
        is_debugs = asked.laptop and answer.status in (404, 500)
        if not is_debugs and ("default-src 'none'" not in policy or "frame-ancestors 'none'" not in policy or "unsafe" in policy):
            yield f"a page with the policy {policy!r}"
        if answer.header("referrer-policy") != "same-origin" or answer.header("x-frame-options") != "DENY":
            yield "a page that tells where one comes from, or may be framed"


def _error(answer: Answer) -> Iterator[str]:
    try:
        told = json.loads(answer.body)
    except ValueError:
        yield f"an error that is no JSON: {answer.body[:100]!r}"
        return
    errors = told if isinstance(told, list) else [told]
    if not errors or not all(isinstance(error, dict) and error.get("error") for error in errors):
        yield f"an error that names none: {answer.body[:100]!r}"


def _is_of_upstream(asked: Asked, answer: Answer) -> bool:
    """Whether it may be an upstream's answer that was passed on: of its refusals these two never are."""
    return asked.endpoint == DATA_PLANE and answer.status not in (401, 403)

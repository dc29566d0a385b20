"""Heads that Django fails to make a request of: each is refused, and no stranger fills the log with tracebacks (CWE-248, CWE-779)."""

import json

import pytest

from tests.attacks_wire.wire import exchange, request
from tests.flows.dataplane_fixtures import Served

pytestmark = pytest.mark.asyncio

_TYPES = {
    "an encoding named NUL": b"text/plain; charset*=utf-8''%00",
    "a parameter in an encoding that is none": b"text/plain; charset*=bogus''a",
    "a parameter that cannot be decoded": b"text/plain; charset*=idna''%ff%ff",
    "the same in a parameter nobody reads": b"text/plain; x*=idna''%ff%ff",
}


@pytest.mark.parametrize(
    "target", [b"/", b"/oauth/login", b"/oauth/token", b"/healthz", b"/admin/", b"/.well-known/oauth-authorization-server"]
)
@pytest.mark.parametrize("media_type", _TYPES.values(), ids=_TYPES)
async def test_a_content_type_that_cannot_be_read_is_refused(served: Served, target: bytes, media_type: bytes) -> None:
    await _is_refused(served, request(target, b"Content-Type: " + media_type, method=b"GET"))


@pytest.mark.parametrize("target", [b"/", b"/oauth/login", b"/oauth/callback", b"/oauth/authorize"])
async def test_an_encoding_does_not_make_too_long_a_query_a_failure(served: Served, target: bytes) -> None:
    await _is_refused(served, request(target + b"?" + b"a=1&" * 201 + b"a=1", b"Content-Type: text/plain; charset=utf-8", method=b"GET"))


async def test_a_query_of_other_bytes_than_text_is_refused(served: Served) -> None:
    await _is_refused(served, request(b"/oauth/login?next=\xff\xfe", method=b"GET"))


async def _is_refused(served: Served, head: bytes) -> None:
    begun = len(served.log())
    refused = await exchange(served, head)
    assert refused.status == 400
    assert "Traceback" not in served.log()[begun:]
    if refused.body.startswith(b"{"):
        assert json.loads(refused.body)["error"] == "invalid_request"

"""The eras: which one a request is of, and whether its headers agree with its body."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_routes.proxy import revisions
from mcp_routes.proxy.messages import NOTHING, Body, Posted

MODERN = "2026-07-28"


def call(**changed: str | None) -> Posted:
    values: dict[str, str | None] = {"name": "add", "uri": None, "version": MODERN, **changed}
    return Posted(method=changed.get("method") or "tools/call", id=b"1", **{key: values[key] for key in ("name", "uri", "version")})


def sent(**changed: str | None) -> dict[bytes, bytes]:
    values = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "add", **changed}
    return {name.encode(): value.encode() for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("version", "modern"),
    [
        (None, False),
        ("2025-11-25", False),
        ("2026-07-27", False),
        (MODERN, True),
        ("2027-01-01", True),
        ("zzz", False),
        ("2026-07-28x", False),
    ],
)
def test_the_era_is_named_by_the_header_or_by_the_body(version: str | None, modern: bool) -> None:
    assert revisions.is_modern(version, NOTHING) is modern
    assert revisions.is_modern("2025-11-25", Body((call(version=MODERN),), is_batch=False))


@pytest.mark.parametrize(
    ("version", "modern"),
    [(None, False), ("2025-11-25", False), ("2026-07-27", False), (MODERN, True), ("2027-01-01", True), ("v999.0.0", True), ("", True)],
)
def test_a_revision_that_the_body_names_is_modern_unless_it_is_old(version: str | None, modern: bool) -> None:
    assert revisions.is_modern(None, Body((call(version=version),), is_batch=False)) is modern
    assert revisions.is_modern(version, Body((call(version=version),), is_batch=False)) is modern


def test_an_unknown_revision_in_the_header_alone_is_of_the_old_era() -> None:
    assert not revisions.is_modern("v999.0.0", Body((call(version=None),), is_batch=False))


def test_a_resource_is_named_by_its_uri() -> None:
    message = call(method="resources/read", name="other", uri="demo://x")
    assert revisions.disagreement(sent(**{"mcp-method": "resources/read", "mcp-name": "demo://x"}), message) is None
    assert revisions.disagreement(sent(**{"mcp-method": "resources/read", "mcp-name": "other"}), message) == "Mcp-Name"


def test_methods_without_a_name_need_none() -> None:
    assert revisions.disagreement(sent(**{"mcp-method": "tools/list", "mcp-name": None}), call(method="tools/list")) is None


def test_notifications_need_no_headers() -> None:
    assert revisions.disagreement({}, Posted(method="notifications/x", id=None)) is None


def test_a_revision_that_the_body_names_must_be_in_the_header() -> None:
    assert revisions.disagreement(sent(), call(version="2027-01-01")) == "MCP-Protocol-Version"
    assert revisions.disagreement(sent(**{"mcp-protocol-version": None}), call()) == "MCP-Protocol-Version"


def test_a_body_that_names_no_revision_is_left_to_the_upstream() -> None:
    """It is malformed: -32602 (MCP 2026-07-28, "Per-request protocol fields"), where a mismatch is -32020."""
    assert revisions.disagreement(sent(), call(version=None)) is None
    assert revisions.disagreement(sent(**{"mcp-name": "other"}), call(version=None)) == "Mcp-Name"


@given(st.text())
def test_what_is_encoded_is_decoded(name: str) -> None:
    try:
        encoded = base64.b64encode(name.encode()).decode()
    except UnicodeEncodeError:
        return
    assert revisions.decoded(f"=?base64?{encoded}?=") == name


@pytest.mark.parametrize("value", ["=?base64?YWR?=", "=?base64?YWRk YQ==?=", "=?base64?/w==?=", "=?base64?YWRkYR==?=", "=?base64?ñ?="])
def test_a_broken_encoding_matches_nothing(value: str) -> None:
    assert revisions.decoded(value) is None


@pytest.mark.parametrize("value", ["add", "=?BASE64?YWRk?=", "=?base64?YWRk", ""])
def test_what_is_not_encoded_is_itself(value: str) -> None:
    assert revisions.decoded(value) == value

"""Which headers pass, and how they are counted."""

import pytest

from mcp_routes.proxy import headers
from oauthgw.guard.secret import Secret


@pytest.mark.parametrize("name", ["Authorization", "Mcp-Session-Id", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
def test_a_second_copy_of_a_deciding_header_is_found(name: str) -> None:
    raw = name.lower().encode()
    assert headers.repeated([(raw, b"a"), (raw, b"a")]) == name.lower()
    assert headers.repeated([(raw, b"a"), (b"accept", b"a"), (b"accept", b"b")]) is None


def test_a_value_is_read_without_white_space_around_it() -> None:
    assert headers.one([(b"mcp-name", b" \tadd ")], b"mcp-name") == "add"
    assert headers.one([], b"mcp-name") is None


@pytest.mark.parametrize("value", ["añadir".encode(), b"\xe4", b"plain"])
def test_any_value_can_be_sent_on(value: bytes) -> None:
    passed = headers.to_upstream([(b"mcp-name", value)], frozenset(), None, {})
    passed["mcp-name"].encode()  # a lone surrogate could not be sent


def test_what_the_route_adds_replaces_what_the_client_sent() -> None:
    passed = headers.to_upstream([(b"traceparent", b"client")], frozenset(), None, {"Traceparent": Secret("route")})
    assert passed.getall("traceparent") == ["route"]


def test_the_clients_own_session_id_never_passes() -> None:
    raw = [(headers.SESSION, b"signed")]
    assert "mcp-session-id" not in headers.to_upstream(raw, frozenset(), None, {})
    assert headers.to_upstream(raw, frozenset(), "up-1", {}).getall("mcp-session-id") == ["up-1"]


@pytest.mark.parametrize("name", [b"mcp-session_id", b"mcp-protocol_version", b"mcp_session_id"])
def test_no_spelling_of_a_deciding_header_passes_that_some_servers_read_as_it(name: bytes) -> None:
    passed = headers.to_upstream([(name, b"victims-session"), (b"mcp-param-region", b"eu")], frozenset(), None, {})
    assert name.decode() not in passed
    assert passed["mcp-param-region"] == "eu"


def test_a_header_that_no_server_may_send_does_not_come_back() -> None:
    assert headers.to_client([(b"Cache-Control", b"no-\x00cache"), (b"Allow", b"GET")]) == [(b"allow", b"GET")]

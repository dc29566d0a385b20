"""Which headers pass, and how they are counted."""

import pytest

from mcp_routes.proxy import headers
from oauthgw.guard.secret import Secret


@pytest.mark.parametrize("name", ["Authorization", "Mcp-Session-Id", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
def test_a_second_copy_of_a_deciding_header_is_found(name: str) -> None:
    raw = name.lower().encode()
    assert repeated([(raw, b"a"), (raw, b"a")]) == name.lower()
    assert repeated([(raw, b"a"), (b"accept", b"a"), (b"accept", b"b")]) is None
    assert repeated([(raw, b"a"), (b"accept", b"a")]) is None


def repeated(sent: list[tuple[bytes, bytes]]) -> str | None:
    return headers.repeated(sent, headers.by_name(sent))


def test_of_several_with_one_name_the_first_is_read() -> None:
    assert headers.one(headers.by_name([(b"accept", b"a"), (b"accept", b"b")]), b"accept") == "a"


def test_a_value_is_read_without_white_space_around_it() -> None:
    assert headers.one({b"mcp-name": b" \tadd "}, b"mcp-name") == "add"
    assert headers.one({}, b"mcp-name") is None


def to_upstream(*sent: tuple[bytes, bytes], session: str | None = None, **own: str) -> list[tuple[bytes, bytes]]:
    """What passes of this, but for what is always there."""
    added = {name: Secret(value) for name, value in own.items()}
    always = headers.to_upstream([], frozenset(), None, {})
    return [header for header in headers.to_upstream(sent, frozenset(), session, added) if header not in always]


@pytest.mark.parametrize("value", ["añadir".encode(), b"\xe4", b"plain"])
def test_any_value_is_sent_on_as_it_came(value: bytes) -> None:
    assert to_upstream((b"mcp-name", value)) == [(b"mcp-name", value)]


def test_what_the_route_adds_replaces_what_the_client_sent() -> None:
    assert to_upstream((b"traceparent", b"client"), Traceparent="route") == [(b"traceparent", b"route")]


def test_a_route_may_say_what_the_gateway_calls_itself() -> None:
    passed = headers.to_upstream([], frozenset(), None, {"User-Agent": Secret("ours")})
    assert [value for name, value in passed if name == b"user-agent"] == [b"ours"]


def test_the_clients_own_session_id_never_passes() -> None:
    assert to_upstream((headers.SESSION, b"signed")) == []
    assert to_upstream((headers.SESSION, b"signed"), session="up-1") == [(headers.SESSION, b"up-1")]


@pytest.mark.parametrize("name", [b"mcp-session_id", b"mcp-protocol_version", b"mcp_session_id"])
def test_no_spelling_of_a_deciding_header_passes_that_some_servers_read_as_it(name: bytes) -> None:
    assert to_upstream((name, b"victims-session"), (b"mcp-param-region", b"eu")) == [(b"mcp-param-region", b"eu")]


def test_a_header_that_no_server_may_send_does_not_come_back() -> None:
    assert headers.read_answered([(b"cache-control", b"no-\x00cache"), (b"allow", b"GET")]).passed == [(b"allow", b"GET")]


@pytest.mark.parametrize(
    ("sent", "kind", "is_encoded"),
    [
        ([(b"content-type", b"Application/JSON ; charset=utf-8")], b"application/json", False),
        ([(b"content-encoding", b"Identity")], b"", False),
        ([(b"content-encoding", b"identity"), (b"content-encoding", b"gzip")], b"", True),
        ([], b"", False),
    ],
)
def test_what_an_answer_is_judged_by(sent: list[tuple[bytes, bytes]], kind: bytes, is_encoded: bool) -> None:
    answered = headers.read_answered(sent)
    assert (answered.kind, answered.is_encoded) == (kind, is_encoded)

"""Reading just enough of JSON-RPC, and writing errors."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_routes.proxy import messages


@pytest.mark.parametrize("message_id", ['"a"', "1", "-3", "1.5", "123456789012345678901234567890", '"\\u00e9"'])
def test_an_id_comes_back_as_it_was_written(message_id: str) -> None:
    body = messages.read(f'{{"jsonrpc":"2.0","id": {message_id} ,"method":"ping"}}'.encode())
    assert f'"id":{message_id}' in messages.error(body, -1, "no", "r").decode()


@pytest.mark.parametrize("message_id", ["null", "true", "[1]", "{}"])
def test_an_id_that_readers_could_disagree_about_is_refused(message_id: str) -> None:
    with pytest.raises(messages.Unreadable) as refused:
        messages.read(f'{{"jsonrpc":"2.0","id":{message_id},"method":"ping"}}'.encode())
    assert refused.value.code == messages.NOT_JSON_RPC


def test_a_notification_and_a_clients_response_expect_no_answer() -> None:
    for text in (b'{"method":"notifications/x"}', b'{"id":1,"result":{}}', b'{"id":1,"error":{}}'):
        assert messages.read(text).messages[0].id is None


def test_an_error_for_a_batch_answers_its_requests_only() -> None:
    body = messages.read(b'[{"id":1,"method":"a"},{"method":"n"},{"id":"b","method":"c"}]')
    assert [error["id"] for error in json.loads(messages.error(body, -1, "no", "r"))] == [1, "b"]


def test_an_error_names_the_request_in_the_log() -> None:
    error = json.loads(messages.error(messages.NOTHING, -5, "A sentence.", "r-1"))
    assert error == {"jsonrpc": "2.0", "error": {"code": -5, "message": "A sentence.", "data": {"request_id": "r-1"}}}


@pytest.mark.parametrize(
    "params", ["[1]", '"x"', "null", '{"name":5,"uri":[],"_meta":7}', '{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}']
)
def test_parameters_of_the_wrong_type_are_no_names(params: str) -> None:
    message = messages.read(f'{{"id":1,"method":"tools/call","params":{params}}}'.encode()).messages[0]
    assert (message.name, message.uri, message.version) == (None, None, None)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(messages.Unreadable):
        assert messages.read(body).messages


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"jsonrpc":"2.0","id":1}', True),
        (b'[{"jsonrpc":"2.0"}]', True),
        (b'{"id":1}', False),
        (b"[]", False),
        (b"null", False),
        (b"<", False),
    ],
)
def test_what_counts_as_json_rpc_from_an_upstream(body: bytes, expected: bool) -> None:
    assert messages.is_json_rpc(body) is expected

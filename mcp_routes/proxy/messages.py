"""Just enough JSON-RPC: the few fields of a posted body that the gateway reads, and the errors it writes.

Values that are only passed on (parameters, results, ids) are never decoded. Source: JSON-RPC 2.0; MCP "Messages".
"""

from typing import Any

import msgspec

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"

NOT_JSON = -32700
NOT_JSON_RPC = -32600


class Unreadable(Exception):
    """A body that is not JSON (`NOT_JSON`) or not a JSON-RPC message (`NOT_JSON_RPC`)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Posted(msgspec.Struct, frozen=True):
    """One message of a body. `id` is the raw JSON of a request's id; None for a notification and for a client's own response.

    `name` and `uri` are the parameters of those names, `version` the revision that `_meta` names; None unless they are strings.
    """

    method: str | None
    id: bytes | None
    name: str | None = None
    uri: str | None = None
    version: str | None = None


class Body(msgspec.Struct, frozen=True):
    """A posted body: one message, or a batch (revision 2025-03-26 only)."""

    messages: tuple[Posted, ...]
    is_batch: bool


NOTHING = Body((), is_batch=False)  # GET and DELETE


class _Params(msgspec.Struct):
    name: Any = None
    uri: Any = None
    meta: Any = msgspec.field(default=None, name="_meta")


class _Envelope(msgspec.Struct):
    method: str | msgspec.UnsetType = msgspec.UNSET
    id: msgspec.Raw = msgspec.Raw()
    params: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Request(msgspec.Struct):
    """What nearly every body is; whatever is not this is read as an envelope, step by step."""

    method: str
    id: msgspec.Raw
    params: _Params


_request = msgspec.json.Decoder(_Request)
_one = msgspec.json.Decoder(_Envelope)
_batch = msgspec.json.Decoder(list[_Envelope])
_params = msgspec.json.Decoder(_Params)


def read(body: bytes) -> Body:
    """Reads a posted body. Raises Unreadable."""
    try:
        body.decode()  # fields that are skipped below would not be checked for valid UTF-8
        try:
            request = _request.decode(body)
        except msgspec.ValidationError:
            pass
        else:
            return Body((_with_params(request.method, _id(bytes(request.id)), request.params),), is_batch=False)
        is_batch = body.lstrip(b" \t\r\n")[:1] == b"["
        envelopes = _batch.decode(body) if is_batch else [_one.decode(body)]
        messages = tuple(_posted(envelope) for envelope in envelopes)
    except msgspec.ValidationError as error:
        # A wrong type is reported before the syntax of what follows it is known.
        raise Unreadable(NOT_JSON_RPC if is_json(body) else NOT_JSON) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(NOT_JSON) from error
    if not messages:
        raise Unreadable(NOT_JSON_RPC)
    return Body(messages, is_batch)


def _id(raw: bytes) -> bytes:
    """A null or structured id is refused: what one reader takes for a notification another would answer."""
    if raw[:1] not in b'"-0123456789':
        raise Unreadable(NOT_JSON_RPC)
    return raw


def _posted(envelope: _Envelope) -> Posted:
    """One message."""
    message_id = _id(bytes(envelope.id)) if bytes(envelope.id) else None
    if envelope.method is msgspec.UNSET:
        if not bytes(envelope.result) and not bytes(envelope.error):
            raise Unreadable(NOT_JSON_RPC)
        return Posted(method=None, id=None)
    return _with_params(envelope.method, message_id, _read_params(bytes(envelope.params)))


def _with_params(method: str, message_id: bytes | None, params: _Params) -> Posted:
    name, uri, meta = params.name, params.uri, params.meta
    version = meta.get(VERSION_KEY) if isinstance(meta, dict) else None
    return Posted(
        method,
        message_id,
        name if isinstance(name, str) else None,
        uri if isinstance(uri, str) else None,
        version if isinstance(version, str) else None,
    )


def _read_params(raw: bytes) -> _Params:
    try:
        return _params.decode(raw) if raw else _Params()
    except msgspec.ValidationError:  # an array or a scalar: it has no such fields, and the upstream may judge it
        return _Params()


def error(body: Body, code: int, sentence: str, request_id: str) -> bytes:
    """The error that answers this body: with the request's id, an array for a batch, without an id for what expects no answer."""
    problem = {"code": code, "message": sentence, "data": {"request_id": request_id}}
    asked = [message.id for message in body.messages if message.id is not None]
    if body.is_batch and asked:
        return msgspec.json.encode([_error(problem, message_id) for message_id in asked])
    return msgspec.json.encode(_error(problem, asked[0] if asked else None))


def _error(problem: dict[str, Any], message_id: bytes | None) -> dict[str, Any]:
    if message_id is None:
        return {"jsonrpc": "2.0", "error": problem}
    return {"jsonrpc": "2.0", "id": msgspec.Raw(message_id), "error": problem}


def is_json(body: bytes) -> bool:
    """Whether these bytes are JSON of any kind."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def is_json_rpc(body: bytes) -> bool:
    """Whether these bytes are a JSON-RPC message, or a batch of them."""
    if not is_json(body):
        return False
    top = msgspec.json.decode(body)
    items = top if isinstance(top, list) else [top]
    return bool(items) and all(isinstance(item, dict) and item.get("jsonrpc") == "2.0" for item in items)

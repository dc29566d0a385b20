"""The grammar of the data plane: JSON-RPC of both eras to a server that answers properly, and to one that means harm."""

import json

from hypothesis import strategies as st

from tests.fuzz import words
from tests.fuzz.house import House, blank
from tests.fuzz.pages import answers
from tests.fuzz.stranger import http
from tests.fuzz.wire import Answer, Request
from tests.fuzz.words import DATA_PLANE, JSON, Asked

_MODERN = "io.modelcontextprotocol/protocolVersion"
_METHODS = (
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "prompts/get",
    "resources/read",
    "subscriptions/listen",
    "notifications/initialized",
)


@st.composite
def call(draw: st.DrawFn, house: House) -> Asked:
    """One request to `/mcp/{slug}`."""
    demo = draw(st.integers(0, 3)) == 0
    answer = draw(_upstream())
    slug = (
        "demo"
        if demo
        else draw(st.sampled_from(("told", "told", "told", "told-before", "told/", "nope", "..", "told/x", "%74old", "TOLD")))
    )
    token = house.known["kept"][1] if demo else draw(st.sampled_from((house.known["token"], blank("access"))))
    method = draw(st.sampled_from(_METHODS))
    modern = draw(st.booleans())
    body = draw(_body(method, modern))
    right = [JSON, (b"Accept", b"application/json, text/event-stream"), (b"Authorization", b"Bearer " + token.encode())]
    if modern:
        right += [(b"MCP-Protocol-Version", b"2026-07-28"), (b"Mcp-Method", method.encode()), (b"Mcp-Name", b"echo")]
    elif draw(st.booleans()):
        right += [(b"Mcp-Session-Id", blank("mcpsession").encode()), (b"MCP-Protocol-Version", b"2025-11-25")]
    verb = draw(words.methods("POST", "POST", "POST", "POST", "GET", "DELETE"))
    query = draw(st.sampled_from((b"",) * 12 + (b"?access_token=x", b"?a=%ff", b"?" + b"a=1&" * 500)))
    request = Request(verb, f"/mcp/{slug}".encode() + query, draw(words.headers(*right)), body if verb not in ("GET", "HEAD") else b"")
    return Asked(DATA_PLANE, request, failing=() if demo else (500, 502, 503, 504, 599), learn=_learn_session, stranger=lambda path: answer)


def _learn_session(house: House, answer: Answer) -> None:
    session = answer.header("mcp-session-id")
    if session:
        house.learn("mcpsession", session)


@st.composite
def _body(draw: st.DrawFn, method: str, modern: bool) -> bytes:
    params: dict[str, object] = {"name": "echo", "arguments": {"text": "x"}, "uri": "echo"}
    if method == "initialize":
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "f", "version": "1"}}
    if modern:
        params["_meta"] = draw(words.members({_MODERN: "2026-07-28"}, ("progressToken", "io.modelcontextprotocol/clientCapabilities")))
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": draw(words.members(params, ("cursor", "_meta", "requestState")))}
    drawn = draw(words.members(message, ("result", "error", "extra")))
    if draw(st.integers(0, 9)) == 0:
        drawn = [drawn] * draw(st.sampled_from((0, 1, 2, 200)))
    damaged = draw(st.integers(0, 14)) == 0
    return draw(words.odd_bytes) if damaged else json.dumps(drawn).encode()


@st.composite
def _upstream(draw: st.DrawFn) -> bytes:
    """What the hostile server answers."""
    message = draw(words.members({"jsonrpc": "2.0", "id": 1, "result": {}}, ("error", "method", "params")))
    content = json.dumps(message).encode()
    if draw(st.integers(0, 3)) == 0:
        events = b"".join(
            draw(st.lists(st.sampled_from((b"data: " + content + b"\n\n", b": c\n\n", b"id: \xff\ndata: x\n\n", b"data")), max_size=4))
        )
        return http(events, "text/event-stream", 200, b"Mcp-Session-Id: " + draw(st.sampled_from((b"s-1", b"\xff", b"a b", b"x" * 3_000))))
    return draw(answers(content))

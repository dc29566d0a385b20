"""What the doctor, and the admin, find at a route's upstream."""

import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from mcp_routes.models import McpRoute
from mcp_routes.probing import Upstream, probe
from oauthgw.guard.finding import Verdict
from oauthgw.guard.secret import Secret
from tests.support.processes import free_port
from tests.unit.doctor.conftest import Answer, Answers, json_answer

Serve = Callable[[Answers], str]
SERVER = {"name": "Weather\x1b[2J", "version": "1"}
RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25", "serverInfo": SERVER, "capabilities": {}}}
EVENTS = b'event: message\r\ndata: {"jsonrpc": "2.0", "id": 1, "result": {}}\r\n\r\nevent: message\r\ndata: {'


def upstream(url: str, **headers: str) -> Upstream:
    return Upstream("weather", f"{url}/mcp?key=hidden", {name: Secret(value) for name, value in headers.items()})


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (json_answer(RESULT), "“Weather[2J” answers"),
        ((200, {"Content-Type": "text/event-stream"}, EVENTS), "an MCP server answers"),
        (json_answer({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "No."}}, 400), "an MCP server answers"),
    ],
    ids=["JSON", "an event stream", "a modern server, which knows no initialize"],
)
def test_a_server_that_answers(serve: Serve, answer: Answer, says: str) -> None:
    found = probe(upstream(serve(lambda method, path, headers: answer)))
    assert found.verdict is Verdict.OK and says in found.says


@pytest.mark.parametrize(
    ("answer", "says", "mend"),
    [
        (json_answer({}, 401), "without credentials (status 401).", "headers"),
        (json_answer({}, 401, {"WWW-Authenticate": 'bearer realm="hidden"'}), "(status 401, it asks for Bearer)", "headers"),
        (json_answer({}, 401, {"WWW-Authenticate": "hidden"}), "(status 401).", "headers"),
        (json_answer({}, 404), "no MCP endpoint", "/mcp"),
        (json_answer({}, 503), "has a problem", "log"),
        (json_answer({"hello": "world"}), "no MCP message", "URL"),
        ((200, {"Content-Type": "text/html"}, b"<html>" + b"x" * 100_000), "no MCP message (status 200, text/html)", "URL"),
        ((307, {"Location": "https://new.example.com/mcp?key=hidden"}, b""), "redirects to 'https://new.example.com/mcp'", "that address"),
    ],
    ids=["401", "401 with a scheme", "401 with a word of its own", "404", "5xx", "other JSON", "a web page", "a redirect"],
)
def test_a_server_that_does_not(serve: Serve, answer: Answer, says: str, mend: str) -> None:
    found = probe(upstream(serve(lambda method, path, headers: answer)))
    assert found.verdict is Verdict.PROBLEM
    assert says in found.says and mend in found.mend and "hidden" not in str(found)


def test_the_routes_own_headers_are_sent_and_never_told(serve: Serve) -> None:
    right = "canary"
    url = serve(lambda method, path, headers: json_answer(RESULT, 200 if headers.get("X-Api-Key") == right else 403))
    assert probe(upstream(url, **{"X-Api-Key": "canary"})).verdict is Verdict.OK
    refused = probe(upstream(url, **{"X-Api-Key": "other-canary"}))
    assert "does not accept the route's headers" in refused.says and "canary" not in str(refused)


def test_a_session_that_was_opened_is_ended(serve: Serve) -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(method: str, path: str, headers: dict[str, str]) -> Answer:
        seen.append((method, headers.get("Mcp-Session-Id")))
        return json_answer(RESULT, headers={"Mcp-Session-Id": "s-1"})

    probe(upstream(serve(answer)))
    assert seen == [("POST", None), ("DELETE", "s-1")]


def test_nobody_there() -> None:
    found = probe(Upstream("weather", f"http://127.0.0.1:{free_port()}/mcp", {}))
    assert found.verdict is Verdict.PROBLEM and "cannot be reached" in found.says


def test_a_name_that_does_not_exist() -> None:
    assert "cannot be reached" in probe(Upstream("weather", "http://nobody.invalid/mcp", {})).says


def test_headers_that_no_key_opens(demo: McpRoute, replace_encryption_key: Callable[[], None]) -> None:
    demo.auth_mode = "headers"
    demo.set_headers({"X-Api-Key": "canary"})
    replace_encryption_key()
    assert "cannot be opened" in probe(Upstream.of(demo)).says


def test_an_answer_without_end_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_routes.probing.ANSWER_SECONDS", 0.2)
    released = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n")
            while not released.wait(0.02):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: drip(server.accept()[0]))
        thread.start()
        found = probe(Upstream("weather", f"http://127.0.0.1:{server.getsockname()[1]}/mcp", {}))
        released.set()
        thread.join()
    assert "does not answer in time" in found.says

"""Rules about what stands between a client and its server: browsers, proxies, firewalls, several nodes."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from tests.flows.conftest import INITIALIZE, LOOPBACK, PING, House
from tests.flows.visitor import FORWARD, Visitor
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE, free_port

AGENTS = ["Claude-User", "python-httpx/0.28.1", "openai-mcp/1.0.0", "node", "Bun/1.2", "curl/8.5.0", "Mozilla/5.0 (compatible; GPTBot/1.2)"]
ACCEPT = {"Accept": "application/json, text/event-stream"}


def in_session(token: str, session: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}


@pytest.mark.parametrize("agent", AGENTS)
def test_rule_11_no_client_is_taken_for_a_bot(house: House, agent: str) -> None:
    """anthropics/claude-ai-mcp#872, #438, #1061, homeassistant-ai/ha-mcp#2213."""
    headers = {"User-Agent": agent, **ACCEPT}
    assert requests.post(house.route("demo"), json=PING, headers=headers, timeout=PATIENCE).status_code == 401
    for path in ("/.well-known/oauth-protected-resource/mcp/demo", "/.well-known/oauth-authorization-server/mcp/demo"):
        assert house.gateway.get(path, headers=headers).status_code == 200
    assert (
        requests.post(f"{house.url}/oauth/register", json={"redirect_uris": [LOOPBACK]}, headers=headers, timeout=PATIENCE).status_code
        == 201
    )


def test_rule_11_what_signs_in_waits_for_no_upstream(house: House) -> None:
    """Clients give up after ten seconds; a server behind that is gone must not be what they wait for."""
    house.gateway.manage("mcproute", "add", "gone", f"http://127.0.0.1:{free_port()}/mcp", "--name", "Gone")
    begun = time.monotonic()
    tokens = house.tokens("gone")
    assert house.call("gone", tokens["access_token"]).status_code == 502
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("decision", ["approve", "cancel"])
def test_rule_12_a_decision_is_answered_by_a_page_that_forwards(
    house: House, alice: Visitor, asks: Callable[..., str], decision: str
) -> None:
    """PrefectHQ/fastmcp#2302, #3369, metatool-ai/metamcp#170: form-action 'self' stops a redirect to the client in Chromium."""
    client = house.register(redirect_uris=[LOOPBACK])
    page = alice.open(asks(client["client_id"], LOOPBACK))
    answer = alice.press(page, decision)
    assert (answer.status_code, answer.history) == (200, [])
    assert FORWARD.search(answer.text)
    for response in (page, answer):
        assert "form-action 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-Host"])
def test_rule_13_no_header_of_a_request_moves_the_issuer(house: House, header: str) -> None:
    """e2a-dev/e2a#635, superlinked/sie#275, elastic/docs-builder#2805, upstash/context7#2723."""
    told = {header: "host=evil.example;proto=https" if header == "Forwarded" else "evil.example"}
    document = house.gateway.get("/.well-known/oauth-authorization-server/mcp/demo", headers=told)
    assert document.json()["issuer"] == house.route("demo")
    assert "evil.example" not in document.text
    assert house.gateway.get("/.well-known/oauth-authorization-server", headers={"Host": "evil.example"}).status_code == 400


def test_rule_14_a_session_goes_on_at_another_node(start_gateway: Callable[..., Gateway], house: House) -> None:
    """agentic-community/mcp-gateway-registry#960, GitbookIO/gitbook#4280: sessions in one process's memory."""
    tokens = house.tokens("demo")
    same = ("DATABASE_URL", "SECRET_KEY", "TOKEN_ENCRYPTION_KEYS", "GATEWAY_ORIGIN", "FETCH_TRUSTED_HOSTS")
    other = start_gateway(**{name: house.gateway.environment[name] for name in same})
    session = house.call("demo", tokens["access_token"]).headers["Mcp-Session-Id"]
    headers = {
        "Authorization": f"Bearer {tokens['access_token']}",
        "Mcp-Session-Id": session,
        "MCP-Protocol-Version": "2025-11-25",
        **ACCEPT,
    }
    answer = requests.post(f"http://localhost:{other.port}/mcp/demo", json=PING, headers=headers, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    unknown = requests.post(house.route("demo"), json=PING, headers={**headers, "Mcp-Session-Id": "made-up"}, timeout=PATIENCE)
    assert unknown.status_code == 404


@pytest.mark.parametrize("slash", ["", "/"])
def test_rule_14_neither_slash_form_redirects(house: House, slash: str) -> None:
    tokens = house.tokens("demo")
    headers = {"Authorization": f"Bearer {tokens['access_token']}", **ACCEPT}
    answer = requests.post(house.route("demo") + slash, json=INITIALIZE, headers=headers, timeout=PATIENCE, allow_redirects=False)
    assert answer.status_code == 200


@pytest.fixture
def refusing() -> Iterator[str]:
    """The URL of an upstream that does not accept what the gateway shows it."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Bearer resource_metadata="https://elsewhere.example/"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/mcp"
        server.shutdown()
        thread.join()


def test_rule_15_an_upstreams_refusal_is_neither_a_sign_out_nor_an_empty_answer(house: House, refusing: str) -> None:
    """ProfessionalWiki/MediaWiki-MCP-Server#443, BerriAI/litellm#33072, #29588: the client threw its good token away, or saw no tools."""
    house.gateway.manage("mcproute", "add", "refusing", refusing)
    answer = house.call("refusing", house.tokens("refusing")["access_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, -31502)
    assert "WWW-Authenticate" not in answer.headers and "elsewhere.example" not in answer.text


def test_rule_17_a_stream_is_not_to_be_kept_back_and_arrives_as_it_is_written(house: House, tmp_path: Path) -> None:
    """Vexa-ai/vexa#795, mckinsey/agents-at-scale-ark#1941, agentgateway/website#1064: cut after 30 seconds, or all at once."""
    tokens = house.tokens("demo")
    session = house.call("demo", tokens["access_token"]).headers["Mcp-Session-Id"]
    headers = {
        "Authorization": f"Bearer {tokens['access_token']}",
        "Mcp-Session-Id": session,
        "MCP-Protocol-Version": "2025-11-25",
        **ACCEPT,
    }
    slow = {"name": "slow", "arguments": {"steps": 3}, "_meta": {"progressToken": "p"}}
    call = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": slow}
    with requests.post(house.route("demo"), json=call, headers=headers, timeout=PATIENCE, stream=True) as answer:
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert {"no-cache", "no-transform"} <= set(answer.headers["Cache-Control"].replace(" ", "").split(","))
        assert "Content-Encoding" not in answer.headers
        arrivals = [time.monotonic() for line in answer.iter_lines(chunk_size=1) if b"progress" in line]
    assert len(arrivals) == 3
    assert arrivals[-1] - arrivals[0] > 0.2, "the progress came only when all was done"

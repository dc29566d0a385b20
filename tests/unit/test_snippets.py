"""What people copy into their clients: complete, valid, and whole after a shell has read it."""

import json
import shlex
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from mcp_routes.snippets import Snippet, snippets


def only(client: str, url: str = "https://mcp.example.com/mcp/demo") -> Snippet:
    (found,) = [snippet for snippet in snippets("demo", url) if snippet.client == client]
    return found


def files(snippet: Snippet) -> list[Any]:
    return [json.loads(step.code) for step in snippet.steps if step.is_file]


def command(snippet: Snippet) -> list[str]:
    (line,) = [step.code for step in snippet.steps if step.code and not step.is_file]
    return shlex.split(line)


@pytest.mark.parametrize("url", ["https://mcp.example.com/mcp/demo", "http://localhost:9000/mcp/demo", "http://[::1]:9000/mcp/demo"])
def test_commands_reach_a_shell_whole(url: str) -> None:
    assert command(only("Claude Code", url)) == ["claude", "mcp", "add", "--transport", "http", "demo", url]
    program, flag, server = command(only("VS Code", url))
    assert (program, flag, json.loads(server)) == ("code", "--add-mcp", {"name": "demo", "type": "http", "url": url})
    assert command(only("MCP Inspector", url))[-2:] == ["--server-url", url]


def test_an_ipv6_address_is_quoted_because_shells_read_brackets_as_a_pattern() -> None:
    assert "'http://[::1]:9000/mcp/demo'" in only("Claude Code", "http://[::1]:9000/mcp/demo").steps[0].code


def test_files_hold_what_each_client_reads() -> None:
    url = "https://mcp.example.com/mcp/demo"
    assert files(only("Cursor")) == [{"mcpServers": {"demo": {"url": url}}}]
    assert files(only("VS Code")) == [{"servers": {"demo": {"type": "http", "url": url}}}]
    assert files(only("Claude Desktop")) == [{"mcpServers": {"demo": {"command": "npx", "args": ["-y", "mcp-remote", url]}}}]


def test_cursors_link_carries_the_same_server_as_its_file() -> None:
    cursor = only("Cursor")
    link = urlsplit(cursor.link)
    query = parse_qs(link.query, strict_parsing=True)
    assert f"{link.scheme}://{link.netloc}{link.path}" == "cursor://anysphere.cursor-deeplink/mcp/install"
    assert {query["name"][0]: json.loads(b64decode(query["config"][0]))} == files(cursor)[0]["mcpServers"]


@pytest.mark.parametrize(
    ("url", "pasted"),
    [("https://mcp.example.com/mcp/demo", ["https://mcp.example.com/mcp/demo"]), ("http://localhost:9000/mcp/demo", [])],
)
def test_a_connector_is_offered_only_where_it_could_reach_the_gateway(url: str, pasted: list[str]) -> None:
    assert [step.code for step in only("Claude Desktop", url).steps if step.code and not step.is_file] == pasted

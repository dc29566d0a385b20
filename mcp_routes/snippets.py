"""How to connect, client by client: text that can be copied as it stands.

Pure: knows a route's slug and URL and what each client wants to be told; knows no request and no database. Sources: the clients' own
documentation, and for Cursor's link its published deeplink format.
"""

import json
import shlex
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from oauthgw.guard.origin import LOOPBACK_NAMES


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `code`, where there is one, is complete: a command line or a URL to paste, or else the content of a file."""

    text: str
    code: str = ""
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Snippet:
    """How one client is connected. `link` opens the client with everything filled in; empty where no such link is known."""

    client: str
    steps: tuple[Step, ...]
    link: str = ""
    link_label: str = ""


def snippets(slug: str, url: str) -> tuple[Snippet, ...]:
    """Every client we know, in the order in which people ask for them. `slug` names the server in the client, `url` is the route's."""
    return (_claude_code(slug, url), _claude_desktop(slug, url), _cursor(slug, url), _vs_code(slug, url), _inspector(url))


def _claude_code(slug: str, url: str) -> Snippet:
    return Snippet(
        "Claude Code",
        (
            Step("Run in a terminal:", shlex.join(["claude", "mcp", "add", "--transport", "http", slug, url])),
            Step(f"Then start Claude Code, type /mcp, choose {slug} and sign in."),
        ),
    )


def _claude_desktop(slug: str, url: str) -> Snippet:
    bridge = _file(
        "Put this into claude_desktop_config.json (Settings, Developer, Edit config) and restart. It needs Node.js:",
        {"mcpServers": {slug: {"command": "npx", "args": ["-y", "mcp-remote", url]}}},
    )
    if urlsplit(url).hostname in LOOPBACK_NAMES:
        # A custom connector is called from Anthropic's servers: an address of this machine would lead them to themselves.
        reason = Step("A custom connector cannot reach an address of this computer; the bridge mcp-remote can.")
        return Snippet("Claude Desktop", (reason, bridge))
    connector = Step("Open Settings, Connectors, Add custom connector, and paste this address:", url)
    fallback = Step("If your plan has no custom connectors, or this gateway is on a private network, use the bridge mcp-remote.")
    return Snippet("Claude Desktop", (connector, fallback, bridge))


def _cursor(slug: str, url: str) -> Snippet:
    server = {"url": url}
    config = b64encode(json.dumps(server).encode()).decode()
    return Snippet(
        "Cursor",
        (_file("Or put this into ~/.cursor/mcp.json, or into .cursor/mcp.json of one project:", {"mcpServers": {slug: server}}),),
        link=f"cursor://anysphere.cursor-deeplink/mcp/install?name={quote(slug, safe='')}&config={quote(config, safe='')}",
        link_label="Add to Cursor",
    )


def _vs_code(slug: str, url: str) -> Snippet:
    server = {"type": "http", "url": url}
    one_line = json.dumps({"name": slug, **server}, separators=(",", ":"))
    return Snippet(
        "VS Code",
        (
            Step("Run in a terminal (macOS, Linux):", shlex.join(["code", "--add-mcp", one_line])),
            _file("Or, on any system, put this into .vscode/mcp.json of a project:", {"servers": {slug: server}}),
        ),
    )


def _inspector(url: str) -> Snippet:
    command = ["npx", "@modelcontextprotocol/inspector", "--transport", "http", "--server-url", url]
    return Snippet("MCP Inspector", (Step("Run in a terminal (needs Node.js 22 or later), then press Connect:", shlex.join(command)),))


def _file(text: str, content: Mapping[str, object]) -> Step:
    return Step(text, json.dumps(content, indent=2), is_file=True)

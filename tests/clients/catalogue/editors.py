"""Editors, one row each."""

from tests.clients.habits import AUTHORIZE, CODE_AND_REFRESH, DEVICE_CODE, NOT_AT_ALL, TOKEN, WITH_OFFLINE, Habits

CURSOR = (
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "http://localhost:8787/callback",
)

EDITORS = (
    Habits(
        name="VS Code",
        source="microsoft/vscode src/vs/base/common/oauth.ts (fetchDynamicRegistration, fetchResourceMetadata)",
        registers={
            "client_name": "Visual Studio Code",
            "client_uri": "https://code.visualstudio.com",
            "grant_types": CODE_AND_REFRESH,
            "response_types": ["code"],
            "redirect_uris": [
                "https://insiders.vscode.dev/redirect",
                "https://vscode.dev/redirect",
                "http://127.0.0.1/",
                "http://127.0.0.1:33418/",
            ],
            "scope": "mcp:tools",
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        },
        returns_to=("http://127.0.0.1:33418/", "http://127.0.0.1:51711/", "https://vscode.dev/redirect"),
        resource_at=(AUTHORIZE, TOKEN),
        state="gXVXo0/iMD8WMolDHKxSTg==",
    ),
    Habits(
        name="VS Code, to a server that lists no grant types",
        source="microsoft/vscode src/vs/base/common/oauth.ts (grantTypesSupported)",
        registers={
            "client_name": "Visual Studio Code",
            "grant_types": [*CODE_AND_REFRESH, DEVICE_CODE],
            "response_types": ["code"],
            "redirect_uris": ["https://vscode.dev/redirect", "http://127.0.0.1/"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        },
        returns_to=("http://127.0.0.1:33418/",),
        discovers=NOT_AT_ALL,
        resource_at=(),
    ),
    Habits(
        name="VS Code, by its document",
        source="https://vscode.dev/oauth/client-metadata.json; microsoft/vscode#282472",
        publishes={
            "client_name": "Visual Studio Code",
            "logo_uri": "https://code.visualstudio.com/assets/branding/code-stable.png",
            "grant_types": [*CODE_AND_REFRESH, DEVICE_CODE],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "client_uri": "https://vscode.dev/product",
            "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        },
        returns_to=("http://127.0.0.1:33418/", "http://127.0.0.1:51711/", "https://vscode.dev/redirect"),
        resource_at=(AUTHORIZE, TOKEN),
    ),
    Habits(
        name="Cursor",
        source="RooCodeInc/Roomote#1231 (register/__tests__/route.test.ts); erp-mafia/accounted#2225; soflyy/agent-connector-for-wp#111",
        registers={
            "client_name": "Cursor",
            "redirect_uris": list(CURSOR),
            "token_endpoint_auth_method": "none",
            "grant_types": CODE_AND_REFRESH,
            "response_types": ["code"],
            "logo_uri": "https://cursor.example/logo.svg",
        },
        returns_to=CURSOR,
        scope=WITH_OFFLINE,
        prompt="consent",
    ),
    Habits(
        name="Cursor, as a web application",
        source="elie222/inbox-zero#3780; better-auth/better-auth#10956",
        registers={
            "client_name": "Cursor",
            "application_type": "web",
            "redirect_uris": [CURSOR[0]],
            "token_endpoint_auth_method": "none",
        },
        returns_to=(CURSOR[0],),
    ),
    Habits(
        name="Cline",
        source="cline/cline src/services/mcp/McpOAuthManager.ts, src/utils/mcpAuth.ts",
        registers={
            "redirect_uris": ["vscode://saoudrizwan.claude-dev/mcp-auth/callback/0cc175b9c0f1b6a831c399e269772661"],
            "token_endpoint_auth_method": "none",
            "grant_types": CODE_AND_REFRESH,
            "response_types": ["code"],
            "client_name": "Cline",
            "client_uri": "https://cline.bot",
            "software_id": "cline",
        },
        returns_to=("vscode://saoudrizwan.claude-dev/mcp-auth/callback/0cc175b9c0f1b6a831c399e269772661",),
    ),
    Habits(
        name="Windsurf",
        source="closed; its scheme from trypostit/trypost#336, its loopback path as IDE presets list it; otherwise as the TypeScript SDK",
        registers={
            "client_name": "Windsurf",
            "redirect_uris": ["windsurf://codeium.windsurf/mcp/oauth/callback", "http://localhost:61419/callback"],
            "grant_types": CODE_AND_REFRESH,
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        },
        returns_to=("windsurf://codeium.windsurf/mcp/oauth/callback", "http://localhost:50123/callback"),
    ),
)

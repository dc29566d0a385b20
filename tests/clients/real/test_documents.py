"""Every document the gateway answers with, read by the TypeScript SDKs' own schemas, 1.x and 2.x: most clients' parsers are these."""

import json
import subprocess
from typing import Any

import pytest
import requests

from tests.flows.conftest import LOOPBACK, House
from tests.support import machine
from tests.support.emulator import NODE_FOLDER
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.whichever_database

OAUTH = ["/.well-known/oauth-authorization-server{}", "{}/.well-known/oauth-authorization-server"]
OPENID = ["/.well-known/openid-configuration{}", "{}/.well-known/openid-configuration"]


def problems(*documents: tuple[str, Any]) -> Any:
    """What the schemas find wrong."""
    command = [machine.node(), str(NODE_FOLDER / "parse.mjs")]
    printed = subprocess.run(command, input=json.dumps(documents), capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    return json.loads(printed)


@pytest.mark.parametrize("path", ["", "/mcp/demo"])
def test_metadata(house: House, path: str) -> None:
    found = [("oauth", house.gateway.get(form.format(path)).json()) for form in OAUTH]
    found += [("oidc", house.gateway.get(form.format(path)).json()) for form in OPENID]
    assert problems(*found) == []


def test_metadata_for_oauth_is_no_metadata_for_openid(house: House) -> None:
    """So that the schema is known to look: the members that only OpenID parsers require stand in their own documents."""
    assert [line for _, line, _ in problems(("oidc", house.gateway.get(OAUTH[0].format("")).json()))] == ["1", "2"]


def test_metadata_of_a_resource(house: House) -> None:
    assert problems(("resource", house.gateway.get("/.well-known/oauth-protected-resource/mcp/demo").json())) == []


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
def test_a_registration(house: House, method: str) -> None:
    assert problems(("registration", house.register(redirect_uris=[LOOPBACK], token_endpoint_auth_method=method))) == []


def test_tokens(house: House) -> None:
    tokens = house.tokens("demo")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": tokens["client_id"]}
    refreshed = requests.post(f"{house.url}/oauth/token", data=form, timeout=PATIENCE).json()
    assert problems(("tokens", tokens), ("tokens", refreshed)) == []


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/oauth/token", {"data": {"grant_type": "authorization_code", "code": "x", "client_id": "nobody"}}),
        ("/oauth/token", {"data": {"grant_type": "password"}}),
        ("/oauth/register", {"json": {"redirect_uris": ["javascript:alert(1)"]}}),
        ("/oauth/revoke", {"data": {"client_id": "nobody"}}),
        ("/oauth/nowhere", {}),
    ],
)
def test_errors(house: House, path: str, sent: dict[str, Any]) -> None:
    answer = house.gateway.post(path, **sent)
    assert answer.status_code >= 400
    assert problems(("error", answer.json())) == []

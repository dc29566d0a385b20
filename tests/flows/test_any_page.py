"""Pages of any origin may use what clients need to sign in, and may read every answer of it, refusals included."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.flows.conftest import House
from tests.support.gateway import Gateway
from tests.support.processes import PATIENCE

pytestmark = pytest.mark.whichever_database

SERVER, OPENID, RESOURCE = (
    f"/.well-known/{name}" for name in ("oauth-authorization-server", "openid-configuration", "oauth-protected-resource")
)
METADATA = [
    *(SERVER, f"{SERVER}/mcp/demo", "/mcp/demo/.well-known/oauth-authorization-server"),
    *(OPENID, f"{OPENID}/mcp/demo", "/mcp/demo/.well-known/openid-configuration"),
    *(f"{RESOURCE}/mcp/demo", "/oauth/jwks"),
]
POSTED = ["/oauth/register", "/register", "/oauth/token", "/token", "/oauth/revoke"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
LARGE, HUGE = b"a" * 70_000, b"a" * 1_200_000

CASES: list[tuple[str, str, str, int, dict[str, Any]]] = [
    *(("found", "GET", path, 200, {}) for path in METADATA),
    *(("found, with a slash", "GET", f"{path}/", 200, {}) for path in METADATA if not path.endswith("jwks")),
    *(("preflight", "OPTIONS", path, 204, {}) for path in METADATA + POSTED),
    *(("wrong method", "POST", path, 405, {}) for path in METADATA),
    *(("wrong method", "GET", path, 405, {}) for path in POSTED),
    *(("wrong method", "PATCH", path, 405, {}) for path in [*POSTED, "/oauth/register/nobody"]),
    *(("nothing there", "GET", path.replace("demo", "nope"), 404, {}) for path in METADATA if "demo" in path),
    *(("nothing there", "GET", path, 404, {}) for path in [RESOURCE, "/.well-known/nope", "/oauth/nope", "/oauth/token/deeper"]),
    *(("empty", "POST", path, 400, {}) for path in POSTED),
    *(("too large", "POST", path, 400, {"data": LARGE, "headers": FORM}) for path in POSTED),
    *(("far too large", "POST", path, 400, {"data": HUGE, "headers": FORM}) for path in POSTED),
    *(("not a form", "POST", path, 400, {"json": {"grant_type": "x", "token": "x"}}) for path in POSTED if "register" not in path),
    *(("not text", "POST", path, 400, {"data": b"grant_type=\xff&token=%00", "headers": FORM}) for path in POSTED),
    *(("in the query", "POST", f"{path}?token=x", 400, {"data": {"token": "x"}}) for path in POSTED if "register" not in path),
    ("registered", "POST", "/oauth/register", 201, {"json": {"redirect_uris": ["http://127.0.0.1/"]}}),
    ("not JSON", "POST", "/oauth/register", 400, {"data": b"{", "headers": JSON}),
    ("not an object", "POST", "/register", 400, {"json": []}),
    ("no good redirect", "POST", "/oauth/register", 400, {"json": {"redirect_uris": ["http://evil.example/"]}}),
    ("not its client", "GET", "/oauth/register/nobody", 401, {}),
    ("not its client", "PUT", "/oauth/register/nobody", 401, {"json": {}}),
    ("not its client", "DELETE", "/oauth/register/nobody", 401, {}),
    ("unknown client", "POST", "/oauth/token", 401, {"data": {"grant_type": "authorization_code", "code": "x", "client_id": "nobody"}}),
    ("unknown client", "POST", "/token", 401, {"data": {"grant_type": "refresh_token", "refresh_token": "x"}, "auth": ("nobody", "x")}),
    ("unknown grant type", "POST", "/oauth/token", 400, {"data": {"grant_type": "password", "client_id": "nobody"}}),
    ("unknown client", "POST", "/oauth/revoke", 401, {"data": {"token": "x", "client_id": "nobody"}}),
    ("foreign host", "GET", SERVER, 400, {"headers": {"Host": "evil.example"}}),
    ("foreign host", "POST", "/oauth/token", 400, {"headers": {"Host": "evil.example"}}),
]


@pytest.fixture(scope="module")
def house(start_gateway: Callable[..., Gateway]) -> House:
    return House(start_gateway())


@pytest.mark.parametrize(
    ("method", "path", "status", "sent"), [case[1:] for case in CASES], ids=[f"{case[0]}: {case[1]} {case[2]}" for case in CASES]
)
def test_a_page_of_any_origin_may_read_it(house: House, method: str, path: str, status: int, sent: dict[str, Any]) -> None:
    headers = {"Origin": "https://inspector.example", **sent.get("headers", {})}
    answer = requests.request(method, house.url + path, timeout=PATIENCE, allow_redirects=False, **{**sent, "headers": headers})
    assert answer.status_code == status, answer.text
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    if status == 204:
        assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, *"
    elif status >= 400:
        assert answer.json()["error"]
        assert answer.json()["error_description"]
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", METADATA)
def test_head_is_answered_like_get(house: House, path: str) -> None:
    answer = requests.head(house.url + path, timeout=PATIENCE)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"], answer.content) == (200, "*", b"")


def test_the_authorization_endpoint_is_for_people_and_no_page_may_read_it(house: House) -> None:
    """The nearest that is not for pages: what stands there is about the person who is signed in."""
    answer = requests.get(f"{house.url}/oauth/authorize", headers={"Origin": "https://inspector.example"}, timeout=PATIENCE)
    assert "Access-Control-Allow-Origin" not in answer.headers

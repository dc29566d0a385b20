"""The database is gone: probes, pages and OAuth endpoints say so, and nothing looks like a sign-out."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.processes import free_port


@pytest.fixture(scope="module")
def cut_off(start_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway whose database is at an address where nobody listens."""
    return start_gateway("gunicorn", DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/nothing")


def test_it_lives_and_is_not_ready(cut_off: Gateway) -> None:
    assert cut_off.get("/healthz").status_code == 200
    assert cut_off.get("/readyz").status_code == 503


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/oauth/token", {"grant_type": "refresh_token", "refresh_token": "mcprt_x", "client_id": "x"}),
        ("/oauth/revoke", {"token": "mcprt_x", "client_id": "x"}),
        ("/oauth/register", None),
    ],
)
def test_machines_get_a_503_with_a_time_to_come_back(cut_off: Gateway, path: str, form: dict[str, Any] | None) -> None:
    options: dict[str, Any] = {"data": form} if form else {"json": {"redirect_uris": ["http://127.0.0.1/cb"]}}
    answer = cut_off.post(path, **options)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/oauth/authorize?client_id=x&response_type=code", "/oauth/login?next=/", "/admin/login/"])
def test_people_get_a_page_that_says_so(cut_off: Gateway, path: str) -> None:
    answer = cut_off.get(path, cookies={"gateway_session": "a" * 32})
    assert answer.status_code == 503
    assert "cannot reach its database" in answer.text
    assert int(answer.headers["Retry-After"]) > 0


def test_a_client_is_not_told_that_its_token_is_bad(cut_off: Gateway) -> None:
    answer = cut_off.post("/mcp/demo", json={"jsonrpc": "2.0", "id": 7, "method": "ping"}, headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (503, -31503, 7)

"""What every refusal has in common, whoever makes it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from oauthgw.clients import registration


@pytest.fixture
def forgiving(http: Browser) -> Browser:
    """Sees the answer to a crash, as a client does."""
    http.raise_request_exception = False
    return http


def test_a_crash_of_a_machine_endpoint_is_json_that_any_page_may_read(
    forgiving: Browser, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("canary-detail")

    monkeypatch.setattr(registration, "register", crash)  # nothing real can be made to crash here
    answer = forgiving.post("/oauth/register", {"redirect_uris": ["http://127.0.0.1/"]}, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Cache-Control"] == "no-store"
    assert "canary-detail" not in answer.content.decode()


def test_an_unknown_page_says_what_to_do_and_is_not_kept(http: Browser, db: None) -> None:
    answer = http.get("/nope")
    assert answer.status_code == 404
    assert "Check the address" in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_another_method_is_refused_where_people_are(http: Browser, db: None, method: str) -> None:
    call: Callable[..., Any] = getattr(http, method)
    answer = call("/oauth/authorize")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, POST")

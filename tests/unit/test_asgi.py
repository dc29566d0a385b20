"""The dispatcher's own refusals: what is too large, too slow, or broken, and a process that stops."""

import asyncio
from typing import Any

import pytest

from gatewaysite import asgi
from mcp_routes.models import McpRoute
from mcp_routes.proxy import app, refusals
from tests.support.asgi import Exchange
from tests.unit.conftest import Party, Person

FORM = (b"content-type", b"application/x-www-form-urlencoded")


def asked(exchange: Exchange) -> Exchange:
    return asyncio.run(exchange.run())


def stopped(exchange: Exchange) -> Exchange:
    """The exchange with a server that stops while the application waits for its client."""

    async def run() -> Exchange:
        serving = asyncio.create_task(exchange.run())
        await exchange.waiting.wait()
        serving.cancel()
        return await serving

    return asyncio.run(run())


@pytest.fixture
def bearer(transactional_db: None, demo: McpRoute, alice: Person, editor: Party) -> tuple[bytes, bytes]:
    """The header of somebody who may call the route `demo`. In committed rows: the data plane looks them up in threads of its own."""
    token = editor.redeem(alice.code(editor.client)).json()["access_token"]
    return (b"authorization", f"Bearer {token}".encode())


class TestBodies:
    def test_a_form_beyond_any_is_refused_and_not_read_to_its_end(self) -> None:
        """Django would spool it to disk first, whatever its own limits say."""
        whole = b"a" * asgi.MAX_FORM_BYTES
        answer = asked(Exchange("POST", "/oauth/register", (FORM,), (whole, b"a", b"a", b"a")))
        assert (answer.status, answer.json()["error"]) == (400, "invalid_request")
        assert "too large" in answer.json()["error_description"]
        assert (answer.header(b"access-control-allow-origin"), answer.header(b"cache-control")) == (b"*", b"no-store")
        assert answer.taken == 2

    def test_one_at_the_limit_is_the_endpoints_to_judge(self) -> None:
        answer = asked(Exchange("POST", "/oauth/register", (FORM,), (b"a" * asgi.MAX_FORM_BYTES,)))
        assert (answer.status, answer.json()["error"]) == (400, "invalid_client_metadata")

    def test_a_form_that_does_not_arrive_in_time_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert asgi.FORM_SECONDS == 60
        monkeypatch.setattr(asgi, "FORM_SECONDS", 0.05)
        answer = asked(Exchange("POST", "/oauth/register", (FORM,), (b"{",), whole=False))
        assert (answer.status, answer.json()["error"]) == (408, "invalid_request")
        assert (answer.header(b"access-control-allow-origin"), answer.header(b"cache-control")) == (b"*", b"no-store")

    def test_one_that_has_arrived_may_be_worked_on_for_longer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def work(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            leaving = asyncio.ensure_future(receive())  # as Django does
            await asyncio.wait([leaving], timeout=0.2)
            await refusals.refuse(send, refusals.SITE_BROKEN if leaving.done() else refusals.NO_TOKEN)
            leaving.cancel()

        monkeypatch.setattr(asgi, "FORM_SECONDS", 0.05)
        monkeypatch.setattr(asgi, "_django", work)
        assert asked(Exchange("POST", "/oauth/register", (FORM,), (b"{}",))).status == 401

    def test_a_message_that_does_not_arrive_in_time_is_a_408(self, bearer: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        assert app._BODY_SECONDS == 60
        monkeypatch.setattr(app, "_BODY_SECONDS", 0.05)
        answer = asked(Exchange("POST", "/mcp/demo", (bearer,), (b"{",), whole=False))
        assert (answer.status, answer.json()["error"]) == (408, "request_timeout")
        assert answer.header(b"cache-control") == b"no-store"

    def test_one_that_arrives_is_read(self, bearer: tuple[bytes, bytes]) -> None:
        answer = asked(Exchange("POST", "/mcp/demo", (bearer,), (b"{", b"")))
        assert (answer.status, answer.json()["error"]["code"]) == (400, -32700)


@pytest.mark.parametrize("path", ["/", "/static/gateway.css", "/oauth/token", "/mcp/demo"])
def test_a_refusal_of_the_dispatchers_own_is_neither_kept_nor_guessed_at(path: str) -> None:
    """What Django's middleware and the data plane add to their answers, these have not passed through."""
    answer = asked(Exchange("GET", path, host="evil.example"))
    assert (answer.status, answer.header(b"cache-control"), answer.header(b"x-content-type-options")) == (400, b"no-store", b"nosniff")


class TestCrashes:
    async def _crash(self, *_: Any) -> None:
        raise RuntimeError("canary-detail")

    async def _crash_half_way(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("canary-detail")

    def test_one_is_a_500_that_names_the_request_and_keeps_the_reason_for_the_log(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(app, "serve", self._crash)  # nothing real can be made to crash here
        answer = asked(Exchange("POST", "/mcp/demo"))
        assert (answer.status, answer.json()["error"]["code"]) == (500, -32603)
        assert answer.header(b"cache-control") == b"no-store"
        assert b"canary-detail" not in answer.content
        assert f"failed request_id={answer.json()['error']['data']['request_id']}" in caplog.text
        assert "canary-detail" in caplog.text

    @pytest.mark.parametrize("path", ["/oauth/token", "/mcp/demo/.well-known/openid-configuration", "/"])
    def test_one_outside_the_data_plane_speaks_oauth_and_any_page_may_read_it(self, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        monkeypatch.setattr(asgi, "_django", self._crash)
        answer = asked(Exchange("POST", path))
        assert (answer.status, answer.json()["error"]) == (500, "server_error")
        assert answer.json()["request_id"]
        assert (answer.header(b"access-control-allow-origin"), answer.header(b"cache-control")) == (b"*", b"no-store")

    def test_behind_a_begun_answer_there_is_no_second_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The server then cuts the connection, so that nobody takes half an answer for a whole one (RFC 9112 §8)."""
        monkeypatch.setattr(asgi, "_django", self._crash_half_way)
        exchange = Exchange("GET", "/")
        with pytest.raises(RuntimeError):
            asked(exchange)
        assert [message["type"] for message in exchange.sent] == ["http.response.start"]


class TestStopping:
    def test_a_message_that_is_still_arriving_is_told_to_come_back(self, bearer: tuple[bytes, bytes]) -> None:
        answer = stopped(Exchange("POST", "/mcp/demo", (bearer,), (b"{",), whole=False))
        assert (answer.status, answer.json()["error"]["code"], answer.header(b"retry-after")) == (503, -31503, b"5")
        assert answer.header(b"www-authenticate") is None

    def test_a_token_request_is_told_so_in_words_that_do_not_sign_anybody_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """RFC 6749 §4.1.2.1 has the code; SDKs that know it keep what they have, and would start over for one they do not."""

        async def wait(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await receive()

        monkeypatch.setattr(asgi, "_django", wait)
        answer = stopped(Exchange("POST", "/oauth/token", (FORM,)))
        assert (answer.status, answer.json()["error"], answer.header(b"retry-after")) == (503, "temporarily_unavailable", b"5")
        assert answer.header(b"access-control-allow-origin") == b"*"

    def test_behind_a_begun_answer_there_is_no_second_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def begin(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await receive()
            await receive()

        monkeypatch.setattr(asgi, "_django", begin)
        answer = stopped(Exchange("GET", "/"))
        assert [message["type"] for message in answer.sent] == ["http.response.start"]

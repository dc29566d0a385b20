"""What the doctor finds at the public address: what stands in front of a gateway, and changes what it says."""

from collections.abc import Callable

import pytest

from gatewaysite import outside
from oauthgw.guard.finding import Finding, Verdict
from tests.support.processes import free_port
from tests.unit.doctor.conftest import Answer, Answers, json_answer

pytestmark = pytest.mark.whichever_database

ORIGIN = "https://mcp.example.com"
CORS = {"Access-Control-Allow-Origin": "*"}


def good(method: str, path: str, headers: dict[str, str]) -> Answer:
    if path == "/healthz":
        return json_answer({"status": "alive"})
    if path == "/.well-known/oauth-authorization-server":
        return json_answer({"issuer": ORIGIN}, headers=CORS)
    if path == "/mcp/demo":
        where = f"{ORIGIN}/.well-known/oauth-protected-resource/mcp/demo"
        return json_answer({}, 401, {"WWW-Authenticate": f'Bearer resource_metadata="{where}", scope="mcp:tools"'})
    return json_answer({"resource": f"{ORIGIN}/mcp/demo"}, headers=CORS)


def but(where: str, answer: Answer) -> Answers:
    return lambda method, path, headers: answer if path == where else good(method, path, headers)


def examine(url: str, *, asked_for: bool = True) -> list[Finding]:
    return list(outside.findings(url, ORIGIN, ["demo"], asked_for=asked_for))


def problems(url: str) -> str:
    return "\n".join(str(finding) for finding in examine(url) if finding.verdict is Verdict.PROBLEM)


def test_all_is_well(serve: Callable[[Answers], str]) -> None:
    assert [finding.verdict for finding in examine(serve(good))] == [Verdict.OK] * 3


def test_what_a_proxy_may_do_to_it(serve: Callable[[Answers], str]) -> None:
    metadata = "/.well-known/oauth-authorization-server"
    assert "the issuer is 'http://10.0.0.5:8000'" in problems(
        serve(but(metadata, json_answer({"issuer": "http://10.0.0.5:8000"}, headers=CORS)))
    )
    assert "is not served (status 404)" in problems(serve(but(metadata, json_answer({}, 404))))
    assert "browsers may not read it" in problems(serve(but(metadata, json_answer({"issuer": ORIGIN}))))
    assert "not answered with our challenge (status 403)" in problems(serve(but("/mcp/demo", json_answer({}, 403))))
    other = but("/.well-known/oauth-protected-resource/mcp/demo", json_answer({"resource": "http://inside/mcp/demo"}))
    assert "name the resource 'http://inside/mcp/demo'" in problems(serve(other))
    assert "redirects to 'https://mcp.example.com/healthz'" in problems(
        serve(but("/healthz", (301, {"Location": f"{ORIGIN}/healthz"}, b"")))
    )
    assert "is not this gateway (status 200)" in problems(serve(but("/healthz", (200, {"Content-Type": "text/html"}, b"<html>"))))


def test_an_address_where_nobody_is(serve: Callable[[Answers], str]) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert [finding.verdict for finding in examine(nowhere)] == [Verdict.PROBLEM]
    assert [finding.verdict for finding in examine(nowhere, asked_for=False)] == [Verdict.WARNING], "it may not have been started yet"

"""What the doctor finds at WorkOS: the three mistakes that everybody makes once, each named with its mend."""

from collections.abc import Callable

import pytest

from oauthgw.guard.finding import Finding, Verdict
from oauthgw.identity.diagnosis import findings
from tests.unit.identity.conftest import API_KEY, CALLBACK, Reply, Standin

pytestmark = pytest.mark.whichever_database


def examine(redirect_uri: str = CALLBACK) -> dict[str, Finding]:
    return {finding.about: finding for finding in findings(redirect_uri)}


@pytest.fixture
def workos(with_workos: Standin) -> Standin:
    """WorkOS in order: it knows the redirect URI and the API key, and nobody by the name that is asked for."""

    def answer(path: str) -> Reply:
        if path.startswith("/user_management/authorize?"):
            return Reply(302, b"", {"Location": "https://team.authkit.app/?authorization_session_id=01"})
        assert path == "/user_management/users?limit=1"
        return Reply(200, {"object": "list", "data": [], "list_metadata": {}})

    with_workos.answer_api = answer
    with_workos.answer = lambda: Reply(400, {"error": "invalid_grant", "error_description": "The code has expired or is invalid."})
    return with_workos


def authorize_leads_to(workos: Standin, location: str, status: int = 302) -> None:
    others = workos.answer_api
    workos.answer_api = lambda path: (
        Reply(status, b"", {"Location": location}) if path.startswith("/user_management/authorize?") else others(path)
    )


def test_all_is_well(workos: Standin) -> None:
    found = examine()
    assert {about: finding.verdict for about, finding in found.items()} == {
        "WorkOS keys": Verdict.OK,
        "WorkOS API key": Verdict.OK,
        "redirect URI": Verdict.OK,
        "WorkOS webhook": Verdict.WARNING,  # it is optional
    }
    assert CALLBACK in found["redirect URI"].says


@pytest.mark.parametrize(
    "location",
    ["https://error.workos.com/sso/redirect-uri-invalid", "https://error.workos.com/?error=redirect_uri_invalid"],
)
def test_a_redirect_uri_that_was_not_added(workos: Standin, location: str) -> None:
    authorize_leads_to(workos, location)
    found = examine()["redirect URI"]
    assert found.verdict is Verdict.PROBLEM
    assert "Invalid redirect URI" in found.says and "under Redirects" in found.mend and found.mend.endswith(CALLBACK)


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_sign_in_that_workos_does_not_begin(workos: Standin, status: int) -> None:
    authorize_leads_to(workos, "", status)
    assert examine()["redirect URI"].verdict is Verdict.PROBLEM


def test_a_client_id_that_workos_does_not_know(workos: Standin) -> None:
    workos.answer_keys = lambda: Reply(404, {"message": "Not Found"})
    authorize_leads_to(workos, "https://error.workos.com/sso/client-id-invalid")
    found = examine()
    assert found["WorkOS keys"].verdict is found["sign-in"].verdict is Verdict.PROBLEM
    assert "one WorkOS environment" in found["WorkOS keys"].mend and "client-id-invalid" in found["sign-in"].says


def test_an_api_key_that_workos_does_not_accept(workos: Standin) -> None:
    workos.answer_api = lambda path: Reply(401, {"message": "Unauthorized"})
    found = examine()["WorkOS API key"]
    assert found.verdict is Verdict.PROBLEM and "WORKOS_CLIENT_SECRET" in found.mend
    assert {key for _, key in workos.asked if key} == {f"Bearer {API_KEY}"}, "asked with the key, and the sign-in page without"


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client"])
def test_an_api_key_of_another_environment_than_the_client_id(workos: Standin, code: str) -> None:
    workos.answer = lambda: Reply(400, {"error": code, "error_description": "Invalid client."})
    found = examine()["WorkOS API key"]
    assert found.verdict is Verdict.PROBLEM
    assert "another environment than WORKOS_CLIENT_ID" in found.says and "one WorkOS environment" in found.mend


def test_a_staging_key_in_production(workos: Standin, configure: Callable[..., None]) -> None:
    configure(origin="https://mcp.example.com")
    assert examine()["WorkOS API key"].verdict is Verdict.WARNING


def test_an_outage_is_not_taken_for_a_mistake(workos: Standin) -> None:
    workos.answer_keys = lambda: Reply(503, b"")
    workos.answer_api = lambda path: Reply(503, b"")
    found = examine()
    assert "Try again later" in found["WorkOS keys"].mend and "Try again later" in found["WorkOS API key"].mend


def test_no_secret_is_in_any_line(workos: Standin) -> None:
    for reply in (Reply(401, {"message": API_KEY}), Reply(500, API_KEY.encode()), Reply(404, {"code": "entity_not_found"})):
        workos.answer_api = lambda path, reply=reply: reply  # type: ignore[misc]
        assert API_KEY not in " ".join(map(str, findings(CALLBACK)))


def test_a_laptop_without_workos_has_nothing_to_examine(without_workos: None) -> None:
    assert [finding.verdict for finding in findings(CALLBACK)] == [Verdict.SKIPPED]

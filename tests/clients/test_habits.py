"""Each client of the catalogue gets in by its own habits, and gets back what it needs, at every step."""

from oauthgw.clients import redirects
from tests.clients.conftest import SLUG, Journey, as_text
from tests.clients.habits import OF_THE_RESOURCE


def test_it_finds_what_it_asks_for(journey: Journey) -> None:
    expected = [int(step.split()[0]) for step in journey.habits.discovers]
    assert [answer.status_code for answer in journey.found] == expected
    challenges = [answer.headers["WWW-Authenticate"] for answer in journey.found if answer.status_code == 401]
    for challenge in challenges:
        assert challenge.startswith("Bearer ")
        assert f'resource_metadata="{journey.house.url}/.well-known/oauth-protected-resource/mcp/{SLUG}"' in challenge
        assert f'scope="{OF_THE_RESOURCE}"' in challenge
        assert "error=" not in challenge


def test_what_it_finds_agrees_to_the_letter(journey: Journey) -> None:
    """The resource is the URL it was given, and the issuer is the one whose metadata it asked for: compared as strings by many."""
    documents = [answer.json() for answer in journey.found if answer.ok]
    of_the_resource = [document for document in documents if "resource" in document]
    assert all(document["resource"] == journey.resource for document in of_the_resource)
    servers = [server for document in of_the_resource for server in document["authorization_servers"]]
    issuers = [document["issuer"] for document in documents if "issuer" in document]
    assert issuers in ([], servers or [journey.house.url])


def test_its_registration_is_answered_with_what_it_sent(newcomer: Journey) -> None:
    assert newcomer.registered.status_code == 201, as_text(newcomer.registered)
    sent, answered = dict(newcomer.habits.registers or {}), newcomer.registered.json()
    assert answered["client_id"]
    assert answered["client_id_issued_at"] > 0
    assert answered["redirect_uris"] == sent["redirect_uris"]
    assert set(answered["grant_types"]) <= {"authorization_code", "refresh_token"}
    assert answered["grant_types"][0] == "authorization_code"  # Spring takes the first for the client's only one
    assert "code" in answered["response_types"]
    kept = ("client_name", "client_uri", "logo_uri", "software_id", "software_version", "application_type")
    assert {name: answered[name] for name in kept if name in sent} == {name: sent[name] for name in kept if name in sent}


def test_it_gets_a_secret_if_it_asked_for_one_and_only_then(newcomer: Journey) -> None:
    """Who names no method wants no secret: a method that needs one, without one, would be refused by SDKs."""
    asked = (newcomer.habits.registers or {}).get("token_endpoint_auth_method", "none")
    answered = newcomer.registered.json()
    assert answered["token_endpoint_auth_method"] == asked
    assert ("client_secret" in answered, answered.get("client_secret_expires_at")) == ((False, None) if asked == "none" else (True, 0))


def test_its_user_is_sent_back_where_it_waits(journey: Journey) -> None:
    assert journey.opened.startswith(journey.redirect_uri)
    assert journey.opened.removeprefix(journey.redirect_uri)[0] == "?"
    assert journey.answered["state"] == journey.habits.state
    assert journey.answered["code"]
    assert journey.answered["iss"] == journey.metadata.get("issuer", journey.house.url)


def test_its_code_becomes_tokens(journey: Journey) -> None:
    assert journey.issued.status_code == 200, as_text(journey.issued)
    tokens = journey.issued.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 900
    assert set(tokens["scope"].split()) == {OF_THE_RESOURCE, *(["offline_access"] if "offline" in (journey.habits.scope or "") else [])}
    assert tokens["refresh_token"]
    assert journey.issued.headers["Cache-Control"] == "no-store"
    assert journey.issued.headers["Content-Type"] == "application/json"


def test_its_token_is_served_on_its_route_and_on_no_other(journey: Journey) -> None:
    token = journey.issued.json()["access_token"]
    assert journey.house.call(SLUG, token).status_code == 200
    assert journey.house.call("demo-admin", token).status_code == 401


def test_it_refreshes(journey: Journey) -> None:
    assert journey.refreshed.status_code == 200, as_text(journey.refreshed)
    tokens = journey.refreshed.json()
    assert tokens["refresh_token"] != journey.issued.json()["refresh_token"]
    assert tokens["scope"] == journey.issued.json()["scope"]
    assert journey.house.call(SLUG, tokens["access_token"]).status_code == 200


def test_another_address_than_the_registered_is_refused_on_a_page(journey: Journey) -> None:
    """The nearest: the same, one segment deeper. The browser stays at the gateway."""
    elsewhere = journey.redirect_uri + "/deeper"
    assert not any(redirects.matches(elsewhere, known) for known in journey.client["redirect_uris"])
    request = journey.habits.authorization_request(journey.client["client_id"], elsewhere, "c" * 43, journey.resource)
    page = journey.visitor.session.get(journey.metadata["authorization_endpoint"], params=request, timeout=30)
    assert (page.status_code, "address it did not register" in page.text) == (400, True)

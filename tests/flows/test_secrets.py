"""After a whole flow, nothing that proves anything is readable in the log, the database, the sessions or the admin."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.flows.conftest import INITIALIZE, VERIFIER, House
from tests.flows.visitor import CSRF, SIGNED, Visitor
from tests.support import databases
from tests.support.emulator import Emulator
from tests.support.processes import free_port, until
from tests.support.signing import ASSERTION_TYPE, Signer
from tests.support.upstream import DemoUpstream

UPSTREAM_SECRETS = ("canary-upstream-secret-5c1d", "canary-second-secret-9e02")
QUERY_KEY = "canary-query-key-77aa"
WRONG_SECRET = "canary-wrong-secret"  # what is refused is as secret: it may be right elsewhere
WEB = "https://app.example.com/cb"
JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+")  # WorkOS's access tokens are such
DECODED_SESSIONS = """
from importlib import import_module
from django.conf import settings
store = import_module(settings.SESSION_ENGINE).SessionStore
print([row.get_decoded() for row in store.get_model_class().objects.all()])
"""


class Watched(Visitor):
    """A visitor who keeps every answer, redirects included."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[requests.Response] = []
        self.session.hooks["response"].append(lambda answer, **_: self.answers.append(answer))

    def cookies(self) -> dict[str, str]:
        """Every cookie that was ever set, by name and number."""
        given = [(cookie.name, str(cookie.value)) for answer in self.answers for cookie in answer.cookies if cookie.value]
        return {f"cookie {name} {number}": value for number, (name, value) in enumerate(given)}

    def called_back_with(self) -> dict[str, str]:
        """What WorkOS sent back through the browser."""
        calls = [parse_qs(urlsplit(answer.url).query) for answer in self.answers if urlsplit(answer.url).path == "/oauth/callback"]
        assert calls
        return {f"WorkOS's {name}": values[0] for call in calls for name, values in call.items()}


def test_nothing_secret_is_left_readable_anywhere(house: House, upstream: DemoUpstream, emulator: Emulator) -> None:
    secrets = {**whole_flow(house, upstream), "WorkOS API key": emulator.api_key}
    secrets |= {name: house.gateway.environment[name] for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEYS")}
    assert [name for name in secrets if name.startswith("cookie gateway_session")]
    until(lambda: "POST /mcp/sealed 200" in house.gateway.log(), "the last request has no log line")
    places = {  # with what must be readable there, else the test would prove nothing
        "log": (house.gateway.log(), "POST /oauth/token 200"),
        "admin": (house.admin_pages(house.visitor().session), "alice@example.com"),
        "sessions": (house.gateway.manage("shell", "-v0", "-c", DECODED_SESSIONS), "_auth_user_id"),
        "database": (databases.dump(house.gateway.database_url), "/mcp/sealed"),
    }
    for place, (text, readable) in places.items():
        assert readable in text, f"nothing was found in the {place}"
        assert not JWT.search(text), f"a token of WorkOS is readable in the {place}"
        assert not [what for what, secret in secrets.items() if secret in text], f"readable in the {place}"


def test_a_key_in_an_upstreams_address_is_on_no_list_and_in_no_log(house: House) -> None:
    house.gateway.manage("mcproute", "add", "keyed", f"http://127.0.0.1:{free_port()}/mcp?api_key={QUERY_KEY}")
    tokens = house.tokens("keyed")
    assert house.call("keyed", tokens["access_token"]).status_code == 502  # nobody listens there, and the log tells why
    assert QUERY_KEY not in house.gateway.log()
    lists = house.admin_lists(house.visitor().session)
    assert "keyed" in lists["/admin/mcp_routes/mcproute/"]
    assert [link for link, page in lists.items() if QUERY_KEY in page] == []


def whole_flow(house: House, upstream: DemoUpstream) -> dict[str, str]:
    """Sign-in, consent, code, tokens, refresh, a session, a refusal; every secret that was part of it, by what it is."""
    fixed = [f"Authorization: {UPSTREAM_SECRETS[0]}", f"X-Api-Key: {UPSTREAM_SECRETS[1]}"]
    headers = [word for header in fixed for word in ("--header", header)]
    house.gateway.manage("mcproute", "add", "sealed", upstream.url, "--auth", "headers", *headers)
    visitor = Watched()
    visitor.sign_in(house.url, "alice@example.com")
    client = house.register(redirect_uris=[WEB], token_endpoint_auth_method="client_secret_post")
    page = visitor.open(house.authorize_url("sealed", client))
    asked = house.answered(visitor.press(page, "approve").text, client)

    credentials = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    first = tokens(house, {**asked.form(), **credentials})
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], **credentials}
    second = tokens(house, refresh)
    refused = requests.post(f"{house.url}/oauth/token", data={**refresh, "client_secret": WRONG_SECRET}, timeout=10)
    assert refused.status_code == 401
    opened = house.post("sealed", second["access_token"], INITIALIZE)
    assert opened.status_code == 200
    session = opened.headers["Mcp-Session-Id"]
    manager = {"Authorization": f"Bearer {client['registration_access_token']}"}
    assert requests.get(client["registration_client_uri"], headers=manager, timeout=10).status_code == 200

    signed, csrf = SIGNED.search(page.text), CSRF.search(page.text)
    assert signed and csrf
    return {
        "code": asked.parameters["code"],
        "verifier": VERIFIER,
        "client secret": client["client_secret"],
        "wrong secret": WRONG_SECRET,
        "registration token": client["registration_access_token"],
        **by_assertion(house),
        "header of the route": UPSTREAM_SECRETS[0],
        "second header of the route": UPSTREAM_SECRETS[1],
        "consent value": signed[1],
        "CSRF token": csrf[1],
        "MCP session": session,
        "upstream's own session": session.split(".", 2)[2],
        **visitor.cookies(),
        **visitor.called_back_with(),
        **{f"{name} {number}": answer[name] for number, answer in enumerate((first, second)) for name in ("access_token", "refresh_token")},
    }


def by_assertion(house: House) -> dict[str, str]:
    """What a client shows that proves itself by its own key, accepted and refused."""
    signer = Signer()
    client = house.register(redirect_uris=[WEB], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
    good, bad = (signer.form(client["client_id"], audience)["client_assertion"] for audience in (house.url, WEB))
    for assertion, error in ((good, "invalid_grant"), (bad, "invalid_client")):
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, "grant_type": "refresh_token"}
        answer = requests.post(f"{house.url}/oauth/token", data={**form, "refresh_token": "canary-unknown-token"}, timeout=10)
        assert answer.json()["error"] == error
    return {"assertion": good, "refused assertion": bad, "unknown token": "canary-unknown-token"}


def tokens(house: House, form: dict[str, str]) -> dict[str, Any]:
    answer = requests.post(f"{house.url}/oauth/token", data=form, timeout=10)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())

"""After a whole flow, no token, code, verifier or secret is readable in the log, the database or the admin."""

import requests

from tests.flows.conftest import VERIFIER, House
from tests.support import databases
from tests.support.upstream import DemoUpstream

UPSTREAM_SECRET = "canary-upstream-secret-5c1d"


def test_nothing_secret_is_left_readable_anywhere(house: House, upstream: DemoUpstream) -> None:
    house.gateway.manage("mcproute", "add", "sealed", upstream.url, "--auth", "headers", "--header", f"Authorization: {UPSTREAM_SECRET}")
    client = house.register(redirect_uris=["https://app.example.com/cb"], token_endpoint_auth_method="client_secret_post")
    visitor = house.visitor()
    asked = house.ask("sealed", visitor, client)
    form = {**asked.form(), "client_secret": client["client_secret"]}
    first = requests.post(f"{house.url}/oauth/token", data=form, timeout=10).json()
    refresh = {
        "grant_type": "refresh_token",
        "refresh_token": first["refresh_token"],
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
    }
    second = requests.post(f"{house.url}/oauth/token", data=refresh, timeout=10).json()
    assert house.call("sealed", second["access_token"]).status_code == 200
    requests.post(f"{house.url}/oauth/token", data={**refresh, "client_secret": "canary-wrong-secret"}, timeout=10)

    secrets = {
        "code": asked.parameters["code"],
        "verifier": VERIFIER,
        "client secret": client["client_secret"],
        "wrong secret": "canary-wrong-secret",
        "upstream secret": UPSTREAM_SECRET,
        "session cookie": visitor.session.cookies["gateway_session"],
        **{f"{name} {number}": answer[name] for number, answer in enumerate((first, second)) for name in ("access_token", "refresh_token")},
    }
    places = {
        "log": house.gateway.log(),
        "database": databases.dump(house.gateway.database_url),
        "admin": house.admin_pages(visitor.session),
    }
    for place, text in places.items():
        assert len(text) > 500, f"nothing was found in the {place}: the test would prove nothing"
        for what, secret in secrets.items():
            assert secret not in text, f"the {what} is readable in the {place}"

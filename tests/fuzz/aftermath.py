"""What must hold when the fuzzing is over: it got everywhere, left no more rows than it was given, and who was there is still served."""

from collections.abc import Iterator

import requests

from tests.fuzz.endpoints import ADMIN, ENDPOINTS
from tests.fuzz.house import House
from tests.support.processes import PATIENCE

_INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "kept", "version": "1"}},
}
_CLIENT = "oauthgw_client"
_ENOUGH = 12  # turns, until each grammar has had its luck; a slow machine makes few


def unreached(house: House, turns: int) -> Iterator[str]:
    """Endpoints that were never asked, or never answered as they do to who asks properly."""
    for name, endpoint in ENDPOINTS.items():
        begun = {status for at, status in house.seen if (at.startswith(ADMIN) if name == ADMIN else at == name)}
        for status in set(endpoint.reached) - begun if turns >= _ENOUGH else ():
            yield f"{name!r} never answered {status}: its grammar does not get through"
    asked = {at for at, _ in house.seen}
    for pattern in house.known["patterns"]:
        if pattern not in asked:
            yield f"{pattern!r} was never asked"


def grown(house: House, before: dict[str, int]) -> Iterator[str]:
    """Tables with more new rows than answers that may have made one."""
    seen, total = house.seen, sum(house.seen.values())

    def answers(status: int, *names: str) -> int:
        return sum(count for (at, answered), count in seen.items() if answered == status and any(name in at for name in names))

    authorized, redeemed = answers(200, "authorize"), answers(200, "token/")
    allowed = {
        _CLIENT: answers(201, "register") + 31 * 4,  # the documents that may be named
        "oauthgw_grant": redeemed,
        "oauthgw_accesstoken": redeemed,
        "oauthgw_refreshtoken": redeemed,
        "oauthgw_authorizationcode": authorized,
        "oauthgw_consent": authorized,
        "oauthgw_signin": answers(302, "login"),
        "oauthgw_browsersession": answers(302, "callback") + answers(303, "dev-login"),
        "oauthgw_identity": answers(302, "callback") + answers(303, "dev-login"),
        "auth_user": answers(302, "callback") + answers(303, "dev-login") + answers(302, "admin/auth/user/add/"),
        "django_admin_log": answers(302, "admin/"),
        "journal_event": total,
        "journal_change": total,
        "mcp_routes_mcproute": answers(302, "admin/mcp_routes/mcproute/add/"),
        "oauthgw_usedassertion": redeemed,
    }
    for table, rows in house.counted().items():
        new = rows - before.get(table, 0)
        if new > allowed.get(table, 0):
            yield f"{table} has {new} new rows where at most {allowed.get(table, 0)} were given"


def ended(house: House) -> Iterator[str]:
    """Whoever had a token before, and has it no longer."""
    client_id, access, refresh = house.known["kept"]
    headers = {"Authorization": f"Bearer {access}", "Accept": "application/json, text/event-stream"}
    called = requests.post(f"{house.origin}/mcp/demo", json=_INITIALIZE, headers=headers, timeout=PATIENCE)
    if called.status_code != 200:
        yield f"a token that was there before is answered {called.status_code}: {called.text}"
    form = {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": client_id}
    refreshed = requests.post(f"{house.origin}/oauth/token", data=form, timeout=PATIENCE)
    if refreshed.status_code != 200:
        yield f"a refresh token that was there before is answered {refreshed.status_code}: {refreshed.text}"
    for door in (house.production, house.laptop):
        if door.gateway.process.poll() is not None:
            yield f"a gateway ended with {door.gateway.process.returncode}"

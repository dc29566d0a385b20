"""A gateway that is told other lifetimes than the defaults: what its clients and browsers are told, and what it keeps.

What each of them does to tokens is tested in tests/unit/tokens; here it is that the environment reaches them.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.flows.conftest import House
from tests.flows.visitor import Visitor
from tests.support.gateway import Gateway

SECONDS = {"ACCESS_TOKEN_TTL_SECONDS": 61, "REFRESH_TOKEN_TTL_SECONDS": 3600, "SESSION_TTL_SECONDS": 600, "REFRESH_REPLAY_SECONDS": 7}
KEPT = """
import json
from oauthgw.guard.conf import gateway
from oauthgw.models import AccessToken, Grant, RefreshToken
grant = Grant.objects.latest("pk")
life = lambda moment: (moment - grant.issued_at).total_seconds()
access, refresh = AccessToken.objects.get(grant=grant), RefreshToken.objects.get(grant=grant)
lives = {"access": life(access.expires), "refresh": life(refresh.expires_at), "grant": life(grant.expires_at)}
print(json.dumps({**lives, "replay": gateway().refresh_replay}))
"""
END_SESSIONS = """
from importlib import import_module
from django.conf import settings
from django.utils.timezone import now
print(import_module(settings.SESSION_ENGINE).SessionStore.get_model_class().objects.update(expire_date=now()))
"""


@pytest.fixture(scope="module")
def hasty(start_gateway: Callable[..., Gateway]) -> House:
    settings = {name: str(value) for name, value in SECONDS.items()}
    return House(start_gateway(GRANT_MAX_AGE_DAYS="2", **settings))


def test_tokens_and_grants_live_as_long_as_the_environment_says(hasty: House) -> None:
    assert hasty.tokens("demo")["expires_in"] == 61
    kept: dict[str, Any] = json.loads(hasty.gateway.manage("shell", "-v0", "-c", KEPT))
    assert {name: round(value) for name, value in kept.items()} == {"access": 61, "refresh": 3600, "grant": 2 * 24 * 3600, "replay": 7}


def test_so_does_a_session_in_the_browser_and_at_the_gateway(hasty: House) -> None:
    before = time.time()
    visitor = hasty.visitor()
    session = next(cookie for cookie in visitor.session.cookies if cookie.name == "gateway_session")
    assert session.expires is not None and before + 599 <= session.expires <= time.time() + 601
    assert "alice@example.com" in front_page(hasty, visitor)
    assert int(hasty.gateway.manage("shell", "-v0", "-c", END_SESSIONS)) >= 1
    assert "alice@example.com" not in front_page(hasty, visitor)


def front_page(house: House, visitor: Visitor) -> str:
    return visitor.session.get(f"{house.url}/", timeout=10).text

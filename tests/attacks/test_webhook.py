"""The webhook, which anybody can reach: nothing but a fresh signature over these very bytes moves it.

Sources: WorkOS, "Sync data with webhooks" (validate the signature); CWE-345, CWE-294 (replay), CWE-208 (timing), CWE-400.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as Browser

from oauthgw.guard.conf import WorkOS
from oauthgw.guard.secret import Secret
from oauthgw.journal.models import Event
from tests.support.webhooks import PATH, SECRET, event, mac, signature
from tests.unit.conftest import Person

BODY = event("user.deleted", id="user_alice")

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(settings: Any, http: Browser) -> Browser:
    settings.GATEWAY = replace(settings.GATEWAY, workos=WorkOS("client_1", Secret("sk_1"), webhook_secret=Secret(SECRET)))
    return http


def send(hook: Browser, header: str | None, body: bytes = BODY) -> Any:
    headers = {} if header is None else {"WorkOS-Signature": header}
    return hook.post(PATH, body, content_type="application/json", headers=headers)


Forge = Callable[[int], str | None]  # from the Unix second at which it is sent


@pytest.mark.parametrize(
    ("forge", "body"),
    [
        pytest.param(lambda now: None, BODY, id="unsigned"),
        pytest.param(lambda now: signature(BODY, secret="guess"), BODY, id="forged"),
        pytest.param(lambda now: signature(BODY, secret=""), BODY, id="signed with nothing"),
        pytest.param(lambda now: signature(BODY, secret="sk_1"), BODY, id="signed with the API key"),
        pytest.param(lambda now: signature(event("x")), BODY, id="another event's signature"),
        pytest.param(lambda now: signature(BODY), BODY + b"\n", id="a byte more"),
        pytest.param(lambda now: f"t={now}, v0={mac(BODY, now)}", BODY, id="a version that WorkOS does not send"),
        pytest.param(lambda now: signature(BODY, at=now - 600), BODY, id="captured ten minutes ago"),
        pytest.param(lambda now: f"t={now - 600}, v1={mac(BODY, now - 600)}", BODY, id="captured ten minutes ago, in seconds"),
        pytest.param(lambda now: f"t={now}, v1={mac(BODY, now - 600)}", BODY, id="captured, with a fresh moment"),
        pytest.param(lambda now: f"t={now - 600}, t={now}, v1={mac(BODY, now - 600)}", BODY, id="captured, with a second moment"),
        pytest.param(lambda now: signature(BODY, at=now + 600), BODY, id="kept for later"),
    ],
)
def test_what_workos_did_not_just_sign_does_nothing(hook: Browser, alice: Person, forge: Forge, body: bytes) -> None:
    answer = send(hook, forge(int(time.time())), body)
    assert answer.status_code == 400
    assert "fits" not in answer.content.decode(), "the reason is for the log"
    assert User.objects.get(pk=alice.user.pk).is_active
    assert send(hook, signature(BODY)).status_code == 200, "and the genuine one still counts"
    assert not User.objects.get(pk=alice.user.pk).is_active


def test_a_delivery_replayed_within_its_minutes_does_nothing_more(hook: Browser, alice: Person) -> None:
    header = signature(BODY)
    assert [send(hook, header).status_code for _ in range(2)] == [200, 200]
    assert Event.objects.filter(kind="user_deactivated").count() == 1


def test_a_body_without_end_is_refused(hook: Browser, alice: Person) -> None:
    body = BODY + b" " * 70_000
    assert send(hook, signature(body), body).status_code == 400
    assert User.objects.get(pk=alice.user.pk).is_active


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_only_post_delivers(hook: Browser, alice: Person, method: str) -> None:
    answer = getattr(hook, method)(PATH, headers={"WorkOS-Signature": signature(b"")})
    assert answer.status_code == 405
    assert User.objects.get(pk=alice.user.pk).is_active


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_secret_there_is_no_webhook(http: Browser, alice: Person, settings: Any, method: str) -> None:
    settings.GATEWAY = replace(settings.GATEWAY, workos=WorkOS("client_1", Secret("sk_1")))
    answer = http.generic(method, PATH, BODY, content_type="application/json", headers={"WorkOS-Signature": signature(BODY, secret="")})
    assert answer.status_code == 404
    assert User.objects.get(pk=alice.user.pk).is_active


def test_the_secret_is_not_shown_with_the_settings() -> None:
    assert SECRET not in repr(WorkOS(webhook_secret=Secret(SECRET)))

"""The loop breaker: three codes redeemed within two minutes and no access token used is a loop, and anything less is none."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mcp_routes.models import McpRoute
from oauthgw import principals
from oauthgw.journal.models import Event
from oauthgw.models import AuthorizationCode, Client, Grant
from tests.unit.conftest import LOOPBACK, Party, Person, forwarded_to, sent_to_client, signed_value

WEB = "https://app.example.com/cb"


@pytest.fixture
def go_round(demo: McpRoute, demo_admin: McpRoute, alice: Person, editor: Party) -> Callable[..., str]:
    """Signs in and redeems, `times` over; the last access token."""

    def go(times: int, path: str = "/mcp/demo") -> str:
        token = ""
        for _ in range(times):
            token = editor.redeem(alice.code(editor.client, path, resource=None)).json()["access_token"]
        return token

    return go


def move_back(seconds: float) -> None:
    """Makes every redemption so far older."""
    for grant in Grant.objects.all():
        Grant.objects.filter(pk=grant.pk).update(issued_at=grant.issued_at - timedelta(seconds=seconds))


def stops(answer: Any) -> bool:
    return bool(answer.status_code == 429)


def loops_journalled() -> int:
    return Event.objects.filter(kind=Event.Kind.SIGN_IN_LOOP).count()


def test_after_three_unused_codes_the_page_explains_instead_of_asking(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    go_round(3)
    answer = alice.open(editor.client)
    page = answer.content.decode()
    assert stops(answer) and 0 < int(answer["Retry-After"]) <= 120
    assert "keeps asking you to sign in" in page and f"in {answer['Retry-After']} seconds" in page
    assert "Editor" in page and "127.0.0.1:33418" in page
    assert 'name="consent"' not in page and "http-equiv" not in page
    assert "no-store" in answer["Cache-Control"]


def test_it_leads_back_to_the_app_with_an_error_and_no_code(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    go_round(3)
    page = alice.open(editor.client).content.decode()
    assert f'href="{LOOPBACK}?error=temporarily_unavailable&amp;error_description=' in page
    assert "state=s-1" in page and "iss=" in page and "code=" not in page.replace("error_code=", "")


def test_two_codes_are_no_loop(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    go_round(2)
    assert signed_value(alice.open(editor.client))


def test_a_page_that_is_open_already_gives_no_further_code_either(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    page = alice.open(editor.client)
    go_round(3)
    codes = AuthorizationCode.objects.count()
    assert stops(alice.decide(page))
    assert AuthorizationCode.objects.count() == codes


def test_cancelling_that_page_is_still_possible(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    page = alice.open(editor.client)
    go_round(3)
    assert sent_to_client(alice.decide(page, "cancel"))["error"] == "access_denied"


def test_a_standing_consent_does_not_go_round_for_ever(demo: McpRoute, alice: Person, website: Party) -> None:
    """Without a page to stop at, the browser itself would run in circles."""
    for _ in range(3):
        code = alice.open(website.client, redirect_uri=WEB)
        given = sent_to_client(code if "http-equiv" in code.content.decode() else alice.decide(code))["code"]
        assert website.redeem(given, redirect_uri=WEB).status_code == 200
    assert stops(alice.open(website.client, redirect_uri=WEB))


def test_a_route_chosen_on_the_page_is_judged_at_the_decision(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    go_round(3)
    page = alice.open(editor.client, "", resource=None)
    assert stops(alice.decide(page, route="/mcp/demo"))
    assert "code" in sent_to_client(alice.decide(page, route="/mcp/demo-admin"))


@pytest.mark.parametrize("used", [0, 1, 2])
def test_an_access_token_used_in_between_is_no_loop(
    go_round: Callable[..., str], demo: McpRoute, alice: Person, editor: Party, used: int
) -> None:
    for number in range(3):
        token = go_round(1)
        if number == used:
            assert principals.resolve_now(token, demo.pk) is not None
    assert signed_value(alice.open(editor.client))


def test_one_used_before_the_three_does_not_count(go_round: Callable[..., str], demo: McpRoute, alice: Person, editor: Party) -> None:
    assert principals.resolve_now(go_round(1), demo.pk) is not None
    go_round(3)
    assert stops(alice.open(editor.client))


def test_a_token_refused_at_the_route_is_not_used(go_round: Callable[..., str], demo_admin: McpRoute, alice: Person, editor: Party) -> None:
    assert principals.resolve_now(go_round(3), demo_admin.pk) is None
    assert stops(alice.open(editor.client))


def test_another_route_user_or_client_is_no_part_of_the_loop(
    go_round: Callable[..., str], alice: Person, bob: Person, editor: Party, register: Callable[..., dict[str, Any]]
) -> None:
    go_round(3)
    assert signed_value(alice.open(editor.client, "/mcp/demo-admin", resource=None))
    assert signed_value(bob.open(editor.client))
    twin = register(client_name="Editor", redirect_uris=[LOOPBACK])
    assert signed_value(alice.open(Client.objects.get(client_id=twin["client_id"])))
    assert stops(alice.open(editor.client))


def test_after_two_minutes_it_works_again(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    go_round(3)
    assert stops(alice.open(editor.client))
    move_back(121)
    assert "code=" in forwarded_to(alice.decide(alice.open(editor.client)))


def test_three_codes_over_more_than_two_minutes_are_no_loop(go_round: Callable[..., str], alice: Person, editor: Party) -> None:
    go_round(1)
    move_back(121)
    go_round(2)
    assert signed_value(alice.open(editor.client))


class TestTheJournal:
    def test_has_each_stop_once_however_often_the_page_is_asked_for(
        self, go_round: Callable[..., str], alice: Person, editor: Party
    ) -> None:
        page = alice.open(editor.client)
        go_round(3)
        assert loops_journalled() == 0
        assert stops(alice.open(editor.client)) and stops(alice.open(editor.client)) and stops(alice.decide(page))
        event = Event.objects.get(kind=Event.Kind.SIGN_IN_LOOP)
        assert (event.user_id, event.client_id, event.grant_id) == (alice.user.pk, editor.client.client_id, Grant.objects.latest("pk").pk)
        assert event.resource.endswith("/mcp/demo")

    def test_has_the_next_loop_as_another(self, go_round: Callable[..., str], alice: Person, editor: Party) -> None:
        for _ in range(2):
            go_round(3)
            assert stops(alice.open(editor.client))
            move_back(121)
        assert loops_journalled() == 2

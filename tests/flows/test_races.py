"""What happens at the same moment: decided by the database, on both of them, with no 500."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
import requests

from tests.flows.conftest import LOOPBACK, House
from tests.support import databases
from tests.support.processes import until
from tests.support.signing import Signer

WEB = "https://app.example.com/cb"


def at_once(*acts: Callable[[], requests.Response]) -> list[requests.Response]:
    """Requests from several threads that start together; their answers in order."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], requests.Response]) -> requests.Response:
        barrier.wait(timeout=30)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


def ask_for_tokens(house: House, form: dict[str, str]) -> requests.Response:
    return requests.post(f"{house.url}/oauth/token", data=form, timeout=60)


def refresh(house: House, tokens: dict[str, Any], value: str = "") -> requests.Response:
    form = {"grant_type": "refresh_token", "refresh_token": value or tokens["refresh_token"], "client_id": tokens["client_id"]}
    return ask_for_tokens(house, form)


def journal(house: House, client_id: str) -> Counter[str]:
    """How often each kind of event was written for a client."""
    return Counter(databases.values(house.gateway.database_url, "journal_event", "kind", "client_id", client_id))


def live_families(house: House, client_id: str) -> int:
    """How many grants of a client were issued and not ended again: counted in the rows themselves."""
    url = house.gateway.database_url
    [key] = databases.values(url, "oauthgw_client", "id", "client_id", client_id)
    return databases.values(url, "oauthgw_grant", "revoked_at", "client_id", key).count(None)


def generations(house: House, grant_of: str) -> list[int]:
    """The refresh tokens of a client's only grant, by their place in the chain."""
    url = house.gateway.database_url
    [key] = databases.values(url, "oauthgw_client", "id", "client_id", grant_of)
    return sorted(databases.values(url, "oauthgw_refreshtoken", "generation", "application_id", key))


def test_fifty_refreshes_at_once_give_one_next_token_and_fifty_working_access_tokens(house: House) -> None:
    tokens = house.tokens("demo")
    answers = at_once(*[lambda: refresh(house, tokens)] * 50)
    assert Counter(answer.status_code for answer in answers) == {200: 50}
    given = [answer.json() for answer in answers]
    assert len({answer["refresh_token"] for answer in given}) == 1
    assert len({answer["access_token"] for answer in given}) == 50
    assert generations(house, tokens["client_id"]) == [0, 1]  # one family with one head
    assert journal(house, tokens["client_id"])["grant_refreshed"] == 1
    for answer in given[:5]:
        assert house.call("demo", answer["access_token"]).status_code == 200
    assert refresh(house, tokens, given[0]["refresh_token"]).status_code == 200


def test_a_refresh_of_every_link_at_once_leaves_one_head_or_an_ended_family(house: House) -> None:
    """Whoever comes first decides whether the older ones are forgiven; two heads there never are."""
    tokens = house.tokens("demo")
    second = refresh(house, tokens).json()["refresh_token"]
    answers = at_once(*[lambda: refresh(house, tokens), lambda: refresh(house, tokens, second)] * 10)
    assert {answer.status_code for answer in answers} <= {200, 400}
    assert len({answer.json()["refresh_token"] for answer in answers if answer.status_code == 200}) <= 2
    chain = generations(house, tokens["client_id"])
    assert chain == list(range(len(chain))) and len(chain) <= 3
    assert live_families(house, tokens["client_id"]) <= 1


def test_one_code_redeemed_fifty_times_at_once_gives_one_answer_and_the_replays_end_it(house: House) -> None:
    """By the right client with the right verifier each but the first is a replay, also at the same moment."""
    asked = house.ask("demo")
    client_id = asked.client["client_id"]
    answers = at_once(*[lambda: ask_for_tokens(house, asked.form())] * 50)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 49}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    written = journal(house, client_id)
    assert (written["grant_issued"], written["code_replayed"], written["grant_revoked"]) == (1, 1, 1)
    assert live_families(house, client_id) == 0
    token = next(answer.json()["access_token"] for answer in answers if answer.status_code == 200)
    house.ended("demo", token)


def test_one_code_in_many_hands_at_once_is_good_for_the_one_with_the_verifier(house: House) -> None:
    asked, stranger = house.ask("demo"), house.register(redirect_uris=[LOOPBACK])
    wrong = [{**asked.form(), "code_verifier": "w" * 43}, {**asked.form(), "client_id": stranger["client_id"]}]
    forms = [asked.form(), *(wrong * 10)]
    answers = at_once(*[lambda form=form: ask_for_tokens(house, form) for form in forms])
    assert [answer.status_code for answer in answers] == [200] + [400] * 20
    assert house.call("demo", answers[0].json()["access_token"]).status_code == 200


def test_a_revocation_among_refreshes_is_final(house: House) -> None:
    tokens = house.tokens("demo")
    form = {"client_id": tokens["client_id"], "token": tokens["refresh_token"]}
    revoke = [lambda: requests.post(f"{house.url}/oauth/revoke", data=form, timeout=60)]
    answers = at_once(*[lambda: refresh(house, tokens)] * 10, *revoke, *[lambda: refresh(house, tokens)] * 10)
    assert answers[10].status_code == 200
    assert {answer.status_code for answer in answers} <= {200, 400}
    assert live_families(house, tokens["client_id"]) == 0
    for answer in answers[:10] + answers[11:]:
        if answer.status_code == 200:
            house.ended("demo", answer.json()["access_token"])
    assert refresh(house, tokens).status_code == 400


def test_a_double_click_at_once_gives_one_code_that_works(house: House) -> None:
    visitor = house.visitor()
    client = house.register(redirect_uris=[LOOPBACK])
    page = visitor.open(house.authorize_url("demo", client))
    answers = at_once(*[lambda: visitor.press(page, "approve")] * 6)
    assert Counter(answer.status_code for answer in answers) == {200: 6}
    codes = {house.answered(answer.text, client).parameters["code"] for answer in answers}
    assert len(codes) == 1
    assert journal(house, client["client_id"])["consent_given"] == 1
    assert ask_for_tokens(house, house.answered(answers[0].text, client).form()).status_code == 200


@pytest.mark.postgresql
def test_a_withdrawal_under_way_is_waited_for_before_a_consent_is_repeated(house: House) -> None:
    """Else a code would slip out beside it, and outlive it."""
    visitor, client = house.visitor(), house.register(redirect_uris=[WEB])
    url = house.authorize_url("demo", client)
    assert "code=" in visitor.authorize(url)
    with psycopg.connect(house.gateway.database_url) as withdrawing, ThreadPoolExecutor(1) as pool:
        taken = withdrawing.execute("UPDATE oauthgw_consent SET withdrawn_at = now() WHERE shown_hosts::text LIKE '%app.example.com%'")
        assert taken.rowcount == 1
        opened = pool.submit(visitor.open, url)
        until(lambda: opened.done() or waits_for_a_lock(house), "the page neither came nor waited")
        withdrawing.commit()
        page = opened.result()
    assert 'name="decision"' in page.text and "code=" not in page.text


@pytest.mark.postgresql
def test_a_token_does_not_wait_for_whoever_holds_the_clients_row(house: House) -> None:
    """A popular client gives tokens to many at once: noting its use must never queue them up."""
    asked = house.ask("demo")
    with psycopg.connect(house.gateway.database_url) as noting:
        held = noting.execute("SELECT id FROM oauthgw_client WHERE client_id = %s FOR NO KEY UPDATE", (asked.client["client_id"],))
        assert held.rowcount == 1
        assert ask_for_tokens(house, asked.form()).status_code == 200


def waits_for_a_lock(house: House) -> bool:
    with psycopg.connect(house.gateway.database_url) as watching:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        row = watching.execute(query).fetchone()
    return row is not None and row[0] > 0


def test_one_assertion_shown_many_times_at_once_works_once(house: House) -> None:
    """Under gunicorn two processes see it; what an overheard one may do is decided by the database they share."""
    signer = Signer()
    client = house.register(redirect_uris=[LOOPBACK], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
    form = {"grant_type": "refresh_token", "refresh_token": "unknown", **signer.form(client["client_id"], house.url)}
    answers = at_once(*[lambda: ask_for_tokens(house, form)] * 20)
    assert Counter(answer.json()["error"] for answer in answers) == {"invalid_grant": 1, "invalid_client": 19}


def test_a_client_removed_while_it_asks_leaves_nothing_alive_and_is_no_crash(house: House) -> None:
    tokens = house.tokens("demo")
    registration = tokens["registration"]
    headers = {"Authorization": f"Bearer {registration['registration_access_token']}"}

    def remove() -> requests.Response:
        return requests.delete(registration["registration_client_uri"], headers=headers, timeout=60)

    answers = at_once(*[lambda: refresh(house, tokens), lambda: refresh(house, tokens), remove] * 4)
    refreshed = [answer for answer in answers if answer.request.method == "POST"]
    removed = {answer.status_code for answer in answers if answer.request.method == "DELETE"}
    assert {answer.status_code for answer in refreshed} <= {200, 400, 401, 503}, "503: its tokens would have pointed to nobody"
    assert 204 in removed <= {204, 401}
    given = [tokens["access_token"], *(answer.json()["access_token"] for answer in refreshed if answer.status_code == 200)]
    for token in given:
        house.ended("demo", token)
    assert journal(house, registration["client_id"])["client_removed"] == 1


def test_the_same_person_signing_in_for_the_first_time_in_five_browsers_is_one_user(house: House) -> None:
    client = house.register(redirect_uris=[LOOPBACK])
    pages: list[str] = []

    def first_visit() -> requests.Response:
        visitor = house.visitor("bob")
        page = visitor.open(house.authorize_url("demo", client))
        pages.append(page.text)
        return page

    answers = at_once(*[first_visit] * 5)
    assert Counter(answer.status_code for answer in answers) == {200: 5}
    assert all("bob@example.com" in page for page in pages)
    assert databases.count(house.gateway.database_url, "auth_user", "email", "bob@example.com") == 1

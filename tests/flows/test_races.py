"""What happens at the same moment: decided by the database, on both of them, with no 500."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import requests

from tests.flows.conftest import LOOPBACK, House
from tests.support import databases
from tests.support.signing import Signer


def at_once(times: int, act: Callable[[], requests.Response]) -> list[requests.Response]:
    """The same request from several threads that start together."""
    barrier = Barrier(times)

    def run() -> requests.Response:
        barrier.wait(timeout=30)
        return act()

    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(times)]]


def test_twenty_refreshes_at_once_give_one_next_token_and_twenty_working_access_tokens(house: House) -> None:
    tokens = house.tokens("demo")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": tokens["client_id"]}
    answers = at_once(20, lambda: requests.post(f"{house.url}/oauth/token", data=form, timeout=60))
    assert Counter(answer.status_code for answer in answers) == {200: 20}
    given = [answer.json() for answer in answers]
    assert len({answer["refresh_token"] for answer in given}) == 1
    assert len({answer["access_token"] for answer in given}) == 20
    for answer in given:
        assert house.call("demo", answer["access_token"]).status_code == 200
    following = requests.post(f"{house.url}/oauth/token", data={**form, "refresh_token": given[0]["refresh_token"]}, timeout=10)
    assert following.status_code == 200


def test_one_code_redeemed_many_times_at_once_gives_one_grant_and_the_replays_end_it(house: House) -> None:
    asked = house.ask("demo")
    answers = at_once(20, lambda: requests.post(f"{house.url}/oauth/token", data=asked.form(), timeout=60))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 19}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    token = next(answer.json()["access_token"] for answer in answers if answer.status_code == 200)
    assert house.call("demo", token).status_code == 401


def test_a_double_click_at_once_gives_one_code_that_works(house: House) -> None:
    visitor = house.visitor()
    client = house.register(redirect_uris=[LOOPBACK])
    page = visitor.open(house.authorize_url("demo", client))
    answers = at_once(6, lambda: visitor.press(page, "approve"))
    assert Counter(answer.status_code for answer in answers) == {200: 6}
    codes = {house.answered(answer.text, client).parameters["code"] for answer in answers}
    assert len(codes) == 1
    redeemed = requests.post(f"{house.url}/oauth/token", data=house.answered(answers[0].text, client).form(), timeout=10)
    assert redeemed.status_code == 200


def test_one_assertion_shown_many_times_at_once_works_once(house: House) -> None:
    """Under gunicorn two processes see it; what an overheard one may do is decided by the database they share."""
    signer = Signer()
    client = house.register(redirect_uris=[LOOPBACK], token_endpoint_auth_method="private_key_jwt", jwks=signer.key_set)
    form = {"grant_type": "refresh_token", "refresh_token": "unknown", **signer.form(client["client_id"], house.url)}
    answers = at_once(20, lambda: requests.post(f"{house.url}/oauth/token", data=form, timeout=60))
    assert Counter(answer.json()["error"] for answer in answers) == {"invalid_grant": 1, "invalid_client": 19}


def test_a_client_removed_while_it_asks_leaves_nothing_alive_and_is_no_crash(house: House) -> None:
    asked = house.ask("demo")
    registered = asked.client
    tokens = requests.post(f"{house.url}/oauth/token", data=asked.form(), timeout=10).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], "client_id": registered["client_id"]}
    headers = {"Authorization": f"Bearer {registered['registration_access_token']}"}
    turns = iter(range(12))

    def ask() -> requests.Response:
        if next(turns) % 4 == 3:
            return requests.delete(registered["registration_client_uri"], headers=headers, timeout=60)
        return requests.post(f"{house.url}/oauth/token", data=refresh, timeout=60)

    answers = at_once(12, ask)
    assert {answer.status_code for answer in answers} <= {200, 204, 400, 401, 503}
    assert 204 in {answer.status_code for answer in answers}
    given = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
    assert all(house.call("demo", token).status_code == 401 for token in [tokens["access_token"], *given])


def test_the_same_person_signing_in_for_the_first_time_in_five_browsers_is_one_user(house: House) -> None:
    client = house.register(redirect_uris=[LOOPBACK])
    pages: list[str] = []

    def first_visit() -> requests.Response:
        visitor = house.visitor("bob")
        page = visitor.open(house.authorize_url("demo", client))
        pages.append(page.text)
        return page

    answers = at_once(5, first_visit)
    assert Counter(answer.status_code for answer in answers) == {200: 5}
    assert all("bob@example.com" in page for page in pages)
    assert databases.count(house.gateway.database_url, "auth_user", "email", "bob@example.com") == 1

"""Slow servers take their own places and nobody else's."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from oauthgw.guard import fetch as guarded
from oauthgw.guard.fetch import CouldNotFetch, Fetched, Purpose, TooBusy, fetch
from oauthgw.guard.turns import NoTurn, Turns
from tests.support.documents import Documents
from tests.support.processes import PATIENCE, free_port
from tests.unit.guard.conftest import Resolve, Trust

Loop = Callable[..., list[Future[Fetched]]]
NEIGHBOURS = tuple(f"127.0.1.{number}" for number in range(1, 10))
ELSEWHERE = "127.0.2.1"


@dataclass
class Silent:
    """Servers that say nothing to whoever connects, until they are released. `reached` counts the connections to each address."""

    port: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    released: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def await_connections(self, number: int) -> None:
        """Returns once so many have come, over all addresses."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.reached.total() >= number, PATIENCE), self.reached

    def serve(self, server: socket.socket, stopping: threading.Event) -> None:
        with contextlib.ExitStack() as taken:
            while not stopping.is_set():
                if self.released.is_set():
                    taken.close()
                with contextlib.suppress(TimeoutError):
                    taken.enter_context(server.accept()[0])
                    with self._changed:
                        self.reached[server.getsockname()[0]] += 1
                        self._changed.notify_all()


@pytest.fixture
def slow() -> Iterator[Silent]:
    """Nine neighbours in one network, and one address of another, at one port."""
    stopping, slow = threading.Event(), Silent(free_port())
    with contextlib.ExitStack() as running:
        for address in (*NEIGHBOURS, ELSEWHERE):
            server = running.enter_context(socket.create_server((address, slow.port)))
            server.settimeout(0.05)
            thread = threading.Thread(target=slow.serve, args=(server, stopping), daemon=True)
            thread.start()
            running.callback(thread.join, 10)
        running.callback(stopping.set)
        yield slow


@pytest.fixture
def loop(slow: Silent) -> Iterator[Loop]:
    """Fetches all these URLs at the same time."""
    with ThreadPoolExecutor(64) as visitors:
        yield lambda *urls: [visitors.submit(fetch, url) for url in urls]
        slow.released.set()


@pytest.fixture
def in_passing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], CouldNotFetch]:
    """A fetch that has little time, and what became of it; those that are under way keep theirs."""

    def call(url: str) -> CouldNotFetch:
        with monkeypatch.context() as hurried:
            hurried.setattr(guarded, "TOTAL_SECONDS", 0.5)
            with pytest.raises(CouldNotFetch) as caught:
                fetch(url)
        return caught.value

    return call


@pytest.fixture
def everything_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets loopback addresses pass for public ones: a test reaches no other."""
    monkeypatch.setattr(guarded, "is_public", lambda address: True)


def test_64_slow_fetches_of_one_host_keep_nobody_from_another(
    documents: Documents, trust: Trust, slow: Silent, loop: Loop, in_passing: Callable[[str], CouldNotFetch]
) -> None:
    document = documents.publish("/client.json", {"a": 1})
    trust(documents.authority, ELSEWHERE)
    loop(*[f"http://{ELSEWHERE}:{slow.port}/{number}" for number in range(64)])
    slow.await_connections(guarded.OF_ONE)
    assert fetch(document).content == b'{"a": 1}'
    refused = in_passing(f"http://{ELSEWHERE}:{slow.port}/more")
    assert isinstance(refused, TooBusy)
    assert str(refused) == f"too many fetches at once: host {ELSEWHERE}"
    assert slow.reached == {ELSEWHERE: guarded.OF_ONE}


def test_nor_do_slow_hosts_of_one_network(
    everything_is_public: None, slow: Silent, loop: Loop, in_passing: Callable[[str], CouldNotFetch]
) -> None:
    loop(*[f"https://{address}:{slow.port}/" for address in NEIGHBOURS])
    slow.await_connections(guarded.OF_ONE)
    assert str(in_passing(f"https://{NEIGHBOURS[-1]}:{slow.port}/")) == "too many fetches at once: network 127.0.1.0/24"
    assert str(in_passing(f"https://{ELSEWHERE}:{slow.port}/")) == "too slow", "it had its turn, and met silence"
    slow.await_connections(guarded.OF_ONE + 1)
    assert slow.reached.pop(ELSEWHERE) == 1
    assert slow.reached.total() == guarded.OF_ONE


def test_hosts_that_an_operator_trusts_may_share_a_network(trust: Trust, slow: Silent, loop: Loop) -> None:
    trust(*NEIGHBOURS)
    loop(*[f"http://{address}:{slow.port}/" for address in NEIGHBOURS])
    slow.await_connections(len(NEIGHBOURS))


def test_slow_documents_in_many_networks_keep_no_key_set_from_being_fetched(
    documents: Documents,
    trust: Trust,
    slow: Silent,
    loop: Loop,
    in_passing: Callable[[str], CouldNotFetch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guarded, "_places", Turns("all", 2))
    url = documents.publish("/x", {})
    trust(documents.authority, *NEIGHBOURS)
    loop(*[f"http://{address}:{slow.port}/" for address in NEIGHBOURS[:2]])
    slow.await_connections(2)
    assert str(in_passing(url)) == "too many fetches at once: all documents"
    monkeypatch.setattr(guarded, "TOTAL_SECONDS", PATIENCE / 3)  # before a slow one ends by itself
    assert fetch(url, purpose=Purpose.KEYS).content == b"{}"


def test_a_host_without_a_turn_at_one_address_is_asked_at_the_next(
    everything_is_public: None, resolve: Resolve, slow: Silent, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "_networks", Turns("network", 1))
    loop(f"https://{NEIGHBOURS[0]}:{slow.port}/")
    slow.await_connections(1)
    resolve("several.test", [NEIGHBOURS[1], ELSEWHERE])
    monkeypatch.setattr(guarded, "TOTAL_SECONDS", 1)
    with pytest.raises(CouldNotFetch, match="too slow"):
        fetch(f"https://several.test:{slow.port}/")
    slow.await_connections(2)
    assert slow.reached == {NEIGHBOURS[0]: 1, ELSEWHERE: 1}


def test_slow_name_servers_of_one_domain_keep_no_other_name_from_being_looked_up(
    documents: Documents, loop: Loop, in_passing: Callable[[str], CouldNotFetch], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, released, asked = socket.getaddrinfo, threading.Event(), threading.Semaphore(0)

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not host.endswith(".slow.test"):
            return real(host, *args, **kwargs)
        asked.release()
        released.wait(PATIENCE)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        loop(*[f"https://{number}.slow.test/" for number in range(40)])
        assert all(asked.acquire(timeout=PATIENCE) for _ in range(guarded.OF_ONE))
        assert str(in_passing("https://one-more.slow.test/")) == "too many fetches at once: domain slow.test"
        assert fetch(documents.publish("/x", {})).content == b"{}"
        assert not asked.acquire(blocking=False)
    finally:
        released.set()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("93.184.216.34", "93.184.216.0/24"),
        ("::ffff:93.184.216.34", "93.184.216.0/24"),
        ("2606:2800:220:1::1", "2606:2800:220::/48"),
        ("2606:2800:221:1::1", "2606:2800:221::/48"),
    ],
)
def test_what_counts_as_one_network(address: str, network: str) -> None:
    assert guarded._network(address) == network


class TestTurns:
    def test_whoever_waits_takes_the_place_that_is_left(self) -> None:
        turns = Turns("host", 1)
        with ThreadPoolExecutor(1) as other:
            with turns.take("a", 0):
                waiting = other.submit(self.took, turns, "a", time.monotonic() + PATIENCE)
                with turns.take("b", 0), pytest.raises(NoTurn, match="host a"), turns.take("a", 0):
                    pass
            assert waiting.result(PATIENCE / 3), "it need not wait for its own deadline"

    def test_a_place_is_left_however_the_block_ends(self) -> None:
        turns = Turns("host", 1)
        with pytest.raises(ValueError, match="no"), turns.take("a", 0):
            raise ValueError("no")
        assert self.took(turns, "a", 0)

    def test_names_that_nobody_holds_are_forgotten(self) -> None:
        turns = Turns("host", 2)
        with turns.take("a", 0), turns.take("a", 0), turns.take("b", 0):
            assert dict(turns._taken) == {"a": 2, "b": 1}
        assert dict(turns._taken) == {}

    def took(self, turns: Turns, name: str, deadline: float) -> bool:
        with turns.take(name, deadline):
            return True

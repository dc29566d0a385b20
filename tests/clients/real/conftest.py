"""A gateway to connect to, and desks to connect from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.real.desk import Desk
from tests.flows.conftest import House
from tests.support.gateway import Gateway


@pytest.fixture(scope="module")
def house(start_gateway: Callable[..., Gateway]) -> House:
    return House(start_gateway())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)

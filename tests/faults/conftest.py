"""One gateway for the faults of its upstreams, and the routes that lead to them."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.flows.dataplane_fixtures import Served, gateway, hang_up


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with gateway(tmp_path_factory.mktemp("gateway"), MCP_MAX_BODY_BYTES=str(4 * 1024 * 1024)) as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()

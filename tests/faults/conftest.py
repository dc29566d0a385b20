"""One gateway for the faults of its upstreams, and the routes that lead to them."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.flows.dataplane_fixtures import Served, gateway, hang_up
from tests.support import tls
from tests.support.processes import free_port


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tls.Authority:
    """Whom the gateway trusts to vouch for an upstream's name."""
    return tls.Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="session")
def other_port() -> int:
    """Where the routes `secure`, `literal` and `exact` lead."""
    return free_port()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, authority: tls.Authority, other_port: int) -> Iterator[Served]:
    routes = {
        "secure": f"https://localhost:{other_port}/mcp",
        "literal": f"http://[::1]:{other_port}/mcp",
        "exact": f"http://127.0.0.1:{other_port}/a%2Fb//c/../d;e/?key=%20x+y'z&key=K%c3%a4se&",
        "nowhere": "http://nowhere.invalid/mcp",
    }
    settings = {
        "MCP_UPSTREAM_TIMEOUT_SECONDS": "3",
        "MCP_MAX_BODY_BYTES": str(4 * 1024 * 1024),
        "SSL_CERT_FILE": str(authority.path),
    }
    with gateway(tmp_path_factory.mktemp("gateway"), "runserver", routes, **settings) as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()

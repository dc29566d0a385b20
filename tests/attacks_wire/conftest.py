"""Gateways to attack over raw sockets, shared by the tests of this folder. Rows and upstreams are those of the data plane's own tests."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.flows.dataplane_fixtures import Served, gateway, hang_up


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A laptop's gateway."""
    with gateway(tmp_path_factory.mktemp("laptop")) as running:
        yield running


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Two gunicorn workers with a public origin behind a proxy that is trusted."""
    settings = {
        "GATEWAY_ORIGIN": "https://gw.example",
        "TRUSTED_PROXIES": "127.0.0.1",
        "DEBUG": "false",
        "SECRET_KEY": "k3Jd8sLq0ZxV7nB2mCw5rTy9uIoP1aSdF4gHjKlQwErTyUiOpZ",
        "TOKEN_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "SIGN_IN_ALLOW": "*",
        "WORKOS_CLIENT_ID": "client_x",
        "WORKOS_CLIENT_SECRET": "sk_x",
    }
    with gateway(tmp_path_factory.mktemp("public"), "gunicorn", **settings) as running:
        yield running


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()

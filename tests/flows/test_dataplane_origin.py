"""The data plane behind a proxy that ends TLS: only the configured origin counts, and only trusted proxies are believed."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.flows.dataplane_fixtures import PING, Served, gateway, hang_up, post

pytestmark = pytest.mark.asyncio

METADATA = "/.well-known/oauth-protected-resource/mcp/told"


@pytest_asyncio.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await hang_up()


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory, either_database: str) -> Iterator[Served]:
    settings = {"GATEWAY_ORIGIN": "https://gw.example", "TRUSTED_PROXIES": "127.0.0.1", "ALLOWED_ORIGINS": "https://app.example"}
    with gateway(tmp_path_factory.mktemp("public"), **settings) as running:
        yield running


async def test_the_configured_origin_is_the_only_one(public: Served) -> None:
    answer = await post(public, PING, token=None, Host="gw.example", X_Forwarded_Host="evil.example", X_Forwarded_For="203.0.113.9")
    assert answer.header("www-authenticate") == f'Bearer resource_metadata="https://gw.example{METADATA}", scope="mcp:tools"'
    assert await public.logged("POST /mcp/told", "client=203.0.113.9")
    assert (await post(public, PING, token=None)).status == 400  # localhost is no host of ours then


@pytest.mark.parametrize(("page", "status"), [("https://app.example", 401), ("http://localhost:6274", 403), ("https://other.example", 403)])
async def test_allowed_origins_are_a_list_and_nothing_else(public: Served, page: str, status: int) -> None:
    assert (await post(public, PING, token=None, Host="gw.example", Origin=page)).status == status

"""The real parts that every test may ask for by name. How each is made is in tests/support.

Tests without a network run in this process on Django's test database; `gateway` and its company are processes of their own.
"""

import contextlib
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support import browsers, databases, redis_server
from tests.support.emulator import Emulator, emulate
from tests.support.gateway import Gateway, configuration, manage, serve
from tests.support.processes import until
from tests.support.upstream import DemoUpstream, demo_upstream

_TOUCH_THE_DATABASE = {
    "db",
    "transactional_db",
    "django_db_setup",
    "migrated_database",
    "database_url",
    "either_database",
    "gateway",
    "start_gateway",
}


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is stopped then, too


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On PostgreSQL only what touches the database runs: the rest would be the same test again. What is marked for it runs only there."""
    if databases.KIND == "sqlite":
        concerned = [item for item in items if not item.get_closest_marker("postgresql")]
    else:
        touching = [item for item in items if _touches_the_database(item)]
        concerned = [item for item in touching if not item.get_closest_marker("whichever_database")]
    config.hook.pytest_deselected(items=[item for item in items if item not in concerned])
    items[:] = concerned


def _touches_the_database(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("django_db") or item.get_closest_marker("postgresql")
    return bool(marked or _TOUCH_THE_DATABASE & set(item.fixturenames))  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What the data plane in this process holds of one test's database is untrue in the next."""
    from mcp_routes import snapshot
    from oauthgw import principals

    principals.forget()
    snapshot.forget()


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """A thread that keeps its database connection keeps the test database from being dropped, when nobody knows any more whose it was."""
    before = databases.connections_of_other_threads()
    yield
    until(
        lambda: databases.connections_of_other_threads() <= before,
        "A thread of this test, or of a server in it, kept its database connection.",
    )


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """A folder for logs, seeds and SQLite files; it goes with the session."""
    with tempfile.TemporaryDirectory(prefix="gateway-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def emulator(workshop: Path) -> Iterator[Emulator]:
    """WorkOS, with alice and bob of example.com and carol of outside.example."""
    with emulate(workshop) as running:
        yield running


@pytest.fixture(scope="session")
def upstream(workshop: Path) -> Iterator[DemoUpstream]:
    """The demo MCP server."""
    with demo_upstream(workshop) as running:
        yield running


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A Redis that answers; shared, so its keys must be a test's own."""
    url = redis_server.answering()
    assert url is not None, "No Redis answers: set TEST_REDIS_URL, or use `make test`, which starts one."
    return url


@pytest.fixture(scope="session")
def migrated_database(workshop: Path, upstream: DemoUpstream) -> Iterator[str]:
    """The database that every gateway's is a copy of: migrated, with the routes `demo` and `demo-admin`."""
    with databases.fresh(workshop) as url:
        environment = configuration(url, DEBUG="true")
        manage(environment, "migrate", "--verbosity", "0")
        manage(environment, "mcproute", "add", "demo", upstream.url, "--name", "Demo tools")
        manage(environment, "mcproute", "add", "demo-admin", upstream.url, "--name", "Demo administration")
        yield url


@pytest.fixture(scope="session")
def either_database() -> str:
    """The kind of this run, for fixtures that make a database of their own: tests that use it run on both."""
    return databases.KIND


@pytest.fixture(scope="module")
def database_url(workshop: Path, migrated_database: str) -> Iterator[str]:
    """A database of this module's own."""
    with databases.fresh(workshop, migrated_database) as url:
        yield url


@pytest.fixture(scope="module")
def start_gateway(workshop: Path, migrated_database: str, emulator: Emulator) -> Iterator[Callable[..., Gateway]]:
    """`start_gateway("gunicorn", SIGN_IN_ALLOW="@example.com")`: further gateways, each over its own database unless told DATABASE_URL."""
    with contextlib.ExitStack() as parts:

        def start(server: str = "runserver", **settings: str) -> Gateway:
            url = settings.pop("DATABASE_URL", None) or parts.enter_context(databases.fresh(workshop, migrated_database))
            return parts.enter_context(serve(workshop, url, server, **{**emulator.settings, **settings}))

        yield start


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest, database_url: str, start_gateway: Callable[..., Gateway]) -> Gateway:
    """The gateway of this module, under `runserver` unless parametrised (indirectly) with "gunicorn"."""
    server: str = getattr(request, "param", "runserver")
    # Several processes share what they know through Redis, as in production.
    shared = {"CACHE_URL": request.getfixturevalue("redis_url")} if server == "gunicorn" else {}
    return start_gateway(server, DATABASE_URL=database_url, **shared)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For one module: while Playwright is open, its event loop keeps Django's ORM and other loops out of this thread."""
    with browsers.chromium() as running:
        yield running


@pytest.fixture
def browser(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that has never been anywhere: its own cookies and storage."""
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def page(browser: BrowserContext) -> Page:
    return browser.new_page()


@pytest.fixture
def sign_in(gateway: Gateway) -> Callable[..., None]:
    """`sign_in(page, "alice@example.com", next_path="/account/")`, through the emulator."""

    def go(page: Page, email: str, **options: Any) -> None:
        browsers.sign_in(page, gateway, email, **options)

    return go

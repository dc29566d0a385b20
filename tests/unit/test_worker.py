"""What a worker allows itself before it serves."""

import resource
from collections.abc import Iterator

import pytest

from gatewaysite import worker


@pytest.fixture
def files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("files")
def test_a_worker_takes_all_the_files_it_may_have_and_two_are_a_client() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, most), most))
    clients = worker._connections_that_files_allow()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
    assert 2 * clients < most <= 2 * clients + worker._OWN_FILES + 1

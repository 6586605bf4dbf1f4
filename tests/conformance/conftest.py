"""The servers that are compared, started once, when the first test asks for them."""

from collections.abc import Iterator

import pytest

from tests.conformance.harness import servers
from tests.conformance.harness.servers import Server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """What is right."""
    with servers.valkey() as server:
        yield server


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One node with no configuration."""
    with servers.standalone(tmp_path_factory.mktemp("standalone")) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three nodes, four groups, forward routing."""
    with servers.cluster(tmp_path_factory.mktemp("cluster")) as server:
        yield server


@pytest.fixture(params=["standalone", "cluster"], scope="session")
def redraft(request: pytest.FixtureRequest) -> Server:
    """Each of ours in turn."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(params=["valkey", "standalone"])
def server(request: pytest.FixtureRequest) -> Server:
    """What is right, and then ours: the same test says what either does."""
    found: Server = request.getfixturevalue(request.param)
    return found

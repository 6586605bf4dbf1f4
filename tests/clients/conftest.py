"""The servers that clients are tried on, started once, and a fresh start for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.clients.jobs.workers import Workplace
from tests.conformance.harness import servers
from tests.conformance.harness.servers import HOST, Server

KINDS = ("standalone", "forward", "redirect")


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the kind that the test asks for."""
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "standalone":
        with servers.standalone(directory) as server:
            yield server
    else:
        with servers.cluster(directory, request.param) as server:
            yield server


@pytest.fixture
def server(running: Server) -> Server:
    """The same, empty."""
    for port in running.ports:  # with redirect routing, a node that leads nothing empties nothing
        with Redis(HOST, port) as client:
            client.flushall()
    return running


@pytest.fixture
def workplace(server: Server, tmp_path: Path) -> Workplace:
    """The same, for the workers of a job queue."""
    return Workplace(server.port, tmp_path)


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run the test on servers of these kinds: standalone, a forwarding cluster, a redirecting one."""
    return pytest.mark.parametrize("running", kinds, indirect=True, scope="session")

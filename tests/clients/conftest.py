"""The servers that clients are tried on, started once, and a fresh start for every test; and clients in JavaScript."""

import shutil
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path

import pytest
import redis.asyncio.connection
import redis.connection
from redis import Redis

from tests.clients.jobs.failover import Failover
from tests.clients.jobs.failover import failover as kill_one
from tests.clients.jobs.workers import Workplace
from tests.clients.programs import installed, program
from tests.conformance.harness import servers
from tests.conformance.harness.servers import HOST, Server
from tests.processes.harness import Cluster, reply_timeout_s

PATIENT = {"leader_wait_ms": 30_000}
"""On a busy machine an election may take longer than commands wait by default."""
PACKAGES = ("ioredis@6", "ioredis5@npm:ioredis@5", "redis@6", "bullmq@6")


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """redis-py gives up after five seconds and asks again, which does some things twice; a busy machine may take that
    long."""

    def patient(init: Callable[..., None]) -> Callable[..., None]:
        @wraps(init)
        def with_patience(self: object, *args: object, **options: object) -> None:
            waits = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), reply_timeout_s)
            init(self, *args, **{**options, **waits})

        return with_patience

    with pytest.MonkeyPatch.context() as patch:
        for kind in (redis.connection.AbstractConnection, redis.asyncio.connection.AbstractConnection):
            patch.setattr(kind, "__init__", patient(kind.__init__))
        yield


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


@pytest.fixture(scope="session")
def mortal_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes with one shard group, of which tests kill one."""
    with Cluster(tmp_path_factory.mktemp("mortal"), groups=1, raft=PATIENT) as cluster:
        yield cluster


@pytest.fixture
def failover(mortal_cluster: Cluster, tmp_path: Path) -> Iterator[Failover]:
    """The same, empty, and its leader."""
    with kill_one(mortal_cluster, tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the programs in JavaScript of these tests and the packages that they use, from npm."""
    npm = program("npm")
    where = tmp_path_factory.mktemp("javascript")
    installed(npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES, directory=where)
    for path in Path(__file__).parent.rglob("*.cjs"):
        shutil.copy(path, where)
    return where


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run the test on servers of these kinds: standalone, a forwarding cluster, a redirecting one."""
    return pytest.mark.parametrize("running", kinds, indirect=True, scope="session")

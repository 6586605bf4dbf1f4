"""Programs with redis-py and django-redis while the leader of their keys is killed, and jobs through cluster clients.

The former talk to nodes that live on: locks hold, and what is sent is done once, without an error. Cluster clients know
the killed node too: their jobs' effects come once (streams_app.py). Job queues are tested so in files of their own.
"""

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from redis.client import Pipeline

from tests.clients.conftest import PATIENT
from tests.clients.django_cache import django_cache
from tests.clients.jobs.failover import JOBS, Failover
from tests.clients.jobs.failover import failover as kill_one
from tests.clients.jobs.streams_app import Jobs, connect
from tests.clients.jobs.workers import PATIENCE_S, eventually
from tests.clients.programs import program, run
from tests.processes.harness import Cluster


@pytest.fixture(scope="module", params=["forward", "redirect"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes, each of which leads a shard group at first."""
    directory = tmp_path_factory.mktemp(request.param)
    with Cluster(directory, routing=request.param, raft=PATIENT) as cluster:
        yield cluster


@pytest.fixture
def clients(failover: Failover) -> Iterator[list[Redis]]:
    """One of each node that stays."""
    with Redis.from_url(failover.office.url) as one, Redis.from_url(failover.factory.url) as other:
        yield [one, other]


def test_a_lock_has_one_holder(failover: Failover, clients: list[Redis]) -> None:
    """Counts without INCR, which only works when nobody else does the same meanwhile."""

    def count(client: Redis) -> None:
        with client.lock("lock", timeout=PATIENCE_S, sleep=0.001):
            client.set("count", int(client.get("count") or 0) + 1)

    rounds = failover.share([partial(count, client) for client in clients])
    assert int(clients[0].get("count")) == rounds


def test_watched_transactions_are_done_once(failover: Failover, clients: list[Redis]) -> None:
    def count(pipeline: Pipeline) -> None:
        value = int(pipeline.get("count") or 0)
        pipeline.multi()
        pipeline.set("count", value + 1).rpush("counted", value + 1)

    rounds = failover.share([partial(client.transaction, count, "count") for client in clients])
    assert clients[0].lrange("counted", 0, -1) == [b"%d" % number for number in range(1, rounds + 1)]


def test_pipelines_are_done_once(failover: Failover, clients: list[Redis]) -> None:
    """Each reply is another number: neither was a command done twice, nor is a reply another's."""
    numbers: list[int] = []

    def count(client: Redis) -> None:
        with client.pipeline(transaction=False) as pipeline:
            for _ in range(5):
                pipeline.incr("count")
            numbers.extend(pipeline.execute())

    rounds = failover.share([partial(count, client) for client in clients])
    assert sorted(numbers) == list(range(1, 5 * rounds + 1))


def test_a_cache_counts_and_its_locks_hold(failover: Failover) -> None:
    with django_cache(failover.office.url) as one, django_cache(failover.factory.url) as other:
        one.set_many({"count": 0, "total": 0})

        def count(cache: object) -> None:
            with cache.lock("lock", timeout=PATIENCE_S, sleep=0.001):
                cache.set("count", cache.get("count") + 1)
            cache.incr("total")

        rounds = failover.share([partial(count, one), partial(count, other)])
        assert one.get_many(["count", "total"]) == {"count": rounds, "total": rounds}


class TestClusterClients:
    @pytest.fixture
    def failover(self, cluster: Cluster, tmp_path: Path) -> Iterator[Failover]:
        with kill_one(cluster, tmp_path) as found:
            yield found

    def test_redis_py(self, cluster: Cluster, failover: Failover, tmp_path: Path) -> None:
        command = (sys.executable, "-m", "tests.clients.jobs.streams_app")
        self.work_off(cluster, failover, tmp_path, *command)

    @pytest.mark.parametrize("package", ["ioredis", "ioredis5", "redis"])
    def test_from_npm(self, cluster: Cluster, failover: Failover, javascript: Path, package: str) -> None:
        self.work_off(cluster, failover, javascript, program("node"), "streams.cjs", package)

    def work_off(self, cluster: Cluster, failover: Failover, directory: Path, *command: str) -> None:
        """Jobs are made and done by this program, run in this directory; every job's effect comes once, though the job
        itself may be done again."""
        name = str(time.time_ns())
        ports = [str(server.port) for server in cluster.servers]
        jobs = dict.fromkeys(map(str, range(JOBS)), 1)
        with failover.factory.process(*command, "work", name, *ports, started="ready", directory=directory):
            produce = (*command, "produce", name, str(JOBS), *ports)
            with failover.killing():
                run(*produce, directory=directory, environment=failover.office.environment)
            with connect(failover.office.port) as client:
                streams = Jobs(client, name)
                eventually(lambda: streams.counts().keys() == jobs.keys(), "all jobs are done")
                assert streams.counts() == jobs
        assert failover.factory.runs.keys() == jobs.keys()

"""Client-side caching while leaders die, stall and hand over: what a client still keeps in the end is true.

The client stays on one node; the leader of some of what it reads does not (where that is its own node, another).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import hiredis
import pytest

from tests.conformance.harness.cache import Cache
from tests.processes.client import ConnectionLost
from tests.processes.crew import Crew
from tests.processes.harness import Cluster, Server, eventually, key_of

KEYS = [key_of(group, of=3, name=f"cached{number}") for group in (1, 2, 3) for number in range(6)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("tracking")) as cluster:
        cluster.wait_spread()
        yield cluster


def kill(server: Server) -> None:
    time.sleep(0.2)
    server.kill()
    time.sleep(1.5)
    server.start()


def stall(server: Server) -> None:
    time.sleep(0.2)
    server.pause()
    time.sleep(2.0)
    server.resume()


def stop(server: Server) -> None:
    time.sleep(0.2)
    assert server.stop() == 0
    server.start()


@pytest.mark.parametrize("disturb", [kill, stall, stop])
@pytest.mark.parametrize("options", [(), ("BCAST",)], ids=["read", "broadcast"])
def test_nothing_stays_that_is_not_true(
    cluster: Cluster, disturb: Callable[[Server], None], options: tuple[str, ...]
) -> None:
    """Reading and writing end in the midst of it, so that nothing later covers up what was not told."""
    home = cluster.servers[0]
    cluster.wait_spread()
    with cluster.logs_on_failure(), Cache(home.port, *options) as cache:
        eventually(lambda: reads_all(cache), "it keeps what it reads")
        leader = victim(cluster)
        with Crew(
            lambda over: disturb(leader), *(partial(write, server, KEYS) for server in cluster.servers)
        ):
            until_s = time.monotonic() + 0.4
            while time.monotonic() < until_s:
                cache.read(*KEYS)
        cluster.wait_ready()
        eventually(lambda: all_true(cache, home), "all that is kept is true")


def victim(cluster: Cluster) -> Server:
    """A leader that is not the client's node."""
    return next(cluster.leader(group) for group in (1, 2, 3) if cluster.leader(group) != cluster.servers[0])


def write(server: Server, keys: list[str], over: threading.Event) -> None:
    """Until it is over, whatever happens to the server."""
    number = 0
    while not over.is_set():
        with suppress(ConnectionLost, OSError, hiredis.ReplyError), server.client(timeout_s=3) as client:
            while not over.is_set():
                number += 1
                client.call("set", keys[(7 * number) % len(keys)], f"{server.name} {number}")


def reads_all(cache: Cache) -> bool:
    """What one group's new leader does not know of is forgotten, and read again."""
    cache.read(*KEYS)
    return len(cache.kept) == len(KEYS)


def all_true(cache: Cache, server: Server) -> bool | None:
    cache.settle()
    return all(server.call("get", key) == value for key, value in list(cache.kept.items())) or None

"""Clients that wait at one node for a key that another one leads: whatever becomes of that one, they wait on at the
next leader and are served once, and a client that has gone takes nothing.
"""

import time
from collections.abc import Iterator

import pytest

from tests.processes.harness import STEADY, Cluster, Server, eventually, key_of

GROUP = 1


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("waiting"), raft=STEADY) as cluster:
        cluster.wait_spread()
        yield cluster


class Scene:
    """A popper and a reader of a stream, who wait at a node that does not lead; others push. A context manager."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        cluster.wait_spread()  # or the balancing of leaders would let them go before the test does
        self.leader: Server = cluster.leader(GROUP)
        self.here, self.there = cluster.others(self.leader)
        tag = "{" + key_of(GROUP, of=len(cluster.group_numbers), name=name) + "}"
        self.list, self.stream = f"{tag}l", f"{tag}s"
        self.popper, self.reader = self.here.client(), self.here.client()
        self.popper.send(("blpop", self.list, 0))
        self.reader.send(("xread", "block", 0, "streams", self.stream, "$"))
        eventually(lambda: self.here.info("clients")["blocked_clients"] == "2", "both wait")
        time.sleep(0.1)  # … at the leader too

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        self.popper.close()
        self.reader.close()

    def push(self) -> None:
        """Somebody pushes, at another node, as soon as the group has a leader."""
        assert self.there.insist("rpush", self.list, "element") == 1

    def both_are_served(self) -> None:
        """Each gets what comes, and it is there once."""
        self.push()
        assert self.popper.receive() == [self.list.encode(), b"element"]
        with self.there.client() as client:
            assert client.call("exists", self.list) == 0
            assert client.call("xadd", self.stream, "1-1", "field", "value") == b"1-1"
        assert self.reader.receive() == [[self.stream.encode(), [[b"1-1", [b"field", b"value"]]]]]


def test_who_waits_goes_on_when_the_leader_stops(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "stops") as scene:
        with scene.here.client() as leaving:
            leaving.send(("blpop", scene.list, 0))
        scene.leader.stop()
        scene.both_are_served()
        scene.leader.start()
        cluster.wait_ready()


def test_who_waits_goes_on_when_the_leader_dies(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "dies") as scene:
        scene.leader.kill()
        scene.both_are_served()
        scene.leader.start()
        cluster.wait_ready()


def test_who_waits_goes_on_when_the_leader_hears_and_says_nothing(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "paused") as scene:
        scene.leader.pause()
        scene.both_are_served()
        scene.leader.resume()
        cluster.wait_ready()


def test_who_waited_at_a_node_that_dies_takes_nothing(cluster: Cluster) -> None:
    """Though it was the first: the next one gets it, or it stays."""

    def visitors() -> int:
        return sum(b"from" in link for link in scene.leader.call("cluster", "links"))

    with cluster.logs_on_failure(), Scene(cluster, "gone") as scene:
        eventually(lambda: visitors() == 2, "both others are connected")
        scene.here.kill()
        eventually(lambda: visitors() == 1, "the leader sees that it is gone")
        scene.push()
        assert scene.leader.call("llen", scene.list) == 1
        scene.here.start()
        cluster.wait_ready()


def test_who_waits_goes_on_when_the_link_to_its_leader_breaks(cluster: Cluster) -> None:
    with cluster.logs_on_failure(), Scene(cluster, "cut") as scene:
        cluster.network.cut(scene.here.name, scene.leader.name)
        scene.both_are_served()

"""WAIT tells how many replicas have a write, whichever node is asked; a replica answers with nothing too old."""

import time
from collections.abc import Iterator

import pytest

from tests.processes.harness import STEADY, Cluster, eventually, key_of

GROUP = 1
STALE_MAX_S = 1.0
"""stale_max_ms as it is when nothing is said."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("replicas"), raft=STEADY) as cluster:
        cluster.wait_spread()
        yield cluster


@pytest.mark.parametrize("at_leader", [True, False], ids=["at the leader", "at another node"])
def test_a_replica_that_stands_still_is_not_counted_before_it_goes_on(
    cluster: Cluster, at_leader: bool
) -> None:
    leader = cluster.leader(GROUP)
    here, still = cluster.others(leader)
    asked = leader if at_leader else here
    key = key_of(GROUP, of=len(cluster.group_numbers))
    with asked.client() as client:
        assert client.call("set", key, "1") == b"OK"
        assert client.call("wait", 2, 50_000) == 2
        still.pause()
        try:
            assert client.call("set", key, "2") == b"OK"
            assert client.call("wait", 1, 50_000) == 1
            assert client.call("wait", 2, 200) == 1
            client.send(("waitaof", 1, 2, 0))
        finally:
            still.resume()
        assert client.receive() == [1, 2]


def test_a_replica_that_stood_still_does_not_answer_with_what_was(cluster: Cluster) -> None:
    """Heartbeats have waited in its sockets all the while, beside the question."""
    leader = cluster.leader(GROUP)
    replica = cluster.others(leader)[0]
    key = key_of(GROUP, of=len(cluster.group_numbers))
    with leader.client() as writer, replica.client() as reader:
        assert reader.call("readonly") == b"OK"
        assert writer.call("set", key, "before") == b"OK"
        eventually(lambda: reader.call("get", key) == b"before", "the replica has the write")
        replica.pause()
        try:
            time.sleep(STALE_MAX_S / 2)  # some heartbeats
            for _ in range(20):  # more than is read at once
                assert writer.call("set", key, "x" * 100_000) == b"OK"
            assert writer.call("set", key, "after") == b"OK"
            time.sleep(1.5 * STALE_MAX_S)
            reader.send(("get", key))
        finally:
            replica.resume()
        assert reader.receive() == b"after"

"""WAIT tells how many replicas have a write, whichever node is asked."""

from collections.abc import Iterator

import pytest

from tests.processes.harness import STEADY, Cluster, key_of

GROUP = 1


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

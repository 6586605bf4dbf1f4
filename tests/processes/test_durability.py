"""What was acknowledged is still there after kill -9, of whomever, whenever; also in the middle of compaction
and snapshots."""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import hiredis
import pytest

from tests.processes.harness import (
    Cluster,
    Server,
    Standalone,
    eventually,
    first_index,
    has_compacted,
    key_of,
    patience_s,
)
from tests.processes.writer import Writer

small_log = {"log_retain_mb": 1}
value_bytes = 20_000
part_bytes = 1 << 20
"""Of a snapshot of 6 MB and more."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("durability")) as cluster:
        yield cluster


def test_writes_go_on_after_a_leader_was_killed_and_nothing_is_lost(cluster: Cluster) -> None:
    """The times from kill -9 to the next acknowledged write of the same group are printed (pytest -s), not judged."""
    times_s = []
    with cluster.logs_on_failure():
        with Writer(cluster.servers, "leader") as writer:
            for group in cluster.group_numbers:
                writer.wait_for(50)
                leader = cluster.leader(group)
                key = key_of(group, of=len(cluster.group_numbers))
                with cluster.others(leader)[0].client() as client:
                    assert client.call("set", key, "before") == b"OK"
                    start_s = time.monotonic()
                    leader.kill()
                    while (reply := client.call("set", key, "after")) != b"OK":
                        assert isinstance(reply, hiredis.ReplyError), reply
                        assert time.monotonic() < start_s + patience_s, "writes do not go on"
                    times_s.append(time.monotonic() - start_s)
                writer.wait_for(50)
                leader.start()
                cluster.wait_ready()
        writer.assert_all_there(cluster.servers)
    print("\nwrites went on after", ", ".join(f"{seconds:.2f} s" for seconds in times_s))


def test_all_nodes_killed_at_once_come_back_with_everything(cluster: Cluster) -> None:
    with cluster.logs_on_failure():
        with Writer(cluster.servers, "all") as writer:
            for _ in range(2):
                writer.wait_for(100)
                with ThreadPoolExecutor(3) as pool:
                    list(pool.map(Server.kill, cluster.servers))
                for server in cluster.servers:
                    server.start()
                cluster.wait_ready()
        writer.assert_all_there(cluster.servers)


def test_a_standalone_node_comes_back_with_everything(tmp_path: Path) -> None:
    with Standalone(tmp_path) as alone:
        for _ in range(2):
            with Writer(alone.servers, f"alone{alone.node.pid}") as writer:
                writer.wait_for(100)
                alone.node.kill()
            alone.node.start()
            alone.wait_ready()
            writer.assert_all_there(alone.servers)


def test_a_node_killed_while_it_compacts_its_log_comes_back_with_everything(tmp_path: Path) -> None:
    """The log keeps 1 MiB; writes of 80 KB make each node compact all the time, and the kills hit it in the
    middle."""
    rng = random.Random(1)
    with Cluster(tmp_path, groups=1, raft=small_log) as cluster:
        with Writer(cluster.servers, "compact", value_bytes) as writer:
            writer.wait_for(100)
            for server in cluster.servers:
                compacted = first_index(server)
                eventually(partial(has_compacted, server, compacted), f"{server.name} compacts")
                time.sleep(rng.uniform(0, 0.05))
                server.kill()
                writer.wait_for(40)
                server.start()
                cluster.wait_ready()
        cluster.wait_agreed()
        writer.assert_all_there(cluster.servers)


@pytest.mark.parametrize("victim", ["receiver", "sender"])
def test_a_node_killed_during_a_snapshot_comes_back_with_everything(victim: str, tmp_path: Path) -> None:
    """A follower misses more than the log keeps; kills break off the snapshots that are to bring it back: the network
    lets through a part of each."""
    with Cluster(tmp_path, groups=1, raft=small_log) as cluster:
        cluster.wait_spread()
        leader = cluster.leader(1)
        follower, other = cluster.others(leader)
        with Writer([leader], "missed", value_bytes) as writer:
            writer.wait_for(40)
            follower.kill()
            missed = int(leader.groups()[1]["last"])
            writer.wait_for(300)
            for server in (leader, other):
                eventually(partial(has_compacted, server, missed + 1), "the log has been compacted")
        killed = follower
        for _ in range(2):
            for server in (leader, other):
                cluster.network.let_through(server.name, follower.name, part_bytes)
            killed.start()

            def sender() -> Server | None:
                """Who has sent a part of the snapshot."""
                senders = [
                    one for one in (leader, other) if cluster.network.is_used_up(one.name, follower.name)
                ]
                return senders[0] if senders else None

            sending = eventually(sender, "a part of a snapshot has got through")
            assert int(follower.groups()[1]["applied"]) <= missed, "it was the whole"
            killed = follower if victim == "receiver" else sending
            killed.kill()
        cluster.network.heal()
        killed.start()
        cluster.wait_ready()
        cluster.wait_agreed()
        assert first_index(follower) > missed + 1, "it did not come by a snapshot"
        writer.assert_all_there(cluster.servers)
        writer.assert_some_in_data_of(follower)

"""Functions and scripts are known to every node whatever happens to some of them."""

import threading
import time
from collections.abc import Iterator
from hashlib import sha1

import pytest

from server.cluster.state import applied_wait_s
from tests.processes.harness import STEADY, Cluster, eventually, key_of


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("functions"), raft=STEADY) as cluster:
        cluster.wait_spread()
        yield cluster


def library(answer: int, name: str = "l", function: str = "f") -> str:
    return f"#!lua name={name}\nredis.register_function('{function}', function(keys) return {answer} end)"


def keys(cluster: Cluster) -> list[str]:
    """One of every group."""
    groups = len(cluster.servers[0].groups()) - 1
    return [key_of(group, of=groups) for group in range(1, groups + 1)]


def test_right_after_load_every_node_calls_it_in_every_group(cluster: Cluster) -> None:
    for number in range(9):
        loader = cluster.servers[number % 3]
        began_s = time.monotonic()
        assert loader.call("function", "load", "replace", library(number)) == b"l"
        held_s = time.monotonic() - began_s
        for server in cluster.servers:
            answers = {server.call("fcall", "f", 1, key) for key in keys(cluster)}
            # A node that stands still is not waited for longer than that.
            assert answers == {number} or held_s >= applied_wait_s


def test_a_node_that_lags_behind_asks_before_it_says_no(cluster: Cluster) -> None:
    """What it lacks is not what the cluster lacks: group 0's leader knows."""
    leader = cluster.leader(0)
    lagging = cluster.others(leader)[0]
    lagging.pause()
    try:
        assert leader.call("function", "load", library(7, "late", "late")) == b"late"
    finally:
        lagging.resume()
    assert lagging.call("fcall", "late", 1, keys(cluster)[0]) == 7


def test_they_survive_the_end_of_every_process(cluster: Cluster) -> None:
    text = "return 'kept'"
    sha = sha1(text.encode()).hexdigest()
    assert cluster.servers[0].call("function", "load", "replace", library(11)) == b"l"
    assert cluster.servers[0].call("script", "load", text) == sha.encode()
    for server in cluster.servers:
        server.kill()
    for server in cluster.servers:
        server.start()
    cluster.wait_ready()
    for server in cluster.servers:
        for key in keys(cluster):
            assert server.insist("fcall", "f", 1, key) == 11
            assert server.insist("evalsha", sha, 1, key) == b"kept"


def test_a_node_that_was_away_knows_what_was_loaded_meanwhile(cluster: Cluster) -> None:
    away, *others = cluster.servers
    away.stop()
    for number in range(5):
        assert others[0].insist("function", "load", "replace", library(number, "away", "away")) == b"away"
    assert others[1].insist("function", "delete", "l") == b"OK"
    away.start()
    cluster.wait_ready()
    key = keys(cluster)[0]
    eventually(lambda: away.call("fcall", "away", 1, key) == 4, "it knows the last of them")
    eventually(lambda: "Function not found" in str(away.call("fcall", "f", 0)), "it knows what is gone")


def test_the_rest_of_the_cluster_loads_without_a_node_that_hangs(cluster: Cluster) -> None:
    leader = cluster.leader(0)
    hanging = cluster.others(leader)[0]
    hanging.pause()
    try:
        assert leader.call("function", "load", "replace", library(1, "hang", "hang")) == b"hang"
    finally:
        hanging.resume()


def test_one_that_runs_for_ever_is_seen_and_killed(cluster: Cluster) -> None:
    text = "#!lua name=loop\nredis.register_function('loop', function(keys) while true do end end)"
    cluster.servers[0].call("function", "load", "replace", text)
    key = keys(cluster)[0]
    leader = cluster.leader(1)
    replies: list[object] = []
    with leader.client() as client:
        caller = threading.Thread(target=lambda: replies.append(client.call("fcall", "loop", 1, key)))
        caller.start()

        def running() -> object:
            return leader.call("function", "stats")[1]

        name, command = eventually(running, "it is seen")[1:4:2]
        assert (name, command) == (b"loop", [b"fcall", b"loop", b"1", key.encode()])
        assert cluster.others(leader)[0].call("function", "kill") == b"OK"
        caller.join()
    assert "Script killed by user with FUNCTION KILL" in str(replies[0])
    assert leader.call("set", key, 1) == b"OK"

"""Keys end when they should, on every node, with every leader, and are then deleted from every replica."""

import time
from collections.abc import Iterator

import pytest

from tests.processes.harness import Cluster, Server, eventually, patience_s, refused

count = 60
clock_unit_s = 0.001
"""Expiry is Unix time in milliseconds; so the test looks at that clock too, which may be set while it runs."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("expiry")) as cluster:
        yield cluster


def assert_expire_on_time(
    cluster: Cluster, servers: list[Server], born: dict[str, tuple[float, float, int]]
) -> None:
    """Ask every server for every key until all are gone; `born`: key to (time sent, time answered, lifetime in ms).

    A key is there until its lifetime has passed since its PEXPIRE was sent, and not any more once it has passed
    since that was answered; in between, both are right.
    """
    left = {(server.name, key) for server in servers for key in born}
    clients = {server.name: server.client() for server in servers}
    try:
        deadline_s = time.monotonic() + patience_s
        while left and time.monotonic() < deadline_s:
            for name, client in clients.items():
                keys = [key for key in born if (name, key) in left]
                asked_s = time.time()
                replies = client.pipeline(*(("get", key) for key in keys))
                had_s = time.time()
                for key, reply in zip(keys, replies, strict=True):
                    sent_s, answered_s, life_ms = born[key]
                    if refused(reply):
                        continue
                    if reply is None:
                        assert had_s >= sent_s + life_ms / 1000 - clock_unit_s, (
                            f"{key} is gone too early at {name}"
                        )
                        left.discard((name, key))
                    else:
                        assert reply == b"v", reply
                        assert asked_s <= answered_s + life_ms / 1000, f"{key} is still there at {name}"
            time.sleep(0.02)
        assert not left
    finally:
        for client in clients.values():
            client.close()


def set_keys(server: Server, name: str) -> list[str]:
    """Keys that end, though not for a long time."""
    keys = [f"{name}:{number}" for number in range(count)]
    for key in keys:
        assert server.insist("set", key, "v", "ex", 100_000) == b"OK"
    return keys


def end_soon(server: Server, keys: list[str], shortest_ms: int) -> dict[str, tuple[float, float, int]]:
    """Have them end one after another: key to (time sent, time answered, lifetime in ms)."""
    born = {}
    with server.client() as client:
        for number, key in enumerate(keys):
            life_ms = shortest_ms + number * 20
            sent_s = time.time()
            assert client.call("pexpire", key, life_ms) == 1
            born[key] = (sent_s, time.time(), life_ms)
    return born


def keys_held(server: Server) -> int:
    """Keys of this node's own replicas, expired ones that have not been deleted included."""
    databases = server.info("keyspace")
    return sum(
        int(value.split(",")[0].split("=")[1]) for name, value in databases.items() if name.startswith("db")
    )


def test_keys_end_on_time_at_every_node_and_are_deleted_from_every_replica(cluster: Cluster) -> None:
    with cluster.logs_on_failure():
        keys = set_keys(cluster.servers[0], "plain")
        eventually(
            lambda: {keys_held(server) for server in cluster.servers} == {count}, "all replicas have them"
        )
        assert {server.call("dbsize") for server in cluster.servers} == {count}
        born = end_soon(cluster.servers[0], keys, 1500)
        assert_expire_on_time(cluster, cluster.servers, born)
        eventually(
            lambda: {keys_held(server) for server in cluster.servers} == {0}, "all replicas have deleted them"
        )
        assert {server.call("dbsize") for server in cluster.servers} == {0}


def test_keys_of_a_dead_leader_end_on_time_and_are_deleted(cluster: Cluster) -> None:
    with cluster.logs_on_failure():
        cluster.wait_ready()
        keys = set_keys(cluster.servers[0], "dead")
        born = end_soon(cluster.servers[0], keys, 3000)
        leader = cluster.leader(1)
        leader.kill()
        others = cluster.others(leader)
        assert_expire_on_time(cluster, others, born)
        eventually(lambda: {keys_held(server) for server in others} == {0}, "both replicas have deleted them")
        leader.start()
        cluster.wait_ready()
        eventually(lambda: keys_held(leader) == 0, "so has the third, once it is back")

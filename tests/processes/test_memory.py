"""Memory stays bounded, whatever clients do with their connections."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.client import Client, encode_request
from tests.processes.harness import Cluster, Server, Standalone, eventually, key_of

large = b"x" * (1 << 20)
requests = 1000
"""A client that does not read asks for so many MiB."""
growth_bytes_max = 150 << 20
idle = 1000
idle_bytes_each_max = 20 << 10


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with Standalone(tmp_path_factory.mktemp("memory")) as alone:
        yield alone


def settled_rss_bytes(server: Server) -> int:
    """Resident memory once it has stopped growing."""
    before = 0
    while (now := server.rss_bytes) > before + (1 << 20):
        before = now
        time.sleep(0.5)
    return now


def assert_slow_reader_is_bounded(server: Server, key: str) -> None:
    """Ask for a large value again and again without reading; then read all of it."""
    before = server.rss_bytes
    with Client(server.port, timeout_s=60) as slow:
        slow.send(*[("get", key)] * requests)
        time.sleep(1)
        grown = settled_rss_bytes(server) - before
        assert grown < growth_bytes_max, f"{grown >> 20} MiB more"
        assert server.call("ping") == b"PONG"
        for _ in range(requests // 10):
            assert slow.receive() == large
        grown = server.rss_bytes - before
        assert grown < growth_bytes_max, f"{grown >> 20} MiB more after reading began"


def test_a_client_that_does_not_read_its_replies_costs_little(alone: Standalone) -> None:
    assert alone.node.call("set", "large", large) == b"OK"
    assert_slow_reader_is_bounded(alone.node, "large")


def test_a_client_that_does_not_read_replies_of_another_node_costs_little(tmp_path: Path) -> None:
    with Cluster(tmp_path, groups=1) as cluster:
        leader = cluster.leader(1)
        key = key_of(1, of=1)
        assert leader.call("set", key, large) == b"OK"
        assert_slow_reader_is_bounded(cluster.others(leader)[0], key)


def test_a_flood_of_commands_without_reading_costs_little(alone: Standalone) -> None:
    """64 MiB of small commands, sent by somebody who reads nothing until all of them are gone or nothing more
    is taken."""
    before = alone.node.rss_bytes
    flood = encode_request(("set", "k", "v" * 100)) * 8000
    with Client(alone.node.port, timeout_s=2) as client:
        client._sock.settimeout(2)
        for _ in range(60):
            try:
                client._sock.sendall(flood)
            except TimeoutError:
                break  # the server reads no more: that is one way to be bounded
        assert alone.node.rss_bytes - before < growth_bytes_max
    assert alone.node.call("ping") == b"PONG"


def test_an_unfinished_huge_command_costs_what_has_arrived(alone: Standalone) -> None:
    """Headers that promise a gigabyte reserve nothing."""
    before = alone.node.rss_bytes
    clients = [Client(alone.node.port) for _ in range(20)]
    for client in clients:
        client.send_bytes(b"*1000000\r\n$400000000\r\nabc")
    eventually(lambda: alone.node.call("ping") == b"PONG", "it answers others")
    assert alone.node.rss_bytes - before < 20 << 20
    for client in clients:
        client.close()


def test_a_thousand_idle_connections_cost_little_and_disturb_nobody(alone: Standalone) -> None:
    before = alone.node.rss_bytes
    clients = [Client(alone.node.port) for _ in range(idle)]
    try:
        for client in clients:
            assert client.call("ping") == b"PONG"
        each = (alone.node.rss_bytes - before) // idle
        assert each < idle_bytes_each_max, f"{each} bytes each"
        assert alone.node.call("set", "k", "v") == b"OK"
        assert int(alone.node.info("clients")["connected_clients"]) > idle
    finally:
        for client in clients:
            client.close()
    eventually(lambda: int(alone.node.info("clients")["connected_clients"]) == 1, "they are forgotten")

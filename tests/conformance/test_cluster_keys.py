"""Commands about the keys of slots on a cluster, and that every command of Valkey is there."""

import time
from collections.abc import Iterator

import pytest

from server.commands import all as all_commands
from server.commands.table import COMMANDS
from server.dispatch import transactions
from server.keyspace.slots import SLOTS, key_slot
from tests.conformance.harness.servers import HOST, Server, flush, valkey
from tests.conformance.harness.wire import Connection, Reply, Request
from tests.ports import free_port

assert all_commands.loaded
assert transactions.exec_

BAD: list[Request] = [
    *(["CLUSTERSCAN", *rest.split()] for rest in ("x", "0 SLOT 99999", "0 SLOT x", "0 SLOT", "0 MATCH")),
    *(["CLUSTERSCAN", *rest.split()] for rest in ("0 nosuch 1", "0 TYPE nosuch", "0 COUNT 0", "0 COUNT x")),
    *(["CLUSTER", "SLOT-STATS", "SLOTSRANGE", *rest.split()] for rest in ("0 x", "5 1", "5 16384", "5 6 7")),
    ["CLUSTER", "SLOT-STATS", "SLOTSRANGE", "5"],
    ["CLUSTER", "SLOT-STATS", "nosuch", "x"],
    *(
        ["CLUSTER", "SLOT-STATS", "ORDERBY", *rest.split()]
        for rest in (
            *("key-count LIMIT 0", "key-count LIMIT", "key-count LIMIT 1 LIMIT 2", "key-count DESC ASC"),
            *("cpu-usec", "nosuch", "key-count nosuch"),
        )
    ),
    *(["CLUSTER", "FLUSHSLOT", *rest.split()] for rest in ("x", "99999", "1 nosuch", "1 SYNC x", "1 SYNC")),
    ["CLUSTER", "GETSLOTMIGRATIONS"],
    ["CLUSTER", "CANCELSLOTMIGRATIONS"],
]


@pytest.fixture(scope="module")
def valkey_cluster() -> Iterator[Server]:
    # By default its bus has the port 10,000 above, which may be that of some connection.
    config = {"cluster-enabled": "yes", "cluster-port": free_port()}
    with valkey(**config) as server, Connection(HOST, server.port) as connection:
        connection.ask("CLUSTER", "ADDSLOTSRANGE", "0", str(SLOTS - 1))
        while b"cluster_state:ok" not in connection.ask("CLUSTER", "INFO").value:
            time.sleep(0.05)
        yield server


@pytest.mark.parametrize("request_", BAD, ids=" ".join)
def test_what_makes_no_sense_is_told_as_by_valkey(
    valkey_cluster: Server, cluster: Server, request_: Request
) -> None:
    with Connection(HOST, valkey_cluster.port) as there, Connection(HOST, cluster.port) as here:
        assert here.ask(*request_) == there.ask(*request_)


def test_clusterscan_sees_every_key_from_any_node(cluster: Server) -> None:
    flush(cluster)
    keys = {b"key:%d" % number for number in range(200)}
    with Connection(HOST, cluster.ports[0]) as connection:
        for key in keys:
            connection.ask("SET", key, "v")
    found: set[bytes] = set()
    cursor, step = b"0", 0
    while step == 0 or cursor != b"0":
        with Connection(HOST, cluster.ports[step % len(cluster.ports)]) as connection:
            reply = connection.ask("CLUSTERSCAN", cursor, "COUNT", "20", "MATCH", "key:*")
        cursor = reply.value[0].value
        found |= {one.value for one in reply.value[1].value}
        step += 1
    assert found == keys
    with Connection(HOST, cluster.port) as connection:
        slot = str(key_slot(b"key:7"))
        reply = connection.ask("CLUSTERSCAN", "0", "SLOT", slot, "COUNT", "1000")
        assert reply.value[0].value == b"0"
        assert b"key:7" in [one.value for one in reply.value[1].value]


def test_a_slot_is_flushed_in_every_database(cluster: Server) -> None:
    flush(cluster)
    with Connection(HOST, cluster.ports[1]) as connection:
        connection.ask("SET", "{a}1", "v")
        connection.ask("SET", "b", "v")
        connection.ask("SELECT", "3")
        connection.ask("SET", "{a}2", "v")
        assert connection.ask("CLUSTER", "FLUSHSLOT", str(key_slot(b"a"))) == Reply("+", b"OK")
        assert connection.ask("EXISTS", "{a}2").value == 0
        connection.ask("SELECT", "0")
        assert connection.ask("EXISTS", "{a}1").value == 0
        assert connection.ask("EXISTS", "b").value == 1


def test_slot_stats_of_all_nodes_tell_of_every_key(cluster: Server) -> None:
    flush(cluster)
    with Connection(HOST, cluster.port) as connection:
        for number in range(50):
            connection.ask("SET", f"key:{number}", "v")
    slot = key_slot(b"key:7")
    counted = []
    for port in cluster.ports:
        with Connection(HOST, port) as connection:
            counted += connection.ask("CLUSTER", "SLOT-STATS", "SLOTSRANGE", str(slot), str(slot)).value
    assert [str(one) for one in counted] == [
        str(Reply("*", [Reply(":", slot), Reply("*", [Reply("$", b"key-count"), Reply(":", 1)])]))
    ]


def test_every_command_of_valkey_is_there(valkey: Server) -> None:
    with Connection(HOST, valkey.port) as connection:
        names = {reply.value.decode() for reply in connection.ask("COMMAND", "LIST").value}
    assert {name for name in names if "|" not in name and name.encode() not in COMMANDS} == set()

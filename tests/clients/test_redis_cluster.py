"""redis-py's RedisCluster, which sends every key to the node that CLUSTER SLOTS names, with both routings."""

from collections.abc import Iterator

import pytest
import redis
from redis.cluster import ClusterNode, LoadBalancingStrategy, RedisCluster

from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server

pytestmark = [on("forward", "redirect"), pytest.mark.parametrize("protocol", [2, 3])]


@pytest.fixture
def client(server: Server, protocol: int) -> Iterator[RedisCluster]:
    """Knows only one node at first."""
    with RedisCluster(HOST, server.ports[1], protocol=protocol) as cluster:
        yield cluster


def test_it_finds_all_nodes_and_slots(server: Server, client: RedisCluster) -> None:
    assert {node.port for node in client.get_nodes()} == set(server.ports)
    slots = client.nodes_manager.slots_cache
    assert len(slots) == 16384
    assert all(nodes[0].server_type == "primary" for nodes in slots.values())
    assert all(node.server_type == "replica" for nodes in slots.values() for node in nodes[1:])
    assert client.cluster_info()["cluster_state"] == "ok"


def test_keys_of_all_slots(client: RedisCluster) -> None:
    for number in range(200):
        assert client.set(f"k{number}", number)
    assert [client.get(f"k{number}") for number in range(200)] == [b"%d" % number for number in range(200)]
    assert client.delete(*(f"k{number}" for number in range(10))) == 10


def test_many_keys_at_once(client: RedisCluster) -> None:
    values = {f"k{number}": str(number) for number in range(100)}
    assert client.mset_nonatomic(values)
    assert client.mget_nonatomic(list(values)) == [value.encode() for value in values.values()]
    assert client.mset({"{t}a": 1, "{t}b": 2})
    assert client.mget("{t}a", "{t}b") == [b"1", b"2"]
    assert client.exists("{t}a", "k1", "nosuch") == 2


def test_a_pipeline_over_all_slots(client: RedisCluster) -> None:
    with client.pipeline() as pipeline:
        for number in range(300):
            pipeline.set(f"k{number}", number)
            pipeline.incr(f"k{number}")
        assert pipeline.execute()[1::2] == list(range(1, 301))


def test_a_transaction_in_one_slot(client: RedisCluster) -> None:
    with client.pipeline(transaction=True) as pipeline:
        pipeline.set("{t}a", 1)
        pipeline.incr("{t}a")
        pipeline.get("{t}a")
        assert pipeline.execute() == [b"OK", 2, b"2"]  # the status as it is: redis-py's way


def test_watch_in_one_slot(client: RedisCluster) -> None:
    with client.pipeline(transaction=True) as pipeline:
        pipeline.watch("{t}a")
        client.set("{t}a", 1)
        pipeline.multi()
        pipeline.set("{t}a", 2)
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    assert client.get("{t}a") == b"1"


def test_a_lock_is_a_plain_key(client: RedisCluster) -> None:
    assert client.set("lock", "mine", nx=True, px=30000)
    assert client.set("lock", "theirs", nx=True, px=30000) is None
    assert client.get("lock") == b"mine"


def test_scan_and_keys_see_each_key(client: RedisCluster) -> None:
    names = {f"k{number}".encode() for number in range(300)}
    for name in names:
        client.set(name, 1)
    assert set(client.scan_iter("k*", count=40)) == names
    assert set(client.keys("k*")) == names


def test_replicas_answer_reads(server: Server, client: RedisCluster, protocol: int) -> None:
    """They may be late, but arrive where the leaders are."""
    for number in range(50):
        client.set(f"k{number}", number)
    reader = RedisCluster(
        HOST,
        server.port,
        protocol=protocol,
        load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN_REPLICAS,
    )
    with reader:
        for number in range(50):
            while (value := reader.get(f"k{number}")) != b"%d" % number:
                assert value is None


def test_a_client_that_knows_several_nodes_needs_only_one(server: Server, protocol: int) -> None:
    nodes = [ClusterNode(HOST, port) for port in (1, *server.ports)]
    with RedisCluster(startup_nodes=nodes, protocol=protocol) as client:
        assert client.set("k", 1)


def test_a_stale_map_of_the_cluster_is_mended(server: Server, client: RedisCluster) -> None:
    """All slots at one node, as after leaders have moved: with redirect routing MOVED tells, with forward nothing has
    to."""
    wrong = client.get_node(HOST, server.ports[0])
    assert wrong is not None
    for slot in client.nodes_manager.slots_cache:
        client.nodes_manager.slots_cache[slot] = [wrong]
    for number in range(50):
        assert client.set(f"k{number}", number)
        assert client.get(f"k{number}") == b"%d" % number


def test_a_stale_map_is_mended_before_a_transaction(server: Server, client: RedisCluster) -> None:
    """Only WATCH may be sent again: whoever is told MOVED afterwards has lost what was watched."""
    for number in range(12):
        wrong = client.get_node(HOST, server.ports[number % len(server.ports)])
        client.nodes_manager.slots_cache[client.keyslot(f"k{number}")] = [wrong]
        with client.pipeline(transaction=True) as pipeline:
            pipeline.watch(f"k{number}")
            pipeline.multi()
            pipeline.set(f"k{number}", number)
            assert pipeline.execute() == [b"OK"]


def test_functions_that_are_sent_to_every_node(client: RedisCluster) -> None:
    """In a Redis Cluster each node has libraries of its own, and the client tells each of them."""
    text = "#!lua name=mine\nredis.register_function('mine', function(keys) return redis.call('INCR', keys[1]) end)"
    client.function_flush()
    client.function_load(text)
    assert [client.fcall("mine", 1, f"k{number}") for number in range(20)] == [1] * 20
    with pytest.raises(redis.ResponseError, match="already exists"):
        client.function_load(text)
    client.function_load(text, replace=True)
    payload = client.function_dump()
    client.function_delete("mine")
    with pytest.raises(redis.ResponseError, match="Function not found"):
        client.fcall("mine", 1, "k")
    with pytest.raises(redis.ResponseError, match="Library not found"):
        client.function_delete("mine")
    client.function_restore(payload)
    assert [client.fcall("mine", 1, f"k{number}") for number in range(20)] == [2] * 20
    client.function_flush()

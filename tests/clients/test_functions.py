"""redis-py's function_* and fcall methods, and its Script objects: what one node is told, all nodes know."""

import time
from collections.abc import Iterator

import pytest
import redis
from redis import Redis

from server.cluster.state import applied_wait_s
from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server

pytestmark = on("standalone", "forward")

COUNTER = """#!lua name=counter
local function hit(keys, args)
    return redis.call('INCRBY', keys[1], args[1] or 1)
end
redis.register_function('hit', hit)
redis.register_function{
    function_name='seen', callback=function(keys) return redis.call('GET', keys[1]) end,
    flags={'no-writes'}, description='how often',
}
"""


@pytest.fixture
def nodes(server: Server) -> Iterator[list[Redis]]:
    """A client for each node; a standalone server has two of them."""
    ports = server.ports if len(server.ports) > 1 else server.ports * 2
    clients = [Redis(HOST, port, decode_responses=True) for port in ports]
    clients[0].function_flush()
    yield clients
    for client in clients:
        client.close()


def test_what_one_node_loads_all_nodes_call(nodes: list[Redis]) -> None:
    first, *others = nodes
    assert first.function_load(COUNTER) == "counter"
    for number, client in enumerate(others * 3, 1):
        assert client.fcall("hit", 1, "visits", 2) == 2 * number
        assert client.fcall("HIT", 1, f"page:{number}") == 1
        assert client.fcall_ro("seen", 1, "visits") == str(2 * number)
    with pytest.raises(redis.ResponseError, match="Can not execute a script with write flag"):
        others[0].fcall_ro("hit", 1, "visits")


def test_a_new_version_is_what_runs_from_then_on(nodes: list[Redis]) -> None:
    for number in range(20):
        text = f"#!lua name=version\nredis.register_function('version', function() return {number} end)"
        client, other = nodes[number % len(nodes)], nodes[(number + 1) % len(nodes)]
        began_s = time.monotonic()
        client.function_load(text, replace=True)
        held_s = time.monotonic() - began_s
        # A node that stands still is not waited for longer than that.
        assert other.fcall("version", 1, f"k{number}") == number or held_s >= applied_wait_s
    nodes[0].function_delete("version")
    with pytest.raises(redis.ResponseError, match="Function not found"):
        nodes[1].fcall("version", 0)


def test_libraries_are_listed_everywhere(nodes: list[Redis]) -> None:
    nodes[0].function_load(COUNTER)
    for client in nodes:
        (listed,) = client.function_list(withcode=True)
        library = dict(zip(listed[::2], listed[1::2], strict=True))
        assert library["library_name"] == "counter"
        assert library["library_code"] == COUNTER
        assert client.info("memory")["number_of_functions"] == 2
        assert client.function_list("no*") == []


def test_libraries_are_moved_by_their_payload(nodes: list[Redis], server: Server) -> None:
    nodes[0].function_load(COUNTER)
    with Redis(HOST, server.ports[0]) as raw:
        payload = raw.function_dump()
        assert raw.function_flush()
        assert raw.function_restore(payload)
        with pytest.raises(redis.ResponseError, match="already exists"):
            raw.function_restore(payload)
        assert raw.function_restore(payload, "REPLACE")
        assert raw.function_restore(payload, "FLUSH")
    assert nodes[1].fcall("hit", 1, "k") == 1
    assert nodes[1].function_flush("SYNC")
    assert nodes[0].function_list() == []


def test_a_function_in_a_transaction(nodes: list[Redis]) -> None:
    nodes[0].function_load(COUNTER)
    with nodes[1].pipeline(transaction=True) as pipeline:
        pipeline.set("k", 5)
        pipeline.fcall("hit", 1, "k", 3)
        pipeline.fcall("seen", 0)
        pipeline.incr("k")
        replies = pipeline.execute(raise_on_error=False)
    assert replies[:2] + replies[3:] == [True, 8, 9]
    assert isinstance(replies[2], redis.ResponseError)


def test_a_script_that_one_group_knows_is_found_by_all(nodes: list[Redis]) -> None:
    text = "return {KEYS[1], ARGV[1]}"
    nodes[0].script_flush()
    script = nodes[0].register_script(text)
    assert nodes[0].eval(text, 1, "somewhere", "x") == ["somewhere", "x"]
    for number in range(12):
        client = nodes[number % len(nodes)]
        assert client.evalsha(script.sha, 1, f"k{number}", "y") == [f"k{number}", "y"]
        with client.pipeline(transaction=True) as pipeline:
            pipeline.set(f"k{number}", 1)
            pipeline.evalsha(script.sha, 1, f"k{number}", "z")
            assert pipeline.execute() == [True, [f"k{number}", "z"]]
    nodes[1].script_flush()
    with pytest.raises(redis.exceptions.NoScriptError):
        nodes[0].evalsha(script.sha, 1, "k1")


def test_the_order_of_a_pipeline_is_kept_while_a_script_is_looked_for(nodes: list[Redis]) -> None:
    text = "return redis.call('append', KEYS[1], ARGV[1])"
    nodes[0].script_flush()
    sha = nodes[0].register_script(text).sha
    nodes[0].eval(text, 1, "elsewhere", "x")
    for number in range(8):
        with nodes[number % len(nodes)].pipeline(transaction=False) as pipeline:
            pipeline.set(f"k{number}", "a")
            pipeline.evalsha(sha, 1, f"k{number}", "b")
            pipeline.append(f"k{number}", "c")
            pipeline.get(f"k{number}")
            assert pipeline.execute()[-1] == "abc"


def test_what_scripts_and_functions_publish(nodes: list[Redis]) -> None:
    text = "#!lua name=p\nredis.register_function('say', function(k, a) return redis.call('publish', a[1], a[2]) end)"
    nodes[0].function_load(text)
    with nodes[1].pubsub() as listener:

        def next_of(kind: str) -> str:
            while (message := listener.get_message(timeout=60)) is not None:
                if message["type"] == kind:
                    return message["data"]
            raise AssertionError(f"no {kind} came")

        listener.subscribe("news")
        next_of("subscribe")
        listener.ssubscribe("shard")
        next_of("ssubscribe")
        nodes[0].fcall("say", 0, "news", "one")
        assert next_of("message") == "one"
        nodes[0].eval("return redis.call('spublish', KEYS[1], 'two')", 1, "shard")
        assert next_of("smessage") == "two"

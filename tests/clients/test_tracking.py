"""Client-side caching across the nodes of a cluster: what a client has cached is never out of date for long.

Whatever others do in the meantime, wherever: once everything is quiet, all that a cache (harness/cache.py) still keeps
must be true.
"""

import time
from random import Random

import pytest
from redis import Redis
from redis.cache import CacheConfig

from tests.clients.conftest import on
from tests.conformance.harness.cache import Cache
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, encode

KEYS = [f"key:{number}" for number in range(20)]
WAIT_S = 10.0


@on("standalone", "forward")
@pytest.mark.parametrize("options", [(), ("BCAST",), ("OPTOUT",), ("NOLOOP",)], ids=" ".join)
def test_a_write_through_any_node_is_told_on_any_node(server: Server, options: tuple[str, ...]) -> None:
    for reader in server.ports:
        with Cache(reader, *options) as cache:
            for writer in server.ports:
                with Connection(HOST, writer) as client:
                    for key in KEYS[:8]:
                        cache.read(key)
                        client.ask("SET", key, f"{reader} {writer}")
                        cache.hears(key)


@on("standalone", "forward")
@pytest.mark.parametrize("options", [(), ("BCAST",), ("NOLOOP",)], ids=" ".join)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_kept_when_all_is_quiet_is_true(server: Server, options: tuple[str, ...], seed: int) -> None:
    random = Random(seed)
    writers = [Connection(HOST, port) for port in server.ports]
    caches = [Cache(port, *options) for port in server.ports]
    try:
        for round_ in range(6):
            pending = [0] * len(writers)
            for step in range(60):
                at = random.randrange(len(writers))
                if random.random() < 0.5:
                    random.choice(caches).read(*random.sample(KEYS, random.randrange(1, 6)))
                else:
                    keys = random.sample(KEYS, 2)
                    request = random.choice(
                        (
                            ["SET", keys[0], f"{round_} {step}"],
                            ["SET", keys[0], f"{round_} {step}", "PX", str(random.randrange(1, 20))],
                            ["APPEND", keys[0], "x"],
                            ["DEL", *keys],
                            ["INCR", "counter"],
                        )
                    )
                    writers[at].send(encode(request))
                    pending[at] += 1
            for writer, count in zip(writers, pending, strict=True):
                for _ in range(count):
                    writer.read()
            until_s = time.monotonic() + WAIT_S
            while wrong := kept_in_vain(caches, writers[0]):  # what was told has not come yet
                assert time.monotonic() < until_s, wrong
                time.sleep(0.01)
    finally:
        for one in (*writers, *caches):
            one.__exit__(None, None, None)


def kept_in_vain(caches: list[Cache], client: Connection) -> list[bytes]:
    """Keys that a cache keeps although their values are others by now."""
    for cache in caches:
        cache.settle()
    kept = [item for cache in caches for item in cache.kept.items()]
    return [key for key, value in kept if client.ask("GET", key).value != value]


@on("standalone", "forward")
def test_flushing_is_told_everywhere(server: Server) -> None:
    for port in server.ports:
        with Cache(server.ports[0]) as cache, Connection(HOST, port) as client:
            cache.read(*KEYS)
            client.ask("FLUSHDB")
            cache.hears(KEYS[0])
            assert not cache.kept


@on("standalone", "forward")
def test_a_key_that_expires_is_told(server: Server) -> None:
    with Cache(server.ports[0]) as cache, Connection(HOST, server.ports[-1]) as client:
        for key in KEYS[:5]:
            while cache.kept.get(key.encode()) is None:  # on a busy machine it is gone before it is read
                client.ask("SET", key, "v", "PX", "50")
                cache.read(key)
        for key in KEYS[:5]:
            cache.hears(key)


@on("standalone", "forward")
def test_its_own_writes_are_not_told_with_noloop(server: Server) -> None:
    with Cache(server.ports[0], "NOLOOP") as cache:
        for key in KEYS:
            cache.ask("SET", key, "own")
            cache.read(key)
            cache.ask("APPEND", key, "x")
        time.sleep(0.1)
        cache.settle()
        assert cache.told == []
        with Connection(HOST, server.ports[-1]) as client:
            for key in KEYS:
                client.ask("SET", key, "of others")
                cache.hears(key)


@on("standalone")
def test_the_table_of_keys_is_bounded(server: Server) -> None:
    with Cache(server.port) as cache, Connection(HOST, server.port) as client:
        client.ask("CONFIG", "SET", "tracking-table-max-keys", "10")
        try:
            cache.read(*KEYS)
            cache.settle()
            assert len(cache.kept) == 10
            info = client.ask("INFO", "stats").value
            assert b"tracking_total_keys:10\r\n" in info
            assert b"tracking_total_items:10\r\n" in info
            for key in list(cache.kept):
                client.ask("SET", key, "v")
            cache.settle()
            assert not cache.kept
        finally:
            client.ask("CONFIG", "SET", "tracking-table-max-keys", "1000000")


@on("standalone", "forward")
def test_redis_py_caches(server: Server) -> None:
    with Redis(HOST, server.ports[0]) as client:  # redis-py caches the replies of a Redis alone
        client.config_set("extended-redis-compatibility", "yes")
    with (
        Redis(HOST, server.ports[0], protocol=3, cache_config=CacheConfig()) as caching,
        Redis(HOST, server.ports[-1]) as other,
    ):
        for key in KEYS[:10]:
            other.set(key, "1")
        cache = caching.get_cache()
        assert cache is not None
        until_s = time.monotonic() + WAIT_S
        while cache.size < 10:  # word of the writes may come after the first reads
            assert [caching.get(key) for key in KEYS[:10]] == [b"1"] * 10
            assert time.monotonic() < until_s
        calls = other.info("commandstats")["cmdstat_get"]["calls"] if server.name == "standalone" else 0
        assert [caching.get(key) for key in KEYS[:10]] == [b"1"] * 10
        if server.name == "standalone":
            assert other.info("commandstats")["cmdstat_get"]["calls"] == calls
        for key in KEYS[:10]:
            other.incr(key)
        until_s = time.monotonic() + WAIT_S
        while [caching.get(key) for key in KEYS[:10]] != [b"2"] * 10:
            assert time.monotonic() < until_s
            time.sleep(0.01)


@on("standalone")
def test_a_hot_reply_is_remembered_too(server: Server) -> None:
    with Cache(server.port) as cache, Connection(HOST, server.port) as client:
        client.ask("SET", "hot", "1")
        for _ in range(3):
            client.ask("GET", "hot")
        cache.read("hot")
        client.ask("SET", "hot", "2")
        cache.hears("hot")

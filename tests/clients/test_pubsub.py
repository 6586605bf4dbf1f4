"""Publish and subscribe with redis-py, blocking and asyncio, on one node and across the nodes of a cluster."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis.asyncio
from redis import Redis
from redis.client import PubSub

from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server

WAIT_S = 90.0


@contextmanager
def listening(port: int, protocol: int) -> Iterator[PubSub]:
    with Redis(HOST, port, protocol=protocol, decode_responses=True) as client, client.pubsub() as pubsub:
        yield pubsub


def hear(pubsub: PubSub, count: int) -> list[Any]:
    """(type, channel, data) of the next `count` messages."""
    heard: list[Any] = []
    until_s = time.monotonic() + WAIT_S
    while len(heard) < count and time.monotonic() < until_s:
        message = pubsub.get_message(timeout=0.2) or pubsub.get_sharded_message(timeout=0)
        if message is not None:
            heard.append((message["type"], message["channel"], message["data"]))
    return heard


def hears_all_groups(pubsub: PubSub, port: int) -> None:
    """Wait until the nodes know that somebody listens to keyspace events: one key of each is heard of."""
    with Redis(HOST, port) as client:
        for round_ in range(100):
            names = {f"known{round_}:{number}" for number in range(60)}
            for name in names:
                client.set(name, "v")
            while (message := pubsub.get_message(timeout=0.5)) is not None:
                names -= {message["data"], message["channel"].partition(":")[2]}
                if not names:
                    return
    raise AssertionError("nobody tells of keys")


def eventually(look: Callable[[], bool], claim: str) -> None:
    """What is closed is gone a moment later."""
    until_s = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < until_s, claim
        time.sleep(0.01)


@on("standalone", "forward", "redirect")
@pytest.mark.parametrize("protocol", [2, 3])
class TestEveryNode:
    def test_a_message_reaches_subscribers_of_every_node_once(self, server: Server, protocol: int) -> None:
        with listening(server.ports[0], protocol) as first, listening(server.ports[-1], protocol) as last:
            for pubsub in (first, last):
                pubsub.subscribe("news")
                pubsub.psubscribe("n?ws")
                assert hear(pubsub, 2) == [("subscribe", "news", 1), ("psubscribe", "n?ws", 2)]
            for port in server.ports:
                with Redis(HOST, port) as client:
                    local = (port == server.ports[0]) + (port == server.ports[-1])
                    assert client.publish("news", f"from {port}") == 2 * local
            expected = sorted(
                (kind, "news", f"from {port}") for port in server.ports for kind in ("message", "pmessage")
            )
            assert sorted(hear(first, len(expected))) == expected
            assert sorted(hear(last, len(expected))) == expected

    def test_messages_of_one_publisher_keep_their_order(self, server: Server, protocol: int) -> None:
        with listening(server.ports[-1], protocol) as pubsub, Redis(HOST, server.port) as client:
            pubsub.subscribe("numbers")
            hear(pubsub, 1)
            with client.pipeline(transaction=False) as pipeline:
                for number in range(500):
                    pipeline.publish("numbers", number)
                pipeline.execute()
            assert [data for _, _, data in hear(pubsub, 500)] == [str(number) for number in range(500)]

    def test_sharded_channels_reach_every_node_too(self, server: Server, protocol: int) -> None:
        with listening(server.ports[-1], protocol) as pubsub, Redis(HOST, server.port) as client:
            pubsub.ssubscribe("shard")
            assert hear(pubsub, 1) == [("ssubscribe", "shard", 1)]
            client.execute_command("SPUBLISH", "shard", "x")
            client.publish("shard", "not this one")
            client.execute_command("SPUBLISH", "shard", "y")
            assert hear(pubsub, 2) == [("smessage", "shard", "x"), ("smessage", "shard", "y")]


@on("standalone", "forward")
class TestKeyspaceEvents:
    def test_who_wants_events_hears_of_the_keys_of_every_node(self, server: Server) -> None:
        keys = [f"k{number}" for number in range(20)]
        with Redis(HOST, server.port) as client, listening(server.port, 3) as pubsub:
            client.config_set("notify-keyspace-events", "E$gx")
            try:
                pubsub.psubscribe("__keyevent@0__:*")
                hear(pubsub, 1)
                hears_all_groups(pubsub, server.ports[-1])
                with Redis(HOST, server.ports[-1]) as other:
                    for key in keys:
                        other.set(key, "v")
                heard = hear(pubsub, len(keys))
                assert {channel for _, channel, _ in heard} == {"__keyevent@0__:set"}
                assert sorted(data for _, _, data in heard) == sorted(keys)
                client.set("short", "v", px=5)
                assert hear(pubsub, 3) == [
                    ("pmessage", f"__keyevent@0__:{event}", "short") for event in ("set", "expire", "expired")
                ]
            finally:
                client.config_set("notify-keyspace-events", "")

    def test_a_transaction_tells_what_it_did_and_a_failed_one_nothing(self, server: Server) -> None:
        with (
            Redis(HOST, server.port, decode_responses=True) as client,
            listening(server.port, 2) as pubsub,
        ):
            client.config_set("notify-keyspace-events", "KA")
            try:
                pubsub.psubscribe("__keyspace@0__:*")
                hear(pubsub, 1)
                hears_all_groups(pubsub, server.port)
                with client.pipeline() as pipeline:
                    pipeline.set("{t}a", "1").incr("{t}a").delete("{t}a")
                    pipeline.execute()
                with client.pipeline() as pipeline, Redis(HOST, server.port) as other:
                    pipeline.watch("{t}b")
                    other.set("{t}b", "changed")
                    pipeline.multi()
                    pipeline.set("{t}b", "lost")
                    with pytest.raises(redis.WatchError):
                        pipeline.execute()
                client.delete("{t}b")
                assert [(channel[-4:], data) for _, channel, data in hear(pubsub, 5)] == [
                    ("{t}a", "set"),
                    ("{t}a", "incrby"),
                    ("{t}a", "del"),
                    ("{t}b", "set"),
                    ("{t}b", "del"),
                ]
            finally:
                client.config_set("notify-keyspace-events", "")


@on("standalone", "forward")
class TestTheNode:
    def test_it_says_who_listens(self, server: Server) -> None:
        with Redis(HOST, server.port) as client, listening(server.port, 2) as pubsub:
            eventually(lambda: not client.client_list(_type="pubsub"), "those of other tests are gone")
            pubsub.subscribe("a", "b")
            pubsub.psubscribe("x*")
            hear(pubsub, 3)
            assert set(client.pubsub_channels()) == {b"a", b"b"}
            assert client.pubsub_numsub("a", "nosuch") == [(b"a", 1), (b"nosuch", 0)]
            assert client.pubsub_numpat() == 1
            (listener,) = client.client_list(_type="pubsub")
            assert (listener["sub"], listener["psub"], listener["ssub"]) == ("2", "1", "0")
            assert listener["flags"] == "P"
            assert listener["id"] not in {one["id"] for one in client.client_list(_type="normal")}
            info = client.info()
            assert (info["pubsub_channels"], info["pubsub_patterns"], info["pubsub_clients"]) == (2, 1, 1)
        with Redis(HOST, server.port) as client:
            eventually(lambda: client.pubsub_channels() == [], "nobody listens")
            eventually(lambda: client.pubsub_numpat() == 0, "nobody listens by patterns")

    def test_a_subscriber_that_does_not_read_is_closed_at_its_limit(self, server: Server) -> None:
        with (
            Redis(HOST, server.port) as client,
            Redis(HOST, server.port, socket_timeout=WAIT_S, protocol=2).client() as slow,
        ):
            before = client.config_get("client-output-buffer-limit")["client-output-buffer-limit"]
            client.config_set("client-output-buffer-limit", "pubsub 1000000 0 0")
            try:
                slow.connection.send_command("SUBSCRIBE", "flood")
                slow.connection.read_response()
                for _ in range(200):
                    if not client.publish("flood", b"x" * 100_000):
                        break
                assert client.publish("flood", "x") == 0
                assert client.ping()
            finally:
                client.config_set("client-output-buffer-limit", before)


@on("standalone", "forward")
@pytest.mark.parametrize("protocol", [2, 3])
def test_asyncio_subscribers(server: Server, protocol: int) -> None:
    async def main() -> list[Any]:
        async with (
            redis.asyncio.Redis(host=HOST, port=server.port, protocol=protocol) as client,
            redis.asyncio.Redis(host=HOST, port=server.ports[-1], protocol=protocol) as other,
            client.pubsub() as pubsub,
        ):
            await pubsub.subscribe("news")
            await pubsub.psubscribe("o*")
            heard = []
            async for message in pubsub.listen():
                if message["type"] == "psubscribe":
                    await other.publish("news", "one")
                    await other.publish("other", "two")
                elif message["type"] != "subscribe":
                    heard.append((message["type"], message["data"]))
                    if len(heard) == 2:
                        await pubsub.unsubscribe()
                        await pubsub.punsubscribe()
                        return heard
        return []

    assert asyncio.run(main()) == [("message", b"one"), ("pmessage", b"two")]

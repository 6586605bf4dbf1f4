"""redis-py's asyncio clients. Each test runs an asyncio loop of its own, as this repository's tests are Trio's."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import WatchError

from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server


def with_client(
    server: Server, protocol: int, story: Callable[[Redis], Awaitable[None]], **options: object
) -> None:
    """Run `story` with a client of the first node."""

    async def main() -> None:
        async with Redis(host=HOST, port=server.port, protocol=protocol, **options) as client:
            await story(client)

    asyncio.run(main())


@on("standalone", "forward")
@pytest.mark.parametrize("protocol", [2, 3])
class TestRedis:
    def test_many_tasks_share_a_pool(self, server: Server, protocol: int) -> None:
        async def story(client: Redis) -> None:
            await asyncio.gather(*(client.incr("total") for _ in range(90)))
            assert await client.get("total") == "90"

        with_client(server, protocol, story, decode_responses=True, max_connections=100)

    def test_pipelines_and_transactions(self, server: Server, protocol: int) -> None:
        async def story(client: Redis) -> None:
            async with client.pipeline(transaction=False) as pipeline:
                for number in range(200):
                    pipeline.set(f"k{number}", number).get(f"k{number}")
                assert (await pipeline.execute())[1::2] == [b"%d" % number for number in range(200)]
            async with client.pipeline(transaction=True) as pipeline:
                assert await pipeline.set("{t}a", 1).incr("{t}a").execute() == [True, 2]

        with_client(server, protocol, story)

    def test_watch_sees_a_change(self, server: Server, protocol: int) -> None:
        async def story(client: Redis) -> None:
            async with client.pipeline() as pipeline:
                await pipeline.watch("k")
                await client.set("k", 1)
                pipeline.multi()
                pipeline.set("k", 2)
                with pytest.raises(WatchError):
                    await pipeline.execute()
            assert await client.get("k") == b"1"

        with_client(server, protocol, story)

    def test_a_scan_finds_every_key(self, server: Server, protocol: int) -> None:
        async def story(client: Redis) -> None:
            await asyncio.gather(*(client.set(f"k{number}", 1) for number in range(90)))
            assert len({key async for key in client.scan_iter("k*", count=30)}) == 90

        with_client(server, protocol, story, max_connections=100)


@on("forward", "redirect")
@pytest.mark.parametrize("protocol", [2, 3])
def test_the_cluster_client(server: Server, protocol: int) -> None:
    async def main() -> None:
        # By default, a fifth MOVED closes the connections that other tasks are about to use.
        async with RedisCluster(
            host=HOST, port=server.port, protocol=protocol, reinitialize_steps=0
        ) as client:
            await asyncio.gather(*(client.set(f"k{number}", number) for number in range(100)))
            values = await asyncio.gather(*(client.get(f"k{number}") for number in range(100)))
            assert values == [b"%d" % number for number in range(100)]
            async with client.pipeline() as pipeline:
                for number in range(100):
                    pipeline.incr(f"k{number}")
                assert await pipeline.execute() == list(range(1, 101))

    asyncio.run(main())

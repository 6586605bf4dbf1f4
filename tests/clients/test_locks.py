"""redis-py's Lock, sync and asyncio: one holder at a time, whatever the node; extending, expiring, and losing it."""

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest
import redis.asyncio
from redis import Redis
from redis.exceptions import LockError, LockNotOwnedError

from tests.clients.conftest import on
from tests.conformance.harness.servers import HOST, Server

pytestmark = on("standalone", "forward")


@pytest.fixture
def client(server: Server) -> Iterator[Redis]:
    with Redis(HOST, server.port) as client:
        yield client


def test_one_holder_at_a_time(server: Server, client: Redis) -> None:
    """Counts without INCR, which only works when nobody else does the same meanwhile."""
    client.set("count", 0)

    def work(port: int) -> None:
        with Redis(HOST, port) as mine:
            for _ in range(10):
                with mine.lock("lock", timeout=100, sleep=0.001):
                    mine.set("count", int(mine.get("count")) + 1)

    threads = [
        threading.Thread(target=work, args=(port,)) for port in server.ports * (3 // len(server.ports))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("count") == b"30"


def test_it_is_extended_and_renewed(client: Redis) -> None:
    with client.lock("lock", timeout=100) as lock:
        assert lock.owned()
        assert lock.extend(100)
        assert 100_000 < client.pttl("lock") <= 200_000
        assert lock.extend(50, replace_ttl=True)
        assert client.pttl("lock") <= 50_000
        assert lock.reacquire()
        assert client.pttl("lock") > 50_000
        assert client.lock("lock", blocking=False).acquire() is False
    assert not client.exists("lock")


def test_it_is_lost_when_its_time_is_over(client: Redis) -> None:
    lock = client.lock("lock", timeout=0.05)
    lock.acquire()
    time.sleep(0.06)
    other = client.lock("lock", timeout=100)
    assert other.acquire(blocking=False)
    for lost in (lock.release, lock.reacquire, lambda: lock.extend(1)):
        with pytest.raises(LockError):
            lost()
    assert other.owned()
    with pytest.raises(LockNotOwnedError):
        client.lock("nosuch", timeout=1, thread_local=False).do_release("token")


def test_asyncio(server: Server) -> None:
    async def story() -> list[int]:
        order: list[int] = []
        async with redis.asyncio.Redis(host=HOST, port=server.port) as client:

            async def work(number: int) -> None:
                async with client.lock("lock", timeout=100, sleep=0.001):
                    order.append(number)
                    await asyncio.sleep(0.005)
                    order.append(number)

            await asyncio.gather(*(work(number) for number in range(5)))
        return order

    order = asyncio.run(story())
    assert order[::2] == order[1::2]

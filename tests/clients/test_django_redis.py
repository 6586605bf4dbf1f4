"""django-redis: a Django cache, its locks and its patterns."""

import threading
from collections.abc import Iterator

import pytest
from django_redis.cache import RedisCache
from redis.exceptions import LockNotOwnedError

from tests.clients.conftest import on
from tests.clients.django_cache import django_cache
from tests.clients.jobs.workers import Workplace

pytestmark = on("standalone", "forward")


@pytest.fixture
def cache(workplace: Workplace) -> Iterator[RedisCache]:
    with django_cache(workplace.url) as cache:
        yield cache


def test_values(cache: RedisCache) -> None:
    assert cache.set("k", {"any": ["value"]})
    assert cache.get("k") == {"any": ["value"]}
    assert cache.get("nosuch", "default") == "default"
    assert cache.add("k", 1) is False
    assert cache.set("k", 1, nx=True) is False
    assert cache.get_or_set("made", lambda: 5) == 5
    cache.set_many({f"k{number}": number for number in range(10)})
    assert cache.get_many([f"k{number}" for number in range(11)]) == {
        f"k{number}": number for number in range(10)
    }
    assert cache.delete_many(["k0", "k1", "nosuch"]) == 2
    assert cache.has_key("k2")
    cache.set("counter", 5)
    assert (cache.incr("counter", 3), cache.decr("counter")) == (8, 7)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("nosuch")
    cache.set("old", 1, version=1)
    assert cache.incr_version("old", version=1) == 2
    assert (cache.get("old", version=1), cache.get("old", version=2)) == (None, 1)


def test_times(cache: RedisCache) -> None:
    cache.set("k", 1, timeout=100)
    assert 0 < cache.ttl("k") <= 100
    assert cache.touch("k", 1000)
    assert 100_000 < cache.pttl("k") <= 1_000_000
    assert cache.persist("k")
    assert cache.ttl("k") is None
    assert cache.ttl("nosuch") == 0
    assert cache.expire("k", 100)
    assert cache.pexpire("k", 20)
    cache.set("gone", 1, timeout=0)
    assert "gone" not in cache


def test_patterns(cache: RedisCache) -> None:
    cache.set_many({f"user:{number}": number for number in range(50)})
    cache.set("other", 1)
    assert len(cache.keys("user:*")) == 50
    assert set(cache.iter_keys("user:4*", itersize=7)) == {"user:4", *(f"user:{n}" for n in range(40, 50))}
    assert cache.delete_pattern("user:1*") == 11
    assert cache.delete_pattern("user:*", itersize=5) == 39
    assert cache.keys("*") == ["other"]
    cache.clear()
    assert cache.keys("*") == []


def test_sets_and_hashes(cache: RedisCache) -> None:
    assert cache.sadd("set", "a", "b") == 2
    assert cache.smembers("set") == {"a", "b"}
    assert cache.sismember("set", "a")
    assert cache.hset("hash", "field", [1]) == 1
    assert cache.hkeys("hash") == ["field"]
    assert cache.hexists("hash", "field")
    assert cache.hdel("hash", "field") == 1


def test_locks(cache: RedisCache) -> None:
    order = []
    with cache.lock("lock", timeout=100) as lock:
        other = threading.Thread(
            target=lambda: cache.lock("lock", blocking_timeout=100).acquire() and order.append(2)
        )
        other.start()
        assert lock.extend(50)
        order.append(1)
    other.join()
    assert order == [1, 2]
    cache.delete("lock")
    lock = cache.lock("lock", timeout=0.05)
    lock.acquire()
    while lock.locked():
        pass
    with pytest.raises(LockNotOwnedError):
        lock.release()

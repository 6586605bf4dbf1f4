"""OBJECT IDLETIME and FREQ, CLIENT NO-TOUCH and what RESTORE says of them, next to a Valkey."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection

PATIENCE_S = 60


@pytest.fixture
def client(server: Server) -> Iterator[Connection]:
    with Connection(HOST, server.port) as connection:
        connection.ask("FLUSHALL")
        yield connection
        connection.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def idle_s(client: Connection, key: str = "k") -> int:
    found: int = client.ask("OBJECT", "IDLETIME", key).value
    return found


def test_a_key_is_idle_until_it_is_used(client: Connection) -> None:
    def asked() -> bool:
        for words in (["TTL", "k"], ["TYPE", "k"], ["EXISTS", "k"], ["OBJECT", "ENCODING", "k"]):
            client.ask(*words)
        return idle_s(client) >= 2

    def read() -> bool:
        client.ask("GET", "k")
        return idle_s(client) == 0

    client.ask("SET", "k", "v")
    client.ask("SET", "other", "v")
    wait_until(asked)
    wait_until(read)
    assert idle_s(client, "other") >= 1


def test_who_does_not_touch_does_not_use(client: Connection) -> None:
    def read() -> bool:
        client.ask("GET", "k")
        client.ask("EVAL", "return redis.call('STRLEN', KEYS[1])", "1", "k")
        return idle_s(client) >= 2

    def touched(*words: str) -> bool:
        client.ask(*words)
        return idle_s(client) < 2

    client.ask("SET", "k", "v")
    client.ask("CLIENT", "NO-TOUCH", "ON")
    wait_until(read)
    wait_until(lambda: touched("TOUCH", "k"))
    wait_until(read)
    wait_until(lambda: touched("EVAL", "return redis.call('TOUCH', KEYS[1])", "1", "k"))
    wait_until(read)
    client.ask("CLIENT", "NO-TOUCH", "OFF")
    wait_until(lambda: touched("GET", "k"))


def test_a_key_is_restored_as_it_was_used(client: Connection) -> None:
    client.ask("SET", "k", "v")
    dump = client.ask("DUMP", "k").value
    client.ask("RESTORE", "k", "0", dump, "REPLACE", "IDLETIME", "1000")
    assert 1000 <= idle_s(client) <= 1000 + PATIENCE_S
    client.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    client.ask("RESTORE", "k", "0", dump, "REPLACE", "FREQ", "100")
    assert client.ask("OBJECT", "FREQ", "k").value in (99, 100, 101)


def test_by_the_policy_one_of_them_is_told(client: Connection) -> None:
    client.ask("SET", "k", "v")
    assert client.ask("OBJECT", "FREQ", "k").value == (
        b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
        b"switching between policies at runtime LRU and LFU data will take some time to adjust."
    )
    client.ask("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")
    client.ask("SET", "new", "v")
    assert client.ask("OBJECT", "FREQ", "new").value == 5
    assert client.ask("OBJECT", "IDLETIME", "k").value == (
        b"ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
        b"switching between policies at runtime LRU and LFU data will take some time to adjust."
    )
    assert client.ask("OBJECT", "IDLETIME", "nosuch").value is None
    assert client.ask("OBJECT", "FREQ", "nosuch").value is None

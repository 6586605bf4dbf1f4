"""Too little memory (maxmemory) or too few replicas (min-replicas-to-write): what is refused, next to a Valkey."""

from collections.abc import Iterator

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply

OUT_OF_MEMORY = Reply("-", b"OOM command not allowed when used memory > 'maxmemory'.")


@pytest.fixture
def client(server: Server) -> Iterator[Connection]:
    with Connection(HOST, server.port) as connection:
        connection.ask("FLUSHALL")
        yield connection
        connection.ask("CONFIG", "SET", "maxmemory", "0", "min-replicas-to-write", "0")


def test_what_needs_memory_is_refused(client: Connection) -> None:
    client.ask("SET", "k", "1")
    client.ask("CONFIG", "SET", "maxmemory", "1")
    assert client.ask("SET", "k", "2") == OUT_OF_MEMORY
    assert client.ask("LPUSH", "l", "2") == OUT_OF_MEMORY
    assert client.ask("GET", "k").value == b"1"
    assert client.ask("EXPIRE", "k", "100").value == 1
    assert client.ask("DEL", "k").value == 1
    assert client.ask("EVAL", "#!lua\nreturn 1", "0") == OUT_OF_MEMORY
    assert client.ask("EVAL", "#!lua flags=allow-oom\nreturn 1", "0").value == 1
    assert client.ask("EVAL", "#!lua flags=no-writes\nreturn 1", "0").value == 1
    assert client.ask("EVAL", "return 1", "0").value == 1
    client.ask("CONFIG", "SET", "maxmemory", "0")
    assert client.ask("SET", "k", "2").value == b"OK"


def test_a_transaction_that_needs_memory_is_not_run(client: Connection, server: Server) -> None:
    client.ask("CONFIG", "SET", "maxmemory", "1")
    client.ask("MULTI")
    assert client.ask("SET", "k", "1") == OUT_OF_MEMORY
    assert client.ask("EXEC").value == b"EXECABORT Transaction discarded because of previous errors."
    client.ask("MULTI")
    assert client.ask("SET", "k", "1") == OUT_OF_MEMORY
    assert client.ask("DISCARD").value == b"OK"
    client.ask("MULTI")
    client.ask("GET", "k")
    assert client.ask("EXEC").kind == "*"
    client.ask("CONFIG", "SET", "maxmemory", "0")
    client.ask("MULTI")
    client.ask("SET", "k", "1")
    with Connection(HOST, server.port) as other:
        other.ask("CONFIG", "SET", "maxmemory", "1")
    assert client.ask("EXEC").value == b"EXECABORT Transaction discarded because of: " + OUT_OF_MEMORY.value
    assert client.ask("PING").value == b"PONG"
    assert client.ask("EXISTS", "k").value == 0


def test_another_policy_refuses_nothing_here(client: Connection, server: Server) -> None:
    if server.name == "valkey":
        pytest.skip("it evicts")
    client.ask("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "allkeys-lru")
    assert client.ask("SET", "k", "1").value == b"OK"
    client.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert client.ask("SET", "k", "1") == OUT_OF_MEMORY


NO_REPLICAS = Reply("-", b"NOREPLICAS Not enough good replicas to write.")


def test_without_replicas_nothing_is_written(client: Connection) -> None:
    client.ask("SET", "k", "1")
    client.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    assert client.ask("SET", "k", "2") == NO_REPLICAS
    assert client.ask("DEL", "k") == NO_REPLICAS
    assert client.ask("GET", "k").value == b"1"
    assert client.ask("EVAL", "return redis.call('set', KEYS[1], 1)", "1", "k").contains_error(b"NOREPLICAS")
    assert client.ask("EVAL", "#!lua\nreturn 1", "0") == NO_REPLICAS
    assert client.ask("EVAL", "#!lua flags=no-writes\nreturn 1", "0").value == 1
    assert client.ask("EVAL", "return 1", "0").value == 1
    client.ask("MULTI")
    assert client.ask("SET", "k", "2") == NO_REPLICAS
    assert client.ask("EXEC").contains_error(b"EXECABORT")
    client.ask("CONFIG", "SET", "min-replicas-max-lag", "0")
    assert client.ask("SET", "k", "2").value == b"OK"
    client.ask("CONFIG", "SET", "min-replicas-max-lag", "10")


def test_read_only_scripts_publish_nothing(client: Connection) -> None:
    for call in ("'publish', 'c', 'm'", "'spublish', 'c', 'm'", "'pfcount', 'c'"):
        reply = client.ask("EVAL_RO", f"return redis.call({call})", "0")
        assert reply.value.startswith(b"ERR Write commands are not allowed from read-only scripts.")


def test_the_statistics_have_the_same_names(valkey: Server, standalone: Server) -> None:
    names = []
    for server in (valkey, standalone):
        with Connection(HOST, server.port) as connection:
            connection.ask("FLUSHALL")
            connection.ask("SET", "k", "v")
            fields = connection.ask("MEMORY", "STATS").value
            # What db.N tells is of hash tables, which come and go with what ran before.
            names.append([name.value for name in fields[::2] if not name.value.startswith(b"db.")])
    assert names[0] == names[1]

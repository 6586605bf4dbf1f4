"""More memory in use than `maxmemory` allows: what is refused, next to a real Valkey."""

from collections.abc import Iterator

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply

OUT_OF_MEMORY = Reply("-", b"OOM command not allowed when used memory > 'maxmemory'.")


@pytest.fixture(params=["valkey", "standalone"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(server: Server) -> Iterator[Connection]:
    with Connection(HOST, server.port) as connection:
        connection.ask("FLUSHALL")
        yield connection
        connection.ask("CONFIG", "SET", "maxmemory", "0")


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

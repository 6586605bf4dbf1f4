"""MIGRATE between two servers, of which one is ours: a key goes to Valkey and comes back."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply

OK = Reply("+", b"OK")


@pytest.fixture(params=["standalone", "cluster"])
def ours(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def clients(ours: Server, valkey: Server) -> Iterator[tuple[Connection, Connection]]:
    """Of our server and of Valkey; both are empty."""
    with ExitStack() as stack:
        found = tuple(stack.enter_context(Connection(HOST, server.port)) for server in (ours, valkey))
        for client in found:
            client.ask("FLUSHALL")
        yield found[0], found[1]
        found[1].ask("CONFIG", "SET", "requirepass", "")


def test_a_key_goes_with_its_expiry(
    clients: tuple[Connection, Connection], ours: Server, valkey: Server
) -> None:
    here, there = clients
    here.ask("SET", "k", "v", "PX", "100000")
    assert here.ask("MIGRATE", HOST, str(valkey.port), "k", "0", "60000") == OK
    assert here.ask("EXISTS", "k").value == 0
    assert there.ask("GET", "k").value == b"v"
    assert 10_000 < there.ask("PTTL", "k").value <= 100_000
    assert here.ask("MIGRATE", HOST, str(valkey.port), "k", "0", "60000") == Reply("+", b"NOKEY")


def test_keys_that_are_there_already_stay(clients: tuple[Connection, Connection], valkey: Server) -> None:
    here, there = clients
    port = str(valkey.port)
    for key in "abc":
        here.ask("SET", key, "new")
    there.ask("SET", "b", "old")
    reply = here.ask("MIGRATE", HOST, port, "", "0", "60000", "KEYS", "a", "b", "c", "none")
    assert reply.value == b"ERR Target instance replied with error: BUSYKEY Target key name already exists."
    assert [here.ask("EXISTS", key).value for key in "abc"] == [0, 1, 0]
    assert here.ask("MIGRATE", HOST, port, "b", "0", "60000", "COPY", "REPLACE") == OK
    assert here.ask("GET", "b").value == there.ask("GET", "b").value == b"new"


def test_the_other_side_may_want_a_password(clients: tuple[Connection, Connection], valkey: Server) -> None:
    here, there = clients
    port = str(valkey.port)
    here.ask("SET", "k", "v")
    there.ask("CONFIG", "SET", "requirepass", "secret")
    assert here.ask("MIGRATE", HOST, port, "k", "0", "60000").value.startswith(
        b"ERR Target instance replied with error: NOAUTH"
    )
    assert here.ask("MIGRATE", HOST, port, "k", "0", "60000", "AUTH", "wrong").contains_error(b"ERR")
    assert here.ask("GET", "k").value == b"v"
    assert here.ask("MIGRATE", HOST, port, "k", "0", "60000", "AUTH2", "default", "secret") == OK
    assert there.ask("GET", "k").value == b"v"


def test_nobody_is_there(clients: tuple[Connection, Connection]) -> None:
    here, _ = clients
    here.ask("SET", "k", "v")
    assert here.ask("MIGRATE", HOST, "1", "k", "0", "500").contains_error(b"IOERR")
    assert here.ask("GET", "k").value == b"v"

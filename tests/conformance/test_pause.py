"""CLIENT PAUSE: what waits and what does not, next to a real Valkey."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply, encode

Open = Callable[[], Connection]
SHARED = b"#!lua flags=no-writes\nreturn 1"


@pytest.fixture
def client(server: Server) -> Iterator[Open]:
    connections: list[Connection] = []

    def connect() -> Connection:
        connections.append(Connection(HOST, server.port))
        return connections[-1]

    connect().ask("FLUSHALL")
    yield connect
    connections[0].ask("CLIENT", "UNPAUSE")
    for connection in connections:
        connection.close()


def blocked(connection: Connection) -> int:
    """How many clients INFO says are blocked."""
    text: bytes = connection.ask("INFO", "clients").value
    return int(text.partition(b"blocked_clients:")[2].split()[0])


def eventually(done: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline_s = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


WRITES = [
    ["SET", "k", "1"],
    ["PFCOUNT", "h"],
    ["PUBLISH", "c", "m"],
    ["EVAL", "return 1", "0"],
    ["EVAL", "#!lua\nreturn 1", "0"],
    ["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0"],
]
"""The script of EVALSHA is `return 1`."""
READS = [
    ["GET", "k"],
    ["PING"],
    ["PUBSUB", "NUMPAT"],
    ["EVAL_RO", "return 1", "0"],
    ["EVAL", SHARED, "0"],
    ["EVALSHA", "{sha}", "0"],
    ["SET", "k"],
]


def test_what_may_write_waits(client: Open) -> None:
    other = client()
    other.ask("SCRIPT", "LOAD", "return 1")
    other.ask("CLIENT", "PAUSE", "60000", "WRITE")
    waiting = [client() for _ in WRITES]
    for connection, request in zip(waiting, WRITES, strict=True):
        connection.send(encode(request))
    eventually(lambda: blocked(other) == len(WRITES))
    other.ask("CLIENT", "UNPAUSE")
    assert [connection.read().kind for connection in waiting] == ["+", *":::::"]
    assert blocked(other) == 0


def test_what_writes_nothing_goes_on(client: Open) -> None:
    other = client()
    sha: bytes = other.ask("SCRIPT", "LOAD", SHARED).value
    other.ask("CLIENT", "PAUSE", "60000", "WRITE")
    replies = [other.ask(*(sha if word == "{sha}" else word for word in request)) for request in READS]
    assert [reply.kind for reply in replies] == ["$", "+", ":", ":", ":", ":", "-"]


def test_a_transaction_waits_for_its_worst_command(client: Open) -> None:
    reading, writing, other = client(), client(), client()
    for connection, script in ((reading, SHARED), (writing, b"return 1")):
        for request in (["MULTI"], ["EVAL", script, "0"], ["GET", "k"]):
            connection.ask(*request)
    other.ask("CLIENT", "PAUSE", "60000", "WRITE")
    assert reading.ask("EXEC").kind == "*"
    writing.send(encode(["EXEC"]))
    eventually(lambda: blocked(other) == 1)
    other.ask("CLIENT", "UNPAUSE")
    assert writing.read().kind == "*"


def test_nothing_expires_meanwhile(client: Open) -> None:
    def expired() -> int:
        text: bytes = other.ask("INFO", "stats").value
        return int(text.partition(b"expired_keys:")[2].split()[0])

    other = client()
    before = expired()
    # In one piece, so that the pause begins before their time is over.
    sets = [encode(["SET", key, "1", "PX", "3000"]) for key in ("{t}a", "{t}b")]
    other.send(b"".join(sets) + encode(["CLIENT", "PAUSE", "60000", "WRITE"]))
    for _ in range(3):
        assert other.read() == Reply("+", b"OK")
    eventually(lambda: other.ask("GET", "{t}a") == other.ask("GET", "{t}b") == Reply("$", None))
    time.sleep(0.3)
    assert expired() == before
    other.ask("CLIENT", "UNPAUSE")
    other.ask("EXISTS", "{t}a", "{t}b")
    eventually(lambda: expired() == before + 2)


def test_a_script_that_takes_too_long_holds_up_all(client: Open) -> None:
    busy, other, queueing = client(), client(), client()
    other.ask("CONFIG", "SET", "busy-reply-threshold", "50")
    queueing.ask("MULTI")
    busy.send(encode(["EVAL", "while true do end", "0"]))
    eventually(lambda: other.ask("PING").contains_error(b"BUSY"))
    assert queueing.ask("SET", "k", "1").contains_error(b"BUSY")
    assert other.ask("SELECT", "0").value == b"OK"
    assert other.ask("SCRIPT", "KILL").value == b"OK"
    assert busy.read().is_error
    other.ask("CONFIG", "SET", "busy-reply-threshold", "5000")
    assert queueing.ask("EXEC").contains_error(b"EXECABORT")
    assert other.ask("PING").value == b"PONG"

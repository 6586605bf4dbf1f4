"""What a client may do while a script takes too long, next to a real Valkey: a standalone node is as busy as that.

A key that is WATCHed meanwhile counts as changed: nobody says at which revision it is.
"""

import time
from collections.abc import Iterator

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, encode

REFUSED = b"BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
REQUESTS = (
    ["PING"],
    ["ECHO", "x"],
    ["GET", "k"],
    ["SET", "k", "1"],
    ["MSET", "k", "1", "l", "2"],
    ["DEL", "k"],
    ["DBSIZE"],
    ["KEYS", "*"],
    ["FLUSHALL"],
    ["RANDOMKEY"],
    ["EVAL", "return 1", "0"],
    ["EVALSHA", "nosuch", "0"],
    ["FCALL", "nosuch", "0"],
    ["SCRIPT", "EXISTS", "x"],
    ["SCRIPT", "FLUSH"],
    ["FUNCTION", "LIST"],
    ["FUNCTION", "FLUSH"],
    ["FUNCTION", "KILL"],
    ["FUNCTION", "NOSUCH"],
    ["INFO", "nosuch"],
    ["TIME"],
    ["CONFIG", "GET", "nosuch"],
    ["CONFIG", "SET", "maxclients", "10000"],
    ["COMMAND", "COUNT"],
    ["CLIENT", "GETNAME"],
    ["CLIENT", "SETNAME", "busy"],
    ["CLIENT", "LIST", "ID", "0"],
    ["CLIENT", "NO-EVICT", "OFF"],
    ["CLIENT", "REPLY", "ON"],
    ["SLOWLOG", "LEN"],
    ["COMMANDLOG", "LEN", "slow"],
    ["LATENCY", "RESET"],
    ["MEMORY", "DOCTOR"],
    ["ACL", "WHOAMI"],
    ["PUBLISH", "c", "x"],
    ["PUBSUB", "CHANNELS"],
    ["SUBSCRIBE", "c"],
    ["UNSUBSCRIBE", "c"],
    ["WAIT", "0", "1"],
    ["BLPOP", "k", "1"],
    ["XREAD", "BLOCK", "1", "STREAMS", "k", "$"],
    ["OBJECT", "ENCODING", "k"],
    ["DEBUG", "SLEEP", "0"],
    ["SELECT", "0"],
    ["AUTH", "x"],
    ["AUTH", "default", "x"],
    ["HELLO", "9"],
    ["NOSUCH"],
    ["GET"],
    ["WATCH", "k", "l"],
    ["UNWATCH"],
    ["EVAL", "return 1", "1"],
    ["EVALSHA", "nosuch", "x"],
    ["LMPOP", "1", "k", "NOSUCH"],
    ["XREAD", "k", "l", "0"],
    ["MULTI"],
    ["SAVE"],
    ["EXEC"],
    ["MULTI"],
    ["WATCH", "k"],
    ["GET", "k"],
    ["DISCARD"],
    ["EXEC"],
    ["DISCARD"],
    ["READONLY"],
    ["READWRITE"],
    ["LASTSAVE"],
    ["SAVE"],
    ["ROLE"],
    ["REPLICAOF", "NO", "ONE"],
    ["SHUTDOWN"],
    ["MULTI"],
    ["PING"],
    ["EXEC"],
    ["MULTI"],
    ["DISCARD"],
    ["RESET"],
)


@pytest.fixture(params=["standalone"])
def busy(request: pytest.FixtureRequest, valkey: Server) -> Iterator[list[Connection]]:
    """A client each of Valkey and of ours, both at a script that does not end."""
    servers = [valkey, request.getfixturevalue(request.param)]
    clients = [Connection(HOST, server.port) for server in servers]
    scripts = [Connection(HOST, server.port) for server in servers]
    for client, script in zip(clients, scripts, strict=True):
        client.ask("CONFIG", "SET", "busy-reply-threshold", "50")
        script.send(encode(["EVAL", "while true do end", "0"]))
    for client in clients:
        while not client.ask("PING").contains_error(b"BUSY"):
            time.sleep(0.02)
    yield clients
    for client, script in zip(clients, scripts, strict=True):
        client.ask("SCRIPT", "KILL")
        assert script.read().is_error
        client.ask("CONFIG", "SET", "busy-reply-threshold", "5000")
        client.close()
        script.close()


def test_what_is_refused_and_what_is_not_is_the_same(busy: list[Connection]) -> None:
    theirs, ours = busy
    for request in REQUESTS:
        expected, found = theirs.ask(*request), ours.ask(*request)
        assert found == expected, request
    assert ours.ask("GET", "k").value == REFUSED


def test_what_was_watched_while_a_script_kept_the_group_is_taken_for_changed(standalone: Server) -> None:
    with Connection(HOST, standalone.port) as client, Connection(HOST, standalone.port) as script:
        client.ask("DEL", "k")
        client.ask("CONFIG", "SET", "busy-reply-threshold", "50")
        script.send(encode(["EVAL", "while true do end", "0"]))
        while not client.ask("PING").contains_error(b"BUSY"):
            time.sleep(0.02)
        assert client.ask("WATCH", "k").value == b"OK"
        client.ask("SCRIPT", "KILL")
        assert script.read().is_error
        client.ask("CONFIG", "SET", "busy-reply-threshold", "5000")
        transaction = [client.ask(*request) for request in (["MULTI"], ["SET", "k", "1"], ["EXEC"])]
        assert transaction[-1].value is None
        assert client.ask("EXISTS", "k").value == 0

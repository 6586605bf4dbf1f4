"""What a node tells about the commands that it runs, MONITOR, SLOWLOG, INFO, next to a real Valkey."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, encode

PREFIX = re.compile(rb"^\d+\.\d{6} \[(\d+) [^\]]+\] ")


@pytest.fixture(params=["valkey", "standalone"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(server: Server) -> Iterator[Connection]:
    with Connection(HOST, server.port) as connection:
        connection.ask("FLUSHALL")
        yield connection


def test_monitor_shows_what_is_run(server: Server, client: Connection) -> None:
    with Connection(HOST, server.port) as monitor:
        monitor.ask("MONITOR")
        for request in (
            ["SET", "k", "1"],
            ["MULTI"],
            ["GET", "k"],
            ["PING"],
            ["EXEC"],
            ["MULTI"],
            ["SET", "never", "run"],
            ["DISCARD"],
            ["MULTI"],
            ["nosuch"],
            ["SET", "never", "run"],
            ["EXEC"],
            ["CONFIG", "GET", "nosuch"],
            ["RESET"],
        ):
            client.ask(*request)
        monitor.send(encode(["RESET"]))
        lines = []
        while (reply := monitor.read()).value != b"RESET":
            lines.append(PREFIX.sub(rb"\1 ", reply.value).decode())
    assert lines == [
        '0 "SET" "k" "1"',
        '0 "MULTI"',
        '0 "GET" "k"',
        '0 "PING"',
        '0 "EXEC"',
        '0 "MULTI"',
        '0 "DISCARD"',
        '0 "MULTI"',
        '0 "EXEC"',
        '0 "RESET"',
    ]


def test_monitor_shows_what_scripts_do(server: Server, client: Connection) -> None:
    script = (
        "redis.call('set', KEYS[1], 1) redis.pcall('lpush', KEYS[1], 1) return redis.call('get', KEYS[1])"
    )
    with Connection(HOST, server.port) as monitor:
        monitor.ask("MONITOR")
        client.ask("EVAL", script, "1", "k")
        lines = [PREFIX.sub(rb"\1 ", monitor.read().value) for _ in range(4)]
        assert lines[0].startswith(b'0 "EVAL"')
        assert lines[1:] == [b'0 "set" "k" "1"', b'0 "lpush" "k" "1"', b'0 "get" "k"']


def test_of_a_transaction_the_commands_are_slow(client: Connection) -> None:
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.ask("SLOWLOG", "RESET")
    for request in (["MULTI"], ["SET", "k", "1"], ["PING"], ["EXEC"]):
        client.ask(*request)
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    entries = [
        b" ".join(word.value for word in entry.value[3].value) for entry in client.ask("SLOWLOG", "GET").value
    ]
    assert sorted(entries) == [b"MULTI", b"PING", b"SET k 1", b"SLOWLOG RESET"]


def test_of_a_transaction_the_commands_are_counted(client: Connection) -> None:
    client.ask("CONFIG", "RESETSTAT")
    for request in (["MULTI"], ["SET", "k", "1"], ["INCR", "k"], ["LPUSH", "k", "1"], ["PING"], ["EXEC"]):
        client.ask(*request)
    statistics = client.ask("INFO", "commandstats", "errorstats").value.decode()
    for line in (
        r"cmdstat_set:calls=1,.*failed_calls=0",
        r"cmdstat_incr:calls=1,.*failed_calls=0",
        r"cmdstat_lpush:calls=1,.*failed_calls=1",
        r"cmdstat_ping:calls=1,.*failed_calls=0",
        r"errorstat_WRONGTYPE:count=1",
    ):
        assert re.search(line, statistics), line


def test_debug_sleep_is_slow(client: Connection) -> None:
    client.ask("CONFIG", "SET", "latency-monitor-threshold", "10")
    for reset in (["SLOWLOG", "RESET"], ["LATENCY", "RESET"]):
        client.ask(*reset)
    client.ask("DEBUG", "SLEEP", "0.05")
    for request in (["MULTI"], ["DEBUG", "SLEEP", "0.05"], ["EXEC"]):
        client.ask(*request)
    assert client.ask("SLOWLOG", "LEN").value == 2
    assert client.ask("LATENCY", "HISTORY", "command").value
    client.ask("CONFIG", "SET", "latency-monitor-threshold", "0")


def test_large_values_are_freed_in_the_background(client: Connection) -> None:
    def memory(name: str) -> int:
        text: bytes = client.ask("INFO", "memory").value
        return int(text.partition(name.encode() + b":")[2].split()[0])

    def settle() -> None:
        deadline_s = time.monotonic() + 20
        while memory("lazyfree_pending_objects"):
            assert time.monotonic() < deadline_s
            time.sleep(0.05)

    settle()
    client.ask("SADD", "large", *map(str, range(5000)))
    client.ask("SADD", "small", "1")
    client.ask("CONFIG", "RESETSTAT")
    client.ask("UNLINK", "large", "small")
    settle()
    assert memory("lazyfreed_objects") == 1


SIZES = ("commandlog-request-larger-than", "commandlog-reply-larger-than")


@pytest.fixture
def sizes(client: Connection) -> Iterator[Connection]:
    """A client of a server for which 200 bytes are large."""
    for name, type_ in zip(SIZES, ("large-request", "large-reply"), strict=True):
        client.ask("CONFIG", "SET", name, "200")
        client.ask("COMMANDLOG", "RESET", type_)
    yield client
    for name in SIZES:
        client.ask("CONFIG", "SET", name, "1048576")
    client.ask("CONFIG", "SET", "commandlog-large-request-max-len", "128")


def logged(client: Connection, type_: str) -> list[list[Any]]:
    """(size, arguments cut to 8 bytes) of each entry."""
    entries = [entry.value for entry in client.ask("COMMANDLOG", "GET", "-1", type_).value]
    return [[entry[2].value, [argument.value[:8] for argument in entry[3].value]] for entry in entries]


def test_large_requests_are_logged_with_what_they_took(sizes: Connection) -> None:
    sizes.ask("SET", "k", "v" * 171)  # *3 $3 SET $1 k $171, each with CR LF: 199 bytes
    sizes.ask("SET", "k", "v" * 172)
    sizes.ask("SET", "small", "x")
    sizes.ask("SET", "k")
    sizes.ask("GET", "x" * 300, "too many")
    sizes.ask("NOSUCH", "x" * 300)
    sizes.ask("LPUSH", "k", "wrong type" * 30)
    assert logged(sizes, "large-request") == [
        [330, [b"LPUSH", b"k", b"wrong ty"]],
        [200, [b"SET", b"k", b"vvvvvvvv"]],
    ]
    assert sizes.ask("COMMANDLOG", "LEN", "large-request").value == 2
    sizes.ask("CONFIG", "SET", "commandlog-large-request-max-len", "1")
    sizes.ask("SET", "last", "v" * 200)
    assert [args[1] for _, args in logged(sizes, "large-request")] == [b"last"]
    sizes.ask("CONFIG", "SET", SIZES[0], "-1")
    sizes.ask("SET", "none", "v" * 200)
    assert [args[1] for _, args in logged(sizes, "large-request")] == [b"last"]
    assert sizes.ask("COMMANDLOG", "RESET", "large-request").value == b"OK"
    assert logged(sizes, "large-request") == []


def test_large_replies_are_logged_whichever_way_they_come(sizes: Connection) -> None:
    sizes.ask("SET", "k", "v" * 192)
    sizes.ask("SET", "less", "v" * 191)
    for key in ("k", "k", "k", "less", "less"):  # evaluated, and at hand
        sizes.ask("GET", key)
    sizes.ask("GETSET", "k", "v" * 300)
    sizes.ask("GET", "k", "too many" * 50)
    sizes.ask("PING", "x" * 300)
    sizes.ask("EVAL", "return string.rep('x', 300)", "0")
    assert logged(sizes, "large-reply") == [
        [308, [b"EVAL", b"return s", b"0"]],
        [308, [b"PING", b"x" * 8]],
        [200, [b"GETSET", b"k", b"v" * 8]],
        [200, [b"GET", b"k"]],
        [200, [b"GET", b"k"]],
        [200, [b"GET", b"k"]],
    ]


def test_a_megabyte_is_large(client: Connection) -> None:
    for type_ in ("large-request", "large-reply"):
        client.ask("COMMANDLOG", "RESET", type_)
    client.ask("SET", "k", "v" * (1 << 20))
    client.ask("SET", "less", "v" * ((1 << 20) - 100))
    client.ask("GET", "less")
    client.ask("GET", "k")
    assert logged(client, "large-request") == [[(1 << 20) + 32, [b"SET", b"k", b"v" * 8]]]
    assert logged(client, "large-reply") == [[(1 << 20) + 12, [b"GET", b"k"]]]


def test_a_client_is_shown_with_what_it_can(client: Connection) -> None:
    def shown(*words: str) -> list[bytes]:
        return re.findall(rb"capa=\w*", client.ask("CLIENT", *words).value)

    assert shown("INFO") == [b"capa="]
    client.ask("CLIENT", "CAPA", "nosuch")
    assert shown("INFO") == [b"capa="]
    client.ask("CLIENT", "CAPA", "nosuch", "Redirect")
    assert shown("INFO") == [b"capa=r"]
    assert shown("LIST", "CAPA", "r") == shown("LIST", "CAPA", "rr") == [b"capa=r"]
    assert shown("LIST", "CAPA", "") != []
    client.ask("RESET")
    assert shown("INFO") == [b"capa=r"]

"""What a node tells about the commands that it runs, MONITOR, SLOWLOG, INFO, next to a real Valkey."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, encode

PREFIX = re.compile(rb"^\d+\.\d{6} \[(\d+) [^\]]+\] ")


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


def client_info(client: Connection) -> dict[str, str]:
    """The fields of CLIENT INFO, in their order."""
    line: bytes = client.ask("CLIENT", "INFO").value
    return {name: value for name, _, value in (field.partition("=") for field in line.decode().split())}


def test_client_info_has_the_fields_of_valkey(valkey: Server, standalone: Server) -> None:
    with Connection(HOST, valkey.port) as theirs, Connection(HOST, standalone.port) as ours:
        assert list(client_info(theirs)) == list(client_info(ours))


def test_a_client_is_told_how_much_it_has_said_and_heard(server: Server) -> None:
    requests = [
        ["SET", "k", "x" * 1000],
        ["GET", "k"],
        ["BLPOP", "missing", "0.01"],
        ["MGET", "k", "k"],
        ["PING"],
    ]
    with Connection(HOST, server.port) as client:
        for request in requests:
            client.ask(*request)
        client.ask_all(requests)
        fields = client_info(client)
    asked = b"".join(map(encode, requests))
    heard = len("+OK") + 3 * len("$1000") + 3 * 1000 + len("*-1") + len("*2") + len("+PONG") + 2 * 10
    assert fields["tot-cmds"] == "10"
    assert fields["tot-net-in"] == str(2 * len(asked) + len(encode(["CLIENT", "INFO"])))
    assert fields["tot-net-out"] == str(2 * heard)


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


def test_monitor_shows_what_scripts_of_its_clients_do_wherever_they_run(cluster: Server) -> None:
    keys = [f"k{number}" for number in range(8)]  # of several groups, so that most are led elsewhere
    monitors = [Connection(HOST, port) for port in cluster.ports]
    try:
        for monitor in monitors:
            monitor.ask("MONITOR")
        for port, monitor in zip(cluster.ports, monitors, strict=True):
            with Connection(HOST, port) as client:
                for key in keys:
                    client.ask("EVAL", "return redis.call('set', KEYS[1], 1)", "1", key)
                    client.ask_all(
                        [["MULTI"], ["EVAL", "return redis.call('get', KEYS[1])", "1", key], ["EXEC"]]
                    )
                client.ask("GET", "the end")
            shown = []
            while not (line := PREFIX.sub(rb"\1 ", monitor.read().value).decode()).endswith('"the end"'):
                shown.append(line)
            assert [line for line in shown if line.startswith(('0 "set"', '0 "get"'))] == [
                line for key in keys for line in (f'0 "set" "{key}" "1"', f'0 "get" "{key}"')
            ]
    finally:
        for monitor in monitors:
            monitor.close()


def test_of_a_transaction_the_commands_are_slow(client: Connection) -> None:
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.ask("SLOWLOG", "RESET")
    for request in (["MULTI"], ["SET", "k", "1"], ["PING"], ["EXEC"]):
        client.ask(*request)
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    entries = [
        b" ".join(word.value for word in entry.value[3].value) for entry in client.ask("SLOWLOG", "GET").value
    ]
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert sorted(entries) == [b"MULTI", b"PING", b"SET k 1", b"SLOWLOG RESET"]


def test_a_command_that_is_unblocked_by_an_error_has_failed(standalone: Server) -> None:
    """As in Redis; Valkey counts it as rejected."""
    with Connection(HOST, standalone.port) as client, Connection(HOST, standalone.port) as blocked:
        id_ = str(blocked.ask("CLIENT", "ID").value)
        client.ask("CONFIG", "RESETSTAT")
        for word, end in (("TIMEOUT", "*"), ("ERROR", "-")):
            blocked.send(encode(["BLPOP", "never there", "0"]))
            while not client.ask("CLIENT", "UNBLOCK", id_, word).value:
                pass
            assert blocked.read().kind == end
        statistics = client.ask("INFO", "commandstats", "errorstats").value.decode()
    assert re.search(r"cmdstat_blpop:calls=2,.*,failed_calls=1\r", statistics)
    assert "errorstat_UNBLOCKED:count=1\r" in statistics


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
    slow = [entry.value[3].value[0].value for entry in client.ask("SLOWLOG", "GET").value]
    assert [word for word in slow if word in (b"DEBUG", b"EXEC")] == [b"DEBUG"] * 2
    assert client.ask("LATENCY", "HISTORY", "command").value
    client.ask("CONFIG", "SET", "latency-monitor-threshold", "0")


def test_large_values_are_freed_in_the_background(client: Connection) -> None:
    def memory(name: str) -> int:
        text: bytes = client.ask("INFO", "memory").value
        return int(text.partition(name.encode() + b":")[2].split()[0])

    def settle() -> None:
        deadline_s = time.monotonic() + 120
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


def statistics(client: Connection, *sections: str) -> str:
    text: bytes = client.ask("INFO", *sections).value
    return text.decode()


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        (
            "return redis.call('select', 99)",
            (
                r"select:calls=1,.*rejected_calls=0,failed_calls=1",
                r"eval:calls=1,.*failed_calls=1",
                "ERR:count=1",
            ),
        ),
        (
            "return redis.pcall('select', 99)",
            (
                r"select:calls=1,.*rejected_calls=0,failed_calls=1",
                r"eval:calls=1,.*failed_calls=1",
                "ERR:count=1",
            ),
        ),
        (
            "redis.pcall('select', 99) return 1",
            (
                r"select:calls=1,.*rejected_calls=0,failed_calls=1",
                r"eval:calls=1,.*failed_calls=0",
                "ERR:count=1",
            ),
        ),
        (
            "redis.pcall('get') return 1",
            (
                r"get:calls=0,.*rejected_calls=1,failed_calls=0",
                r"eval:calls=1,.*failed_calls=0",
                "ERR:count=1",
            ),
        ),
        (
            "redis.call('lpush', KEYS[1], 1)",
            (r"lpush:calls=1,.*rejected_calls=0,failed_calls=1", "WRONGTYPE:count=1"),
        ),
        ("error('mine')", (r"eval:calls=1,.*failed_calls=1", "ERR:count=1")),
    ],
)
def test_what_fails_in_a_script_is_counted_once(
    client: Connection, script: str, lines: tuple[str, ...]
) -> None:
    client.ask("SET", "k", "v")
    client.ask("CONFIG", "RESETSTAT")
    client.ask("EVAL", script, "1", "k")
    found = statistics(client, "commandstats", "errorstats", "stats")
    for line in (*lines, "total_error_replies:1\r"):
        assert re.search(line, found), line


def test_what_fails_around_exec_is_counted_once(client: Connection) -> None:
    client.ask("CONFIG", "RESETSTAT")
    for request in (["MULTI"], ["SET", "k", "1"], ["CLIENT", "CACHING", "YES"], ["EXEC"]):
        client.ask(*request)
    for request in (["MULTI"], ["GET"], ["EXEC"], ["OBJECT"]):
        client.ask(*request)
    found = statistics(client, "commandstats", "errorstats", "stats")
    for line in (
        r"cmdstat_client\|caching:calls=1,.*failed_calls=1",
        r"cmdstat_get:calls=0,.*rejected_calls=1",
        r"cmdstat_object:calls=0,.*rejected_calls=1",
        r"cmdstat_exec:calls=2,.*failed_calls=1",
        r"errorstat_ERR:count=3",
        r"errorstat_EXECABORT:count=1",
        "total_error_replies:4\r",
    ):
        assert re.search(line, found), line


def test_a_command_that_waits_is_slow_when_it_is_answered(server: Server, client: Connection) -> None:
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    with Connection(HOST, server.port) as popper:
        popper.send(encode(["BLPOP", "l", "0"]))
        while b"blocked_clients:1" not in client.ask("INFO", "clients").value:
            pass
        client.ask("SLOWLOG", "RESET")
        client.ask("RPUSH", "l", "1")
        popper.read()
        entries = [
            b" ".join(word.value for word in entry.value[3].value)
            for entry in client.ask("SLOWLOG", "GET").value
        ]
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert b"BLPOP l 0" in entries


def test_with_a_threshold_of_zero_everything_is_slow_replies_at_hand_too(client: Connection) -> None:
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    client.ask("SLOWLOG", "RESET")
    for _ in range(3):
        client.ask("GET", "nothing")
    count = sum(entry.value[3].value[0].value == b"GET" for entry in client.ask("SLOWLOG", "GET").value)
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert count == 3


def test_scripts_that_are_kept_are_counted(client: Connection) -> None:
    client.ask("SCRIPT", "FLUSH")
    client.ask("SCRIPT", "LOAD", "return 1")
    client.ask("EVAL", "return 2", "0")
    assert "number_of_cached_scripts:2\r" in statistics(client, "memory")
    client.ask("SCRIPT", "FLUSH", "ASYNC")
    assert "number_of_cached_scripts:0\r" in statistics(client, "memory")


def test_a_reply_over_the_hard_limit_is_not_sent(server: Server, client: Connection) -> None:
    client.ask("RPUSH", "l", *["x" * 100] * 2000)
    client.ask("CONFIG", "SET", "client-output-buffer-limit", "normal 100000 0 0")
    with Connection(HOST, server.port) as greedy, pytest.raises((OSError, EOFError)):
        greedy.ask("LRANGE", "l", "0", "-1")
    client.ask("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")


def test_who_takes_nothing_is_closed_though_nothing_more_is_sent(server: Server, client: Connection) -> None:
    client.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 100000 1")
    with Connection(HOST, server.port) as listener:
        listener.ask("CLIENT", "SETNAME", "listener")
        listener.ask("SUBSCRIBE", "c")

        def is_taking_it() -> bool:
            found = re.search(rb"name=listener .* omem=(\d+)", client.ask("CLIENT", "LIST").value)
            return found is not None and int(found[1]) < 200_000  # None: closed already

        while is_taking_it():
            client.ask("PUBLISH", "c", "x" * 50_000)
        deadline_s = time.monotonic() + 120
        while b"name=listener" in client.ask("CLIENT", "LIST").value:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    client.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 33554432 8388608 60")


def test_scripts_may_be_allowed_everything(client: Connection) -> None:
    script = "server.setresp(3) return server.call('debug', 'protocol', ARGV[1])"
    kinds = ("attrib", "bignum", "double", "null", "verbatim", "true", "false", "set", "integer")
    client.ask("DEBUG", "SET-DISABLE-DENY-SCRIPTS", "1")
    replies = [client.ask("EVAL", script, "0", kind) for kind in kinds]
    slept = client.ask("EVAL", "return server.call('debug', 'sleep', '0.001')", "0")
    client.ask("DEBUG", "SET-DISABLE-DENY-SCRIPTS", "0")
    assert replies[0].value == b"Some real reply following the attribute"
    assert replies[1].value == b"1234567999999999999999999999999999999"
    assert replies[2].value == b"3.141"
    assert replies[3].value is None
    assert replies[4].value == b"This is a verbatim\nstring"
    assert [reply.value for reply in replies[5:7]] == [1, 0]
    assert sorted(item.value for item in replies[7].value) == [0, 1, 2]
    assert replies[8].value == 12345
    assert slept.value == b"OK"
    assert b"not allowed" in client.ask("EVAL", script, "0", "map").value


def test_debug_reload_loads_nothing_beside_itself(client: Connection) -> None:
    client.ask("FUNCTION", "FLUSH")
    assert client.ask("DEBUG", "RELOAD", "NOFLUSH").value == b"OK"
    client.ask("FUNCTION", "LOAD", "#!lua name=a\nserver.register_function('f', function() end)")
    assert client.ask("DEBUG", "RELOAD", "NOFLUSH").value.startswith(b"ERR Error trying to load the RDB dump")
    for options in ([], ["NOFLUSH", "MERGE"]):
        assert client.ask("DEBUG", "RELOAD", *options).value == b"OK"
    assert client.ask("DEBUG", "RELOAD", "QUICKLY").value.startswith(b"ERR DEBUG RELOAD only supports")
    client.ask("FUNCTION", "FLUSH")


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


def test_what_takes_long_is_slow_once(client: Connection) -> None:
    script = ["EVAL", "for i = 1, 200000 do redis.call('PING') end return 1", "0"]
    transaction = ["MULTI"], script, ["EXEC"]
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "1000")
    client.ask("SLOWLOG", "RESET")
    client.ask(*script)
    for request in transaction:
        client.ask(*request)
    entries = [entry.value[3].value[0].value for entry in client.ask("SLOWLOG", "GET").value]
    client.ask("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    assert entries.count(b"EVAL") == 2

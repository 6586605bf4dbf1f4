"""The parameters that say how values are held, against a real Valkey: what OBJECT ENCODING answers below and above, and
where streams are trimmed.

On a standalone node only: a parameter is a node's, and the leader's counts.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from tests.conformance.harness.compare import agree, requests_of, run, transcript
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Closed, Connection, Request

DEFAULTS = {
    "hash-max-listpack-entries": "512",
    "hash-max-listpack-value": "64",
    "list-max-listpack-size": "-2",
    "set-max-intset-entries": "512",
    "set-max-listpack-entries": "128",
    "set-max-listpack-value": "64",
    "stream-node-max-bytes": "4096",
    "stream-node-max-entries": "100",
    "zset-max-listpack-entries": "128",
    "zset-max-listpack-value": "64",
    "proto-max-bulk-len": "536870912",
}


def seen(*steps: Request) -> list[Request]:
    """Each step, and how `k` is held after it."""
    return [each for step in steps for each in (step, ["OBJECT", "ENCODING", "k"])]


def lists(setting: str) -> list[Request]:
    """A list that grows and shrinks, by little and by much."""
    return [
        ["CONFIG", "SET", "list-max-listpack-size", setting],
        *seen(*(["RPUSH", "k", str(at)] for at in range(6)), *[["LPOP", "k"]] * 6),
        *seen(["RPUSH", "k", *"abcdefgh"], ["LTRIM", "k", "0", "0"], ["DEL", "k"]),
        *seen(*(["RPUSH", "k", "x" * 1000] for _ in range(12)), ["LTRIM", "k", "-3", "-1"], ["DEL", "k"]),
        *seen(
            ["RPUSH", "k", "a", "b"], ["LSET", "k", "0", "y" * 9000], ["LSET", "k", "0", "b"], ["DEL", "k"]
        ),
        *seen(
            ["RPUSH", "k", "a", "b"],
            ["LINSERT", "k", "BEFORE", "b", "y" * 9000],
        ),
        *seen(
            ["DEL", "k"], ["RPUSH", "k", "y" * 70000], ["LPUSH", "k", "a"], ["RPOP", "k"], ["RPUSH", "k", "b"]
        ),
        *seen(["DEL", "k"], ["RPUSH", "k", *["0"] * 3000], ["LPOP", "k", "2990"], ["RESTORE", "k", "0", "x"]),
    ]


def nodes(entries: str, size_bytes: str) -> list[Request]:
    """Approximate trimming, which goes by nodes, while they may grow so large, and of nodes that were larger."""
    trims = (["MAXLEN", "~", "25"], ["MAXLEN", "~", "23"], ["MINID", "~", "9"], ["MINID", "=", "11"])
    limits = ("7", "3", "1", "0")
    return [
        ["DEL", "k"],
        *(["XADD", "k", f"{at}-1", "field", str(at), "more", "x"] for at in range(1, 10)),
        ["CONFIG", "SET", "stream-node-max-entries", entries, "stream-node-max-bytes", size_bytes],
        *(["XADD", "k", f"{at}-1", "field", str(at), "other", "x" * (at % 7)] for at in range(10, 40)),
        *(each for trim in trims for each in (["XTRIM", "k", *trim], ["XLEN", "k"])),
        *(
            each
            for limit in limits
            for each in (["XTRIM", "k", "MAXLEN", "~", "2", "LIMIT", limit], ["XLEN", "k"])
        ),
        ["XADD", "k", "MAXLEN", "~", "1", "99-1", "f", "v"],
        ["XRANGE", "k", "-", "+", "COUNT", "1"],
        ["CONFIG", "SET", "stream-node-max-entries", "100", "stream-node-max-bytes", "4096"],
    ]


STORIES: dict[str, Sequence[Request]] = {
    "strings that grow": [
        ["CONFIG", "SET", "proto-max-bulk-len", "1mb"],
        ["SETRANGE", "k", "1048576", "x"],
        ["SETRANGE", "k", "1048575", "x"],
        ["SETRANGE", "k", "1048570", "1234567"],
        ["APPEND", "k", "x"],
        ["SETBIT", "b", "8388608", "1"],
        ["SETBIT", "b", "8388607", "1"],
        ["GETBIT", "b", "8388608"],
        ["BITFIELD", "f", "SET", "u8", "8388608", "1", "GET", "u8", "0"],
        ["BITFIELD", "f", "GET", "u8", "#1048576"],
        ["BITFIELD", "f", "SET", "u8", "8388601", "1"],
        ["SETRANGE", "a", "600", "x"],
        ["SETRANGE", "c", "600", "x"],
        ["LCS", "a", "c", "LEN"],
    ],
    **{f"lists of {setting}": lists(setting) for setting in ("3", "1", "0", "1000", "-1", "-2", "-3", "-5", "-9")},
    "hashes": [
        ["CONFIG", "SET", "hash-max-ziplist-entries", "2", "hash-max-listpack-value", "3"],
        *seen(["HSET", "k", "a", "1"], ["HSET", "k", "b", "1"], ["HSET", "k", "c", "1"], ["HDEL", "k", "c"]),
        *seen(["DEL", "k"], ["HSET", "k", "a", "123"], ["HSET", "k", "b", "1234"]),
        *seen(["DEL", "k"], ["HSET", "k", "abcd", "1"]),
        *seen(["DEL", "k"], ["HSET", "k", "a", "1", "b", "1", "a", "2"], ["HINCRBY", "l", "f", "1000"]),
        ["OBJECT", "ENCODING", "l"],
        ["CONFIG", "SET", "hash-max-listpack-entries", "0"],
        *seen(["DEL", "k"], ["HSET", "k", "a", "1"]),
        ["CONFIG", "GET", "hash-max-*"],
    ],
    "sets": [
        ["CONFIG", "SET", "set-max-intset-entries", "2", "set-max-listpack-entries", "3"],
        ["CONFIG", "SET", "set-max-listpack-value", "4"],
        *seen(["SADD", "k", "1", "2"], ["SADD", "k", "3"], ["DEL", "k"], ["SADD", "k", "1", "2", "3"]),
        *seen(["DEL", "k"], ["SADD", "k", "1"], ["SADD", "k", "a"], ["SADD", "k", "b"], ["SADD", "k", "c"]),
        *seen(["DEL", "k"], ["SADD", "k", "abcd"], ["SADD", "k", "abcde"], ["SREM", "k", "abcde"]),
        *seen(["SADD", "l", "1", "2"], ["SUNIONSTORE", "k", "l"], ["SUNIONSTORE", "k", "l", "k"]),
        ["CONFIG", "SET", "set-max-intset-entries", "0", "set-max-listpack-entries", "0"],
        *seen(["DEL", "k"], ["SADD", "k", "1"], ["SINTERSTORE", "k", "l"], ["SDIFFSTORE", "k", "l"]),
    ],
    "sorted sets": [
        ["CONFIG", "SET", "zset-max-ziplist-entries", "2", "zset-max-ziplist-value", "3"],
        *seen(["ZADD", "k", "1", "a"], ["ZADD", "k", "2", "b"], ["ZADD", "k", "3", "c"], ["ZREM", "k", "c"]),
        *seen(["DEL", "k"], ["ZADD", "k", "1", "abc"], ["ZADD", "k", "1", "abcd"]),
        *seen(["ZUNIONSTORE", "k", "1", "k"], ["ZRANGESTORE", "k", "k", "0", "0"], ["ZADD", "k", "1", "a", "1", "b"]),
        ["CONFIG", "SET", "zset-max-listpack-entries", "0"],
        *seen(["DEL", "k"], ["ZADD", "k", "1", "a"], ["GEOADD", "k", "1", "1", "a"]),
    ],
    "nodes of streams": [
        *nodes("4", "0"),
        *nodes("0", "60"),
        *nodes("0", "0"),
        *nodes("1", "4096"),
    ],
    "what was dumped elsewhere": [
        ["SADD", "s", "1", "2", "3", "4"],
        ["RPUSH", "l", "a", "b", "c", "d"],
        ["CONFIG", "SET", "set-max-intset-entries", "3", "list-max-listpack-size", "3"],
        *seen(["COPY", "s", "k"], ["COPY", "l", "k", "REPLACE"], ["SORT", "l", "ALPHA", "STORE", "k"]),
    ],
}  # fmt: skip


@pytest.fixture
def restored(valkey: Server, standalone: Server) -> Iterator[None]:
    """Afterwards both have the defaults again."""
    yield
    for server in (valkey, standalone):
        with Connection(HOST, server.port) as client:
            client.ask("CONFIG", "SET", *(word for pair in DEFAULTS.items() for word in pair))


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("name", STORIES)
def test_values_are_held_as_in_valkey(valkey: Server, standalone: Server, name: str) -> None:
    # A node's parameter does not wait for what its groups are still at work on, so all before it is answered first.
    steps = [
        each
        for step in STORIES[name]
        for each in ((["@advance", "0"], step) if step[0] == "CONFIG" else (step,))
    ]
    theirs, ours = (run(server, name, steps, 3) for server in (valkey, standalone))
    wrong = [
        f"step {number}: {transcript([step])[:200]}\nvalkey:  {expected}\nredraft: {got}"
        for number, (step, expected, got) in enumerate(zip(requests_of(steps), theirs, ours, strict=True))
        if not agree(step, expected, got)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ["valkey", "standalone"])
def test_a_client_that_is_closed_for_a_large_request_is_counted(
    name: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(name)

    def count() -> int:
        fields = bytes(watcher.ask("INFO", "stats").value).split(b"\r\n")
        closed = dict(field.split(b":", 1) for field in fields if b":" in field)
        return int(closed[b"client_query_buffer_limit_disconnections"])

    with Connection(HOST, server.port) as watcher:
        before = count()
        watcher.ask("CONFIG", "SET", "client-query-buffer-limit", "1mb")
        with Connection(HOST, server.port) as client:
            with suppress(EOFError, OSError):  # it may be closed before it has sent all
                client.send(b"*2\r\n$4\r\nECHO\r\n$3000000\r\n" + b"x" * 2_500_000)
            with pytest.raises((Closed, EOFError, OSError)):
                client.read()
        watcher.ask("CONFIG", "SET", "client-query-buffer-limit", "1gb")
        assert count() == before + 1

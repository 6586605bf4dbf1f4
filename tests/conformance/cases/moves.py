"""RENAME, RENAMENX, COPY and MOVE of every type, small and large: the same value, and a copy is one of its own."""

from tests.conformance.cases import Case
from tests.conformance.harness.wire import Request

FAR_MS = "33000000000000"
A, B = "{t}a", "{t}b"


def values(size: int) -> dict[str, tuple[list[Request], list[Request], list[Request]]]:
    """Type to requests that make such a value of `{t}a`, tell it of `{t}b`, and change it at `{t}a`."""
    names = [f"m{at}" for at in range(size)]
    in_any_order = ["@sorted"] if size > 100 else []  # what lies in a hash table
    pairs = [part for at, name in enumerate(names) for part in (str(at), name)]
    fields = [part for at, name in enumerate(names) for part in (name, str(at))]
    return {
        "string": ([["SET", A, "x" * size]], [["GET", B]], [["APPEND", A, "y"]]),
        "list": (
            [["RPUSH", A, *names]],
            [["LRANGE", B, "0", "-1"], ["OBJECT", "ENCODING", B]],
            [["LPUSH", A, "new"], ["RPOP", A]],
        ),
        "set": (
            [["SADD", A, *names]],
            [[*in_any_order, "SMEMBERS", B], ["OBJECT", "ENCODING", B]],
            [["SADD", A, "new"], ["SREM", A, "m0"]],
        ),
        "sorted set": (
            [["ZADD", A, *pairs]],
            [["ZRANGE", B, "0", "-1", "WITHSCORES"], ["ZRANK", B, "m1"], ["OBJECT", "ENCODING", B]],
            [["ZADD", A, "-1", "new"], ["ZREM", A, "m0"]],
        ),
        "hash": (
            [["HSET", A, *fields], ["HPEXPIREAT", A, FAR_MS, "FIELDS", "1", "m1"]],
            [
                [*in_any_order, "HGETALL", B],
                ["HPEXPIRETIME", B, "FIELDS", "2", "m0", "m1"],
                ["OBJECT", "ENCODING", B],
            ],
            [["HSET", A, "new", "1"], ["HDEL", A, "m0"], ["HPERSIST", A, "FIELDS", "1", "m1"]],
        ),
        "stream": (
            [
                *(["XADD", A, f"{at + 1}-1", "field", name] for at, name in enumerate(names)),
                ["XGROUP", "CREATE", A, "g", "0"],
                ["XREADGROUP", "GROUP", "g", "al", "COUNT", "2", "STREAMS", A, ">"],
            ],
            [["XRANGE", B, "-", "+"], ["XPENDING", B, "g"], ["XINFO", "GROUPS", B]],
            [["XADD", A, "99999-1", "new", "1"], ["XDEL", A, "1-1"], ["XACK", A, "g", "2-1"]],
        ),
    }


def case(name: str, size: int) -> Case:
    """All ways of one value."""
    makes, asks, changes = values(size)[name]
    steps: list[Request] = []
    for request in (
        ["RENAME", A, B],
        ["RENAMENX", A, B],
        ["COPY", A, B],
        ["COPY", A, B, "REPLACE"],
        ["COPY", A, A],
        ["RENAME", A, A],
    ):
        for taken in ([], [["RPUSH", B, *["old"] * 300]], [["SET", B, "old", "PXAT", FAR_MS]]):
            steps += [["DEL", A, B], *makes, ["PEXPIREAT", A, FAR_MS], *taken, request]
            steps += [
                ["EXISTS", A],
                ["TYPE", B],
                ["PEXPIRETIME", B],
                *(asks if request[1] != request[2] else []),
            ]
    steps += [["DEL", A, B], *makes, ["COPY", A, B], *changes, *asks, ["DEL", A], *asks]
    steps += [["DEL", A, B], *makes, ["RENAME", A, B], *makes, *asks, ["RENAME", A, B], *asks, ["DBSIZE"]]
    steps += [
        ["DEL", A, B],
        *makes,
        ["COPY", A, B, "DB", "1"],
        ["MOVE", A, "1"],
        ["MOVE", A, "1"],
        ["EXISTS", A],
    ]
    steps += [
        ["SELECT", "1"],
        ["TYPE", A],
        *asks,
        ["RENAME", A, B],
        *asks,
        ["MOVE", B, "0"],
        ["SELECT", "0"],
        *asks,
    ]
    return Case(f"moves of a {name} of {size}", steps)


CASES: list[Case] = [case(name, size) for size in (3, 300) for name in values(size)]

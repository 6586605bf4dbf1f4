"""SORT and SORT_RO. Keys have one hash tag, as patterns must where shard groups share the keyspace."""

from tests.conformance.cases import Case
from tests.conformance.harness.wire import Request

LIST, SET, ZSET = "{t}list", "{t}set", "{t}zset"
KEYS = (LIST, SET, ZSET, "{t}missing")
SETUP: list[Request] = [
    ["RPUSH", LIST, "3", "1", "20", "-4", "1.5", "3"],
    ["SADD", SET, "3", "1", "20", "-4", "1.5"],
    ["ZADD", ZSET, "5", "3", "4", "1", "3", "20", "2", "-4", "1", "1.5"],
    ["MSET", "{t}w3", "9", "{t}w1", "8", "{t}w20", "7.5", "{t}w-4", "1e3", "{t}w1.5", "-inf"],
    ["HSET", "{t}h3", "f", "5", "g", "three"],
    ["HSET", "{t}h1", "f", "6"],
    ["HSET", "{t}h20", "f", "-1", "g", "twenty"],
    ["RPUSH", "{t}l3", "x"],
]
OPTIONS: list[list[str]] = [
    [],
    ["ASC"],
    ["DESC"],
    ["desc", "asc"],
    ["ALPHA"],
    ["ALPHA", "DESC"],
    ["LIMIT", "1", "2"],
    ["LIMIT", "0", "0"],
    ["LIMIT", "-3", "2"],
    ["LIMIT", "4", "100"],
    ["LIMIT", "100", "1"],
    ["LIMIT", "2", "-1"],
    ["DESC", "LIMIT", "1", "3"],
    ["BY", "{t}w*"],
    ["BY", "{t}w*", "DESC", "LIMIT", "1", "3"],
    ["BY", "{t}w*", "ALPHA"],
    ["BY", "{t}h*->f"],
    ["BY", "{t}h*->f", "GET", "#", "GET", "{t}h*->g", "GET", "{t}w*"],
    ["BY", "{t}none*"],
    ["BY", "{t}none*", "DESC"],
    ["GET", "#"],
    ["GET", "{t}w*"],
    ["GET", "{t}h*"],
    ["GET", "{t}l*"],
    ["GET", "{t}fixed"],
    ["GET", "{t}h*->"],
    ["GET", "{t}w*->f"],
    ["GET", "{t}h*->nosuch", "GET", "#", "DESC"],
]
UNSORTED: list[list[str]] = [
    ["BY", "nosort"],
    ["BY", "nosort", "DESC"],
    ["BY", "nosort", "LIMIT", "1", "2"],
    ["BY", "nosort", "DESC", "LIMIT", "1", "2"],
    ["BY", "nosort", "LIMIT", "10", "2"],
    ["BY", "nosort", "LIMIT", "2", "0"],
    ["BY", "nosort", "GET", "{t}w*", "GET", "#"],
    ["BY", "nosort", "BY", "{t}w*"],
]
BAD: list[list[str]] = [
    ["LIMIT"],
    ["LIMIT", "1"],
    ["LIMIT", "a", "1"],
    ["LIMIT", "1", "b"],
    ["LIMIT", "1", "99999999999999999999"],
    ["BY"],
    ["GET"],
    ["STORE"],
    ["NOPE"],
    ["ASC", ""],
    ["LIMIT", "x", "1", "NOPE"],
]
NUMBERS = [
    *("", " 1", "1 ", "+1", "01", "-0", "1e3", "1E-3", ".5", "5.", ".", "e3", "1e", "--1", "0x10", "0X1p4", "0x1"),
    *("inf", "-INF", "infinity", "infinit", "nan", "NAN", "1e308", "1e309", "-1e309", "1e-307", "1e-400", "0e-400"),
    *("4e-320", "1_0", "9223372036854775807", "9223372036854775808", "abc", "1\x00abc", "\x00", "\t2"),
]  # fmt: skip

CASES: list[Case] = [
    *(
        Case(
            f"{name} of a {key.removeprefix('{t}')}",
            [*SETUP, *([name, key, *options] for options in OPTIONS + UNSORTED)],
        )
        for name in ("SORT", "SORT_RO")
        for key in KEYS
    ),
    Case(
        "sort and store",
        SETUP
        + [
            step
            for key in KEYS
            for options in OPTIONS + UNSORTED
            for step in (
                ["SET", "{t}target", "old"],
                ["SORT", key, *options, "STORE", "{t}target"],
                ["TYPE", "{t}target"],
                ["LRANGE", "{t}target", "0", "-1"],
                ["DEL", "{t}target"],
            )
        ],
    ),
    Case(
        "sort stores over itself, in the form that fits, and the last target counts",
        [
            *SETUP,
            ["SORT", LIST, "STORE", LIST],
            ["LRANGE", LIST, "0", "-1"],
            ["OBJECT", "ENCODING", LIST],
            ["SORT", LIST, "STORE", "{t}a", "STORE", "{t}b"],
            ["EXISTS", "{t}a"],
            ["LRANGE", "{t}b", "0", "-1"],
            ["EXPIRE", "{t}b", "1000"],
            ["SORT", LIST, "STORE", "{t}b"],
            ["TTL", "{t}b"],
            ["RPUSH", "{t}large", *[f"{number:0100}" for number in range(200)]],
            ["SORT", "{t}large", "STORE", "{t}b"],
            ["OBJECT", "ENCODING", "{t}b"],
            ["SORT", "{t}large", "LIMIT", "0", "60", "STORE", "{t}b"],
            ["OBJECT", "ENCODING", "{t}b"],
        ],
    ),
    Case(
        "a set that is not to be sorted",
        [
            ["SADD", "{t}s", "e", "c", "10", "z", "9"],
            ["SORT", "{t}s", "BY", "nosort"],
            ["SORT", "{t}s", "BY", "nosort", "DESC", "LIMIT", "1", "3"],
            ["EVAL", "return redis.call('SORT', KEYS[1], 'BY', 'nosort')", "1", "{t}s"],
            ["EVAL", "return redis.call('sort_ro', KEYS[1], 'BY', 'nosort', 'DESC')", "1", "{t}s"],
            ["SORT", "{t}s", "BY", "nosort", "DESC", "STORE", "{t}l"],
            ["LRANGE", "{t}l", "0", "-1"],
        ],
    ),
    Case(
        "what sort refuses",
        [
            *SETUP,
            ["SET", "{t}string", "x"],
            *(
                [name, key, *options]
                for name in ("SORT", "SORT_RO")
                for key in (LIST, "{t}string")
                for options in BAD
            ),
            ["SORT", "{t}string"],
            ["SORT_RO", "{t}h3"],
            ["SORT_RO", LIST, "STORE", "{t}x"],
            ["SORT", LIST, "STORE", "{t}string", "NOPE"],
            ["GET", "{t}string"],
            ["SORT"],
            ["SORT_RO"],
        ],
    ),
    Case(
        "numbers that sort reads",
        [
            step
            for number in NUMBERS
            for step in (
                ["DEL", "{t}n"],
                ["RPUSH", "{t}n", number, "1", "2", "-1"],
                ["SORT", "{t}n"],
                ["SORT", "{t}n", "ALPHA"],
                ["SET", "{t}w1", number],
                ["SORT", "{t}n", "BY", "{t}w*", "LIMIT", "0", "2"],
            )
        ],
    ),
    Case(
        "texts are sorted by their bytes",
        [
            ["RPUSH", "{t}l", "b", "a", "B", "aa", "", "\xe9", "Z", "10", "9"],
            ["SORT", "{t}l", "ALPHA"],
            ["SORT", "{t}l", "ALPHA", "DESC"],
            ["SORT", "{t}l"],
            ["MSET", "{t}wa", "3", "{t}wb", "1", "{t}waa", "2"],
            ["SORT", "{t}l", "ALPHA", "BY", "{t}w*", "LIMIT", "6", "3"],
            ["SORT", "{t}l", "ALPHA", "STORE", "{t}m"],
            ["LRANGE", "{t}m", "0", "-1"],
        ],
    ),
    Case(
        "patterns",
        [
            ["RPUSH", "{t}l", "1", "2"],
            ["HSET", "{t}1a", "f->g", "x", "->", "y", "f", "z"],
            ["MSET", "{t}*", "star", "{t}1*", "v", "{t}->", "arrow", "{t}1->", "w"],
            ["SORT", "{t}l", "GET", "{t}*a->f->g"],
            ["SORT", "{t}l", "GET", "{t}*a->->"],
            ["SORT", "{t}l", "GET", "{t}*a->f"],
            ["SORT", "{t}l", "GET", "{t}**"],
            ["SORT", "{t}l", "GET", "{t}*->"],
            ["SORT", "{t}l", "GET", "{t}->"],
            ["SORT", "{t}l", "GET", "{t}1->*"],
        ],
    ),
    Case(
        "keys that sort names",
        [
            ["COMMAND", "GETKEYS", "SORT", "a"],
            [
                "COMMAND",
                "GETKEYS",
                "SORT",
                "a",
                "BY",
                "store",
                "GET",
                "store",
                "LIMIT",
                "store",
                "1",
                "STORE",
                "b",
            ],
            ["COMMAND", "GETKEYS", "SORT", "a", "STORE", "b", "DESC", "STORE", "c"],
            ["COMMAND", "GETKEYS", "SORT", "a", "STORE"],
            ["COMMAND", "GETKEYS", "SORT_RO", "a", "STORE", "b"],
            ["@sorted", "COMMAND", "GETKEYSANDFLAGS", "SORT", "a", "STORE", "b"],
            ["@sorted", "COMMAND", "GETKEYSANDFLAGS", "SORT_RO", "a"],
        ],
    ),
]

"""Sets: members, chance where it decides nothing, several sets, paging, encodings."""

from tests.conformance.cases import Case

NAMES = (
    *("SADD", "SREM", "SMEMBERS", "SCARD", "SISMEMBER", "SMISMEMBER", "SPOP", "SRANDMEMBER", "SMOVE"),
    *("SINTER", "SINTERSTORE", "SINTERCARD", "SUNION", "SUNIONSTORE", "SDIFF", "SDIFFSTORE", "SSCAN"),
)

INTEGERS = ("9223372036854775807", "-9223372036854775808", "0", "-1")
NO_INTEGERS = ("9223372036854775808", "01", "+1", "-0", "", " 1", "1.0")
ALL_OF_THEM = (
    *(["SADD", "k", "m"], ["SREM", "k", "m"], ["SMEMBERS", "k"], ["SCARD", "k"], ["SISMEMBER", "k", "m"]),
    *(["SMISMEMBER", "k", "m", "n"], ["SPOP", "k"], ["SPOP", "k", "0"], ["SPOP", "k", "2"]),
    *(["SRANDMEMBER", "k"], ["SRANDMEMBER", "k", "0"], ["SRANDMEMBER", "k", "2"]),
    *(["SRANDMEMBER", "k", "-2"], ["SMOVE", "k", "d", "m"], ["SSCAN", "k", "0"], ["SSCAN", "k", "x"]),
    *(["SSCAN", "k", "0", "NOPE"], ["SINTER", "k"], ["SUNION", "k"], ["SDIFF", "k"], ["SINTER", "k", "none"]),
    *(["SINTER", "none", "k"], ["SUNION", "none", "k"], ["SDIFF", "none", "k"], ["SDIFF", "k", "none"]),
    *(["SINTERCARD", "1", "k"], ["SINTERCARD", "2", "none", "k"], ["SINTERSTORE", "d", "k"]),
    *(["SINTERSTORE", "d", "none", "k"], ["SUNIONSTORE", "d", "k"], ["SDIFFSTORE", "d", "k"]),
    *(["SDIFFSTORE", "d", "none", "k"], ["OBJECT", "ENCODING", "k"], ["TYPE", "k"], ["EXISTS", "d"]),
)


def sorted_(request: list[str]) -> list[str]:
    """The request, its reply compared without order: in Valkey it comes from a hash table."""
    return ["@sorted", *request]


def numbers(count: int, start: int = 0) -> list[str]:
    """So many integers."""
    return [str(number) for number in range(start, start + count)]


def words(count: int, start: int = 0) -> list[str]:
    """So many members that are no integers."""
    return [f"m{number}" for number in range(start, start + count)]


MEMBERS = [
    Case("every command on a missing key", list(ALL_OF_THEM)),
    Case("every command on a string", [["SET", "k", "x"], *(request for request in ALL_OF_THEM)]),
    Case(
        "every command on a set of one",
        [step for request in ALL_OF_THEM for step in (["DEL", "k", "d"], ["SADD", "k", "m"], request)],
    ),
    Case(
        "members come and go",
        [
            ["SADD", "k", "a", "b", "a", "", b"\x00\xff"],
            ["SADD", "k", "a"],
            ["SADD", "k", "a", "c"],
            ["SCARD", "k"],
            ["SMEMBERS", "k"],
            ["SISMEMBER", "k", ""],
            ["SISMEMBER", "k", "x"],
            ["SMISMEMBER", "k", "a", "x", "a", b"\x00\xff"],
            ["SREM", "k", "x", "y"],
            ["SREM", "k", "a", "a", "b", "x"],
            ["SMEMBERS", "k"],
            ["SREM", "k", "c", "", b"\x00\xff"],
            ["EXISTS", "k"],
            ["SREM", "k", "c"],
        ],
    ),
    Case(
        "the expiry stays with the key and goes with the last member",
        [
            ["SADD", "k", "a"],
            ["PEXPIREAT", "k", "33000000000000"],
            ["SADD", "k", "b"],
            ["SREM", "k", "a"],
            ["PEXPIRETIME", "k"],
            ["SPOP", "k"],
            ["SADD", "k", "b"],
            ["PEXPIRETIME", "k"],
            ["PEXPIREAT", "k", "33000000000000"],
            ["SUNIONSTORE", "k", "k"],
            ["PEXPIRETIME", "k"],
        ],
    ),
    Case(
        "large sets",
        [
            ["SADD", "k", *words(3000)],
            ["SADD", "k", *words(100, 2950)],
            ["SCARD", "k"],
            ["SISMEMBER", "k", "m2999"],
            ["SISMEMBER", "k", "m3050"],
            sorted_(["SMEMBERS", "k"]),
            ["SREM", "k", *words(2000)],
            ["SCARD", "k"],
            ["RENAME", "k", "l"],
            ["COPY", "l", "k"],
            ["SREM", "l", *words(1000, 2000)],
            sorted_(["SMEMBERS", "l"]),
            sorted_(["SPOP", "l", "50"]),
            ["EXISTS", "l"],
            ["SCARD", "k"],
            ["DEL", "k"],
            ["SADD", "k", "a"],
            ["SMEMBERS", "k"],
        ],
    ),
]

CHANCE = [
    Case(
        "how much is drawn, where it is all",
        [
            step
            for count in ("0", "1", "2", "3", "4", "1000", "-0", "x", "", "1.5", "9223372036854775807")
            for step in (
                ["DEL", "k"],
                ["SADD", "k", "a", "b", "c"],
                *([["SRANDMEMBER", "k", count], ["SPOP", "k", count]] if count not in ("1", "2") else []),
                ["SRANDMEMBER", "missing", count],
                ["SPOP", "missing", count],
                ["SCARD", "k"],
            )
        ],
    ),
    Case(
        "negative counts",
        [
            ["SADD", "k", "a"],
            ["SRANDMEMBER", "k", "-5"],
            ["SRANDMEMBER", "k", "-1"],
            ["SPOP", "k", "-1"],
            ["SRANDMEMBER", "missing", "-5"],
            ["SRANDMEMBER", "k", "-9223372036854775808"],
            ["SRANDMEMBER", "k", "-9223372036854775809"],
            ["SRANDMEMBER", "missing", "-9223372036854775808"],
            ["SRANDMEMBER", "k", "1", "2"],
            ["SPOP", "k", "1", "2"],
            ["SET", "s", "x"],
            ["SPOP", "s", "x"],
            ["SPOP", "s", "-1"],
            ["SRANDMEMBER", "s", "x"],
            ["SRANDMEMBER", "s", "0"],
            ["SPOP", "s", "0"],
        ],
    ),
    Case(
        "popping until nothing is left",
        [
            ["SADD", "one", "x"],
            ["SPOP", "one"],
            ["EXISTS", "one"],
            ["SADD", "one", "x"],
            ["SPOP", "one", "1"],
            ["EXISTS", "one"],
        ],
    ),
]

SEVERAL = [
    Case(
        "smove",
        [
            ["SADD", "a", "1", "2", "x"],
            ["SADD", "b", "2", "y"],
            ["SMOVE", "a", "b", "1"],
            ["SMOVE", "a", "b", "2"],
            ["SMOVE", "a", "b", "none"],
            ["SMOVE", "a", "a", "x"],
            ["SMOVE", "a", "a", "none"],
            sorted_(["SMEMBERS", "b"]),
            ["SMOVE", "a", "new", "x"],
            ["EXISTS", "a"],
            ["SMOVE", "a", "new", "x"],
            ["SMEMBERS", "new"],
            ["SET", "s", "x"],
            ["SMOVE", "new", "s", "x"],
            ["SMOVE", "new", "s", "none"],
            ["SMOVE", "s", "new", "x"],
            ["SMOVE", "missing", "s", "x"],
        ],
    ),
    Case(
        "intersections, unions and differences",
        [
            ["SADD", "a", "1", "2", "3", "x", "y"],
            ["SADD", "b", "2", "3", "4", "y"],
            ["SADD", "c", "3", "z", "y"],
            ["SADD", "n", "1", "2", "3"],
            *[
                step
                for keys in (
                    ["a"],
                    ["a", "a"],
                    ["a", "b"],
                    ["b", "a", "c"],
                    ["a", "missing"],
                    ["missing", "a"],
                    ["missing"],
                    ["missing", "none"],
                    ["n", "a"],
                    ["n", "n"],
                )
                for name in ("SINTER", "SUNION", "SDIFF")
                for step in (
                    [name, *keys],
                    [name + "STORE", "d", *keys],
                    ["SMEMBERS", "d"],
                    ["OBJECT", "ENCODING", "d"],
                    ["EXISTS", "d"],
                )
            ],
        ],
    ),
    Case(
        "storing over a source and over another type",
        [
            ["SADD", "a", "1", "2", "3"],
            ["SADD", "b", "2", "3", "4"],
            ["SET", "s", "x"],
            ["SINTERSTORE", "s", "a", "b"],
            ["TYPE", "s"],
            ["SINTERSTORE", "a", "a", "b"],
            ["SMEMBERS", "a"],
            ["SUNIONSTORE", "b", "a", "b"],
            ["SMEMBERS", "b"],
            ["SDIFFSTORE", "b", "b", "a"],
            ["SMEMBERS", "b"],
            ["SDIFFSTORE", "b", "b", "b"],
            ["EXISTS", "b"],
            ["SET", "s", "x"],
            ["SINTERSTORE", "s", "missing", "a"],
            ["EXISTS", "s"],
            ["SET", "s", "x"],
            ["SUNIONSTORE", "s", "a", "s"],
            ["GET", "s"],
        ],
    ),
    Case(
        "sintercard",
        [
            ["SADD", "a", *words(300)],
            ["SADD", "b", *words(300, 100)],
            *[
                ["SINTERCARD", "2", "a", "b", *options]
                for options in (
                    [],
                    ["LIMIT", "0"],
                    ["LIMIT", "1"],
                    ["limit", "199"],
                    ["LIMIT", "200"],
                    ["LIMIT", "201"],
                    ["LIMIT", "9223372036854775807"],
                    ["LIMIT", "-1"],
                    ["LIMIT", "x"],
                    ["LIMIT"],
                    ["NOPE", "1"],
                    ["NOPE"],
                    ["LIMIT", "1", "LIMIT", "2"],
                )
            ],
            *[["SINTERCARD", count, "a"] for count in ("0", "-1", "x", "", "2", "9223372036854775808", "1")],
            ["SINTERCARD", "1", "a", "b"],
            ["SINTERCARD", "1"],
        ],
    ),
    Case(
        "large and small ones together",
        [
            ["SADD", "a", *words(2000)],
            ["SADD", "b", *words(2000, 1500)],
            ["SADD", "c", "m1600", "m5", "x"],
            ["SADD", "n", *numbers(600)],
            *[
                step
                for keys in (["a", "b"], ["a", "c"], ["c", "a"], ["c", "a", "b"], ["a", "c", "b"], ["n", "a"])
                for name in ("SINTER", "SUNION", "SDIFF")
                for step in (
                    sorted_([name, *keys]),
                    [name + "STORE", "d", *keys],
                    sorted_(["SMEMBERS", "d"]),
                    ["OBJECT", "ENCODING", "d"],
                )
            ],
        ],
    ),
]

SCAN = [
    Case(
        "sscan of small sets gives all at once",
        [
            ["SADD", "n", *numbers(200)],
            ["SADD", "k", *words(100)],
            *[
                ["SSCAN", key, *arguments]
                for key in ("n", "k", "missing")
                for arguments in (
                    ["0"],
                    ["0", "COUNT", "1"],
                    ["0", "MATCH", "*1*"],
                    ["0", "match", "m1?", "count", "1000"],
                    ["0", "MATCH", "*"],
                    ["0", "MATCH", ""],
                    ["0", "COUNT", "0"],
                    ["0", "COUNT", "-1"],
                    ["0", "COUNT", "x"],
                    ["0", "COUNT"],
                    ["0", "MATCH"],
                    ["0", "TYPE", "set"],
                    ["0", "NOVALUES"],
                    ["0", "NOSCORES"],
                    ["0", "NOPE", "1"],
                    ["x"],
                    ["-1"],
                    [""],
                    ["18446744073709551616"],
                    ["7"],
                )
            ],
            ["SADD", "large", *words(700)],
            sorted_(["SSCAN", "large", "0", "COUNT", "10000"]),
            sorted_(["SSCAN", "large", "0", "COUNT", "10000", "MATCH", "m12*"]),
        ],
    ),
]

ENCODINGS = [
    Case(
        "what is an integer",
        [
            step
            for member in (*INTEGERS, *NO_INTEGERS, "x" * 64, "x" * 65)
            for step in (
                ["DEL", "k", "l", "m"],
                ["SADD", "k", member],
                ["OBJECT", "ENCODING", "k"],
                ["SADD", "l", "1", member],
                ["OBJECT", "ENCODING", "l"],
                ["SADD", "m", "x", member],
                ["OBJECT", "ENCODING", "m"],
            )
        ],
    ),
    Case(
        "how much makes a hashtable",
        [
            step
            for count in (1, 127, 128, 129, 511, 512, 513)
            for members in (numbers(count), words(count))
            for step in (
                ["DEL", "k", "l", "m", "s"],
                ["SADD", "k", *members],
                ["OBJECT", "ENCODING", "k"],
                ["SADD", "l", members[0]],
                *(["SADD", "l", member] for member in members[1:]),
                ["OBJECT", "ENCODING", "l"],
                ["SADD", "l", "other"],
                ["OBJECT", "ENCODING", "l"],
                ["SREM", "l", *members],
                ["OBJECT", "ENCODING", "l"],
                ["SADD", "m", "x", *members],
                ["OBJECT", "ENCODING", "m"],
                ["SUNIONSTORE", "s", "k"],
                ["OBJECT", "ENCODING", "s"],
                ["SINTERSTORE", "s", "k"],
                ["OBJECT", "ENCODING", "s"],
                ["SDIFFSTORE", "s", "k", "l"],
                ["OBJECT", "ENCODING", "s"],
            )
        ],
    ),
    Case(
        "stored results of a hashtable",
        [
            ["SADD", "n", *numbers(600)],
            ["SADD", "few", *numbers(100, 550)],
            ["SADD", "one", "1", "x"],
            ["SADD", "long", "1", "x" * 100],
            ["SADD", "was", "a", "x" * 100],
            ["SREM", "was", "x" * 100],
            ["SINTERSTORE", "d", "was"],
            ["OBJECT", "ENCODING", "d"],
            *[
                step
                for request in (
                    ["SINTERSTORE", "d", "n", "n"],
                    ["SINTERSTORE", "d", "n", "few"],
                    ["SINTERSTORE", "d", "one", "n"],
                    ["SINTERSTORE", "d", "long", "one"],
                    ["SINTERSTORE", "d", "long", "long"],
                    ["SDIFFSTORE", "d", "n", "few"],
                    ["SDIFFSTORE", "d", "long", "one"],
                    ["SDIFFSTORE", "d", "n", "one", "few"],
                    ["SDIFFSTORE", "d", "long", "one", "long"],
                    ["SDIFFSTORE", "d", "long", "one", "one"],
                    ["SDIFFSTORE", "d", "one", "long"],
                    ["SUNIONSTORE", "d", "one", "few"],
                    ["SUNIONSTORE", "d", "one", "n"],
                )
                for step in (request, ["OBJECT", "ENCODING", "d"], ["SCARD", "d"])
            ],
        ],
    ),
]

CASES = [*MEMBERS, *CHANCE, *SEVERAL, *SCAN, *ENCODINGS]

"""Strings: SET and its kin, parts of strings, counters, LCS."""

from collections.abc import Sequence

from tests.conformance.cases import Case

NAMES = (
    *(
        "APPEND",
        "DECR",
        "DECRBY",
        "DELIFEQ",
        "GET",
        "GETDEL",
        "GETEX",
        "GETRANGE",
        "GETSET",
        "INCR",
        "INCRBY",
    ),
    *(
        "INCRBYFLOAT",
        "LCS",
        "MGET",
        "MSET",
        "MSETEX",
        "MSETNX",
        "PSETEX",
        "SET",
        "SETEX",
        "SETNX",
        "SETRANGE",
    ),
    *("STRLEN", "SUBSTR"),
)

FAR_MS = "33000000000000"
FAR_S = "33000000000"

LIFETIMES = (["EX", "1000"], ["PX", "1000000"], ["EXAT", FAR_S], ["PXAT", FAR_MS], ["KEEPTTL"], ["PERSIST"])
CONDITIONS = (["NX"], ["XX"], ["IFEQ", "one"])

BAD_TIMES = (
    "0",
    "-1",
    "abc",
    "",
    "1.5",
    " 1",
    "+1",
    "9223372036854775",
    "9223372036854776",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
)

INDEXES = (
    ("0", "0"),
    ("0", "-1"),
    ("1", "3"),
    ("3", "1"),
    ("-3", "-1"),
    ("-1", "-3"),
    ("-100", "-50"),
    ("-50", "-100"),
    ("-100", "2"),
    ("-100", "100"),
    ("2", "-100"),
    ("9", "10"),
    ("10", "10"),
    ("10", "20"),
    ("100", "200"),
    ("5", "-5"),
    ("5", "-6"),
    ("0", "9223372036854775807"),
    ("-9223372036854775808", "9223372036854775807"),
    ("9223372036854775807", "-9223372036854775808"),
    ("a", "0"),
    ("0", "a"),
    ("9223372036854775808", "0"),
)

SETRANGE_OFFSETS = (
    *("0", "1", "5", "8", "20", "-1", "a", "536870911", "536870912", "4294967296"),
    *("9223372036854775807", "9223372036854775808"),
)

INTEGERS = (
    "0",
    "1",
    "-1",
    "-0",
    "00",
    "01",
    "+1",
    " 1",
    "1 ",
    "",
    "-",
    "abc",
    "1.0",
    "1e3",
    "9223372036854775806",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775807",
    "-9223372036854775808",
    "-9223372036854775809",
    "111111111111111111111",
)

FLOATS = (
    "0",
    "-0",
    "0.1",
    "-0.1",
    "3.0",
    "3e3",
    "5.0e-3",
    "1.23456789012345678",
    "0.1234567890123456789",
    "123456789.123456789",
    "1e17",
    "1e18",
    "1e19",
    "1e20",
    "18446744073709551615",
    "18446744073709551616",
    "18446744073709551617",
    "-9223372036854775809",
    "1e-16",
    "1e-17",
    "1e-18",
    "4.9e-18",
    "5e-18",
    "5.1e-18",
    "1e300",
    "1e4932",
    "-1e4932",
    "1.18973149535723176508575932662800701619e4932",
    "1.18973149535723176502e4932",
    "1.1897314953572317651e4932",
    "1e4933",
    "1e5000",
    "1e99999999999",
    "1e-4950",
    "1.83e-4951",
    "1.82e-4951",
    "1e-4951",
    "1e-4952",
    "1e-99999999999",
    "0e99999999999",
    "-0e-99999999999",
    "1e+2",
    "1e+00000000000000000000000000000000000000002",
    "1e",
    "1e+",
    ".5",
    "5.",
    ".",
    "",
    "-",
    "+",
    "+5",
    "++5",
    "--5",
    "0x10",
    "0X1.8p3",
    "0x.8",
    "0x",
    "0xg",
    "0x1p-3",
    "-0x1p+3",
    "0x1p20000",
    "0x1p-20000",
    "inf",
    "-inf",
    "+Inf",
    "INFINITY",
    "infinit",
    "nan",
    "-nan",
    "nan(1)",
    " 1",
    "1 ",
    "\t1",
    "1\n",
    "1_0",
    "1,5",
    "abc",
    "1a",
    b"1\x00",
    "9" * 400,
    "0." + "1" * 400,
    "9" * 4300,
    "9" * 5119,
    "0" * 5118 + "1",
    "0" * 5119 + "1",
    "0." + "0" * 4940 + "1",
)

PAIRS_FOR_LCS = (
    ("ohmytext", "mynewtext"),
    ("", "abc"),
    ("abc", ""),
    ("", ""),
    ("abc", "abc"),
    ("abc", "xyz"),
    ("a", "aaaa"),
    ("aaaa", "a"),
    ("abcbdab", "bdcaba"),
    ("xaxbxcx", "yaybycy"),
    ("1234567", "7654321"),
    ("aabbaabb", "bbaabbaa"),
    ("rnaaadnar", "randanrandan"),
    ("the quick brown fox jumps", "over the lazy dog quickly"),
)


Steps = list[Sequence[str | bytes]]


def set_combinations() -> list[Case]:
    """Every pair of a condition and a lifetime, in both orders, with and without GET, on four kinds of keys."""
    cases = []
    for condition in ([], *CONDITIONS):
        for lifetime in ([], *LIFETIMES):
            life = "TTL" if lifetime[:1] in (["EX"], ["PX"]) else "PEXPIRETIME"
            steps: Steps = []
            for get in ([], ["GET"]):
                for options in ([*condition, *lifetime, *get], [*get, *lifetime, *condition]):
                    steps += [
                        ["DEL", "missing"],
                        ["SET", "same", "one"],
                        ["SET", "other", "two"],
                        ["SET", "dying", "one", "PXAT", FAR_MS],
                    ]
                    for key in ("missing", "same", "other", "dying"):
                        steps += [["SET", key, "new", *options], ["GET", key], [life, key]]
            cases.append(Case(f"set with {' '.join([*condition, *lifetime]) or 'no option'}", steps))
    return cases


def option_pairs(name: str, request: list[str], words: list[list[str]]) -> Case:
    """Each option of `words` after each other one."""
    steps: Steps = []
    for first in words:
        for second in words:
            steps += [["SET", "key", "one"], [*request, *first, *second], ["GET", "key"]]
    return Case(name, steps)


ALL_OPTIONS = [
    *LIFETIMES,
    *CONDITIONS,
    ["GET"],
    ["nx"],
    ["kEEpttl"],
    ["IFEQ"],
    ["EX"],
    ["PXAT"],
    ["DEL"],
    [""],
]


def bad_times(request: list[str], after: list[str], units: list[list[str]]) -> Case:
    """Every bad time in every unit, on a missing key and one that is there."""
    steps: Steps = []
    for unit in units:
        for time in BAD_TIMES:
            steps += [["SET", "here", "v"], ["DEL", "missing"]]
            for key in ("here", "missing"):
                steps += [[request[0], *request[1:], key, *after, *unit, time], ["GET", key]]
    return Case(f"times that {request[0]} refuses", steps)


UNITS = [["EX"], ["PX"], ["EXAT"], ["PXAT"]]

TIMES = [
    bad_times(["SET"], ["v"], UNITS),
    bad_times(["GETEX"], [], UNITS),
    bad_times(["MSETEX", "1"], ["v"], UNITS),
    Case(
        "times that SETEX and PSETEX refuse",
        [[name, key, time, "v"] for name in ("SETEX", "PSETEX") for time in BAD_TIMES for key in ("a", "b")]
        + [["EXISTS", "a", "b"]],
    ),
    Case(
        "a time in the past leaves no key",
        [
            ["SET", "a", "1"],
            ["SET", "a", "2", "PXAT", "1"],
            ["EXISTS", "a"],
            ["SET", "a", "1"],
            ["SET", "a", "2", "EXAT", "1", "GET"],
            ["EXISTS", "a"],
            ["SET", "a", "2", "EXAT", "1", "NX"],
            ["SET", "a", "2", "EXAT", "1", "XX"],
            ["SET", "a", "1"],
            ["SET", "a", "2", "EXAT", "1", "NX"],
            ["GET", "a"],
            ["GETEX", "a", "PXAT", "1"],
            ["EXISTS", "a"],
            ["SET", "a", "1"],
            ["GETEX", "a", "EXAT", "1"],
            ["DBSIZE"],
            ["MSET", "a", "1", "b", "2"],
            ["MSETEX", "2", "a", "3", "c", "3", "PXAT", "1"],
            ["MGET", "a", "b", "c"],
        ],
    ),
    Case(
        "what keeps and what ends a key's life",
        [
            step
            for request in (
                ["SET", "k", "5"],
                ["SETNX", "k", "5"],
                ["GETSET", "k", "5"],
                ["MSET", "k", "5"],
                ["MSETNX", "k", "5"],
                ["MSETEX", "1", "k", "5"],
                ["MSETEX", "1", "k", "5", "KEEPTTL"],
                ["APPEND", "k", "5"],
                ["SETRANGE", "k", "1", "5"],
                ["INCR", "k"],
                ["DECRBY", "k", "5"],
                ["INCRBYFLOAT", "k", "0.5"],
                ["GETEX", "k"],
                ["GETEX", "k", "PERSIST"],
                ["GETEX", "k", "PXAT", "33000000000001"],
            )
            for step in (["SET", "k", "1", "PXAT", FAR_MS], request, ["PEXPIRETIME", "k"], ["GET", "k"])
        ],
    ),
    Case(
        "getex gives a life and takes it",
        [
            ["GETEX", "k"],
            ["GETEX", "k", "EX", "100"],
            ["GETEX", "k", "PERSIST"],
            ["SET", "k", "v"],
            ["GETEX", "k", "EX", "100"],
            ["TTL", "k"],
            ["GETEX", "k", "PX", "200000"],
            ["TTL", "k"],
            ["GETEX", "k", "EXAT", FAR_S],
            ["PEXPIRETIME", "k"],
            ["GETEX", "k", "PXAT", "9223372036854775807"],
            ["PEXPIRETIME", "k"],
            ["GETEX", "k", "persist"],
            ["PEXPIRETIME", "k"],
        ],
    ),
]

WHOLE = [
    Case(
        "set and get any bytes",
        [
            ["SET", b"\x00k\xff", b"\x00\r\n\xff"],
            ["GET", b"\x00k\xff"],
            ["SET", "", ""],
            ["GET", ""],
            ["STRLEN", ""],
            ["GET", "missing"],
            ["SET", "big", "x" * 100_000],
            ["GET", "big"],
            ["STRLEN", "big"],
        ],
    ),
    Case(
        "numbers of arguments",
        [[name, *["1"] * count] for name in NAMES for count in range(7)],
    ),
    Case(
        "setnx, getset, getdel, delifeq",
        [
            ["SETNX", "k", "1"],
            ["SETNX", "k", "2"],
            ["GETSET", "k", "3"],
            ["GETSET", "new", "3"],
            ["GETDEL", "new"],
            ["GETDEL", "new"],
            ["DELIFEQ", "k", "2"],
            ["DELIFEQ", "k", "3"],
            ["DELIFEQ", "k", "3"],
            ["SET", "k", ""],
            ["DELIFEQ", "k", ""],
            ["DBSIZE"],
        ],
    ),
    Case(
        "setex and psetex",
        [
            ["SETEX", "a", "100", "v"],
            ["TTL", "a"],
            ["PSETEX", "a", "200000", "w"],
            ["TTL", "a"],
            ["GET", "a"],
        ],
    ),
    Case(
        "mget, mset, msetnx",
        [
            ["MSET", "a", "1", "b", "2", "a", "3"],
            ["MGET", "a", "missing", "b", "a"],
            ["MSET", "a", "1", "b"],
            ["MSETNX", "a", "1", "b"],
            ["MSETNX", "c", "1", "a", "2"],
            ["MGET", "a", "c"],
            ["MSETNX", "c", "1", "c", "2", "d", "3"],
            ["MGET", "c", "d"],
        ],
    ),
    Case(
        "msetex counts its keys",
        [
            ["MSETEX", count, *rest]
            for count in (
                "1",
                "2",
                "3",
                "0",
                "-1",
                "x",
                "01",
                "2147483647",
                "2147483648",
                "4611686018427387904",
            )
            for rest in (
                ["a", "1"],
                ["a", "1", "b"],
                ["a", "1", "b", "2"],
                ["a", "1", "EX", "100"],
                ["a", "1", "NX"],
            )
        ]
        + [["MGET", "a", "b", "EX", "NX"]],
    ),
    Case(
        "msetex with conditions",
        [
            ["MSETEX", "2", "a", "1", "b", "2", "XX"],
            ["MSETEX", "2", "a", "1", "b", "2", "NX"],
            ["MSETEX", "2", "a", "3", "c", "3", "NX"],
            ["MSETEX", "2", "a", "3", "c", "3", "XX"],
            ["MSETEX", "2", "a", "4", "b", "4", "XX", "EXAT", FAR_S],
            ["MGET", "a", "b", "c"],
            ["PEXPIRETIME", "a"],
            ["MSETEX", "3", "a", "5", "b", "5", "c", "5", "KEEPTTL"],
            ["PEXPIRETIME", "b"],
            ["PEXPIRETIME", "c"],
            ["MSETEX", "2", "n", "1", "n", "2", "NX"],
            ["MSETEX", "1", "a", "1", "NX", "EX", "0"],
            ["MSETEX", "1", "a", "1", "EX", "100"],
            ["TTL", "a"],
        ],
    ),
    option_pairs("pairs of options of set", ["SET", "key", "two"], ALL_OPTIONS),
    option_pairs("pairs of options of getex", ["GETEX", "key"], ALL_OPTIONS),
    option_pairs("pairs of options of msetex", ["MSETEX", "1", "key", "two"], ALL_OPTIONS),
]

PARTS = [
    Case(
        "getrange and substr at every kind of index",
        [["SET", "ten", "0123456789"], ["SET", "empty", ""], ["SET", "one", "x"]]
        + [
            [name, key, start, end]
            for name in ("GETRANGE", "SUBSTR")
            for key in ("ten", "empty", "one", "missing")
            for start, end in INDEXES
        ],
    ),
    Case(
        "setrange",
        [
            step
            for offset in SETRANGE_OFFSETS
            for patch in ("", "xy", "longer than the value")
            for key in ("here", "missing")
            for step in (
                ["SET", "here", "01234567"],
                ["DEL", "missing"],
                ["SETRANGE", key, offset, patch],
                ["GET", key],
                ["EXISTS", key],
            )
        ],
    ),
    Case(
        "append and strlen",
        [
            ["STRLEN", "k"],
            ["APPEND", "k", ""],
            ["EXISTS", "k"],
            ["APPEND", "k", "12"],
            ["APPEND", "k", "3"],
            ["INCR", "k"],
            ["APPEND", "k", b"\x00"],
            ["APPEND", "k", ""],
            ["STRLEN", "k"],
            ["GET", "k"],
        ],
    ),
]

COUNTERS = [
    Case(
        "counters hold 64 bits",
        [
            step
            for value in INTEGERS
            for request in (["INCR", "k"], ["DECR", "k"], ["INCRBY", "k", "5"], ["DECRBY", "k", "-5"])
            for step in (["SET", "k", value], request, ["GET", "k"])
        ],
    ),
    Case(
        "increments are 64 bits",
        [
            step
            for delta in INTEGERS
            for value in ("0", "1", "-1", "-2")
            for name in ("INCRBY", "DECRBY")
            for step in (["SET", "k", value], [name, "k", delta], ["GET", "k"])
        ],
    ),
    Case(
        "a missing counter is 0",
        [
            ["INCR", "a"],
            ["DECR", "b"],
            ["INCRBY", "c", "-7"],
            ["DECRBY", "d", "-7"],
            ["INCRBYFLOAT", "e", "-.50"],
            ["MGET", "a", "b", "c", "d", "e"],
        ],
    ),
    Case(
        "incrbyfloat reads and writes every kind of number",
        [step for text in FLOATS for step in (["DEL", "k"], ["INCRBYFLOAT", "k", text], ["GET", "k"])],
    ),
    Case(
        "incrbyfloat adds to every kind of number",
        [
            step
            for text in FLOATS
            for delta in ("0", "1", "0.1", "-1e-17", "1e19", "abc", "inf")
            for step in (["SET", "k", text], ["INCRBYFLOAT", "k", delta])
        ],
    ),
    Case("incrbyfloat goes on from its own result", [["INCRBYFLOAT", "k", "0.1"]] * 20 + [["GET", "k"]]),
]

LCS = [
    Case(
        "lcs of many pairs",
        [
            step
            for first, second in PAIRS_FOR_LCS
            for step in (
                ["MSET", "a", first, "b", second],
                ["LCS", "a", "b"],
                ["LCS", "a", "b", "LEN"],
                ["LCS", "a", "b", "IDX"],
                ["LCS", "a", "b", "IDX", "WITHMATCHLEN"],
                ["LCS", "a", "b", "idx", "minmatchlen", "2", "withmatchlen"],
                ["LCS", "a", "b", "IDX", "MINMATCHLEN", "-1"],
                ["LCS", "b", "a", "IDX", "MINMATCHLEN", "4"],
            )
        ],
    ),
    Case(
        "lcs options and limits",
        [
            ["LCS", "missing", "none"],
            ["LCS", "missing", "none", "IDX"],
            ["LCS", "missing", "none", "LEN"],
            ["LCS", "missing", "none", "LEN", "IDX"],
            ["LCS", "missing", "none", "FOO"],
            ["LCS", "missing", "none", "MINMATCHLEN"],
            ["LCS", "missing", "none", "MINMATCHLEN", "a"],
            ["LCS", "missing", "none", "MINMATCHLEN", "1", "LEN", "WITHMATCHLEN"],
            ["SET", "a", "x" * 20_000],
            ["SET", "b", "x" * 7_000],
            ["LCS", "a", "b", "LEN"],
            ["SET", "b", "x" * 6_000],
            ["LCS", "a", "b", "LEN"],
            ["LCS", "a", "b", "IDX"],
        ],
    ),
]

CASES: list[Case] = [*set_combinations(), *TIMES, *WHOLE, *PARTS, *COUNTERS, *LCS]

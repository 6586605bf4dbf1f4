"""Lists: both ends, the middle, moving between lists, and what blocks but need not wait."""

from tests.conformance.cases import Case

FILL = ["RPUSH", "l", "a", "b", "c", "a", "d", "a"]
LOOK = ["LRANGE", "l", "0", "-1"]
NUMBERS = (
    "0",
    "1",
    "-1",
    "2",
    "-2",
    "5",
    "-6",
    "-7",
    "100",
    "-100",
    "x",
    "",
    "9223372036854775808",
    "-9223372036854775808",
)
NAMES = (
    *(
        "LPUSH",
        "RPUSH",
        "LPUSHX",
        "RPUSHX",
        "LPOP",
        "RPOP",
        "LLEN",
        "LINDEX",
        "LRANGE",
        "LSET",
        "LINSERT",
        "LREM",
    ),
    *("LPOS", "LTRIM", "LMOVE", "RPOPLPUSH", "LMPOP"),
)
BAD_TIMEOUTS = (
    "x",
    "",
    "-1",
    "-0.5",
    "-0.0005",
    "inf",
    "-inf",
    "nan",
    "1e400",
    "9223372036854776",
    " 1",
    "1_0",
)

CASES = [
    Case("numbers of arguments", [[name, *["1"] * count] for name in NAMES for count in range(6)]),
    Case(
        "pushes",
        [
            ["LPUSHX", "l", "x"],
            ["RPUSHX", "l", "x"],
            ["EXISTS", "l"],
            ["LPUSH", "l", "1", "2", "3"],
            ["RPUSH", "l", "4", "5"],
            ["LPUSHX", "l", "6", "7"],
            ["RPUSHX", "l", "8"],
            LOOK,
            ["TYPE", "l"],
            ["LLEN", "l"],
            ["LLEN", "none"],
        ],
    ),
    Case(
        "pops",
        [
            step
            for name in ("LPOP", "RPOP")
            for request in (
                [[name, "l"], [name, "none"]]
                + [[name, key, count] for key in ("l", "none") for count in NUMBERS]
                + [[name, "l", "1", "1"]]
            )
            for step in (["DEL", "l"], FILL, request, LOOK)
        ],
    ),
    Case(
        "indexes and ranges",
        [
            FILL,
            *(["LINDEX", key, number] for key in ("l", "none") for number in NUMBERS),
            *(["LRANGE", key, a, b] for key in ("l", "none") for a in NUMBERS for b in NUMBERS),
        ],
    ),
    Case(
        "lset, lrem",
        [
            step
            for name in ("LSET", "LREM")
            for number in NUMBERS[: None if name == "LREM" else -1]
            for key in ("l", "none")
            for step in (["DEL", "l"], FILL, [name, key, number, "a"], LOOK)
        ],
    ),
    Case(
        "ltrim",
        [
            step
            for a in NUMBERS
            for b in ("0", "-1", "3", "-3", "x", "-100")
            for step in (["DEL", "l"], FILL, ["LTRIM", "l", a, b], LOOK, ["EXISTS", "l"])
        ]
        + [["LTRIM", "none", "0", "1"]],
    ),
    Case(
        "linsert",
        [
            step
            for where in ("BEFORE", "after", "NEXT")
            for pivot in ("a", "d", "none")
            for key in ("l", "none")
            for step in (["DEL", "l"], FILL, ["LINSERT", key, where, pivot, "x"], LOOK)
        ],
    ),
    Case(
        "lpos",
        [
            FILL,
            *(
                ["LPOS", key, value, *options]
                for key in ("l", "none")
                for value in ("a", "d", "none")
                for options in (
                    [],
                    *(["RANK", number] for number in NUMBERS),
                    *(["COUNT", number] for number in NUMBERS),
                    *(["MAXLEN", number] for number in NUMBERS),
                    ["RANK", "-1", "COUNT", "2", "MAXLEN", "4"],
                    ["rank", "2", "count", "0"],
                    ["RANK"],
                    ["COUNT", "1", "MAXLEN"],
                    ["NOPE", "1"],
                )
            ),
        ],
    ),
    Case(
        "moves",
        [
            step
            for request in (
                *(
                    ["LMOVE", source, target, a, b]
                    for source in ("l", "one", "none")
                    for target in ("l", "one", "new")
                    for a in ("LEFT", "right", "UP")
                    for b in ("LEFT", "RIGHT", "UP")
                ),
                ["RPOPLPUSH", "l", "new"],
                ["RPOPLPUSH", "l", "l"],
                ["RPOPLPUSH", "one", "one"],
                ["RPOPLPUSH", "none", "l"],
                ["BLMOVE", "l", "new", "LEFT", "LEFT", "0"],
                ["BLMOVE", "l", "new", "UP", "LEFT", "x"],
                ["BLMOVE", "l", "new", "LEFT", "LEFT", "x"],
                ["BRPOPLPUSH", "one", "new", "0"],
            )
            for step in (
                ["DEL", "l", "one", "new"],
                FILL,
                ["RPUSH", "one", "1"],
                request,
                LOOK,
                ["LRANGE", "one", "0", "-1"],
                ["LRANGE", "new", "0", "-1"],
            )
        ],
    ),
    Case(
        "lmpop and blmpop",
        [
            step
            for head in (["LMPOP"], ["BLMPOP", "0.01"])
            for rest in (
                ["1", "l", "LEFT"],
                ["2", "none", "l", "RIGHT", "COUNT", "2"],
                ["2", "none", "l", "right", "count", "100"],
                ["1", "none", "LEFT"],
                ["0", "l", "LEFT"],
                ["-1", "l", "LEFT"],
                ["x", "l", "LEFT"],
                ["3", "l", "LEFT"],
                ["2", "l", "LEFT"],
                ["1", "l", "UP"],
                ["1", "l", "LEFT", "COUNT"],
                ["1", "l", "LEFT", "COUNT", "0"],
                ["1", "l", "LEFT", "COUNT", "x"],
                ["1", "l", "LEFT", "COUNT", "1", "COUNT", "2"],
                ["1", "l", "LEFT", "NOPE", "1"],
            )
            for step in (["DEL", "l"], FILL, [*head, *rest], LOOK)
        ]
        + [["BLMPOP", timeout, "0", "l", "LEFT"] for timeout in BAD_TIMEOUTS],
    ),
    Case(
        "what blocks and is served at once or in no time",
        [
            FILL,
            ["BLPOP", "l", "0"],
            ["BRPOP", "none", "l", "0"],
            LOOK,
            ["BLPOP", "none", "0.01"],
            ["BRPOP", "none", "other", "0.0001"],
            ["BLMOVE", "none", "l", "LEFT", "LEFT", "0.01"],
            ["BRPOPLPUSH", "none", "l", "0.01"],
            *(["BLPOP", "l", timeout] for timeout in BAD_TIMEOUTS),
            *(["BRPOPLPUSH", "l", "new", timeout] for timeout in BAD_TIMEOUTS),
            LOOK,
        ],
    ),
    Case(
        "what blocks does not in a transaction",
        [
            ["MULTI"],
            ["BLPOP", "none", "0"],
            ["BRPOP", "none", "0"],
            ["BLMOVE", "none", "l", "LEFT", "LEFT", "0"],
            ["BRPOPLPUSH", "none", "l", "0"],
            ["BLMPOP", "0", "1", "none", "LEFT"],
            ["RPUSH", "none", "1"],
            ["BLPOP", "none", "0"],
            ["BLPOP", "none", "x"],
            ["EXEC"],
        ],
    ),
    Case(
        "the wrong type",
        [
            ["SET", "s", "text"],
            FILL,
            *(
                request.split()
                for request in (
                    *(
                        "LPUSH s 1",
                        "RPUSHX s 1",
                        "LPOP s",
                        "LPOP s x",
                        "LLEN s",
                        "LINDEX s x",
                        "LRANGE s x 1",
                    ),
                    *(
                        "LRANGE s 0 1",
                        "LSET s x y",
                        "LINSERT s NOPE a b",
                        "LINSERT s AFTER a b",
                        "LREM s x a",
                    ),
                    *("LREM s 0 a", "LPOS s a RANK 0", "LPOS s a", "LTRIM s 0 1", "LMPOP 2 s l LEFT"),
                    *("LMOVE s l LEFT LEFT", "LMOVE l s LEFT LEFT", "LMOVE none s LEFT LEFT", "BLPOP s l 0"),
                    *("BLPOP l s 0", "BLMOVE l s LEFT LEFT 0", "GET l", "BLMOVE none s LEFT LEFT 0.01"),
                )
            ),
            LOOK,
        ],
    ),
    Case(
        "long lists",
        [
            ["RPUSH", "l", *map(str, range(300))],
            ["LINSERT", "l", "BEFORE", "7", "x"],
            ["LINSERT", "l", "AFTER", "290", "y"],
            ["LREM", "l", "0", "9"],
            ["LREM", "l", "-1", "280"],
            ["LPOS", "l", "250"],
            ["COPY", "l", "copy"],
            ["LTRIM", "l", "5", "-6"],
            LOOK,
            ["RENAME", "l", "m"],
            ["LPOP", "m", "100"],
            ["RPOP", "m", "1000"],
            ["EXISTS", "m"],
            ["LRANGE", "copy", "0", "-1"],
            ["DEL", "copy"],
            ["DBSIZE"],
        ],
    ),
    Case(
        "what a list is encoded as",
        [
            ["RPUSH", "l", "a"],
            ["OBJECT", "ENCODING", "l"],
            ["RPUSH", "l", *(str(number) * 30 for number in range(100, 160))],
            ["OBJECT", "ENCODING", "l"],
            ["RPUSH", "l", *(str(number) * 30 for number in range(100, 200))],
            ["OBJECT", "ENCODING", "l"],
            ["RPUSH", "large", "x" * 9000],
            ["OBJECT", "ENCODING", "large"],
        ],
    ),
]

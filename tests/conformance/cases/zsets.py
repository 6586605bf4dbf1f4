"""Sorted sets: scores, ranks, ranges, pops, set operations; small ones and such as are spread over records."""

from collections.abc import Sequence

from tests.conformance.cases import Case


def lines(text: str) -> list[list[str]]:
    """One request a line, words parted by single blanks; `''` is an empty word."""
    return [["" if word == "''" else word for word in line.split(" ")] for line in text.strip().splitlines()]


SCORES = (
    *("0", "-0", "+0", "0.0", "1", "-1", "+1", "01", "0.1", ".5", "5.", "1e3", "1E3", "1e+3", "-1e-3"),
    *("1e21", "1e22", "123456789012345678", "9007199254740993", "4611686018427387904", "9.2e18", "-1e100"),
    *("3.141592653589793238", "1.7976931348623157e308", "5e-324", "2.5e-310", "0.30000000000000004"),
    *("inf", "+inf", "-inf", "Inf", "INF", "infinity", "-Infinity", "infin", "nan", "NaN", "-nan"),
    *(
        "1e400",
        "-1e400",
        "1e-400",
        "",
        " ",
        " 1",
        "1 ",
        "x",
        "1x",
        "1_0",
        "0x10",
        "1e",
        "e1",
        "--1",
        "+-1",
        ".",
    ),
)
DATA = "ZADD k -inf d 0 z 0.1 p 0.5 f 1 a 1 g 5 f2 123456789012345678 p3 1e21 p2 inf c"
SAME = "ZADD lx 0 a 0 b 0 bb 0 c 0 d 0 dd 0 e"
MIXED = "ZADD mixed 1 z 2 a 3 m 4 b 4 c"
INDEXES = ("0", "1", "-1", "-2", "3", "9", "10", "-10", "-11", "100", "-100")
BOUNDS = (
    "-inf",
    "+inf",
    "inf",
    "0",
    "(0",
    "-0",
    "1",
    "(1",
    "0.1",
    "(0.1",
    "(-inf",
    "(inf",
    "1e21",
    "5",
    "(5",
)
BAD_BOUNDS = ("x", "", "(", "nan", "(nan", " 1", "1 ", "((1", "[1", "1e400", "0x20", "+", "-")
WORDS = ("-", "+", "[a", "(a", "[b", "(b", "[bb", "(c", "[dd", "[", "(", "[zz", "(e", "[0")
BAD_WORDS = ("a", "", "--", "++", "-a", "+a", "inf")
MANY: Sequence[str] = [
    word for number in range(400) for word in (str(number * 7 % 90 - 20), f"member:{number:04}")
]


def spread(key: str) -> list[str]:
    return ["ZADD", key, *MANY]


def each_range(command: str, ends: Sequence[str], *key: str) -> list[list[str]]:
    return [[command, *key, low, high] for low in ends for high in ends]


CASES = [
    Case(
        "scores are read and printed as by Valkey",
        [
            step
            for score in SCORES
            for step in (
                ["ZADD", "k", score, "m"],
                ["ZSCORE", "k", "m"],
                ["ZINCRBY", "k", score, "n"],
                ["ZADD", "k", "INCR", score, "n"],
                ["ZRANGE", "k", "0", "-1", "WITHSCORES"],
                ["ZREM", "k", "n"],
            )
        ],
    ),
    Case(
        "the same in a skiplist",
        [
            ["ZADD", "k", "0", "x" * 65],
            *(
                step
                for score in SCORES
                for step in (
                    ["ZADD", "k", score, "m"],
                    ["ZINCRBY", "k", score, "n"],
                    ["ZADD", "k", "INCR", score, "n"],
                    ["ZRANGE", "k", "0", "-1", "WITHSCORES"],
                    ["@sorted", "ZSCAN", "k", "0", "COUNT", "1000"],
                    ["ZREM", "k", "n"],
                )
            ),
        ],
    ),
    Case(
        "infinities do not make a NaN",
        lines("""ZADD k inf a -inf b
ZINCRBY k -inf a
ZINCRBY k inf b
ZADD k INCR -inf a
ZINCRBY k inf a
ZRANGE k 0 -1 WITHSCORES"""),
    ),
    Case(
        "zadd and its options",
        lines("""ZADD k 1 a
ZADD k 1 a 2 b 1 a
ZADD k NX 5 a 6 c
ZADD k XX 7 a 8 d
ZADD k XX CH 9 a 8 d
ZADD k CH 9 a 3 b 4 e
ZADD k GT 1 a 20 b 5 f
ZADD k GT CH 1 a 21 b 5 f
ZADD k LT CH 1 a 30 b 5 g
ZADD k XX GT CH 2 a 1 b 9 nope
ZADD k XX LT CH 0 a 1 b 9 nope
ZADD k gt xx ch 100 a
ZADD k INCR 1 a
ZADD k NX INCR 1 a
ZADD k XX INCR 1 a
ZADD k XX INCR 1 nope
ZADD k NX INCR 1 new
ZADD k GT INCR -1 a
ZADD k GT INCR 1 a
ZADD k LT INCR 1 a
ZADD k LT INCR -1 a
ZADD k INCR 0 a
ZADD k CH CH INCR 1 a
ZADD missing XX 1 a
ZADD missing XX INCR 1 a
EXISTS missing
ZADD k NX XX 1 a
ZADD k NX GT 1 a
ZADD k NX LT 1 a
ZADD k GT LT 1 a
ZADD k NX XX GT LT INCR 1 a 2 b
ZADD k INCR 1 a 2 b
ZADD k 1
ZADD k 1 a 2
ZADD k XX a
ZADD k CH NX
ZADD k NOPE 1 a
ZADD k 1 a x b
ZADD k 1 ''
ZSCORE k ''
ZRANGE k 0 -1 WITHSCORES
ZCARD k
ZCARD missing
ZSCORE k nope
ZSCORE missing a
ZMSCORE k a nope b
ZMSCORE missing a b
ZINCRBY k 2.5 a
ZINCRBY k 2.5 new2
ZINCRBY k x a
ZREM k a a nope
ZREM missing a
ZREM k b c e f g new '' new2
EXISTS k"""),
    ),
    Case(
        "ranks",
        lines(f"""{DATA}
ZRANK k d
ZRANK k c
ZREVRANK k c
ZREVRANK k d
ZRANK k g
ZREVRANK k a
ZRANK k nope
ZRANK missing a
ZRANK k a WITHSCORE
ZREVRANK k a withscore
ZRANK k nope WITHSCORE
ZRANK missing a WITHSCORE
ZRANK k a FOO
ZRANK missing a FOO
ZREVRANK k a WITHSCORE FOO"""),
    ),
    Case(
        "ranges by rank",
        [
            DATA.split(),
            *each_range("ZRANGE", INDEXES, "k"),
            *([*step, "REV", "WITHSCORES"] for step in each_range("ZRANGE", INDEXES, "k")),
            *each_range("ZREVRANGE", INDEXES, "k"),
            ["ZRANGE", "missing", "0", "-1"],
            ["ZRANGE", "k", "x", "1"],
            ["ZRANGE", "k", "1", ""],
            ["ZRANGE", "k", "9223372036854775807", "9223372036854775808"],
            ["ZRANGE", "k", "-9223372036854775808", "9223372036854775807"],
        ],
    ),
    Case(
        "ranges by score",
        [
            DATA.split(),
            *each_range("ZRANGEBYSCORE", BOUNDS, "k"),
            *([*step, "WITHSCORES"] for step in each_range("ZREVRANGEBYSCORE", BOUNDS, "k")),
            *([*step, "BYSCORE"] for step in each_range("ZRANGE", BOUNDS, "k")),
            *([*step, "BYSCORE", "REV"] for step in each_range("ZRANGE", BOUNDS, "k")),
            *each_range("ZCOUNT", BOUNDS, "k"),
            *(["ZCOUNT", "k", bound, "1"] for bound in BAD_BOUNDS),
            *(["ZRANGEBYSCORE", "k", "1", bound] for bound in BAD_BOUNDS),
            *(["ZRANGE", "missing", "1", bound, "BYSCORE"] for bound in BAD_BOUNDS),
            *(
                [command, "k", low, high, "WITHSCORES", "LIMIT", offset, limit]
                for command, low, high in (("ZRANGEBYSCORE", "0", "inf"), ("ZREVRANGEBYSCORE", "inf", "(0"))
                for offset in ("0", "1", "3", "20", "-1")
                for limit in ("0", "1", "2", "-1", "-2", "100")
            ),
        ],
    ),
    Case(
        "ranges by word",
        [
            SAME.split(),
            *each_range("ZRANGEBYLEX", WORDS, "lx"),
            *each_range("ZREVRANGEBYLEX", WORDS, "lx"),
            *each_range("ZLEXCOUNT", WORDS, "lx"),
            *([*step, "BYLEX", "REV", "LIMIT", "1", "2"] for step in each_range("ZRANGE", WORDS, "lx")),
            *([*step, "BYLEX", "LIMIT", "1", "2"] for step in each_range("ZRANGE", WORDS, "lx")),
            *(["ZLEXCOUNT", "lx", word, "+"] for word in BAD_WORDS),
            *(["ZRANGEBYLEX", "lx", "-", word] for word in BAD_WORDS),
            ["ZRANGEBYLEX", "missing", "-", "x"],
            ["ZLEXCOUNT", "missing", "-", "+"],
        ],
    ),
    Case(
        "ranges by word among members of different scores",
        [
            MIXED.split(),
            *each_range(
                "ZRANGEBYLEX", ("-", "+", "[a", "(a", "[b", "(b", "[m", "(m", "[z", "(z", "[c"), "mixed"
            ),
            *each_range("ZREVRANGEBYLEX", ("-", "+", "[a", "[b", "(b", "(m", "[z", "(z"), "mixed"),
            *each_range("ZLEXCOUNT", ("-", "+", "[a", "[b", "(m", "[z"), "mixed"),
            *(
                step
                for low, high in (("[a", "[m"), ("[b", "+"), ("-", "[z"), ("[m", "[z"))
                for step in (["ZREMRANGEBYLEX", "mixed", low, high], MIXED.split())
            ),
        ],
    ),
    Case(
        "what zrange refuses",
        lines(f"""{DATA}
ZRANGE k 0 -1 LIMIT 0 1
ZRANGE k 0 -1 LIMIT 0 -1
ZRANGE k 0 -1 LIMIT 5 -1
ZRANGE k 0 -1 BYLEX
ZRANGE k - + BYLEX WITHSCORES
ZRANGE k - + BYLEX BYSCORE
ZRANGE k - + BYLEX BYLEX
ZRANGE k 0 -1 REV REV
ZRANGE k 0 -1 WITHSCORES WITHSCORES
ZRANGE k 0 -1 LIMIT 0
ZRANGE k 0 1 BYSCORE LIMIT 0 1 LIMIT 1 1
ZRANGE k 0 1 BYSCORE LIMIT x 1
ZRANGE k 0 1 BYSCORE LIMIT 1 x
ZRANGE missing 0 1 LIMIT x y
ZRANGE k 0 1 FOO
ZRANGEBYSCORE k 0 1 BYSCORE
ZRANGEBYSCORE k 0 1 REV
ZREVRANGE k 0 1 REV
ZREVRANGE k 0 1 LIMIT 0 1
ZREVRANGE k 0 1 BYSCORE
ZRANGEBYLEX k - + WITHSCORES
ZRANGEBYLEX k - + BYLEX"""),
    ),
    Case(
        "zrangestore",
        lines(f"""{DATA}
ZRANGESTORE d k 0 3
ZRANGE d 0 -1 WITHSCORES
ZRANGESTORE d k 0 3 REV
ZRANGE d 0 -1 WITHSCORES
ZRANGESTORE d k (0 inf BYSCORE LIMIT 1 3
ZRANGE d 0 -1 WITHSCORES
ZRANGESTORE d k inf 0 BYSCORE REV LIMIT 1 3
ZRANGE d 0 -1 WITHSCORES
OBJECT ENCODING d
ZRANGESTORE d k 0 3 WITHSCORES
ZRANGESTORE d k 0 3 FOO
ZRANGESTORE d k a b
ZRANGESTORE k k 1 2
ZRANGE k 0 -1
ZRANGESTORE d missing 0 -1
EXISTS d
SET d text
ZRANGESTORE d k 0 -1
TYPE d
SET d text
ZRANGESTORE d k 5 2
EXISTS d
ZRANGESTORE d k 5 2
SET s text
ZRANGESTORE d s 0 -1"""),
    ),
    Case(
        "removing ranges",
        [
            step
            for data, command, ends in (
                (DATA, "ZREMRANGEBYRANK", ("0", "2", "-1", "-3", "100", "x")),
                (DATA, "ZREMRANGEBYSCORE", ("-inf", "inf", "1", "(1", "0.2", "x")),
                (SAME, "ZREMRANGEBYLEX", ("-", "+", "[b", "(b", "[dx", "x")),
            )
            for request in each_range(command, ends, data.split()[1])
            for step in (
                ["DEL", "k", "lx"],
                data.split(),
                request,
                ["ZRANGE", data.split()[1], "0", "-1"],
                [*request[:1], "missing", *request[2:]],
            )
        ],
    ),
    Case(
        "popping",
        lines(f"""{DATA}
ZPOPMIN k -1
ZPOPMIN k x
ZPOPMIN k 0
ZPOPMIN missing
ZPOPMIN missing 2
ZPOPMIN k
ZPOPMAX k
ZPOPMIN k 1
ZPOPMAX k 2
ZPOPMIN k 1 2
ZMPOP 1 k
ZMPOP 1 k FOO
ZMPOP 1 k MIN COUNT
ZMPOP 1 k MIN COUNT 0
ZMPOP 1 k MIN COUNT x
ZMPOP 1 k MIN FOO 1
ZMPOP 1 k MIN COUNT 1 COUNT 2
ZMPOP 0 k MIN
ZMPOP -1 k MIN
ZMPOP x k MIN
ZMPOP 2 k MIN
ZMPOP 9223372036854775807 k MIN
ZMPOP 1 k min
ZMPOP 2 missing k MAX COUNT 2
ZMPOP 1 missing MIN
ZMPOP 1 missing MIN COUNT 10
BZPOPMIN k 0
BZPOPMAX missing k 0
ZADD k 1 q 2 r 3 s 4 t 5 u
BZPOPMIN k x
BZPOPMIN k -1
BZPOPMIN k 1e300
BZPOPMIN k ''
BZMPOP 0 1 k MIN
BZMPOP x 1 k MIN
BZMPOP -1 0 k MIN
BZMPOP 0 0 k MIN
BZMPOP 0 2 k MIN
BZMPOP x 1 k FOO
BZMPOP x 1 k MIN COUNT 0
BZMPOP 0 1 k FOO
EXISTS k
ZADD k 1 a 2 b 3 c
ZPOPMAX k 10
EXISTS k
ZADD k 1 a 2 b 3 c
BZMPOP 0 2 missing k MAX COUNT 10
EXISTS k"""),
    ),
    Case(
        "set operations",
        lines("""ZADD a 1 x 2 y 3 z
ZADD b 10 x 20 y 40 w
SADD s x w v
SET str text
ZUNION 1 a
ZUNION 2 a b WITHSCORES
ZUNION 3 a b s WITHSCORES
ZUNION 2 a missing WITHSCORES
ZUNION 2 a a WITHSCORES
ZUNION 2 a b WEIGHTS 2 0.5 WITHSCORES
ZUNION 2 a b WEIGHTS 2 0.5 AGGREGATE MIN WITHSCORES
ZUNION 2 a b AGGREGATE max WITHSCORES
ZUNION 2 a b aggregate sum WITHSCORES
ZUNION 2 a b WEIGHTS inf -inf WITHSCORES
ZUNION 2 a b WEIGHTS inf 0 WITHSCORES
ZUNION 2 a b WEIGHTS -1 -0 WITHSCORES
ZINTER 2 a b WITHSCORES
ZINTER 3 a b s WITHSCORES
ZINTER 2 a b
ZINTER 2 a missing
ZINTER 1 missing
ZINTER 2 a a WITHSCORES
ZINTER 2 a b WEIGHTS 2 0.5 AGGREGATE MIN WITHSCORES
ZINTER 2 a b WEIGHTS 1 2 AGGREGATE MAX WITHSCORES
ZINTER 2 b s WEIGHTS 0 5 WITHSCORES
ZINTER 2 a b WEIGHTS inf -inf WITHSCORES
ZDIFF 2 a b WITHSCORES
ZDIFF 2 b a
ZDIFF 2 a s WITHSCORES
ZDIFF 2 s a WITHSCORES
ZDIFF 3 a b s
ZDIFF 1 a WITHSCORES
ZDIFF 2 a a
ZDIFF 2 missing a
ZDIFF 2 a missing
ZINTERCARD 2 a b
ZINTERCARD 2 a b LIMIT 1
ZINTERCARD 2 a b LIMIT 0
ZINTERCARD 2 a b LIMIT 100
ZINTERCARD 3 a b s
ZINTERCARD 2 a missing
ZINTERCARD 1 a
ZINTERCARD 1 a LIMIT
ZINTERCARD 1 a LIMIT -1
ZINTERCARD 1 a LIMIT x
ZINTERCARD 1 a LIMIT 1 LIMIT 2
ZINTERCARD 1 a FOO
ZINTERCARD 1 a WITHSCORES
ZUNION 0 a
ZUNION -1 a
ZUNION x a
ZUNION 2 a
ZUNION 1 a b
ZUNION 1 a WEIGHTS
ZUNION 1 a WEIGHTS x
ZUNION 1 a WEIGHTS nan
ZUNION 1 a WEIGHTS 1 2
ZUNION 2 a b WEIGHTS 1
ZUNION 1 a AGGREGATE FOO
ZUNION 1 a AGGREGATE
ZUNION 1 a LIMIT 1
ZUNION 2 a str
ZUNION 1 str FOO
ZUNION 0 str FOO
ZINTER 2 missing str
ZINTER 0 a
ZINTER 2 a
ZDIFF 0 a
ZDIFF 2 a
ZDIFF 1 a WEIGHTS 1
ZDIFF 1 a AGGREGATE SUM
ZDIFF 2 a str
ZINTERCARD 0 a
ZINTERCARD x a
ZINTERCARD 2 a
ZINTERCARD 2 a str
ZUNIONSTORE d 2 a b
ZRANGE d 0 -1 WITHSCORES
ZUNIONSTORE d 2 a b WEIGHTS 2 3 AGGREGATE MAX
ZRANGE d 0 -1 WITHSCORES
ZUNIONSTORE d 2 a s
ZRANGE d 0 -1 WITHSCORES
ZUNIONSTORE a 2 a b
ZRANGE a 0 -1 WITHSCORES
ZINTERSTORE d 2 a b
ZRANGE d 0 -1 WITHSCORES
ZINTERSTORE d 2 a missing
EXISTS d
ZDIFFSTORE d 2 a b
ZDIFFSTORE d 2 a s
ZRANGE d 0 -1 WITHSCORES
ZDIFFSTORE d 1 missing
EXISTS d
ZUNIONSTORE d 1 a WITHSCORES
ZUNIONSTORE d 0 a
ZUNIONSTORE d x a
ZUNIONSTORE d 2 a
ZINTERSTORE d 0 a
ZDIFFSTORE d 0 a
ZUNIONSTORE str 1 b
TYPE str
SET str text
ZINTERSTORE str 1 missing
EXISTS str"""),
    ),
    Case(
        "a large one",
        [
            spread("k"),
            ["ZCARD", "k"],
            ["OBJECT", "ENCODING", "k"],
            *(
                step
                for number in (0, 1, 57, 200, 399)
                for step in (["ZRANK", "k", f"member:{number:04}"], ["ZREVRANK", "k", f"member:{number:04}"])
            ),
            ["ZRANGE", "k", "0", "-1", "WITHSCORES"],
            ["ZREVRANGE", "k", "0", "-1", "WITHSCORES"],
            *each_range("ZRANGE", ("0", "1", "150", "399", "-1", "-200", "1000"), "k"),
            *each_range("ZREVRANGE", ("0", "1", "150", "399", "-1", "-200", "1000"), "k"),
            *each_range("ZCOUNT", ("-inf", "inf", "0", "(0", "-3", "(15", "69", "70"), "k"),
            *(
                ["ZRANGEBYSCORE", "k", low, high, "LIMIT", "37", "12"]
                for low in ("-inf", "0", "(0")
                for high in ("inf", "15", "(15")
            ),
            ["ZREVRANGEBYSCORE", "k", "50", "(-7", "WITHSCORES", "LIMIT", "37", "12"],
            ["ZADD", "k", "CH", *MANY],
            ["ZADD", "k", "CH", "1.5", "member:0007", "1.5", "member:0008", "-0", "member:0009"],
            ["ZRANGE", "k", "-1", "2", "BYSCORE", "WITHSCORES"],
            ["ZINCRBY", "k", "1.25", "member:0007"],
            ["ZREM", "k", "member:0007", "member:0300", "nope"],
            ["ZPOPMIN", "k", "3"],
            ["ZPOPMAX", "k", "3"],
            ["ZMPOP", "1", "k", "MAX", "COUNT", "2"],
            ["ZREMRANGEBYSCORE", "k", "10", "(20"],
            ["ZRANGE", "k", "0", "-1"],
            ["ZREMRANGEBYRANK", "k", "100", "-30"],
            ["ZRANGE", "k", "0", "-1"],
            ["@sorted", "ZSCAN", "k", "0", "COUNT", "1000"],
            ["COPY", "k", "copy"],
            ["RENAME", "k", "k2"],
            ["ZRANGESTORE", "d", "k2", "10", "60"],
            ["ZDIFFSTORE", "d2", "2", "copy", "d"],
            ["OBJECT", "ENCODING", "d2"],
            ["ZRANGE", "d2", "0", "-1", "WITHSCORES"],
            ["ZUNIONSTORE", "d3", "3", "d", "d2", "copy", "WEIGHTS", "1", "0", "-1"],
            ["ZRANGE", "d3", "0", "-1", "WITHSCORES"],
            ["ZREMRANGEBYRANK", "copy", "0", "-1"],
            ["EXISTS", "copy"],
        ],
    ),
    Case(
        "an offset from the end",
        [
            ["ZADD", "small", *(word for number in range(5) for word in (str(number), f"m{number}"))],
            ["ZADD", "k", *(word for number in range(200) for word in (str(number), f"m{number:03}"))],
            ["ZADD", "w", *(word for number in range(200) for word in ("0", f"m{number:03}"))],
            *(
                [*command, "LIMIT", offset, limit]
                for offset, limit in (("-1", "1"), ("-2", "3"), ("-3", "-1"), ("-1", "0"), ("-300", "2"))
                for command in (
                    ("ZRANGE", "small", "0", "3", "BYSCORE"),
                    ("ZRANGE", "k", "0", "300", "BYSCORE"),
                    ("ZRANGE", "k", "(1", "(3", "BYSCORE"),
                    ("ZRANGE", "k", "500", "600", "BYSCORE"),
                    ("ZREVRANGEBYSCORE", "k", "3", "1", "WITHSCORES"),
                    ("ZRANGESTORE", "d", "k", "5", "9", "BYSCORE"),
                    ("ZRANGE", "w", "[m001", "[m003", "BYLEX"),
                    ("ZREVRANGEBYLEX", "w", "[m003", "-"),
                )
            ),
        ],
    ),
    Case(
        "many words",
        [
            ["ZADD", "k", *(word for number in range(300) for word in ("0", f"w{number * 37 % 1000:03}"))],
            *each_range("ZLEXCOUNT", ("-", "+", "[w100", "(w111", "[w555", "(w999", "[x"), "k"),
            *each_range("ZREVRANGEBYLEX", ("-", "+", "[w100", "(w111", "[w135"), "k"),
            ["ZRANGEBYLEX", "k", "[w1", "(w5", "LIMIT", "50", "7"],
            ["ZREVRANGEBYLEX", "k", "(w5", "[w1", "LIMIT", "50", "7"],
            ["ZREMRANGEBYLEX", "k", "[w2", "(w7"],
            ["ZRANGE", "k", "0", "-1"],
        ],
    ),
    Case(
        "encodings",
        [
            ["ZADD", "k", "1", "a"],
            ["OBJECT", "ENCODING", "k"],
            ["ZADD", "k", "1", "x" * 64],
            ["OBJECT", "ENCODING", "k"],
            ["ZADD", "k", "XX", "1", "x" * 65],
            ["OBJECT", "ENCODING", "k"],
            ["ZADD", "k", "1", "x" * 65],
            ["OBJECT", "ENCODING", "k"],
            ["ZREM", "k", "x" * 65, "x" * 64],
            ["OBJECT", "ENCODING", "k"],
            ["ZUNIONSTORE", "k2", "1", "k"],
            ["OBJECT", "ENCODING", "k2"],
            *(
                step
                for count in (127, 128, 129)
                for step in (
                    ["ZADD", f"n{count}", *MANY[: 2 * count]],
                    ["OBJECT", "ENCODING", f"n{count}"],
                    ["ZADD", f"n{count}", "0", "one more"],
                    ["OBJECT", "ENCODING", f"n{count}"],
                    ["ZRANGESTORE", "d", f"n{count}", "0", "-1"],
                    ["OBJECT", "ENCODING", "d"],
                    ["ZRANGESTORE", "d", f"n{count}", "-inf", "inf", "BYSCORE"],
                    ["OBJECT", "ENCODING", "d"],
                    ["ZUNIONSTORE", "d", "1", f"n{count}"],
                    ["OBJECT", "ENCODING", "d"],
                )
            ),
            ["ZADD", "twice", *(["1", "a"] * 129)],
            ["OBJECT", "ENCODING", "twice"],
        ],
    ),
    Case(
        "random members",
        lines("""ZADD one 1.5 a
ZRANDMEMBER one
ZRANDMEMBER one 1
ZRANDMEMBER one 5 WITHSCORES
ZRANDMEMBER one -3
ZRANDMEMBER one -3 WITHSCORES
ZADD k 1 a 2 b 3 c
@sorted ZRANDMEMBER k 3 WITHSCORES
@sorted ZRANDMEMBER k 10
ZRANDMEMBER k 0
ZRANDMEMBER k x
ZRANDMEMBER k 1 FOO
ZRANDMEMBER k 1 WITHSCORES FOO
ZRANDMEMBER k -9223372036854775808
ZRANDMEMBER k -9223372036854775807 WITHSCORES
ZRANDMEMBER k -4611686018427387905 WITHSCORES
ZRANDMEMBER k 9223372036854775807 WITHSCORES
ZRANDMEMBER missing
ZRANDMEMBER missing 1
ZRANDMEMBER missing -1 WITHSCORES"""),
    ),
    Case(
        "zscan",
        lines(f"""{DATA}
ZSCAN k 0
ZSCAN k 0 COUNT 1
ZSCAN k 0 NOSCORES
ZSCAN k 0 MATCH [pf]*
ZSCAN k 0 MATCH p* NOSCORES COUNT 2
ZSCAN k 0 NOVALUES
ZSCAN k 0 COUNT 0
ZSCAN k 0 COUNT x
ZSCAN k 0 COUNT
ZSCAN k 0 MATCH
ZSCAN k 0 TYPE zset
ZSCAN k 0 FOO
ZSCAN k x
ZSCAN k -1
ZSCAN missing 0
ZSCAN missing x
ZSCAN missing 0 FOO
SET str text
ZSCAN str x
ZSCAN str 0 FOO"""),
    ),
    Case(
        "another type",
        lines("""SET str text
ZADD k 1 a
ZADD str 1 a
ZADD str x a
ZADD str XX 1 a
ZINCRBY str 1 a
ZREM str a
ZCARD str
ZSCORE str a
ZMSCORE str a
ZRANK str a
ZREVRANK str a WITHSCORE
ZRANDMEMBER str
ZRANDMEMBER str 0
ZRANDMEMBER str x
ZSCAN str 0
ZCOUNT str 0 1
ZCOUNT str x 1
ZLEXCOUNT str - +
ZLEXCOUNT str x y
ZRANGE str 0 -1
ZRANGE str x y
ZRANGEBYSCORE str 0 1
ZRANGEBYLEX str - +
ZREVRANGE str 0 1
ZREVRANGEBYSCORE str 1 0
ZREVRANGEBYLEX str + -
ZRANGESTORE d str 0 1
ZREMRANGEBYRANK str 0 1
ZREMRANGEBYSCORE str 0 1
ZREMRANGEBYLEX str - +
ZPOPMIN str
ZPOPMIN str 0
ZPOPMAX str 1
ZPOPMIN str -1
ZMPOP 1 str MIN
ZMPOP 2 missing str MIN
ZMPOP 2 k str MIN
BZPOPMIN str 0
BZMPOP 0 1 str MIN
ZUNIONSTORE d 1 str
GET k
INCR k"""),
    ),
]

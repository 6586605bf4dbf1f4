"""Streams: XADD and its ids, reading, trimming, XSETID, XREAD."""

from tests.conformance.cases import Case

GROWN = [["XADD", "s", f"{number}-1", "field", str(number)] for number in range(1, 8)]
BAD_IDS = (
    *(
        "",
        "-",
        "+",
        "$",
        ">",
        "x",
        "1-",
        "-1",
        "1-x",
        "1-*",
        "*-1",
        "1--1",
        "1- -1",
        "1-2-3",
        " 1",
        "1 ",
        "+1",
    ),
    *(
        "01",
        "1-01",
        "(",
        "((1",
        "(1",
        "18446744073709551615",
        "18446744073709551616",
        "1" * 128,
        "1\0x",
        "0-0",
    ),
    *("18446744073709551615-18446744073709551615", "18446744073709551615-18446744073709551616", "(0", "(-"),
    *("(18446744073709551615-18446744073709551615", "(0-1", "1-+5", "-5-1"),
)
LOOK = [
    ["XLEN", "s"],
    ["XRANGE", "s", "-", "+"],
]
TRIMS = (
    *(["MAXLEN", "3"], ["MAXLEN", "=", "3"], ["MAXLEN", "~", "3"], ["MAXLEN", "0"], ["MAXLEN", "100"]),
    *(["MAXLEN", "-1"], ["MAXLEN", "x"], ["MAXLEN"], ["MAXLEN", "~"], ["MAXLEN", "=", "x"], ["maxlen", "5"]),
    *(["MINID", "3"], ["MINID", "=", "3-2"], ["MINID", "~", "3"], ["MINID", "9"], ["MINID", "0"]),
    *(["MINID", "x"], ["MINID", "-"], ["MINID", "+"], ["MINID"], ["MINID", "~"], ["MINID", "3-*"]),
    *(["MAXLEN", "3", "MINID", "3"], ["MAXLEN", "~", "3", "LIMIT", "2"], ["MAXLEN", "3", "LIMIT", "2"]),
    *(
        ["MAXLEN", "~", "3", "LIMIT", "0"],
        ["MAXLEN", "~", "0", "LIMIT", "0"],
        ["MAXLEN", "~", "0", "LIMIT", "-1"],
    ),
    *(["LIMIT", "2"], ["LIMIT", "0"], ["LIMIT", "x", "MAXLEN", "~", "1"], ["LIMIT", "2", "MAXLEN", "~", "1"]),
    *(
        ["MAXLEN", "~", "0", "LIMIT", "7"],
        ["MAXLEN", "~", "0", "LIMIT", "6"],
        ["NOPE"],
        ["MAXLEN", "3", "NOPE"],
    ),
)


def filled(count: int, value: str = "v") -> list[list[str]]:
    """A stream of several nodes."""
    return [["XADD", "s", f"{number}-0", "field", f"{value}{number}"] for number in range(1, count + 1)]


CASES = [
    Case(
        "xadd takes ids of every form",
        [
            *(["XADD", "s", "5-5", "f", "v"], ["XADD", "s", "5-*", "f", "v"], ["XADD", "s", "5", "f", "v"]),
            *(["XADD", "s", "4-*", "f", "v"], ["XADD", "s", "6", "f", "v"], ["XADD", "s", "6-*", "f", "v"]),
            *(["XADD", "s", "7-*", "f", "v"], ["XADD", "s", "7-0", "f", "v"], ["XADD", "t", "0-*", "f", "v"]),
            *(["XADD", "u", "0-0", "f", "v"], ["XADD", "u", "0", "f", "v"], ["EXISTS", "u"]),
            ["XADD", "s", "8-18446744073709551615", "f", "v"],
            ["XADD", "s", "8-*", "f", "v"],
            ["XADD", "s", "9-1", "f", "v", "f", "w", b"\x00\xff", ""],
            ["XADD", "s", "18446744073709551615-18446744073709551614", "f", "v"],
            ["XADD", "s", "*", "f", "v"],
            ["XADD", "s", "*", "f", "v"],
            ["XADD", "s", "18446744073709551615-*", "f", "v"],
            *LOOK,
            ["XINFO", "STREAM", "s"],
        ],
    ),
    Case("xadd refuses other ids", [["XADD", "s", text, "f", "v"] for text in BAD_IDS] + LOOK),
    Case(
        "xadd looks at its arguments in this order",
        [
            *(["XADD", "s", "*"], ["XADD", "s", "*", "f"], ["XADD", "s", "*", "f", "v", "f"]),
            *(["XADD", "s", "NOMKSTREAM", "*", "f", "v"], ["XADD", "s", "nomkstream", "1-1", "f"]),
            *(["XADD", "s", "MAXLEN", "5", "NOMKSTREAM", "1-1", "f", "v"], ["EXISTS", "s"]),
            *(["XADD", "s", "MAXLEN", "1", "f", "v", "x"], ["XADD", "s", "MAXLEN", "1", "1-1", "f"]),
            *(
                ["SET", "k", "v"],
                ["XADD", "k", "*", "f", "v"],
                ["XADD", "k", "*", "f"],
                ["XADD", "k", "0-0", "f", "v"],
            ),
            *(["XADD", "s", "1-1", "f", "v"], ["XADD", "s", "NOMKSTREAM", "2-1", "f", "v"], *LOOK),
        ],
    ),
    Case(
        "xadd and xtrim trim",
        [
            step
            for options in TRIMS
            for step in (
                *(["DEL", "s"], *GROWN, ["XTRIM", "s", *options], *LOOK, ["XTRIM", "s", *options]),
                *(
                    ["DEL", "s"],
                    *GROWN,
                    ["XADD", "s", *options, "9-1", "f", "v"],
                    *LOOK,
                    ["XINFO", "STREAM", "s"],
                ),
                ["XTRIM", "missing", *options],
            )
        ],
    ),
    Case(
        "approximate trimming removes whole nodes of 100",
        [
            *filled(350),
            *(["XTRIM", "s", "MAXLEN", "~", "340"], ["XLEN", "s"], ["XTRIM", "s", "MAXLEN", "~", "250"]),
            *(
                ["XLEN", "s"],
                ["XTRIM", "s", "MAXLEN", "~", "249"],
                ["XTRIM", "s", "MINID", "~", "200"],
                ["XLEN", "s"],
            ),
            *(
                ["XTRIM", "s", "MINID", "~", "201"],
                ["XTRIM", "s", "MINID", "~", "300", "LIMIT", "5"],
                ["XLEN", "s"],
            ),
            *(["XTRIM", "s", "MAXLEN", "145"], ["XTRIM", "s", "MAXLEN", "~", "50"], ["XLEN", "s"]),
            *(
                ["XTRIM", "s", "MAXLEN", "~", "0", "LIMIT", "50"],
                ["XLEN", "s"],
                ["XTRIM", "s", "MAXLEN", "~", "0"],
            ),
            *LOOK,
            ["XADD", "s", "1000-0", "f", "v"],
            ["XRANGE", "s", "-", "+"],
        ],
    ),
    Case(
        "nodes end at 4096 bytes",
        [
            step
            for value in ("v" * 10, "v" * 62, "v" * 100, "v" * 1500, "v" * 5000, "12345678901234")
            for step in (
                ["DEL", "s"],
                *filled(120, value),
                ["XADD", "s", "500-500", "other", "1", "fields", "70000", "x", "-5"],
                ["XADD", "s", "500-501", "field", "-70000"],
                *(
                    step
                    for left in (115, 100, 90, 60, 30, 10, 3, 1, 0)
                    for step in (["XTRIM", "s", "MAXLEN", "~", str(left)], ["XLEN", "s"])
                ),
                *(["XRANGE", "s", "-", "+", "COUNT", "2"],),
            )
        ],
    ),
    Case(
        "nodes whose entries were deleted",
        [
            *filled(250),
            ["XDEL", "s", *(f"{number}-0" for number in range(95, 206))],
            *(
                ["XLEN", "s"],
                ["XINFO", "STREAM", "s", "FULL", "COUNT", "1"],
                ["XTRIM", "s", "MAXLEN", "~", "60"],
            ),
            *(["XLEN", "s"], ["XTRIM", "s", "MINID", "~", "100"], ["XLEN", "s"]),
            ["XDEL", "s", *(f"{number}-0" for number in range(201, 251))],
            *(["XLEN", "s"], ["XADD", "s", "300-0", "f", "v"], ["XADD", "s", "301-0", "f", "v"]),
            *(["XTRIM", "s", "MAXLEN", "~", "1"], *LOOK, ["XDEL", "s", "300-0", "301-0"], *LOOK),
            *(["XADD", "s", "302-0", "f", "v"], *LOOK, ["XTRIM", "s", "MINID", "302-1"], *LOOK),
        ],
    ),
    Case(
        "xrange and xrevrange",
        [
            *GROWN,
            *(
                [name, "s", start, end, *count]
                for name in ("XRANGE", "XREVRANGE")
                for start, end in (
                    *(
                        ("-", "+"),
                        ("+", "-"),
                        ("2", "5"),
                        ("5", "2"),
                        ("(2-1", "(5-1"),
                        ("(2", "(5"),
                        ("2-1", "2-1"),
                    ),
                    *(
                        ("(2-1", "2-1"),
                        ("9", "+"),
                        ("-", "0"),
                        ("(-", "+"),
                        ("-", "(+"),
                        ("x", "+"),
                        ("-", "x"),
                        ("", ""),
                    ),
                )
                for count in ([], ["COUNT", "2"], ["count", "0"], ["COUNT", "-5"])
            ),
            *(["XRANGE", "s", text, "+"] for text in BAD_IDS),
            *(["XRANGE", "s", "-", text] for text in BAD_IDS),
            *(["XREVRANGE", "s", "+", text] for text in BAD_IDS),
            *(
                ["XRANGE", "s", "-", "+", "COUNT"],
                ["XRANGE", "s", "-", "+", "COUNT", "x"],
                ["XRANGE", "s", "-", "+", "N"],
            ),
            *(
                ["XRANGE", "s", "-", "+", "COUNT", "1", "COUNT", "2"],
                ["XRANGE", "s", "-", "+", "COUNT", "1", "x"],
            ),
            *(
                ["XRANGE", "missing", "-", "+"],
                ["XRANGE", "missing", "-", "+", "COUNT", "0"],
                ["XRANGE", "missing", "x", "+"],
            ),
            *(
                ["SET", "k", "v"],
                ["XRANGE", "k", "-", "+"],
                ["XREVRANGE", "k", "x", "+"],
                ["XLEN", "k"],
                ["XLEN", "missing"],
            ),
        ],
    ),
    Case(
        "xdel",
        [
            *GROWN,
            *(
                ["XDEL", "s", "1-1"],
                ["XINFO", "STREAM", "s"],
                ["XDEL", "s", "1-1", "9-9", "0"],
                ["XDEL", "s", "4-1", "4-1"],
            ),
            *(
                ["XINFO", "STREAM", "s"],
                ["XDEL", "s", "3-1", "2-1"],
                ["XINFO", "STREAM", "s"],
                ["XDEL", "s", "5-1", "x"],
            ),
            *(
                ["XDEL", "s", "7-1"],
                *LOOK,
                ["XREVRANGE", "s", "+", "-"],
                ["XDEL", "s", "5-1", "6-1"],
                *LOOK,
                ["EXISTS", "s"],
            ),
            *(
                ["TYPE", "s"],
                ["OBJECT", "ENCODING", "s"],
                ["XINFO", "STREAM", "s"],
                ["XADD", "s", "7-1", "f", "v"],
            ),
            *(
                ["XADD", "s", "7-*", "f", "v"],
                ["XINFO", "STREAM", "s"],
                ["XDEL", "missing", "1"],
                ["XDEL", "missing", "x"],
            ),
            *(["SET", "k", "v"], ["XDEL", "k", "1"], ["XTRIM", "k", "MAXLEN", "1"], ["XTRIM", "k", "x", "1"]),
        ],
    ),
    Case(
        "xsetid",
        [
            *(
                ["XSETID", "s", "1-1"],
                *GROWN,
                ["XSETID", "s", "6-1"],
                ["XSETID", "s", "7-1"],
                ["XSETID", "s", "100-1"],
            ),
            *(
                ["XADD", "s", "99-1", "f", "v"],
                ["XADD", "s", "100-*", "f", "v"],
                ["XDEL", "s", "100-2"],
                ["XSETID", "s", "100-1"],
            ),
            *(["XSETID", "s", "200", "ENTRIESADDED", "3"], ["XSETID", "s", "200", "ENTRIESADDED", "-1"]),
            *(["XSETID", "s", "200", "ENTRIESADDED", "100", "MAXDELETEDID", "150"], ["XINFO", "STREAM", "s"]),
            *(
                ["XSETID", "s", "200", "MAXDELETEDID", "201"],
                ["XSETID", "s", "140"],
                ["XSETID", "s", "200", "MAXDELETEDID"],
            ),
            *(
                ["XSETID", "s", "200", "maxdeletedid", "0"],
                ["XSETID", "s", "200", "NOPE", "1"],
                ["XSETID", "s", "x"],
            ),
            *(
                ["XSETID", "s", "200", "ENTRIESADDED", "x"],
                ["XSETID", "s", "200", "MAXDELETEDID", "x"],
                ["XINFO", "STREAM", "s"],
            ),
            *(["SET", "k", "v"], ["XSETID", "k", "1-1"], ["XSETID", "s", "-"]),
        ],
    ),
    Case(
        "xread",
        [
            *GROWN,
            *(
                ["XADD", "t", "3-1", "f", "v"],
                ["XREAD", "STREAMS", "s", "5"],
                ["XREAD", "COUNT", "2", "STREAMS", "s", "t", "0", "0"],
            ),
            *(
                ["XREAD", "STREAMS", "s", "t", "9", "0"],
                ["XREAD", "STREAMS", "s", "9"],
                ["XREAD", "STREAMS", "s", "$"],
            ),
            *(["XREAD", "STREAMS", "s", "+"], ["XREAD", "COUNT", "5", "STREAMS", "s", "t", "+", "+"]),
            *(
                ["XREAD", "STREAMS", "missing", "0"],
                ["XREAD", "STREAMS", "missing", "t", "$", "0"],
                ["XREAD", "STREAMS", "missing", "+"],
            ),
            *(
                ["XREAD", "BLOCK", "0", "STREAMS", "s", "0"],
                ["XREAD", "BLOCK", "5", "COUNT", "1", "STREAMS", "s", "+"],
            ),
            *(["XREAD", "COUNT", "0", "STREAMS", "s", "5"], ["XREAD", "COUNT", "-3", "STREAMS", "s", "5"]),
            *(["XREAD", "COUNT", "x", "STREAMS", "s", "5"], ["XREAD", "BLOCK", "x", "STREAMS", "s", "5"]),
            *(
                ["XREAD", "BLOCK", "-1", "STREAMS", "s", "5"],
                ["XREAD", "BLOCK", "9223372036854775807", "STREAMS", "s", "5"],
            ),
            *(
                ["XREAD", "STREAMS", "s", "t", "5"],
                ["XREAD", "STREAMS", "s", "x"],
                ["XREAD", "STREAMS", "s", ">"],
            ),
            *(
                ["XREAD", "STREAMS", "s", "-"],
                ["XREAD", "COUNT", "1", "NOPE", "s", "1"],
                ["XREAD", "GROUP", "g", "c", "STREAMS", "s", "1"],
            ),
            *(
                ["XREAD", "NOACK", "STREAMS", "s", "1"],
                ["XREAD", "COUNT", "1", "COUNT"],
                ["XREAD", "COUNT", "1", "STREAMS"],
            ),
            *(
                ["SET", "k", "v"],
                ["XREAD", "STREAMS", "k", "0"],
                ["XREAD", "STREAMS", "s", "k", "0", "0"],
                ["XREAD", "streams", "s", "k", "x", "0"],
            ),
            *(
                ["XDEL", "s", "6-1", "7-1"],
                ["XREAD", "STREAMS", "s", "5-1"],
                ["XREAD", "STREAMS", "s", "+"],
                ["XREAD", "STREAMS", "s", "4"],
            ),
            *(
                ["XGROUP", "CREATE", "empty", "g", "$", "MKSTREAM"],
                ["XREAD", "STREAMS", "empty", "+"],
                ["XREAD", "STREAMS", "empty", "$"],
            ),
            *(
                ["COMMAND", "GETKEYS", "XREAD", "COUNT", "1", "STREAMS", "a", "b", "1", "2"],
                ["COMMAND", "GETKEYS", "XREAD", "NOACK", "STREAMS"],
            ),
        ],
    ),
    Case(
        "a stream is a key like others",
        [
            *filled(120),
            *(
                ["RENAME", "s", "t"],
                ["XLEN", "t"],
                ["COPY", "t", "s"],
                ["XTRIM", "t", "MAXLEN", "~", "10"],
                ["XLEN", "t"],
                ["XLEN", "s"],
            ),
            *(
                ["XADD", "s", "500", "f", "v"],
                ["XREVRANGE", "s", "+", "-", "COUNT", "1"],
                ["EXPIREAT", "s", "33000000000"],
            ),
            *(
                ["XADD", "s", "501", "f", "v"],
                ["EXPIRETIME", "s"],
                ["DEL", "s"],
                ["XADD", "s", "1", "f", "v"],
                *LOOK,
                ["GET", "s"],
            ),
            *(
                ["SET", "s", "x"],
                ["GET", "s"],
                ["MULTI"],
                ["XADD", "m", "1", "f", "v"],
                ["XLEN", "m"],
                ["XTRIM", "m", "MAXLEN", "0"],
                ["EXEC"],
            ),
        ],
    ),
]

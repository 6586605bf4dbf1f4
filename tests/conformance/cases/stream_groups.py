"""Consumer groups: XGROUP, XREADGROUP, XACK, XCLAIM, XAUTOCLAIM, XPENDING, XINFO. No case tells how long ago."""

from tests.conformance.cases import Case

GROWN = [["XADD", "s", f"{number}-1", "f", str(number)] for number in range(1, 8)]
GROUP = ["XGROUP", "CREATE", "s", "g", "0"]
LOOK = [["XINFO", "GROUPS", "s"], ["XPENDING", "s", "g"]]


def read(*words: str, consumer: str = "c") -> list[str]:
    return ["XREADGROUP", "GROUP", "g", consumer, *words]


CASES = [
    Case(
        "xgroup",
        [
            *(
                ["XGROUP", "CREATE", "s", "g", "$"],
                ["XGROUP", "CREATE", "s", "g", "x", "MKSTREAM"],
                ["EXISTS", "s"],
            ),
            *(
                ["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"],
                ["XGROUP", "CREATE", "s", "g", "$"],
                ["XLEN", "s"],
            ),
            *(["XGROUP", "CREATE", "s", "g", "$", "MKSTREAM"], ["XINFO", "GROUPS", "s"], *GROWN),
            *(
                ["XGROUP", "CREATE", "s", "h", "3", "ENTRIESREAD", "2"],
                ["XGROUP", "CREATE", "s", "i", "$", "entriesread", "-1"],
            ),
            *(
                ["XGROUP", "CREATE", "s", "j", "0", "ENTRIESREAD", "-2"],
                ["XGROUP", "CREATE", "s", "j", "0", "ENTRIESREAD", "x"],
            ),
            *(
                ["XGROUP", "CREATE", "s", "j", "-"],
                ["XGROUP", "CREATE", "s", "j", "0", "NOPE"],
                ["XGROUP", "CREATE", "s", "j", "0", "ENTRIESREAD"],
            ),
            ["XGROUP", "CREATE", "s", "j", "0", "MKSTREAM", "MKSTREAM", "MKSTREAM", "MKSTREAM"],
            ["XGROUP", "CREATE", "s", "", "0", "MKSTREAM", "ENTRIESREAD", "3"],
            *(
                ["XINFO", "GROUPS", "s"],
                ["XGROUP", "SETID", "s", "g", "-"],
                ["XGROUP", "SETID", "s", "g", "+"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                ["XGROUP", "SETID", "s", "g", "$"],
                ["XGROUP", "SETID", "s", "g", "4", "ENTRIESREAD", "7"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                ["XGROUP", "SETID", "s", "no", "4"],
                ["XGROUP", "SETID", "missing", "g", "4"],
                ["XGROUP", "SETID", "s", "g", "x"],
            ),
            *(
                ["XGROUP", "SETID", "s", "g", "1", "MKSTREAM"],
                ["XGROUP", "SETID", "s", "g", "1", "ENTRIESREAD", "1", "ENTRIESREAD", "2"],
            ),
            *(
                ["XGROUP", "CREATECONSUMER", "s", "g", "c"],
                ["XGROUP", "CREATECONSUMER", "s", "g", "c"],
                ["XGROUP", "CREATECONSUMER", "s", "no", "c"],
            ),
            *(
                ["XGROUP", "CREATECONSUMER", "missing", "g", "c"],
                ["XGROUP", "DELCONSUMER", "s", "g", "d"],
                ["XGROUP", "DELCONSUMER", "s", "no", "c"],
            ),
            *(
                ["XGROUP", "DELCONSUMER", "s", "g", "c"],
                ["XINFO", "CONSUMERS", "s", "g"],
                ["XGROUP", "DESTROY", "s", "no"],
            ),
            *(
                ["XGROUP", "DESTROY", "missing", "g"],
                ["XGROUP", "DESTROY", "s", "g"],
                ["XGROUP", "DESTROY", "s", "g"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                ["SET", "k", "v"],
                ["XGROUP", "CREATE", "k", "g", "0"],
                ["XGROUP", "DESTROY", "k", "g"],
                ["XGROUP", "SETID", "k", "g", "0"],
            ),
            *(
                ["XGROUP", "CREATECONSUMER", "k", "g", "c"],
                ["XGROUP", "NOPE"],
                ["XGROUP", "HELP"],
                ["XGROUP", "HELP", "x"],
                ["XINFO", "HELP"],
            ),
        ],
    ),
    Case(
        "a group reads, acknowledges and reads its history",
        [
            *GROWN,
            GROUP,
            *(
                read("COUNT", "2", "STREAMS", "s", ">"),
                read("COUNT", "1", "STREAMS", "s", ">", consumer="d"),
                *LOOK,
            ),
            *(
                read("STREAMS", "s", "0"),
                read("STREAMS", "s", "1-1"),
                read("COUNT", "1", "STREAMS", "s", "0"),
                read("STREAMS", "s", "9"),
            ),
            *(
                read("STREAMS", "s", "0", consumer="new"),
                ["XACK", "s", "g", "1-1", "1-1", "9-9"],
                ["XACK", "s", "g", "x"],
                *LOOK,
            ),
            *(
                ["XACK", "s", "no", "1-1"],
                ["XACK", "s", "no", "x"],
                ["XACK", "missing", "g", "x"],
                ["XDEL", "s", "2-1"],
            ),
            *(
                read("STREAMS", "s", "0"),
                read("NOACK", "COUNT", "1", "STREAMS", "s", ">"),
                *LOOK,
                read("STREAMS", "s", ">"),
            ),
            *(
                read("STREAMS", "s", ">"),
                *LOOK,
                ["XPENDING", "s", "g", "-", "+", "0"],
                ["XGROUP", "SETID", "s", "g", "0"],
            ),
            *(
                read("COUNT", "3", "STREAMS", "s", ">", consumer="e"),
                *LOOK,
                ["XGROUP", "DELCONSUMER", "s", "g", "c"],
                *LOOK,
            ),
            *(
                ["XGROUP", "DESTROY", "s", "g"],
                ["XGROUP", "CREATE", "s", "g", "0"],
                *LOOK,
                read("BLOCK", "0", "STREAMS", "s", ">"),
            ),
        ],
    ),
    Case(
        "xreadgroup of several streams, and its errors",
        [
            *(
                *GROWN,
                GROUP,
                ["XGROUP", "CREATE", "t", "g", "0", "MKSTREAM"],
                read("COUNT", "1", "STREAMS", "s", "t", ">", ">"),
            ),
            *(
                ["XADD", "t", "1-1", "f", "v"],
                read("COUNT", "1", "STREAMS", "s", "t", ">", ">"),
                read("STREAMS", "s", "t", "0", "0"),
            ),
            *(
                read("STREAMS", "s", "no", ">", ">"),
                read("STREAMS", "t", "$"),
                read("STREAMS", "t", "+"),
                read("STREAMS", "t", "-"),
            ),
            *(
                ["XREADGROUP", "GROUP", "no", "c", "STREAMS", "s", ">"],
                ["XREADGROUP", "COUNT", "1", "BLOCK", "1", "STREAMS", "s", ">"],
            ),
            *(
                ["XREADGROUP", "COUNT", "1", "STREAMS", "s", "t", ">"],
                read("STREAMS", "s", "t", ">"),
                read("NOPE", "s", ">"),
            ),
            *(
                ["SET", "k", "v"],
                read("STREAMS", "k", ">"),
                read("COUNT", "x", "STREAMS", "s", ">"),
                read("BLOCK", "-1", "STREAMS", "s", ">"),
            ),
            *(
                read("COUNT", "0", "STREAMS", "s", ">"),
                read("STREAMS", "s", "18446744073709551615-18446744073709551615"),
            ),
            ["COMMAND", "GETKEYS", *read("STREAMS", "a", "b", ">", ">")],
        ],
    ),
    Case(
        "lag",
        [
            *(
                ["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"],
                ["XINFO", "GROUPS", "s"],
                *GROWN,
                ["XGROUP", "CREATE", "s", "h", "$"],
            ),
            *(
                ["XGROUP", "CREATE", "s", "i", "3-1"],
                ["XGROUP", "CREATE", "s", "j", "1-1"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                read("COUNT", "1", "STREAMS", "s", ">"),
                ["XINFO", "GROUPS", "s"],
                ["XREADGROUP", "GROUP", "i", "c", "COUNT", "1", "STREAMS", "s", ">"],
            ),
            *(
                ["XINFO", "GROUPS", "s"],
                ["XDEL", "s", "5-1"],
                ["XINFO", "GROUPS", "s"],
                read("COUNT", "3", "STREAMS", "s", ">"),
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                read("COUNT", "1", "STREAMS", "s", ">"),
                ["XINFO", "GROUPS", "s"],
                ["XTRIM", "s", "MAXLEN", "1"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                read("STREAMS", "s", ">"),
                ["XINFO", "GROUPS", "s"],
                ["XTRIM", "s", "MAXLEN", "0"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                ["XADD", "s", "100", "f", "v"],
                ["XADD", "s", "101", "f", "v"],
                ["XINFO", "GROUPS", "s"],
                ["XDEL", "s", "100"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                ["XGROUP", "SETID", "s", "g", "999"],
                ["XINFO", "GROUPS", "s"],
                ["XGROUP", "SETID", "s", "g", "0", "ENTRIESREAD", "3"],
                ["XINFO", "GROUPS", "s"],
            ),
            *(
                read("STREAMS", "s", ">"),
                ["XINFO", "GROUPS", "s"],
                ["XSETID", "s", "200", "ENTRIESADDED", "50", "MAXDELETEDID", "120"],
                ["XINFO", "GROUPS", "s"],
            ),
        ],
    ),
    Case(
        "xpending",
        [
            *(
                *GROWN,
                GROUP,
                ["XPENDING", "s", "g"],
                read("COUNT", "3", "STREAMS", "s", ">"),
                read("STREAMS", "s", ">", consumer="d"),
            ),
            *(
                ["XPENDING", "s", "g"],
                ["XPENDING", "s", "g", "-", "+", "10", "nobody"],
                ["XPENDING", "s", "g", "9", "+", "10"],
            ),
            *(
                ["XPENDING", "s", "g", "-", "+", "-5"],
                ["XPENDING", "s", "g", "IDLE", "1000000", "-", "+", "10"],
            ),
            *(
                ["XPENDING", "s", "g", "IDLE", "1000000", "-", "+", "10", "c"],
                ["XPENDING", "s", "g", "IDLE", "x", "-", "+", "10"],
            ),
            *(
                ["XPENDING", "s", "g", "-"],
                ["XPENDING", "s", "g", "-", "+"],
                ["XPENDING", "s", "g", "-", "+", "x"],
                ["XPENDING", "s", "g", "x", "+", "1"],
            ),
            *(
                ["XPENDING", "s", "g", "-", "x", "1"],
                ["XPENDING", "s", "g", "IDLE", "1", "-", "+"],
                ["XPENDING", "s", "g", "-", "+", "0", "c", "d"],
            ),
            *(
                ["XPENDING", "s", "g", "-", "+", "0", "c", "d", "e"],
                ["XPENDING", "s", "g", "(0", "(0-0", "1"],
                ["XPENDING", "s", "g", "IDLE", "0", "-", "+", "0", "c"],
            ),
            *(
                ["XPENDING", "s", "no"],
                ["XPENDING", "missing", "g"],
                ["XPENDING", "missing", "g", "-", "+", "x"],
                ["SET", "k", "v"],
                ["XPENDING", "k", "g"],
            ),
            *(
                ["XPENDING", "s", "no", "-", "+", "1"],
                ["XPENDING", "s", "g", "(18446744073709551615-18446744073709551615", "+", "1"],
            ),
        ],
    ),
    Case(
        "xclaim",
        [
            *(
                *GROWN,
                GROUP,
                read("COUNT", "3", "STREAMS", "s", ">"),
                ["XCLAIM", "s", "g", "d", "0", "1-1", "2-1", "7-1"],
                *LOOK,
            ),
            *(
                ["XCLAIM", "s", "g", "d", "0", "3-1", "JUSTID"],
                ["XCLAIM", "s", "g", "e", "0", "6-1", "7-1", "FORCE", "JUSTID"],
                *LOOK,
            ),
            *(
                ["XCLAIM", "s", "g", "e", "10000000", "1-1"],
                ["XCLAIM", "s", "g", "e", "10000000", "5-1", "FORCE"],
                *LOOK,
            ),
            *(
                ["XCLAIM", "s", "g", "e", "0", "1-1", "IDLE", "100000", "RETRYCOUNT", "7"],
                ["XCLAIM", "s", "g", "d", "50000", "1-1", "JUSTID"],
            ),
            *(
                ["XCLAIM", "s", "g", "e", "0", "1-1", "TIME", "5"],
                ["XCLAIM", "s", "g", "d", "500000", "1-1", "justid", "LASTID", "5-1"],
                *LOOK,
            ),
            *(
                ["XDEL", "s", "2-1"],
                ["XCLAIM", "s", "g", "e", "0", "2-1"],
                ["XCLAIM", "s", "g", "e", "0", "2-1", "FORCE"],
                *LOOK,
            ),
            *(
                ["XCLAIM", "s", "g", "e", "x", "1-1"],
                ["XCLAIM", "s", "g", "e", "-5", "1-1", "JUSTID"],
                ["XCLAIM", "s", "g", "e", "0", "1-1", "x", "2-1"],
            ),
            *(
                ["XCLAIM", "s", "g", "e", "0", "x"],
                ["XCLAIM", "s", "g", "e", "0", "1-1", "IDLE", "x"],
                ["XCLAIM", "s", "g", "e", "0", "1-1", "IDLE"],
            ),
            *(
                ["XCLAIM", "s", "g", "e", "0", "1-1", "TIME", "x"],
                ["XCLAIM", "s", "g", "e", "0", "1-1", "RETRYCOUNT", "x"],
            ),
            *(
                ["XCLAIM", "s", "g", "e", "0", "1-1", "LASTID", "x"],
                ["XCLAIM", "s", "g", "e", "0", "1-1", "FORCE", "2-1"],
            ),
            *(
                ["XCLAIM", "s", "g", "new", "0", "FORCE"],
                ["XCLAIM", "s", "no", "e", "x", "1-1"],
                ["XCLAIM", "missing", "g", "e", "0", "1-1"],
            ),
            *(
                ["SET", "k", "v"],
                ["XCLAIM", "k", "g", "e", "0", "1-1"],
                ["XCLAIM", "s", "g", "e", "0", "1-1", "IDLE", "-5", "JUSTID"],
                *LOOK,
            ),
        ],
    ),
    Case(
        "xautoclaim",
        [
            *(
                *GROWN,
                GROUP,
                read("COUNT", "6", "STREAMS", "s", ">"),
                ["XAUTOCLAIM", "s", "g", "d", "0", "-", "COUNT", "2"],
            ),
            *(
                ["XAUTOCLAIM", "s", "g", "d", "0", "3-1", "COUNT", "2", "JUSTID"],
                *LOOK,
                ["XAUTOCLAIM", "s", "g", "d", "0", "(4-1"],
            ),
            *(
                ["XDEL", "s", "2-1", "3-1"],
                ["XAUTOCLAIM", "s", "g", "e", "0", "0", "COUNT", "3"],
                *LOOK,
                ["XAUTOCLAIM", "s", "g", "e", "0", "0"],
            ),
            *(
                ["XAUTOCLAIM", "s", "g", "e", "10000000", "0"],
                ["XAUTOCLAIM", "s", "g", "new", "0", "99"],
                *LOOK,
            ),
            *(
                ["XDEL", "s", "1-1"],
                ["XAUTOCLAIM", "s", "g", "e", "10000000", "0"],
                *LOOK,
                ["XAUTOCLAIM", "s", "g", "e", "x", "0"],
            ),
            *(
                ["XAUTOCLAIM", "s", "g", "e", "0", "x"],
                ["XAUTOCLAIM", "s", "g", "e", "0", "0", "COUNT", "0"],
                ["XAUTOCLAIM", "s", "g", "e", "0", "0", "COUNT"],
            ),
            *(
                ["XAUTOCLAIM", "s", "g", "e", "0", "0", "COUNT", "x"],
                ["XAUTOCLAIM", "s", "g", "e", "0", "0", "NOPE"],
            ),
            *(
                ["XAUTOCLAIM", "s", "g", "e", "0", "0", "COUNT", "9223372036854775807"],
                ["XAUTOCLAIM", "s", "no", "e", "0", "0"],
            ),
            *(
                ["XAUTOCLAIM", "missing", "g", "e", "0", "0"],
                ["XAUTOCLAIM", "missing", "g", "e", "x", "0"],
                ["SET", "k", "v"],
                ["XAUTOCLAIM", "k", "g", "e", "0", "0"],
            ),
            *(
                ["XAUTOCLAIM", "s", "g", "e", "0", "(18446744073709551615-18446744073709551615"],
                ["XAUTOCLAIM", "s", "g", "e", "-1", "0", "justid"],
            ),
        ],
    ),
    Case(
        "xinfo",
        [
            *(
                ["XINFO", "STREAM", "s"],
                ["XINFO", "GROUPS", "s"],
                ["XINFO", "CONSUMERS", "s", "g"],
                *GROWN[:1],
                ["XINFO", "STREAM", "s"],
            ),
            *(
                *GROWN[1:],
                ["XINFO", "STREAM", "s", "FULL"],
                ["XINFO", "STREAM", "s", "full", "count", "2"],
                ["XINFO", "STREAM", "s", "FULL", "COUNT", "0"],
            ),
            *(
                ["XINFO", "STREAM", "s", "FULL", "COUNT", "-1"],
                ["XINFO", "STREAM", "s", "FULL", "COUNT", "x"],
                ["XINFO", "STREAM", "s", "FULL", "COUNT"],
            ),
            *(
                ["XINFO", "STREAM", "s", "NOPE"],
                ["XINFO", "STREAM", "s", "FULL", "NOPE", "1"],
                ["XINFO", "STREAM", "s", "FULL", "COUNT", "1", "x"],
            ),
            *(
                ["XINFO", "GROUPS", "s"],
                GROUP,
                ["XINFO", "STREAM", "s", "FULL", "COUNT", "1"],
                ["XINFO", "CONSUMERS", "s", "g"],
                ["XINFO", "CONSUMERS", "s", "no"],
            ),
            *(
                ["XINFO", "STREAM", "missing", "NOPE"],
                ["XINFO", "CONSUMERS", "missing", "g"],
                ["SET", "k", "v"],
                ["XINFO", "STREAM", "k"],
                ["XINFO", "GROUPS", "k"],
            ),
            *(
                ["XINFO", "CONSUMERS", "k", "g"],
                ["XINFO", "NOPE", "s"],
                ["XINFO", "STREAM"],
                ["XINFO", "GROUPS", "s", "x"],
            ),
        ],
    ),
]

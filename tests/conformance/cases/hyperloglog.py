"""HyperLogLogs: counts, and the bytes of the values themselves, sparse, dense and in between."""

from tests.conformance.cases import Case

NAMES = ("PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG", "PFSELFTEST")

ON_ONE_KEY = (
    ["PFADD", "k"],
    ["PFADD", "k", "a"],
    ["PFCOUNT", "k"],
    ["PFCOUNT", "k", "none"],
    ["PFCOUNT", "none", "k"],
    ["PFMERGE", "d", "k"],
    ["PFMERGE", "k"],
    ["PFMERGE", "k", "none"],
    ["PFDEBUG", "ENCODING", "k"],
    ["PFDEBUG", "decode", "k"],
    ["PFDEBUG", "GETREG", "k"],
    ["PFDEBUG", "NOPE", "k"],
    ["PFDEBUG", "TODENSE", "k"],
    ["PFDEBUG", "DECODE", "k"],
)
EMPTY = b"HYLL\x01\x00\x00\x00" + bytes(8) + b"\x7f\xff"
STRANGE = (
    *("", "1", "text", "HYLL", b"HYLL" + bytes(12), b"HYLL" + bytes(12 + 12288), b"HYLL" + bytes(12 + 12287)),
    *(b"HYLL\x02" + bytes(11 + 12288), b"HYLL\x01" + bytes(11), b"HYLL\x01" + bytes(11) + b"\x7f\xfe"),
    *(b"HYLL\x01" + bytes(11) + b"\x7f\xff\x80", EMPTY),
    *(EMPTY[:8] + b"\x05" + EMPTY[9:], EMPTY[:15] + b"\x80" + EMPTY[16:], b"hyll" + EMPTY[4:]),
    b"HYLL\x01" + bytes(10) + b"\x80\x3f\xff\xff\xbf\xe1\xfc\x7f\xef",
)


def elements(count: int, start: int = 0) -> list[str]:
    """So many elements, of changing length."""
    return [f"{'element'[: number % 8]}:{number}" for number in range(start, start + count)]


CASES = [
    Case(
        "every command on a missing key",
        [step for request in ON_ONE_KEY for step in (request, ["GET", "k"], ["DEL", "k", "d"])],
    ),
    Case(
        "every command on what is none, or damaged",
        [
            step
            for value in STRANGE
            for request in ON_ONE_KEY
            for step in (["SET", "k", value], ["DEL", "d"], request, ["GET", "k"], ["GET", "d"])
        ],
    ),
    Case(
        "every command on another type",
        [["SADD", "k", "a"], *(step for request in ON_ONE_KEY for step in (request, ["EXISTS", "d"]))],
    ),
    Case(
        "one element at a time, the value at each step",
        [
            step
            for number, element in enumerate(elements(400))
            for step in (["PFADD", "k", element], *([["GET", "k"]] if number % 7 == 0 else [["STRLEN", "k"]]))
        ],
    ),
    Case(
        "from sparse to dense",
        [
            step
            for start in range(0, 3000, 100)
            for step in (
                ["PFADD", "k", *elements(100, start)],
                ["PFDEBUG", "ENCODING", "k"],
                ["GET", "k"],
                ["PFCOUNT", "k"],
                ["GET", "k"],
                ["PFCOUNT", "k"],
                ["PFADD", "k", *elements(3, start)],
            )
        ],
    ),
    Case(
        "large counts",
        [
            step
            for start in range(0, 40_000, 4000)
            for step in (["PFADD", "k", *elements(4000, start)], ["PFCOUNT", "k"], ["GET", "k"])
        ],
    ),
    Case(
        "neighbours of one value are joined",
        [
            ["PFADD", "k", *elements(50)],
            ["PFDEBUG", "DECODE", "k"],
            ["PFADD", "k", *elements(900, 50)],
            ["PFDEBUG", "DECODE", "k"],
            ["PFADD", "k", "", "x" * 1000, b"\x00\xff"],
            ["PFDEBUG", "DECODE", "k"],
            ["PFDEBUG", "GETREG", "k"],
            ["PFDEBUG", "ENCODING", "k"],
        ],
    ),
    Case(
        "merging",
        [
            ["PFADD", "few", *elements(20)],
            ["PFADD", "some", *elements(600, 10)],
            ["PFADD", "more", *elements(800, 600)],
            ["PFADD", "dense", *elements(6000, 1000)],
            ["PFADD", "empty"],
            *[
                step
                for keys in (
                    ["few"],
                    ["few", "some"],
                    ["some", "more"],
                    ["more", "some", "few", "none"],
                    ["dense"],
                    ["dense", "few"],
                    ["few", "dense", "more"],
                    ["empty"],
                    ["none"],
                    ["empty", "few"],
                )
                for step in (
                    ["PFCOUNT", *keys],
                    ["PFMERGE", "new", *keys],
                    ["GET", "new"],
                    ["PFCOUNT", "new"],
                    ["PFMERGE", "grows", *keys],
                    ["GET", "grows"],
                    ["DEL", "new"],
                )
            ],
            ["PFMERGE", "few", "some"],
            ["GET", "few"],
            ["PFMERGE", "few", "few"],
            ["PFMERGE", "few"],
            ["GET", "few"],
            ["SET", "s", "x"],
            ["PFMERGE", "few", "s"],
            ["PFMERGE", "s", "few"],
            ["PFCOUNT", "few", "s"],
        ],
    ),
    Case(
        "it is a string",
        [
            ["PFADD", "k", "a", "b"],
            ["TYPE", "k"],
            ["OBJECT", "ENCODING", "k"],
            ["PEXPIREAT", "k", "33000000000000"],
            ["PFADD", "k", "c"],
            ["PFCOUNT", "k"],
            ["PFMERGE", "k", "none"],
            ["PEXPIRETIME", "k"],
            ["DUMP", "k"],
            ["STRLEN", "k"],
            ["COPY", "k", "l"],
            ["PFCOUNT", "l"],
            ["APPEND", "k", "x"],
            ["PFCOUNT", "k"],
            ["PFADD", "k", "z"],
            ["GET", "k"],
        ],
    ),
    Case("pfselftest", [["PFSELFTEST"], ["PFDEBUG", "ENCODING", "none"], ["PFDEBUG", "NOPE", "none"]]),
]

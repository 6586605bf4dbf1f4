"""Bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, BITFIELD."""

from collections.abc import Sequence
from itertools import product

from tests.conformance.cases import Case

OFFSETS = ("0", "1", "7", "8", "15", "100", "-1", "a", "", "4294967295", "4294967296", "9223372036854775807")

VALUES: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\xff",
    b"\x80",
    b"\x01",
    b"\x00\x00\x00",
    b"\xff\xff\xff",
    b"\xff\xf0\x00",
    b"\x00\x0f\xff",
    b"foobar",
    b"\x00" * 70_000 + b"\x10" + b"\x00" * 10,
    b"\xff" * 70_000 + b"\xef" + b"\xff" * 10,
)

BYTE_ENDS = ("0", "1", "7", "-1", "-6", "100", "-200")

RANGES: tuple[list[str], ...] = (
    [],
    ["0"],
    ["1"],
    ["-1"],
    ["-2"],
    ["100"],
    ["-100"],
    *(
        [start, end]
        for start, end in product(
            ("0", "1", "5", "-1", "-5", "100", "-100"), ("0", "1", "7", "-1", "-6", "100", "-200")
        )
    ),
    ["0", "-1", "FOO"],
    ["0", "-1", "BYTE", "x"],
    ["a"],
    ["0", "a"],
    ["a", "0", "BIT"],
    ["0", "a", "BIT"],
    ["0", "9223372036854775807"],
    ["-9223372036854775808", "9223372036854775807"],
    ["9223372036854775808", "0"],
)

BIT_RANGES = tuple(
    [start, end, unit]
    for start, end in product(
        ("0", "1", "3", "8", "13", "22", "-1", "-9", "-17", "-1000"),
        ("0", "2", "7", "8", "12", "23", "24", "-1", "-8", "-12", "-1000", "1000000"),
    )
    for unit in ("BIT", "byte")
)

FIELD_TYPES = ("u1", "u2", "u7", "u8", "u9", "u31", "u32", "u63", "i1", "i2", "i8", "i13", "i63", "i64")
BAD_FIELD_TYPES = ("u0", "u64", "i0", "i65", "x8", "8", "", "u", "i-1", "u08", "U8", "i 8")
FIELD_OPERANDS = (
    "0",
    "1",
    "-1",
    "2",
    "127",
    "128",
    "255",
    "256",
    "-128",
    "-129",
    "4294967295",
    "4294967296",
    "4611686018427387904",
    "9223372036854775807",
    "-9223372036854775808",
)

SINGLE = [
    Case(
        "setbit and getbit",
        [
            step
            for offset in OFFSETS
            # The longest string that is allowed would be made.
            if offset != "4294967295"
            for bit in ("1", "0", "1", "2", "-1", "a", "")
            for step in (["SETBIT", "k", offset, bit], ["GETBIT", "k", offset], ["STRLEN", "k"])
        ]
        + [["GET", "k"]],
    ),
    Case(
        "getbit anywhere",
        [["SET", "k", b"\x55\xaa"], *(["GETBIT", key, at] for key in "kn" for at in OFFSETS)],
    ),
    Case(
        "a bit of a number is a bit of its text",
        [["SET", "k", "12"], ["SETBIT", "k", "15", "1"], ["GET", "k"], ["INCR", "k"], ["GETBIT", "k", "3"]],
    ),
    Case(
        "setbit keeps a key's life",
        [["SET", "k", "1", "PXAT", "33000000000000"], ["SETBIT", "k", "9", "1"], ["PEXPIRETIME", "k"]],
    ),
    Case(
        "setbit makes even a 0",
        [["SETBIT", "k", "17", "0"], ["GET", "k"], ["SETBIT", "k", "2", "0"], ["GET", "k"]],
    ),
    Case(
        "numbers of arguments",
        [
            [name, *["1"] * count]
            for name in ("SETBIT", "GETBIT", "BITCOUNT", "BITPOS", "BITOP", "BITFIELD", "BITFIELD_RO")
            for count in range(8)
        ],
    ),
]

SEARCH = [
    Case(
        f"bitcount and bitpos, value {number}",
        [
            ["SET", "k", value],
            *(["BITCOUNT", "k", *range_] for range_ in (*RANGES, *BIT_RANGES)),
            *(["BITPOS", "k", bit, *range_] for bit in ("0", "1") for range_ in (*RANGES, *BIT_RANGES)),
        ],
    )
    for number, value in enumerate(VALUES)
] + [
    Case(
        "bitcount and bitpos of no key",
        [["BITCOUNT", "n", *range_] for range_ in (*RANGES, *BIT_RANGES[:4])]
        + [
            ["BITPOS", "n", bit, *range_]
            for bit in ("0", "1", "2", "a")
            for range_ in (*RANGES, *BIT_RANGES[:4])
        ],
    ),
]

BITOP = [
    Case(
        "bitop of many operands",
        [
            ["MSET", "a", b"\xf0\x0f\x55", "b", b"\xcc", "e", "", "n", "12"],
            ["SET", "long", b"\xa5" * 70_000],
            ["SET", "d", "old", "PXAT", "33000000000000"],
            *(
                step
                for operation in ("AND", "or", "XoR", "NOT", "DIFF", "ONE", "ANDOR", "foo", "")
                for sources in (
                    ["a"],
                    ["a", "b"],
                    ["b", "a"],
                    ["a", "missing"],
                    ["missing", "a"],
                    ["missing"],
                    ["missing", "e"],
                    ["e"],
                    ["a", "b", "n", "a"],
                    ["a", "long"],
                    ["long", "long", "a", "b", "n"],
                    ["d", "a"],
                    ["d"],
                )
                for step in (
                    ["BITOP", operation, "d", *sources],
                    ["GET", "d"],
                    ["EXISTS", "d"],
                    ["PEXPIRETIME", "d"],
                )
            ),
        ],
    ),
    Case(
        "an empty result deletes the destination",
        [
            ["SET", "d", "x"],
            ["BITOP", "AND", "d", "m", "n"],
            ["EXISTS", "d"],
            ["BITOP", "NOT", "d", "m"],
            ["DBSIZE"],
        ],
    ),
]


def field_steps(field_type: str) -> list[Sequence[str | bytes]]:
    """SET and INCRBY of every operand under every overflow, in one field and in ones that overlap bytes."""
    steps: list[Sequence[str | bytes]] = []
    for overflow in ([], ["OVERFLOW", "WRAP"], ["overflow", "sat"], ["OVERFLOW", "FAIL"]):
        for operand in FIELD_OPERANDS:
            twice = ["INCRBY", field_type, "0", operand] * 2
            steps += [
                ["SET", "k", b"\x7f\xff\x80\x00\x01\xfe\xdc\xba\x98\x76"],
                ["BITFIELD", "k", *overflow, "SET", field_type, "3", operand, "GET", field_type, "3"],
                ["BITFIELD", "k", *overflow, "INCRBY", field_type, "#1", operand, "GET", field_type, "#1"],
                ["BITFIELD", "k", *overflow, *twice],
                ["GET", "k"],
            ]
    return steps


BITFIELD = [
    *(Case(f"bitfield {field_type}", field_steps(field_type)) for field_type in FIELD_TYPES),
    Case(
        "bitfield types and offsets",
        [
            [name, "k", "GET", field_type, offset]
            for name in ("BITFIELD", "BITFIELD_RO")
            for field_type in (*FIELD_TYPES, *BAD_FIELD_TYPES)
            for offset in ("0", "#1", "5", "1000")
        ]
        + [
            ["BITFIELD", "k", "GET", "u8", offset]
            for offset in (*OFFSETS, "#", "#-1", "#a", "# 1", "##1", "-#1", "#536870911", "#536870912")
        ]
        + [["EXISTS", "k"]],
    ),
    Case(
        "bitfield syntax",
        [
            ["BITFIELD", "k"],
            ["BITFIELD", "k", "GET"],
            ["BITFIELD", "k", "GET", "u8"],
            ["BITFIELD", "k", "SET", "u8", "0"],
            ["BITFIELD", "k", "INCRBY", "u8", "0"],
            ["BITFIELD", "k", "FOO", "u8", "0"],
            ["BITFIELD", "k", "OVERFLOW"],
            ["BITFIELD", "k", "OVERFLOW", "SAT"],
            ["BITFIELD", "k", "OVERFLOW", "FOO", "GET", "u8", "0"],
            ["BITFIELD", "k", "SET", "u8", "0", "a"],
            ["BITFIELD", "k", "SET", "u8", "0", "9223372036854775808"],
            ["BITFIELD", "k", "SET", "u8", "0", "1", "GET", "u8"],
            ["EXISTS", "k"],
            ["BITFIELD_RO", "k"],
            ["BITFIELD_RO", "k", "SET", "u8", "0", "1"],
            ["BITFIELD_RO", "k", "GET", "u8", "0", "INCRBY", "u8", "0", "1"],
            ["BITFIELD_RO", "k", "SET", "u8", "0", "1", "GET", "x"],
            ["BITFIELD_RO", "k", "OVERFLOW", "SAT", "GET", "u8", "0"],
            ["BITFIELD_RO", "k", "OVERFLOW", "FOO"],
            ["EXISTS", "k"],
        ],
    ),
    Case(
        "bitfield makes room for everything that writes, even when it fails",
        [
            ["BITFIELD", "k", "OVERFLOW", "FAIL", "SET", "u8", "16", "300"],
            ["GET", "k"],
            ["BITFIELD", "k", "GET", "u8", "800"],
            ["STRLEN", "k"],
            [
                "BITFIELD",
                "k",
                "SET",
                "u4",
                "30",
                "0",
                "SET",
                "u8",
                "100",
                "3",
                "OVERFLOW",
                "SAT",
                "INCRBY",
                "i5",
                "#2",
                "99",
            ],
            ["GET", "k"],
            ["SET", "n", "10", "PXAT", "33000000000000"],
            ["BITFIELD", "n", "INCRBY", "u8", "#1", "1"],
            ["GET", "n"],
            ["PEXPIRETIME", "n"],
            ["INCR", "n"],
        ],
    ),
]

CASES: list[Case] = [*SINGLE, *SEARCH, *BITOP, *BITFIELD]

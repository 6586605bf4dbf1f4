"""Keys of any type and whole databases: DEL to RENAME, COPY, MOVE, SCAN, KEYS, OBJECT, DUMP, RESTORE, FLUSHDB.

Keys that one command names together share a hash tag, as they have to lie in one shard group.
"""

from tests.conformance.cases import Case

PATTERNS: tuple[str | bytes, ...] = (
    "*",
    "**",
    "?",
    "??",
    "?*",
    "*?*",
    "",
    "a",
    "a*",
    "*a",
    "*a*b*",
    "a*b",
    r"a\*b",
    "a?b",
    "[ab]",
    "[^ab]",
    "[a-c]*",
    "[c-a]*",
    "[^a-c]*",
    "[]a]",
    "[^]a]",
    "[a",
    "[^a",
    "[a-",
    "[a-]",
    r"[\]]",
    r"[\a-z]",
    r"[a-\]",
    "[",
    "[^",
    "[]",
    "[^]",
    "\\",
    r"\\",
    r"\a",
    "*\\",
    "A",
    "{tag}*",
    "{*",
    b"[\x01-\xff]*",
    b"[\x80-\xff]",
    b"\xff",
    b"?\x00",
)

NAMES: tuple[str | bytes, ...] = (
    "",
    "a",
    "b",
    "ab",
    "aab",
    "a*b",
    "axxb",
    "[",
    "]",
    "^",
    "-",
    "\\",
    "{tag}one",
    "{tag}two",
    b"\xff",
    b"\x80",
    b"a\x00",
    b"\xff\x00",
    "A",
)

VALUES: tuple[str | bytes, ...] = (
    "",
    "x",
    "0",
    "-0",
    "00",
    "+1",
    "127",
    "128",
    "-128",
    "-129",
    "32767",
    "32768",
    "-32768",
    "-32769",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "1.5",
    " 1",
    "x" * 20,
    "x" * 44,
    "x" * 45,
    "abcdefghijklmnopqrstuvwxyz0123456789",
    bytes(range(64)),
    bytes(range(256)),
    bytes(range(256)) * 3,
)

CURSORS = ("x", "-1", "", "0x10", "0 ", " 0", "+0", "00", "-0", "18446744073709551616", "1e3")

SCAN_OPTIONS = (
    ["COUNT"],
    ["COUNT", "0"],
    ["COUNT", "-1"],
    ["COUNT", "x"],
    ["MATCH"],
    ["TYPE"],
    ["TYPE", "nosuch"],
    ["TYPE", "it's"],
    ["TYPE", "nosuch", "COUNT", "x"],
    ["NOVALUES"],
    ["NOSCORES"],
    ["BOGUS"],
    ["BOGUS", "x"],
    ["COUNT", "10", "MATCH"],
    ["COUNT", "0", "NOVALUES"],
)

RESTORE_OPTIONS = (
    ["BOGUS"],
    ["IDLETIME"],
    ["IDLETIME", "-1"],
    ["IDLETIME", "x"],
    ["FREQ", "-1"],
    ["FREQ", "256"],
    ["FREQ", "1", "IDLETIME", "1"],
    ["IDLETIME", "1", "FREQ", "1"],
    ["REPLACE", "REPLACE", "ABSTTL", "IDLETIME", "1000"],
)

# An integer of each width, a hundred x compressed, and abc, as Valkey 9 and (version 10) Redis 7.0 write them.
PAYLOADS = (
    b'\x00\xc0\x7fP\x00\xc2\x9f"\xa0\xcc\x06\xa2\xe0',
    b"\x00\xc1\x80\x00P\x00$Pz$\x8e\x9d,\x91",
    b"\x00\xc2\x00\x80\x00\x00P\x00\x8a\xf2\xe7|K\xef\xce\xe4",
    b"\x00\xc3\t@d\x01xx\xe0W\x00\x01xxP\x00\x92\x9d?\xf2%Z\x05\xab",
    b"\x00\x03abc\n\x00\xd9\xac0=Ar\xa2\xe2",
    b"\x00\x03abc\x0b\x00\xb0s\x8dN\xbc\xedKk",
    b"\x00\x03abcP\x00\x16\x86\xf9\xac\xdf \xc5\x16",
)

# Whole, but of another's version, of none, of a later one; of no type; with an unknown length or a bad compression.
WRONG_PAYLOADS = (
    b"",
    b"bad",
    b"xxxxxxxxxxxxxxx",
    b"\x00\x03abc\x00\x00\x847l}N\r\x008",
    b"\x00\x03abc\x0c\x00\x12\xda\x04\xfd\xbbX<\xab",
    b"\x00\x03abcO\x00\xf3g6G`\x18\x93\xdb",
    b'\x00\x03abcQ\x00\x7fYD\xdf"\xbf,\x9f',
    b"\x00\x03abcP\x00\x16\x86\xf9\xac\xdf \xc5\x17",
    b"P\x00\x92\xb1\x95\xd1\x91-\xc5.",
    b"cabcP\x00\x9d\xc7\nC\xb1_^\xc2",
    b"\x00\xc4\x00\x00P\x00\x1d\xe5g6\xbf\xc62\n",
    b"\x00\x82\x03abcP\x00X\x90q\xa3\xd6\x12Y\xa2",
    b"\x00\xc3\x03\x05\x00a\x00P\x00\x10d\xab@\xcc\xfaT\x1d",
)

CASES = [
    Case(
        "del, unlink, exists and touch count keys, repeated ones again",
        [
            ["MSET", "a", "1", "b", "2", "c", "3", "d", "4"],
            ["EXISTS", "a", "b", "nosuch", "a"],
            ["TOUCH", "a", "b", "nosuch", "a"],
            ["DEL", "a", "nosuch", "a", "b"],
            ["UNLINK", "c", "nosuch", "c"],
            ["DBSIZE"],
            ["EXISTS", "a", "b", "c"],
            ["EXISTS", "d"],
            ["DEL"],
            ["UNLINK"],
            ["EXISTS"],
            ["TOUCH"],
        ],
    ),
    Case(
        "type",
        [
            ["TYPE", "k"],
            ["SET", "k", "v"],
            ["TYPE", "k"],
            ["SETBIT", "bits", "7", "1"],
            ["TYPE", "bits"],
            ["TYPE"],
        ],
    ),
    Case(
        "rename",
        [
            ["RENAME", "{t}a", "{t}b"],
            ["RENAME", "{t}a", "{t}a"],
            ["SET", "{t}a", "1"],
            ["RENAME", "{t}a", "{t}a"],
            ["RENAME", "{t}a", "{t}b"],
            ["GET", "{t}a"],
            ["GET", "{t}b"],
            ["SET", "{t}a", "2"],
            ["RENAME", "{t}a", "{t}b"],
            ["GET", "{t}b"],
            ["DBSIZE"],
            ["RENAME", "{t}a"],
        ],
    ),
    Case(
        "renamenx",
        [
            ["RENAMENX", "{t}a", "{t}b"],
            ["RENAMENX", "{t}a", "{t}a"],
            ["MSET", "{t}a", "1", "{t}b", "2"],
            ["RENAMENX", "{t}a", "{t}a"],
            ["RENAMENX", "{t}a", "{t}b"],
            ["DEL", "{t}b"],
            ["RENAMENX", "{t}a", "{t}b"],
            ["MGET", "{t}a", "{t}b"],
            ["RENAMENX", "{t}a"],
        ],
    ),
    Case(
        "copy within a database",
        [
            ["COPY", "{t}a", "{t}b"],
            ["SET", "{t}a", "1"],
            ["COPY", "{t}a", "{t}a"],
            ["COPY", "{t}a", "{t}a", "REPLACE"],
            ["COPY", "{t}a", "{t}b"],
            ["COPY", "{t}a", "{t}b"],
            ["SET", "{t}a", "2"],
            ["COPY", "{t}a", "{t}b", "REPLACE"],
            ["GET", "{t}b"],
            ["COPY", "{t}nosuch", "{t}b", "REPLACE"],
            ["GET", "{t}b"],
            ["COPY", "{t}a"],
        ],
    ),
    Case(
        "copy to another database",
        [
            ["SET", "{t}a", "1"],
            ["COPY", "{t}a", "{t}a", "DB", "1"],
            ["COPY", "{t}a", "{t}a", "db", "1"],
            ["SET", "{t}a", "2"],
            ["COPY", "{t}a", "{t}a", "REPLACE", "DB", "1"],
            ["COPY", "{t}a", "{t}b", "DB", "3", "DB", "1"],
            ["COPY", "{t}a", "{t}a", "DB", "0"],
            ["SELECT", "1"],
            ["MGET", "{t}a", "{t}b"],
            ["FLUSHDB"],
            ["SELECT", "0"],
            ["GET", "{t}a"],
        ],
    ),
    *(
        Case(f"copy with {' '.join(options)!r}", [["SET", "{t}a", "1"], ["COPY", "{t}a", "{t}b", *options]])
        for options in (
            ["DB"],
            ["DB", "16"],
            ["DB", "-1"],
            ["DB", "x"],
            ["DB", ""],
            ["DB", "99999999999"],
            ["DB", "99999999999999999999"],
            ["BOGUS"],
            ["REPLACE", "BOGUS"],
            ["REPLACE", "DB"],
        )
    ),
    Case(
        "move",
        [
            ["MOVE", "k", "1"],
            ["SET", "k", "1"],
            ["MOVE", "k", "0"],
            ["MOVE", "nosuch", "0"],
            ["MOVE", "k", "1"],
            ["EXISTS", "k"],
            ["SET", "k", "2"],
            ["MOVE", "k", "1"],
            ["GET", "k"],
            ["SELECT", "1"],
            ["GET", "k"],
            ["DBSIZE"],
            ["DEL", "k"],
        ],
    ),
    *(
        Case(f"move to {db!r}", [["SET", "k", "1"], ["MOVE", "k", db], ["MOVE", "nosuch", db], ["GET", "k"]])
        for db in ("16", "-1", "x", "", "99999999999", "99999999999999999999", "-2147483648", "1.0")
    ),
    Case(
        "swapdb",
        [
            ["MSET", "a", "1", "b", "2"],
            ["SWAPDB", "0", "5"],
            ["DBSIZE"],
            ["SET", "c", "3"],
            ["SELECT", "5"],
            ["DBSIZE"],
            ["MGET", "a", "b", "c"],
            ["SWAPDB", "5", "5"],
            ["DBSIZE"],
            ["SWAPDB", "5", "0"],
            ["MGET", "a", "b", "c"],
            ["DEL", "c"],
            ["SELECT", "0"],
            ["MGET", "a", "b", "c"],
        ],
    ),
    *(
        Case(f"swapdb {first!r} {second!r}", [["SWAPDB", first, second]])
        for first, second in (
            ("x", "1"),
            ("0", "x"),
            ("x", "y"),
            ("0", "16"),
            ("16", "0"),
            ("16", "x"),
            ("-1", "0"),
            ("99999999999", "0"),
            ("0", "99999999999"),
        )
    ),
    Case(
        "flushdb empties one database, flushall all of them",
        [
            ["MSET", "a", "1", "b", "2"],
            ["SELECT", "2"],
            ["SET", "c", "3"],
            ["FLUSHDB"],
            ["DBSIZE"],
            ["FLUSHDB", "SYNC"],
            ["SET", "c", "4"],
            ["SELECT", "0"],
            ["DBSIZE"],
            ["FLUSHALL", "async"],
            ["DBSIZE"],
            ["SELECT", "2"],
            ["DBSIZE"],
            ["GET", "c"],
        ],
    ),
    *(
        Case(f"{name} with {' '.join(options)!r}", [["SET", "k", "v"], [name, *options], ["DBSIZE"]])
        for name in ("FLUSHDB", "FLUSHALL")
        for options in (["ASYNC"], ["SYNC"], ["now"], ["ASYNC", "SYNC"], [""])
    ),
    Case("dbsize and randomkey of nothing", [["DBSIZE"], ["RANDOMKEY"], ["DBSIZE", "x"], ["RANDOMKEY", "x"]]),
    Case("randomkey of one", [["SET", "k", "v"], ["RANDOMKEY"], ["DBSIZE"]]),
    *(
        Case(
            f"keys and scan match {pattern!r}",
            [
                *(["SET", name, "v"] for name in NAMES),
                ["@sorted", "KEYS", pattern],
                ["@sorted", "SCAN", "0", "MATCH", pattern, "COUNT", "1000"],
            ],
        )
        for pattern in PATTERNS
    ),
    Case("keys takes one pattern", [["KEYS"], ["KEYS", "*", "*"], ["KEYS", "*"]]),
    Case(
        "keys and scan of a database see nothing of another",
        [["SET", "k", "v"], ["SELECT", "1"], ["KEYS", "*"], ["SCAN", "0"]],
    ),
    *(Case(f"scan from {cursor!r}", [["SCAN", cursor]]) for cursor in CURSORS),
    *(
        Case(f"scan with {' '.join(options)!r}", [["SCAN", "0", *options], ["SCAN", "x", *options]])
        for options in SCAN_OPTIONS
    ),
    Case(
        "scan of a type",
        [
            ["MSET", "a", "1", "b", "2"],
            ["@sorted", "SCAN", "0", "TYPE", "string", "COUNT", "1000"],
            ["@sorted", "SCAN", "0", "TYPE", "STRING", "MATCH", "a*", "COUNT", "1000"],
            ["SCAN", "0", "TYPE", "list", "COUNT", "1000"],
            ["SCAN", "0", "MATCH", "a", "MATCH", "b", "COUNT", "1000"],
            ["SCAN"],
        ],
    ),
    *(
        Case(
            f"encoding and dump of {value[:24]!r} ({len(value)} bytes)",
            [
                ["SET", "k", value],
                ["OBJECT", "ENCODING", "k"],
                ["STRLEN", "k"],
                ["DUMP", "k"],
                ["APPEND", "k", ""],
                ["OBJECT", "ENCODING", "k"],
                ["DUMP", "k"],
            ],
        )
        for value in VALUES
    ),
    *(
        Case(
            f"a key of {key_bytes} bytes is held with values of up to so many",
            [
                step
                for value_bytes in range(0, 116, 1 if key_bytes in (1, 31, 32) else 7)
                for step in (
                    ["SET", "k" * key_bytes, "x" * value_bytes],
                    ["OBJECT", "ENCODING", "k" * key_bytes],
                    ["DEL", "k" * key_bytes],
                    ["SET", "k" * key_bytes, "x" * value_bytes, "EX", "1000"],
                    ["OBJECT", "ENCODING", "k" * key_bytes],
                    ["DEL", "k" * key_bytes],
                )
            ],
        )
        for key_bytes in (1, 20, 31, 32, 60, 100, 120)
    ),
    Case(
        "encoding of what was changed in place",
        [
            ["SET", "k", "5"],
            ["INCR", "k"],
            ["OBJECT", "ENCODING", "k"],
            ["APPEND", "k", "1"],
            ["OBJECT", "ENCODING", "k"],
            ["INCR", "k"],
            ["OBJECT", "ENCODING", "k"],
            ["INCRBYFLOAT", "k", "1"],
            ["OBJECT", "ENCODING", "k"],
            ["SETRANGE", "k", "0", "9"],
            ["OBJECT", "ENCODING", "k"],
            ["SETBIT", "bits", "7", "1"],
            ["OBJECT", "ENCODING", "bits"],
        ],
    ),
    Case(
        "encoding travels with rename and copy, not through dump",
        [
            ["SET", "{t}a", "5"],
            ["APPEND", "{t}a", "6"],
            ["RENAME", "{t}a", "{t}b"],
            ["OBJECT", "ENCODING", "{t}b"],
            ["COPY", "{t}b", "{t}c"],
            ["OBJECT", "ENCODING", "{t}c"],
            ["DUMP", "{t}c"],
        ],
    ),
    Case(
        "object",
        [
            ["OBJECT", "ENCODING", "nosuch"],
            ["OBJECT", "REFCOUNT", "nosuch"],
            ["OBJECT", "IDLETIME", "nosuch"],
            ["OBJECT", "FREQ", "nosuch"],
            ["SET", "k", "v"],
            ["object", "refcount", "k"],
            ["OBJECT", "IDLETIME", "k"],
            ["OBJECT", "FREQ", "k"],
            ["OBJECT", "HELP"],
            ["OBJECT", "BOGUS", "k"],
            ["OBJECT", "ENCODING"],
            ["OBJECT", "ENCODING", "k", "k"],
            ["OBJECT", "HELP", "k"],
            ["OBJECT"],
        ],
    ),
    Case(
        "memory usage",
        [
            ["MEMORY", "USAGE", "nosuch"],
            ["MEMORY", "USAGE", "nosuch", "SAMPLES", "5"],
            ["SET", "k", "v"],
            ["MEMORY", "USAGE", "k", "SAMPLES"],
            ["MEMORY", "USAGE", "k", "SAMPLES", "-1"],
            ["MEMORY", "USAGE", "k", "SAMPLES", "x"],
            ["MEMORY", "USAGE", "k", "BOGUS"],
            ["MEMORY", "USAGE", "k", "BOGUS", "x"],
            ["MEMORY", "USAGE"],
            ["MEMORY", "BOGUS"],
            ["MEMORY"],
        ],
    ),
    *(
        Case(
            f"restore of {payload[:12]!r}",
            [
                ["RESTORE", "k", "0", payload],
                ["GET", "k"],
                ["TTL", "k"],
                ["OBJECT", "ENCODING", "k"],
                ["DUMP", "k"],
                ["RESTORE", "k", "0", payload],
                ["RESTORE", "k", "100000", payload, "REPLACE"],
                ["TTL", "k"],
                ["RESTORE", "k", "33000000000000", payload, "ABSTTL", "REPLACE"],
                ["PEXPIRETIME", "k"],
            ],
        )
        for payload in PAYLOADS
    ),
    *(
        Case(
            f"restore refuses {payload!r}",
            [
                ["RESTORE", "k", "0", payload],
                ["EXISTS", "k"],
                ["SET", "k", "v"],
                ["RESTORE", "k", "0", payload, "REPLACE"],
                ["GET", "k"],
            ],
        )
        for payload in WRONG_PAYLOADS
    ),
    *(
        Case(
            f"restore with {' '.join(options)!r}",
            [
                ["RESTORE", "k", "0", "bad", *options],
                ["RESTORE", "k", "0", PAYLOADS[0], *options],
                ["GET", "k"],
            ],
        )
        for options in RESTORE_OPTIONS
    ),
    Case(
        "restore looks at its arguments in this order",
        [
            ["SET", "k", "v"],
            ["RESTORE", "k", "-1", "bad", "BOGUS"],
            ["RESTORE", "k", "-1", "bad"],
            ["RESTORE", "free", "-1", "bad"],
            ["RESTORE", "free", "x", "bad"],
            ["RESTORE", "free", "0", "bad"],
            ["RESTORE", "free", "0"],
        ],
    ),
    Case(
        "restore of what is past its time",
        [
            ["RESTORE", "k", "5", PAYLOADS[0], "ABSTTL"],
            ["EXISTS", "k"],
            ["SET", "k", "v"],
            ["RESTORE", "k", "5", PAYLOADS[0], "ABSTTL", "REPLACE"],
            ["EXISTS", "k"],
            ["RESTORE", "k", "9223372036854775807", PAYLOADS[0]],
            ["EXISTS", "k"],
            ["RESTORE", "k", "9223372036854775807", PAYLOADS[0], "ABSTTL"],
            ["PEXPIRETIME", "k"],
            ["DBSIZE"],
        ],
    ),
    Case("dump of nothing", [["DUMP", "nosuch"], ["DUMP"]]),
]

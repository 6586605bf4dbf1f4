"""Expiry: the EXPIRE and TTL families and PERSIST, with times far from any edge."""

from tests.conformance.cases import Case

FAR_S = "33000000000"
FAR_MS = "33000000000000"
NEAR_S = "32000000000"

SETTERS = ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT")
READERS = ("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")

AMOUNTS = (
    "0",
    "-1",
    "-100000",
    "abc",
    "",
    "1.5",
    "+5",
    " 5",
    "05",
    "9223372036854775",
    "9223372036854776",
    "-9223372036854775",
    "-9223372036854776",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
)

OPTIONS = (
    ["NX"],
    ["XX"],
    ["GT"],
    ["LT"],
    ["xx", "gt"],
    ["Xx", "lT"],
    ["NX", "NX"],
    ["NX", "XX"],
    ["NX", "GT"],
    ["NX", "LT"],
    ["GT", "LT"],
    ["XX", "GT", "LT"],
    ["NX", "XX", "GT", "LT"],
    ["KEEP"],
    ["NX", "100"],
    [""],
)

CASES = [
    *(
        Case(
            f"{setter.lower()} of {amount!r}",
            [
                ["SET", "k", "v"],
                [setter, "k", amount],
                ["EXISTS", "k"],
                ["EXPIRETIME", "missing"],
                [setter, "missing", amount],
                [setter, "k", amount, "bogus"],
            ],
        )
        for setter in SETTERS
        for amount in AMOUNTS
    ),
    *(
        Case(
            f"expireat with {' '.join(options)!r}",
            [
                ["EXPIREAT", "k", FAR_S, *options],
                ["SET", "k", "v"],
                ["EXPIREAT", "k", FAR_S, *options],
                ["EXPIRETIME", "k"],
                ["EXPIREAT", "k", NEAR_S, *options],
                ["EXPIRETIME", "k"],
                ["EXPIREAT", "k", FAR_S, *options],
                ["EXPIRETIME", "k"],
                ["EXPIREAT", "k", FAR_S],
                ["EXPIREAT", "k", NEAR_S, *options],
                ["EXPIRETIME", "k"],
                ["EXPIREAT", "k", FAR_S, *options],
                ["EXPIREAT", "k", "-1", *options],
                ["EXISTS", "k"],
                ["PEXPIREAT", "k", "abc", *options],
            ],
        )
        for options in OPTIONS
    ),
    Case("expire sets seconds from now", [["SET", "k", "v"], ["EXPIRE", "k", "1000"], ["TTL", "k"]]),
    Case(
        "pexpire sets milliseconds from now", [["SET", "k", "v"], ["PEXPIRE", "k", "1000300"], ["TTL", "k"]]
    ),
    Case(
        "expireat and pexpireat are told back",
        [
            ["SET", "k", "v"],
            ["EXPIREAT", "k", FAR_S],
            ["EXPIRETIME", "k"],
            ["PEXPIRETIME", "k"],
            ["PEXPIREAT", "k", "33000000000499"],
            ["EXPIRETIME", "k"],
            ["PEXPIREAT", "k", "33000000000500"],
            ["EXPIRETIME", "k"],
            ["PEXPIRETIME", "k"],
            ["PEXPIREAT", "k", "9223372036854775807"],
            ["EXPIRETIME", "k"],
            ["PEXPIRETIME", "k"],
        ],
    ),
    *(
        Case(
            f"{reader.lower()} of a key without expiry, and of none",
            [[reader, "k"], ["SET", "k", "v"], [reader, "k"], [reader], [reader, "k", "k"]],
        )
        for reader in READERS
    ),
    Case(
        "persist",
        [
            ["PERSIST", "k"],
            ["SET", "k", "v"],
            ["PERSIST", "k"],
            ["EXPIRE", "k", "1000"],
            ["PERSIST", "k"],
            ["TTL", "k"],
            ["PERSIST", "k"],
            ["GET", "k"],
        ],
    ),
    Case(
        "a time in the past deletes",
        [
            ["SET", "k", "v"],
            ["EXPIREAT", "k", "1"],
            ["EXISTS", "k"],
            ["TTL", "k"],
            ["SET", "k", "v"],
            ["PEXPIREAT", "k", "0"],
            ["GET", "k"],
            ["SET", "k", "v"],
            ["EXPIRE", "k", "-5", "LT"],
            ["GET", "k"],
            ["SET", "k", "v"],
            ["EXPIRE", "k", "-5", "GT"],
            ["GET", "k"],
            ["DBSIZE"],
        ],
    ),
    Case(
        "a key past its time is gone for every command",
        [
            ["SET", "{t}k", "v", "PX", "60"],
            ["SET", "{t}stay", "v"],
            ["@advance", "400"],
            ["GET", "{t}k"],
            ["EXISTS", "{t}k"],
            ["TYPE", "{t}k"],
            ["TTL", "{t}k"],
            ["PEXPIRETIME", "{t}k"],
            ["EXPIRE", "{t}k", "100"],
            ["PERSIST", "{t}k"],
            ["RENAME", "{t}k", "{t}other"],
            ["COPY", "{t}k", "{t}other"],
            ["MOVE", "{t}k", "1"],
            ["OBJECT", "ENCODING", "{t}k"],
            ["DUMP", "{t}k"],
            ["TOUCH", "{t}k"],
            ["KEYS", "*"],
            ["RANDOMKEY"],
            ["DEL", "{t}k"],
            ["SET", "{t}k", "again"],
            ["TTL", "{t}k"],
        ],
    ),
    Case(
        "a key past its time can be written over by rename, copy and restore",
        [
            ["MSET", "{t}a", "1", "{t}b", "2", "{t}c", "3"],
            ["PEXPIRE", "{t}b", "60"],
            ["PEXPIRE", "{t}c", "60"],
            ["@advance", "400"],
            ["COPY", "{t}a", "{t}b"],
            ["RENAMENX", "{t}a", "{t}c"],
            ["GET", "{t}b"],
            ["GET", "{t}c"],
            ["TTL", "{t}b"],
            ["TTL", "{t}c"],
        ],
    ),
    Case(
        "rename, copy and move take the expiry along",
        [
            ["SET", "{t}a", "1", "EXAT", FAR_S],
            ["SET", "{t}b", "2", "EXAT", NEAR_S],
            ["SET", "{t}c", "3"],
            ["RENAME", "{t}a", "{t}b"],
            ["EXPIRETIME", "{t}b"],
            ["RENAME", "{t}c", "{t}b"],
            ["EXPIRETIME", "{t}b"],
            ["PEXPIREAT", "{t}b", FAR_MS],
            ["COPY", "{t}b", "{t}d"],
            ["EXPIRETIME", "{t}d"],
            ["MOVE", "{t}d", "3"],
            ["SELECT", "3"],
            ["EXPIRETIME", "{t}d"],
            ["DEL", "{t}d"],
        ],
    ),
    *(Case(f"{setter.lower()} with too few arguments", [[setter], [setter, "k"]]) for setter in SETTERS),
]

"""MULTI, EXEC, DISCARD, WATCH, UNWATCH: what is queued, what is refused when, and what spoils a transaction."""

from tests.conformance.cases import Case

FAR_MS = "33000000000000"


def watching(what: str, before: list[list[str]], change: list[list[str]], key: str = "{k}a") -> Case:
    """A transaction on a watched key, with `change` made by another client in between, and by the client itself."""
    steps: list[list[str]] = []
    for by in (["@other"], []):
        steps += [
            ["FLUSHDB"],
            *before,
            ["WATCH", key],
            *([*by, *request] for request in change),
            ["MULTI"],
            ["SET", "{k}result", "ran"],
            ["EXEC"],
            ["GET", "{k}result"],
        ]
    return Case(f"watch: {what}", steps)


QUEUE = [
    Case(
        "replies come at exec, in order",
        [
            ["MULTI"],
            ["SET", "{k}a", "1"],
            ["INCR", "{k}a"],
            ["GET", "{k}a"],
            ["GET", "{k}missing"],
            ["MGET", "{k}a", "{k}missing"],
            ["APPEND", "{k}a", "x"],
            ["EXEC"],
            ["GET", "{k}a"],
        ],
    ),
    Case("an empty transaction", [["MULTI"], ["EXEC"], ["EXEC"]]),
    Case("discard forgets", [["MULTI"], ["SET", "k", "1"], ["DISCARD"], ["GET", "k"], ["EXEC"], ["DISCARD"]]),
    Case("exec and discard need multi", [["EXEC"], ["DISCARD"], ["UNWATCH"], ["EXEC", "x"], ["MULTI", "x"]]),
    Case(
        "multi does not nest; trying aborts",
        [["MULTI"], ["MULTI"], ["SET", "k", "1"], ["EXEC"], ["GET", "k"]],
    ),
    Case(
        "watch inside of multi is refused, and aborts",
        [["MULTI"], ["WATCH", "k"], ["SET", "k", "1"], ["EXEC"], ["GET", "k"]],
    ),
    Case(
        "unwatch inside of multi is queued",
        [["WATCH", "k"], ["MULTI"], ["UNWATCH"], ["SET", "k", "1"], ["EXEC"]],
    ),
    *(
        Case(
            f"what can not be queued aborts: {' '.join(wrong)!r}",
            [["MULTI"], ["SET", "k", "1"], wrong, ["SET", "k", "2"], ["EXEC"], ["GET", "k"], ["EXEC"]],
        )
        for wrong in (
            ["NOSUCH"],
            ["NOSUCH", "a", "b"],
            ["GET"],
            ["GET", "a", "b"],
            ["SET", "k"],
            ["CONFIG"],
            ["CONFIG", "NOSUCH"],
            ["OBJECT", "NOSUCH", "k"],
            ["CLIENT"],
            ["MULTI", "x"],
            ["EXEC", "x"],
            ["WATCH"],
            ["DISCARD", "x"],
            ["MSET", "k"],
        )
    ),
    *(
        Case(
            f"what fails when it runs leaves the rest alone: {' '.join(wrong)!r}",
            [
                ["SET", "{k}s", "text"],
                ["MULTI"],
                ["SET", "{k}a", "1"],
                wrong,
                ["INCR", "{k}a"],
                ["EXEC"],
                ["GET", "{k}a"],
                ["GET", "{k}s"],
            ],
        )
        for wrong in (
            ["INCR", "{k}s"],
            ["INCRBYFLOAT", "{k}s", "x"],
            ["SET", "{k}s", "1", "EX", "0"],
            ["SET", "{k}s", "1", "NOSUCH"],
            ["MSET", "{k}s", "1", "{k}b"],
            ["SETRANGE", "{k}s", "-1", "x"],
            ["SETBIT", "{k}s", "x", "1"],
            ["EXPIRE", "{k}s", "x"],
            ["RENAME", "{k}missing", "{k}s"],
            ["RESTORE", "{k}s", "0", "bad"],
            ["SELECT", "99"],
            ["SELECT", "x"],
            ["OBJECT", "FREQ", "{k}s"],
            ["COPY", "{k}s", "{k}b", "DB", "99"],
            ["BITOP", "NOT", "{k}s", "{k}a", "{k}b"],
        )
    ),
    Case(
        "a connection goes on after exec and discard",
        [
            step
            for _ in range(3)
            for step in (["MULTI"], ["INCR", "k"], ["EXEC"], ["MULTI"], ["INCR", "k"], ["DISCARD"])
        ],
    ),
    Case(
        "reset leaves the transaction",
        [["WATCH", "k"], ["MULTI"], ["SET", "k", "1"], ["RESET"], ["EXEC"], ["GET", "k"]],
    ),
    Case(
        "hello and client commands may be queued",
        [
            ["MULTI"],
            ["PING"],
            ["PING", "x"],
            ["ECHO", "y"],
            ["CLIENT", "SETNAME", "me"],
            ["CLIENT", "GETNAME"],
            ["EXEC"],
            ["CLIENT", "GETNAME"],
        ],
    ),
    Case(
        "of a transaction that is spoilt nothing is done",
        [
            ["WATCH", "k"],
            ["SET", "k", "1"],
            ["MULTI"],
            ["SELECT", "3"],
            ["CLIENT", "SETNAME", "me"],
            ["GET", "k"],
            ["EXEC"],
            ["GET", "k"],
            ["CLIENT", "GETNAME"],
        ],
    ),
    Case("hello in a transaction", [["MULTI"], ["HELLO"], ["HELLO", "9"], ["DISCARD"]]),
    Case(
        "keyed commands and others keep their places",
        [
            ["MULTI"],
            ["PING", "1"],
            ["SET", "{k}a", "1"],
            ["PING", "2"],
            ["GET", "{k}a"],
            ["ECHO", "3"],
            ["INCR", "{k}a"],
            ["NOSUCH"],
            ["DISCARD"],
            ["MULTI"],
            ["SET", "{k}a", "1"],
            ["PING", "2"],
            ["GET", "{k}a"],
            ["ECHO", "3"],
            ["INCRBY", "{k}a", "x"],
            ["EXEC"],
        ],
    ),
]

DATABASES = [
    Case(
        "select inside of a transaction is for the commands after it, and lasts",
        [
            ["MULTI"],
            ["SET", "k", "zero"],
            ["SELECT", "3"],
            ["SET", "k", "three"],
            ["GET", "k"],
            ["SELECT", "0"],
            ["GET", "k"],
            ["SELECT", "3"],
            ["EXEC"],
            ["GET", "k"],
            ["SELECT", "0"],
            ["GET", "k"],
        ],
    ),
    Case(
        "select of a discarded transaction is forgotten",
        [["SET", "k", "zero"], ["MULTI"], ["SELECT", "3"], ["GET", "k"], ["DISCARD"], ["GET", "k"]],
    ),
    Case(
        "select that fails changes nothing",
        [
            ["SET", "k", "zero"],
            ["MULTI"],
            ["SELECT", "16"],
            ["GET", "k"],
            ["SELECT", "-1"],
            ["GET", "k"],
            ["SELECT", ""],
            ["GET", "k"],
            ["EXEC"],
            ["GET", "k"],
        ],
    ),
    Case(
        "move and copy between databases",
        [
            ["MULTI"],
            ["SET", "k", "1"],
            ["COPY", "k", "k", "DB", "2"],
            ["SELECT", "2"],
            ["APPEND", "k", "2"],
            ["MOVE", "k", "4"],
            ["EXISTS", "k"],
            ["SELECT", "4"],
            ["GET", "k"],
            ["EXEC"],
            ["GET", "k"],
        ],
    ),
    Case(
        "reading all keys sees what the transaction wrote",
        [
            ["MULTI"],
            ["SET", "a", "1"],
            ["DBSIZE"],
            ["KEYS", "*"],
            ["RANDOMKEY"],
            ["SCAN", "0", "COUNT", "100"],
            ["DEL", "a"],
            ["DBSIZE"],
            ["KEYS", "*"],
            ["EXEC"],
        ],
    ),
    Case(
        "flushdb empties it for the commands after it",
        [
            ["SET", "a", "1"],
            ["MULTI"],
            ["SET", "b", "1"],
            ["FLUSHDB"],
            ["EXISTS", "a"],
            ["SET", "c", "1"],
            ["EXEC"],
            ["DBSIZE"],
        ],
    ),
    Case(
        "swapdb inside of a transaction",
        [
            ["SET", "k", "zero"],
            ["MULTI"],
            ["SWAPDB", "0", "1"],
            ["GET", "k"],
            ["SET", "k", "one"],
            ["EXEC"],
            ["GET", "k"],
            ["SELECT", "1"],
            ["GET", "k"],
        ],
    ),
]

HERE = [["SET", "{k}a", "1"]]
DYING = [["SET", "{k}a", "1", "PX", "30"]]

WATCH = [
    watching("nothing happens", HERE, []),
    watching("set", HERE, [["SET", "{k}a", "2"]]),
    watching("set to the same", HERE, [["SET", "{k}a", "1"]]),
    watching("another key is set", HERE, [["SET", "{k}b", "2"]]),
    watching("only read", HERE, [["GET", "{k}a"], ["TTL", "{k}a"], ["STRLEN", "{k}a"], ["EXISTS", "{k}a"]]),
    watching("touch", HERE, [["TOUCH", "{k}a"]]),
    watching("deleted", HERE, [["DEL", "{k}a"]]),
    watching("deleted and made again", HERE, [["DEL", "{k}a"], ["SET", "{k}a", "1"]]),
    watching("getex without an option", HERE, [["GETEX", "{k}a"]]),
    watching("a write that fails", HERE, [["INCRBY", "{k}a", "x"], ["SET", "{k}a", "9", "NX"]]),
    watching("a write without effect", HERE, [["APPEND", "{k}a", ""], ["SETRANGE", "{k}a", "0", ""]]),
    watching("a bit that was so before", HERE, [["SETBIT", "{k}a", "1", "0"]]),
    watching("expire", HERE, [["EXPIRE", "{k}a", "1000"]]),
    watching("expire that does not apply", HERE, [["EXPIRE", "{k}a", "1000", "XX"]]),
    watching("persist", [["SET", "{k}a", "1", "EX", "1000"]], [["PERSIST", "{k}a"]]),
    watching("persist of what persists", HERE, [["PERSIST", "{k}a"]]),
    watching("expire in the past", HERE, [["EXPIRE", "{k}a", "-1"]]),
    watching("renamed away", HERE, [["RENAME", "{k}a", "{k}b"]]),
    watching("renamed to", [*HERE, ["SET", "{k}b", "2"]], [["RENAME", "{k}b", "{k}a"]]),
    watching("copied from", HERE, [["COPY", "{k}a", "{k}b"]]),
    watching("copied to", [*HERE, ["SET", "{k}b", "2"]], [["COPY", "{k}b", "{k}a", "REPLACE"]]),
    watching("moved away", HERE, [["MOVE", "{k}a", "1"]]),
    watching("restored", HERE, [["RESTORE", "{k}a", "0", "bad", "REPLACE"]]),
    watching("flushdb", HERE, [["FLUSHDB"]]),
    watching("flushall", HERE, [["FLUSHALL"]]),
    watching("flushdb of nothing", [], [["FLUSHDB"]]),
    watching("swapdb of two empty databases", [], [["SWAPDB", "0", "1"]]),
    watching("swapdb takes it away", HERE, [["SWAPDB", "0", "1"]]),
    watching("swapdb of others", HERE, [["SWAPDB", "4", "5"]]),
    watching("a missing key stays missing", [], [["SET", "{k}b", "1"]]),
    watching("a missing key is made", [], [["SET", "{k}a", "1"]]),
    watching("a missing key stays missing when all others go", [["SET", "{k}b", "1"]], [["FLUSHDB"]]),
    watching("a missing key is deleted", [], [["DEL", "{k}a"]]),
    watching("a missing key is made and deleted", [], [["SET", "{k}a", "1"], ["DEL", "{k}a"]]),
    watching("a missing key is read", [], [["GET", "{k}a"], ["GETDEL", "{k}a"], ["EXPIRE", "{k}a", "10"]]),
    watching("a missing key comes and goes with its database", [], [["SET", "{k}a", "1"], ["FLUSHDB"]]),
    Case(
        "watch: a missing key comes and expires",
        [
            ["WATCH", "{k}a"],
            ["SET", "{k}a", "1", "PX", "20"],
            ["@advance", "60"],
            ["EXISTS", "{k}a"],
            ["MULTI"],
            ["SET", "{k}b", "1"],
            ["EXEC"],
        ],
    ),
    Case(
        "watch: a key that is past its time, and is deleted",
        [
            ["SET", "{k}a", "1", "PX", "20"],
            ["@advance", "60"],
            ["WATCH", "{k}a"],
            ["EXISTS", "{k}a"],
            ["MULTI"],
            ["SET", "{k}b", "1"],
            ["EXEC"],
        ],
    ),
    watching("unwatch", HERE, [["SET", "{k}a", "2"], ["UNWATCH"]]),
    watching("in time before it expires", [["SET", "{k}a", "1", "PX", "100000"]], []),
    Case(
        "watch: a key that expires meanwhile",
        [
            ["SET", "{k}a", "1", "PX", "500"],
            ["WATCH", "{k}a"],
            ["@advance", "800"],
            ["MULTI"],
            ["SET", "{k}b", "1"],
            ["EXEC"],
        ],
    ),
    Case(
        "watch: a key that expired before",
        [
            ["DEBUG", "SET-ACTIVE-EXPIRE", "0"],
            *DYING,
            ["@advance", "60"],
            ["WATCH", "{k}a"],
            ["MULTI"],
            ["SET", "{k}b", "1"],
            ["EXEC"],
            ["DEBUG", "SET-ACTIVE-EXPIRE", "1"],
        ],
    ),
    Case(
        "watch: several keys",
        [
            ["WATCH", "{k}a", "{k}b", "{k}a"],
            ["WATCH", "{k}c"],
            ["@other", "SET", "{k}c", "1"],
            ["MULTI"],
            ["EXEC"],
            ["WATCH", "{k}a", "{k}b"],
            ["MULTI"],
            ["EXEC"],
        ],
    ),
    Case(
        "watch: it ends with exec, discard and an aborted exec",
        [
            step
            for end in ([["EXEC"]], [["DISCARD"]], [["NOSUCH"], ["EXEC"]])
            for step in (
                ["WATCH", "k"],
                ["MULTI"],
                *end,
                ["@other", "INCR", "k"],
                ["MULTI"],
                ["GET", "k"],
                ["EXEC"],
            )
        ],
    ),
    Case(
        "watch: a key of another database",
        [
            ["SELECT", "2"],
            ["WATCH", "k"],
            ["SELECT", "0"],
            ["@other", "SET", "k", "1"],
            ["MULTI"],
            ["PING"],
            ["EXEC"],
            ["SELECT", "2"],
            ["WATCH", "k"],
            ["SELECT", "0"],
            ["@other", "SELECT", "2"],
            ["@other", "SET", "k", "1"],
            ["MULTI"],
            ["PING"],
            ["EXEC"],
        ],
    ),
    Case(
        "watch: a spoiled transaction that was also refused is aborted",
        [["WATCH", "k"], ["@other", "INCR", "k"], ["MULTI"], ["NOSUCH"], ["EXEC"]],
    ),
    Case(
        "watch: a transaction of nothing but other commands is spoiled too",
        [["WATCH", "k"], ["@other", "INCR", "k"], ["MULTI"], ["PING"], ["ECHO", "x"], ["EXEC"], ["PING"]],
    ),
]

CASES = [*QUEUE, *DATABASES, *WATCH]

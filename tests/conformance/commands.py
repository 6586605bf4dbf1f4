"""Requests made at random, for test_sequences: of each command many valid and some invalid ones.

Few keys and few values, so that requests meet. All keys have one hash tag: on a cluster they share a shard group. No
reply depends on the clock or on chance: lifetimes are absolute and far away, or over.
"""

from hypothesis import strategies as st

from tests.conformance.harness.wire import Request, Word

Words = st.SearchStrategy[list[Word]]


def one(*words: Word) -> Words:
    """One of these words."""
    return st.sampled_from([[word] for word in words])


def words(*parts: Words | str) -> Words:
    """These parts, one after the other; a string stands for itself."""
    strategies = [st.just([part]) if isinstance(part, str) else part for part in parts]
    return st.tuples(*strategies).map(lambda lists: [word for part in lists for word in part])


def some(part: Words, most: int = 3) -> Words:
    """This part up to so many times, perhaps never."""
    return st.lists(part, max_size=most).map(lambda lists: [word for each in lists for word in each])


def many(part: Words, most: int = 3) -> Words:
    """This part at least once."""
    return st.lists(part, min_size=1, max_size=most).map(
        lambda lists: [word for each in lists for word in each]
    )


def unordered(request: Request) -> Request:
    """The request, its reply to be compared without order."""
    return ["@sorted", *request]


KEYS_USED = ("{t}a", "{t}b", "{t}c", "{t}d")
key = one(*KEYS_USED)
integer = one("0", "1", "-1", "2", "7", "12", "100", "-5")
hard_integer = one(
    *("9223372036854775807", "-9223372036854775808", "9223372036854775808", "2147483648", "4294967295"),
    *("", "x", "1.5", " 1", "1 ", "+1", "01", "-0", "1e3"),
)
number = integer | integer | integer | hard_integer
floating = integer | one(
    "0.1", "1.5", "-3.25", "1e3", "1e-7", "3.0", "inf", "nan", "1e400", "", "x", ".5", " 1"
)
value = (
    integer
    | hard_integer
    | floating
    | one("hello", "hello world", "x" * 45, b"\x00\xff\x10", b"\xff" * 9)
    | st.binary(max_size=12).map(lambda data: [data])
)
database = one("0", "1", "2") | one("0", "1", "2") | one("0", "1", "2") | one("16", "-1", "x")
FAR_S, FAR_MS = (
    ("33000000000", "32000000000", "33000000001"),
    ("33000000000000", "32000000000500", "33000000000000"),
)
over = one("1", "0", "-1", "-100000", "x", "", "9223372036854775807", "99999999999999999999")
second = one(*FAR_S) | one(*FAR_S) | over
millisecond = one(*FAR_MS) | one(*FAR_MS) | over
lifetime = words(one("EXAT"), second) | words(one("PXAT"), millisecond) | one("KEEPTTL", "PERSIST")
option = one("NX", "XX", "GET", "nx", "xx") | words("IFEQ", value) | lifetime
expiry_option = one("NX", "XX", "GT", "LT", "gt", "BOGUS")
offset = one("0", "1", "5", "-1", "-3", "20", "100", "x", "2147483648")
bit_offset = one("0", "1", "7", "8", "13", "100", "-1", "x", "4294967296")
field = words(one("u1", "i8", "u8", "i5", "u63", "i64", "u64", "x"), one("0", "#1", "3", "-1", "50"))
field_operation = (
    words("GET", field)
    | words("SET", field, number)
    | words("INCRBY", field, number)
    | words("OVERFLOW", one("WRAP", "SAT", "FAIL", "NOPE"))
)
bit_range = (
    words(offset, offset) | words(offset, offset, one("BIT", "BYTE", "bit", "x")) | offset | st.just([])
)
payload = one(b'\x00\xc0\x7fP\x00\xc2\x9f"\xa0\xcc\x06\xa2\xe0', "x")
pattern = one("*", "{t}a", "{t}?", "*[ab]", "x*", "", "*b")

STRINGS = (
    words(one("GET", "STRLEN", "GETDEL", "INCR", "DECR", "get"), key)
    | words("SET", key, value, some(option))
    | words("SET", key, value)
    | words("GETEX", key, some(lifetime, 2))
    | words(one("SETNX", "GETSET", "APPEND", "DELIFEQ"), key, value)
    | words(one("INCRBY", "DECRBY"), key, number)
    | words("INCRBYFLOAT", key, floating)
    | words("MGET", many(key))
    | words(one("MSET", "MSETNX"), many(words(key, value)), some(key, 1))
    | words("MSETEX", "1", key, value, some(option, 2))
    | words("MSETEX", "2", key, value, key, value, some(option, 2))
    | words(one("GETRANGE", "SUBSTR"), key, offset, offset)
    | words("SETRANGE", key, one("0", "1", "5", "20", "-1", "x", "536870912"), value)
    | words("LCS", key, key, some(one("LEN", "IDX", "WITHMATCHLEN") | words("MINMATCHLEN", integer), 2))
)
BITS = (
    words("SETBIT", key, bit_offset, one("0", "1", "1", "2", "x"))
    | words("GETBIT", key, bit_offset)
    | words("BITCOUNT", key, bit_range)
    | words("BITPOS", key, one("0", "1", "2"), bit_range)
    | words("BITOP", one("AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE", "NOPE"), key, many(key))
    | words("BITFIELD", key, some(field_operation, 4))
    | words("BITFIELD_RO", key, some(words("GET", field), 2))
)
member = one("1", "2", "3", "-7", "a", "b", "c", "x" * 65, "", b"\x00\xff")
members = many(member, 5)
"""Without SPOP and SRANDMEMBER: with an argument too few they are up to chance."""
SETS = (
    words("SADD", key, members)
    | words("SADD", key, members)
    | words(one("SREM", "SMISMEMBER"), key, members)
    | words(one("SISMEMBER", "SREM"), key, member)
    | words(one("SMEMBERS", "SINTER", "SUNION", "SDIFF"), key).map(unordered)
    | words(one("SINTER", "SUNION", "SDIFF"), many(key)).map(unordered)
    | words(one("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"), key, many(key))
    | words("SINTERCARD", one("1", "2", "0", "x"), many(key), some(words("LIMIT", integer), 1))
    | words("SCARD", key)
    | words("SMOVE", key, key, member)
    | words("SSCAN", key, "0", some(words("MATCH", one("*", "a", "[123]")) | one("COUNT", "NOPE"), 1)).map(
        unordered
    )
)
hash_fields = words("FIELDS", "1", one("f", "g", "h", "long" * 20)) | words(
    "FIELDS", "2", one("f", "g"), one("g", "h")
)
hash_lifetime = words(one("EXAT"), second) | words(one("PXAT"), millisecond)
hash_field = one("f", "g", "h", "", "long" * 20)
hash_pair = words(hash_field, value)
"""With an argument too few HRANDFIELD would be up to chance, if its last one were the count."""
HASHES = (
    words(one("HSET", "HMSET"), key, many(hash_pair), some(hash_field, 1))
    | words(one("HSET"), key, many(hash_pair, 5))
    | words("HSETNX", key, hash_pair)
    | words(one("HGET", "HEXISTS", "HSTRLEN"), key, hash_field)
    | words(one("HMGET", "HDEL"), key, many(hash_field))
    | words(one("HGETALL", "HLEN", "HKEYS", "HVALS"), key)
    | words("HINCRBY", key, hash_field, number)
    | words("HINCRBYFLOAT", key, hash_field, floating)
    | words(
        "HSCAN",
        key,
        one("0", "0", "x"),
        some(words("MATCH", one("*", "f", "[fg]")) | one("NOVALUES", "NOSCORES")),
    )
    | words("HRANDFIELD", key, one("0", "100", "x"), "WITHVALUES").map(lambda r: ["@sorted", *r])
    | words(one("HGETDEL", "HGETEX", "HPERSIST", "HEXPIRETIME", "HPEXPIRETIME"), key, hash_fields)
    | words("HGETEX", key, some(hash_lifetime | one("PERSIST"), 2), hash_fields)
    | words(
        "HSETEX",
        key,
        some(hash_lifetime | one("KEEPTTL", "NX", "XX", "FNX", "FXX", "fnx"), 2),
        words("FIELDS", one("1", "1", "1", "2"), many(hash_pair, 2)),
    )
    | words("HEXPIREAT", key, second, some(expiry_option, 2), hash_fields)
    | words("HPEXPIREAT", key, millisecond, some(expiry_option, 2), hash_fields)
)
member = one("a", "b", "c", "d", "", "1", "m" * 65)
score = one("0", "1", "-1", "2.5", "inf", "-inf", "-0", "1e300", "(1", "x")
word = one("-", "+", "[a", "(a", "[c", "(d", "x")
word_key = "{t}words"
"""Its members have one score: what a range of words is among several Redis leaves open, and large sets are random."""
index = one("0", "1", "-1", "-2", "5", "x")
limit = words("LIMIT", index, index)
ZSETS = (
    words("ZADD", key, some(one("NX", "XX", "GT", "LT", "CH", "INCR"), 2), many(words(score, member)))
    | words("ZADD", key, many(words(score, member)))
    | words("ZINCRBY", key, score, member)
    | words(one("ZREM", "ZMSCORE"), key, many(member))
    | words("ZCARD", key)
    | words(one("ZSCORE", "ZRANK", "ZREVRANK"), key, member)
    | words(one("ZRANK", "ZREVRANK"), key, member, "WITHSCORE")
    | words(one("ZCOUNT", "ZREMRANGEBYSCORE"), key, score, score)
    | words("ZADD", word_key, many(words("0", member)))
    | words(one("ZLEXCOUNT", "ZREMRANGEBYLEX"), word_key, word, word)
    | words(one("ZREVRANGE", "ZREMRANGEBYRANK"), key, index, index)
    | words("ZRANGE", key, index, index, some(one("REV", "WITHSCORES") | limit, 2))
    | words("ZRANGE", key, score, score, "BYSCORE", some(one("REV", "WITHSCORES") | limit, 2))
    | words("ZRANGE", word_key, word, word, "BYLEX", some(one("REV") | limit, 2))
    | words("ZRANGESTORE", key, key, score, score, "BYSCORE", some(limit, 1))
    | words(one("ZPOPMIN", "ZPOPMAX"), key, some(index, 1))
    | words("ZMPOP", "2", key, key, one("MIN", "MAX"), some(words("COUNT", index), 1))
    | words(one("ZUNION", "ZINTER", "ZDIFF"), "2", key, key, "WITHSCORES")
    | words(
        one("ZUNIONSTORE", "ZINTERSTORE"),
        key,
        "2",
        key,
        key,
        some(words("WEIGHTS", score, score), 1),
        some(words("AGGREGATE", one("SUM", "MIN", "MAX")), 1),
    )
    | words("ZDIFFSTORE", key, "2", key, key)
    | words("ZINTERCARD", "2", key, key, some(words("LIMIT", index), 1))
    | words("ZSCAN", key, "0").map(lambda request: ["@sorted", *request])
)
KEYS = (
    words(one("DEL", "UNLINK", "EXISTS", "TOUCH"), many(key))
    | words("TYPE", key)
    | words(one("RENAME", "RENAMENX"), key, key)
    | words("COPY", key, key, some(words("DB", database) | one("REPLACE"), 2))
    | words("MOVE", key, database)
    | words("SELECT", database)
    | words("OBJECT", one("REFCOUNT", "FREQ", "NOPE"), key)
    | words("DUMP", key)
    | words("RESTORE", key, one("0", "x"), payload, some(one("REPLACE", "NOPE"), 2))
    | words("RESTORE", key, one("0", "33000000000000", "-1"), payload, "ABSTTL", one("REPLACE", "ABSTTL"))
)
HYPERLOGLOGS = (
    words("PFADD", key, some(value, 6))
    | words("PFADD", key, st.integers(0, 3000).map(lambda first: [str(first + n) for n in range(300)]))
    | words("PFCOUNT", many(key))
    | words("PFMERGE", key, some(key))
    | words("PFDEBUG", one("ENCODING", "DECODE", "TODENSE", "NOPE"), key)
    | words("SETRANGE", key, one("4", "15"), one(b"\x00", b"\x01", b"\x82"))
    | words(one("DUMP", "STRLEN"), key)
)
SET_KEYS = (
    words(one("DEL", "EXISTS"), many(key))
    | words("TYPE", key)
    | words("SET", key, value)
    | words("GET", key)
    | words(one("RENAME", "RENAMENX"), key, key)
    | words("COPY", key, key, some(one("REPLACE"), 1))
    | words("OBJECT", "ENCODING", key)
    | words("PEXPIREAT", key, millisecond)
)
"""What sets meet, DUMP apart."""
KEYS_OF_ANY_TYPE = (
    words(one("DEL", "UNLINK", "EXISTS"), many(key))
    | words(one("RENAME", "RENAMENX"), key, key)
    | words("COPY", key, key, some(one("REPLACE"), 1))
    | words("SET", key, value)
)
RENAMES = words(one("DEL", "EXISTS", "RENAME", "RENAMENX", "COPY", "TYPE"), key, some(key, 1)) | words(
    "SET", key, "v"
)
"""For values that are not dumped."""
ENCODING = words("OBJECT", "ENCODING", key)
"""Not together with BITS: what changes no bit writes nothing here, so that an int stays an int."""
EXPIRY = (
    words("EXPIREAT", key, second, some(expiry_option, 2))
    | words("PEXPIREAT", key, millisecond, some(expiry_option, 2))
    | words(one("EXPIRE", "PEXPIRE"), key, one("0", "-1", "x", "9223372036854775807"), some(expiry_option, 1))
    | words(one("PERSIST", "EXPIRETIME", "PEXPIRETIME"), key)
    | words("SETEX", key, one("0", "-1", "x"), value)
)
side = one("LEFT", "RIGHT", "LEFT", "RIGHT", "up")
list_value = one("a", "b", "c", "", "x" * 90)
list_index = integer | one("-2", "-3", "5", "x", "9223372036854775808")
LISTS = (
    words(one("LPUSH", "RPUSH"), key, many(list_value, 6))
    | words(one("LPUSH", "RPUSH"), key, many(list_value, 40))
    | words(one("LPUSHX", "RPUSHX"), key, many(list_value))
    | words(one("LPOP", "RPOP"), key, some(list_index, 1))
    | words(one("LLEN", "TYPE"), key)
    | words("LINDEX", key, list_index)
    | words(one("LRANGE", "LTRIM"), key, list_index, list_index)
    | words("LRANGE", key, "0", "-1")
    | words(one("LSET", "LREM"), key, list_index, list_value)
    | words("LINSERT", key, one("BEFORE", "after", "AFTER", "x"), list_value, list_value)
    | words(
        "LPOS", key, list_value, some(words(one("RANK", "COUNT", "MAXLEN"), list_index) | one("COUNT"), 3)
    )
    | words(one("LMOVE"), key, key, side, side)
    | words(one("BLMOVE"), key, key, side, side, one("0.001", "x"))
    | words("RPOPLPUSH", key, key)
    | words("BRPOPLPUSH", key, key, "0.001")
    | words(one("BLPOP", "BRPOP"), many(key), one("0.001", "0.001", "-1", "x"))
    | words("LMPOP", one("1", "2"), many(key), side, some(words("COUNT", list_index), 1))
    | words("BLMPOP", "0.001", one("1", "2"), many(key), side, some(words("COUNT", list_index), 1))
)
sort_pattern = one("{t}*", "{t}b", "{t}*->a", "{t}none*", "{t}h*->f", "#")
sort_option = (
    one("ASC", "DESC", "desc")
    | words("LIMIT", integer, integer)
    | words("GET", sort_pattern)
    | words("STORE", key)
)
sort_options = some(sort_option | words("BY", one("{t}*", "{t}none*", "{t}h*->f")), 3) | words(
    "ALPHA", some(sort_option, 2)
)
"""Without ALPHA by a pattern, and without a BY that sorts nothing: sets have no order of their own."""
sortable = one("a", "b", "1", "2", "10", "-3", "1.5")
SORTS = (
    words("SORT", key, sort_options)
    | words("SORT", key, sort_options)
    | words("SORT_RO", key, sort_options)
    | words("RPUSH", key, many(integer, 5))
    | words("SADD", key, many(integer, 5))
    | words("ZADD", key, "1", sortable, "2", sortable)
    | words("RPUSH", key, many(sortable, 3))
    | words("SET", one("{t}1", "{t}2", "{t}a", "{t}b"), sortable)
    | words("HSET", one("{t}h1", "{t}h2", "{t}a"), one("a", "f"), sortable)
    | words("LRANGE", key, "0", "-1")
)
TRANSACTIONS = one("MULTI", "EXEC", "DISCARD", "UNWATCH", "MULTI", "EXEC") | words("WATCH", many(key))
"""Mostly out of place; see `transactions`."""
CONNECTION = words(one("PING", "ECHO"), some(value, 2)) | one("NOSUCH", "")
WHOLE = (
    one("DBSIZE", "FLUSHDB", "FLUSHALL")
    | words("KEYS", pattern).map(lambda request: ["@sorted", *request])
    | words("SCAN", "0", "MATCH", pattern, "COUNT", "1000").map(lambda request: ["@sorted", *request])
    | words("SWAPDB", database, database)
)
"""What is about all keys: not for transactions in a cluster."""


stream_id = one("1", "2-1", "2-2", "3-0", "5-*", "5", "8-1", "9-9") | one("*x", "-", "0-0", "", "(2", "20-*")
stream_bound = one("-", "+", "0", "2", "2-1", "(2-1", "(5-0", "9") | one("x", "(", "(+")
stream_trim = words(one("MAXLEN"), one("=", "~"), one("0", "1", "2", "3")) | words(
    one("MAXLEN", "MINID"), one("0", "2", "3-1", "-1", "x")
)
group = one("g") | one("g", "h")
consumer = one("c", "d")
justid = some(one("JUSTID"), 1)
STREAMS = (
    words("XADD", key, some(stream_trim | one("NOMKSTREAM"), 1), stream_id, many(words(value, value), 2))
    | words("XADD", key, one("5-*", "6-*", "7-*", "8-*"), value, value)
    | words("XADD", key, one("5-*", "6-*", "7-*", "8-*"), value, value)
    | words("XLEN", key)
    | words(one("XRANGE", "XREVRANGE"), key, stream_bound, stream_bound, some(words("COUNT", integer), 1))
    | words("XDEL", key, many(stream_id | one("5-1", "5-2", "6-1", "6-0")))
    | words("XTRIM", key, stream_trim, some(words("LIMIT", integer), 1))
    | words("XSETID", key, stream_id, some(words(one("ENTRIESADDED", "MAXDELETEDID"), integer), 2))
    | words("XREAD", some(words("COUNT", integer), 1), "STREAMS", key, stream_id | one("$", "+", "0"))
    | words("XINFO", one("GROUPS"), key)
)
GROUPS = (
    words("XGROUP", "CREATE", key, group, one("0", "$", "2-1", "x"), some(one("MKSTREAM"), 1))
    | words("XGROUP", "CREATE", key, "g", "0", "MKSTREAM", some(words("ENTRIESREAD", integer), 1))
    | words("XGROUP", "SETID", key, group, one("0", "$", "2-1"), some(words("ENTRIESREAD", integer), 1))
    | words("XGROUP", "DESTROY", key, group)
    | words("XGROUP", one("CREATECONSUMER", "DELCONSUMER"), key, group, consumer)
    | words(
        *("XREADGROUP", "GROUP", group, consumer, some(words("COUNT", integer) | one("NOACK"), 2)),
        *("STREAMS", key, one(">", ">", ">", "0", "2-1", "x")),
    )
    | words("XREADGROUP", "GROUP", "g", consumer, "STREAMS", key, one(">", "0"))
    | words("XACK", key, group, many(stream_id | one("5-0", "5-1", "6-0")))
    | words(
        "XCLAIM",
        key,
        group,
        consumer,
        one("0", "1000000", "x"),
        many(stream_id),
        some(one("FORCE"), 1),
        justid,
    )
    | words(
        "XAUTOCLAIM",
        key,
        group,
        consumer,
        one("0", "1000000"),
        stream_bound,
        some(words("COUNT", integer), 1),
    )
    | words("XPENDING", key, group)
    | words("XPENDING", key, group, "IDLE", "1000000", stream_bound, stream_bound, integer, some(consumer, 1))
    | words("XINFO", "GROUPS", key)
)
"""Without replies that tell how long ago something was."""


@st.composite
def requests(draw: st.DrawFn, commands: Words, *, other: bool) -> Request:
    """One request; seldom with an argument too many or too few; with `other`, sometimes by another client."""
    request = draw(commands)
    damage = draw(st.integers(0, 40))
    if damage == 0:
        request = request[:-1] or ["GET"]
    elif damage == 1:
        request = [*request, "{t}more"]
    if other and draw(st.integers(0, 4)) == 0:
        request = ["@other", *request]
    return request


def _no_dump(request: Request) -> bool:
    """Among the replies of EXEC a payload can not be told, and its version and checksum are not Valkey's."""
    return "DUMP" not in request


ANYTHING = STRINGS | STRINGS | BITS | KEYS | KEYS | EXPIRY
KEYS_AND_NO_DUMPS = words(one("DEL", "EXISTS", "TYPE"), key) | words(one("RENAME", "COPY"), key, key)
PARTS = {
    "strings": requests(STRINGS | STRINGS | KEYS | EXPIRY | ENCODING, other=False),
    "hashes": requests(HASHES | HASHES | HASHES | KEYS_AND_NO_DUMPS | EXPIRY, other=False),
    "zsets": requests(ZSETS | ZSETS | ZSETS | words(one("DEL", "EXISTS"), many(key)) | ENCODING, other=False),
    "bits": requests(BITS | BITS | STRINGS, other=False),
    "sets": requests(SETS | SETS | SETS | SET_KEYS, other=False),
    "hyperloglogs": requests(HYPERLOGLOGS | HYPERLOGLOGS | HYPERLOGLOGS | SET_KEYS, other=False),
    "streams": requests(STREAMS | STREAMS | STREAMS | GROUPS | GROUPS | RENAMES, other=False),
    "keys": requests(KEYS | EXPIRY | STRINGS | WHOLE | ENCODING, other=False),
    "expiry": requests(EXPIRY | EXPIRY | STRINGS | KEYS, other=False),
    "lists": requests(LISTS | LISTS | LISTS | KEYS_OF_ANY_TYPE | EXPIRY, other=False),
    "sort": requests(SORTS | SORTS | SORTS | KEYS_OF_ANY_TYPE, other=False),
    "transactions": requests(TRANSACTIONS | CONNECTION | ANYTHING | ANYTHING | ANYTHING, other=True).filter(
        _no_dump
    ),
}
"""What sequences are made of, by the family that they are about."""


@st.composite
def transactions(draw: st.DrawFn) -> list[Request]:
    """A whole transaction, with what two clients do before and meanwhile."""
    anything = requests(ANYTHING, other=True)
    watched = st.lists(requests(words("WATCH", many(key)), other=False), max_size=1)
    inside = requests(ANYTHING | ANYTHING | ANYTHING | ANYTHING | CONNECTION, other=True).filter(_no_dump)
    return [
        *draw(watched),
        *draw(st.lists(anything, max_size=2)),
        ["MULTI"],
        *draw(st.lists(inside, max_size=6)),
        ["EXEC"] if draw(st.integers(0, 9)) else ["DISCARD"],
    ]


LOOK: list[Request] = [
    ["DISCARD"],
    *([*question, name] for name in KEYS_USED for question in (["GET"], ["PEXPIRETIME"])),
    ["DBSIZE"],
]
"""The end of every sequence: what is there must be the same too, not only what was answered on the way."""
LOOK_AT_ENCODINGS: list[Request] = [["OBJECT", "ENCODING", name] for name in KEYS_USED]


def sequences(family: str) -> st.SearchStrategy[list[Request]]:
    """Some dozen requests; those of transactions by two clients."""
    part = st.lists(PARTS[family], min_size=1, max_size=10)
    if family == "transactions":
        part = transactions() | transactions() | part
    parts = st.lists(part, min_size=1, max_size=8)
    look = LOOK if family in ("bits", "sort", "transactions") else [*LOOK, *LOOK_AT_ENCODINGS]
    return parts.map(lambda parts: [step for part in parts for step in part] + look)

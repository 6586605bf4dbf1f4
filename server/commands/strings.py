"""String commands: values set and read whole or in part, and counters.

Meaning is in types/strings.py, options of SET and its kin in string_options.py. SET with three arguments and GET are
what most servers do all day: they go straight to the view.
"""

from resp.values import OK
from server.commands.arguments import INT64_MIN, bounded_integer, integer
from server.commands.string_options import (
    GETEX_OPTIONS,
    MSETEX_OPTIONS,
    SET_OPTIONS,
    Options,
    expire_ms,
    parse_options,
)
from server.commands.table import (
    DENYOOM,
    FAST,
    READONLY,
    SPREAD_KEYS,
    WRITE,
    Args,
    Join,
    Keys,
    Reply,
    command,
)
from server.errors import SYNTAX, WRONG_TYPE, CommandError, wrong_arity
from server.keyspace import events
from server.keyspace.breath import breathe
from server.keyspace.layout import STRING, Head
from server.keyspace.view import View
from server.types import lcs as lcs_type
from server.types import strings

READ = Keys(1, 1, access="RO access")
UPDATE = Keys(1, 1, access="RW access update")
OVERWRITE = Keys(1, 1, access="OW update")
INSERT = Keys(1, 1, access="RW insert")

_SUBSTRING_COST = (
    "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned "
    "length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for "
    "small strings."
)


# -- whole values ---------------------------------------------------------------------------------------------------


@command("get", arity=2, flags=READONLY | FAST, keys=READ, since="1.0.0", group="string")
def get(view: View, args: Args) -> Reply:
    """Returns the string value of a key."""
    return view.payload(args[1], STRING)


@command(
    "set",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, access="RW access update variable_flags"),
    since="1.0.0",
    group="string",
)
def set_(view: View, args: Args) -> Reply:
    """Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."""
    if len(args) == 3:
        view.put(args[1], STRING, args[2])
        if view.notify:
            view.event(events.STRING, b"set", args[1])
        return OK
    options = parse_options(args, 3, SET_OPTIONS)
    return _set(view, args[1], args[2], options, options.expire_ms(view.now_ms, b"set"))


def _set(view: View, key: bytes, value: bytes, options: Options, expire: int) -> Reply:
    """SET with its options; `expire` is Unix time in milliseconds, 0 for none."""
    head = view.head(key)
    if head is not None and head.type != STRING and (options.get or options.condition == b"IFEQ"):
        raise CommandError(WRONG_TYPE)
    previous = head.payload if options.get and head is not None else None
    if not _holds(options, head):
        return previous
    _write(view, key, value, head, options, expire)
    return previous if options.get else OK


def _holds(options: Options, head: Head | None) -> bool:
    """Whether the condition of `options` is true of a key with that head."""
    if options.condition == b"NX":
        return head is None
    if options.condition == b"XX":
        return head is not None
    return not options.condition or (head is not None and head.payload == options.comparison)


def _write(view: View, key: bytes, value: bytes, head: Head | None, options: Options, expire: int) -> None:
    """Set `key`, whose head was `head`. A time that has passed leaves no key."""
    if options.lifetime == b"KEEPTTL" and head is not None:
        expire = head.expire_ms
    elif 0 < expire <= view.now_ms:
        if view.delete(key):
            view.event(events.EXPIRED, b"expired", key)
        return
    view.put(key, STRING, value, expire)
    _was_set(view, key, bool(expire) and options.lifetime != b"KEEPTTL")


def _was_set(view: View, key: bytes, expires: bool = False) -> None:
    """Tell of a whole new value."""
    view.event(events.STRING, b"set", key)
    if expires:
        view.event(events.GENERIC, b"expire", key)


@command("setnx", arity=3, flags=WRITE | DENYOOM | FAST, keys=Keys(1, 1, access="OW insert"), group="string")
def setnx(view: View, args: Args) -> Reply:
    """Sets the string value of a key only when the key doesn't exist."""
    if view.exists(args[1]):
        return 0
    view.put(args[1], STRING, args[2])
    _was_set(view, args[1])
    return 1


@command("setex", arity=4, flags=WRITE | DENYOOM, keys=OVERWRITE, since="2.0.0", group="string")
def setex(view: View, args: Args) -> Reply:
    """Sets the string value and expiration time of a key. Creates the key if it doesn't exist."""
    view.put(args[1], STRING, args[3], expire_ms(b"EX", args[2], view.now_ms, b"setex"))
    _was_set(view, args[1], expires=True)
    return OK


@command("psetex", arity=4, flags=WRITE | DENYOOM, keys=OVERWRITE, since="2.6.0", group="string")
def psetex(view: View, args: Args) -> Reply:
    """Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist."""
    view.put(args[1], STRING, args[3], expire_ms(b"PX", args[2], view.now_ms, b"psetex"))
    _was_set(view, args[1], expires=True)
    return OK


@command("getset", arity=3, flags=WRITE | DENYOOM | FAST, keys=UPDATE, group="string")
def getset(view: View, args: Args) -> Reply:
    """Returns the previous string value of a key after setting it to a new value."""
    previous = view.payload(args[1], STRING)
    view.put(args[1], STRING, args[2])
    _was_set(view, args[1])
    return previous


@command(
    "getdel",
    arity=2,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW access delete"),
    since="6.2.0",
    group="string",
)
def getdel(view: View, args: Args) -> Reply:
    """Returns the string value of a key after deleting the key."""
    value = view.payload(args[1], STRING)
    if value is not None:
        view.delete(args[1])
        view.event(events.GENERIC, b"del", args[1])
    return value


@command("getex", arity=-2, flags=WRITE | FAST, keys=UPDATE, since="6.2.0", group="string")
def getex(view: View, args: Args) -> Reply:
    """Returns the string value of a key after setting its expiration time."""
    options = parse_options(args, 2, GETEX_OPTIONS)
    expire = options.expire_ms(view.now_ms, b"getex")
    key = args[1]
    head = strings.head(view, key)
    if head is None:
        return None
    if 0 < expire <= view.now_ms:
        view.delete(key)
        view.event(events.EXPIRED, b"expired", key)
    elif expire or (options.lifetime == b"PERSIST" and head.expire_ms):
        view.put_head(key, head._replace(expire_ms=expire))
        view.event(events.GENERIC, b"expire" if expire else b"persist", key)
    return head.payload


@command(
    "delifeq",
    arity=3,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RM delete"),
    since="9.0.0",
    group="string",
)
def delifeq(view: View, args: Args) -> Reply:
    """Delete key if value matches string."""
    value = view.payload(args[1], STRING)
    if value is None or value != args[2]:
        return 0
    view.delete(args[1])
    view.event(events.GENERIC, b"del", args[1])
    return 1


# -- many keys ------------------------------------------------------------------------------------------------------


@command(
    "mget",
    arity=-2,
    flags=READONLY | FAST,
    keys=Keys(1, -1, access="RO access"),
    where=SPREAD_KEYS,
    join=Join.ORDER,
    group="string",
    complexity="O(N) where N is the number of keys to retrieve.",
)
def mget(view: View, args: Args) -> Reply:
    """Atomically returns the string values of one or more keys."""
    return [strings.value_or_none(view, key) for key in args[1:]]


@command(
    "mset",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=Keys(1, -1, 2, access="OW update"),
    since="1.0.1",
    group="string",
    complexity="O(N) where N is the number of keys to set.",
)
def mset(view: View, args: Args) -> Reply:
    """Atomically creates or modifies the string values of one or more keys."""
    if len(args) % 2 == 0:
        raise wrong_arity(b"mset")
    _put_all(view, args)
    return OK


def _put_all(view: View, args: Args) -> None:
    """The keys and values that follow the name."""
    keys, values = args[1::2], args[2::2]
    if not view.notify:
        view.put_strings(keys, values)
        return
    for key, value in zip(keys, values, strict=True):
        breathe()
        view.put(key, STRING, value)
        _was_set(view, key)


@command(
    "msetnx",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=Keys(1, -1, 2, access="OW insert"),
    since="1.0.1",
    group="string",
    complexity="O(N) where N is the number of keys to set.",
)
def msetnx(view: View, args: Args) -> Reply:
    """Atomically modifies the string values of one or more keys only when all keys don't exist."""
    if len(args) % 2 == 0:
        raise wrong_arity(b"msetnx")
    if any(view.exists(args[at]) for at in range(1, len(args), 2)):
        return 0
    _put_all(view, args)
    return 1


def _msetex_keys(args: Args) -> range:
    """The indexes of MSETEX's keys, which numkeys and key-value pairs tell; raises what the command answers."""
    count = bounded_integer(args[1], 1, 2**31 - 1, b"ERR invalid numkeys value or out of range")
    if 2 + 2 * count > len(args):
        raise CommandError(SYNTAX)
    return range(2, 2 + 2 * count, 2)


@command(
    "msetex",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=Keys(0, 0, 0, lambda args: list(_msetex_keys(args)), access="OW update"),
    since="9.1.0",
    group="string",
    complexity="O(N) where N is the number of keys to set.",
)
def msetex(view: View, args: Args) -> Reply:
    """Atomically creates or modifies the string values of one or more keys, and optionally set their expiration."""
    places = _msetex_keys(args)
    options = parse_options(args, places.stop, MSETEX_OPTIONS)
    expire = options.expire_ms(view.now_ms, b"msetex")
    if options.condition and any(view.exists(args[at]) != (options.condition == b"XX") for at in places):
        return 0
    for at in places:
        breathe()
        _write(view, args[at], args[at + 1], view.head(args[at]), options, expire)
    return 1


# -- parts of values ------------------------------------------------------------------------------------------------


@command(
    "append",
    arity=3,
    flags=WRITE | DENYOOM | FAST,
    keys=INSERT,
    since="2.0.0",
    group="string",
    complexity="O(1). The amortized time complexity is O(1) assuming the appended value is small and the already "
    "present value is of any size, since the dynamic string library used by the server will double the free space "
    "available on every reallocation.",
)
def append(view: View, args: Args) -> Reply:
    """Appends a string to the value of a key. Creates the key if it doesn't exist."""
    return strings.append(view, args[1], args[2])


@command(
    "strlen", arity=2, flags=READONLY | FAST, keys=Keys(1, 1, access="RO"), since="2.2.0", group="string"
)
def strlen(view: View, args: Args) -> Reply:
    """Returns the length of a string value."""
    return len(view.payload(args[1], STRING) or b"")


@command(
    "getrange", arity=4, flags=READONLY, keys=READ, since="2.4.0", group="string", complexity=_SUBSTRING_COST
)
def getrange(view: View, args: Args) -> Reply:
    """Returns a substring of the string stored at a key."""
    start, end = integer(args[2]), integer(args[3])
    value = view.payload(args[1], STRING) or b""
    first, stop = strings.span(len(value), start, end)
    return value[first:stop]


@command(
    "substr", arity=4, flags=READONLY, keys=READ, since="1.0.0", group="string", complexity=_SUBSTRING_COST
)
def substr(view: View, args: Args) -> Reply:
    """Returns a substring from a string value."""
    return getrange(view, args)


@command(
    "setrange",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, access="RW update"),
    since="2.2.0",
    group="string",
    complexity="O(1), not counting the time taken to copy the new string in place. Usually, this string is very "
    "small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value "
    "argument.",
)
def setrange(view: View, args: Args) -> Reply:
    """Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist."""
    offset = integer(args[2])
    if offset < 0:
        raise CommandError(b"ERR offset is out of range")
    return strings.set_range(view, args[1], offset, args[3])


@command(
    "lcs",
    arity=-3,
    flags=READONLY,
    keys=Keys(1, 2, access="RO access"),
    since="7.0.0",
    group="string",
    complexity="O(N*M) where N and M are the lengths of s1 and s2, respectively",
)
def lcs(view: View, args: Args) -> Reply:
    """Finds the longest common substring."""
    heads = view.head(args[1]), view.head(args[2])
    if any(head is not None and head.type != STRING for head in heads):
        raise CommandError(b"ERR The specified keys must contain string values")
    words, least = _lcs_options(args)
    if b"LEN" in words and b"IDX" in words:
        raise CommandError(b"ERR If you want both the length and indexes, please just use IDX.")
    a, b = [b"" if head is None else head.payload for head in heads]
    # What the table of Redis would take, four bytes a cell; the same pairs of strings are refused.
    if (len(a) + 1) * (len(b) + 1) * 4 > strings.bytes_max(view):
        raise CommandError(b"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    if b"LEN" in words:
        return lcs_type.length(a, b)
    found, matches = lcs_type.subsequence(a, b)
    if b"IDX" not in words:
        return found
    runs = []
    for match in matches:
        length = match.a_last - match.a_first + 1
        if length >= least:
            run: list[Reply] = [[match.a_first, match.a_last], [match.b_first, match.b_last]]
            runs.append([*run, length] if b"WITHMATCHLEN" in words else run)
    return {b"matches": runs, b"len": len(found)}


def _lcs_options(args: Args) -> tuple[set[bytes], int]:
    """The words given, and MINMATCHLEN (0 when not given)."""
    words: set[bytes] = set()
    least = 0
    at = 3
    while at < len(args):
        word = args[at].upper()
        if word in (b"IDX", b"LEN", b"WITHMATCHLEN"):
            words.add(word)
        elif word == b"MINMATCHLEN" and at + 1 < len(args):
            at += 1
            least = integer(args[at])
        else:
            raise CommandError(SYNTAX)
        at += 1
    return words, least


# -- counters -------------------------------------------------------------------------------------------------------


@command("incr", arity=2, flags=WRITE | DENYOOM | FAST, keys=UPDATE, group="string")
def incr(view: View, args: Args) -> Reply:
    """Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."""
    return strings.add_integer(view, args[1], 1)


@command("decr", arity=2, flags=WRITE | DENYOOM | FAST, keys=UPDATE, group="string")
def decr(view: View, args: Args) -> Reply:
    """Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."""
    return strings.add_integer(view, args[1], -1)


@command("incrby", arity=3, flags=WRITE | DENYOOM | FAST, keys=UPDATE, group="string")
def incrby(view: View, args: Args) -> Reply:
    """Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    return strings.add_integer(view, args[1], integer(args[2]))


@command("decrby", arity=3, flags=WRITE | DENYOOM | FAST, keys=UPDATE, group="string")
def decrby(view: View, args: Args) -> Reply:
    """Decrements the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    decrement = integer(args[2])
    if decrement == INT64_MIN:
        raise CommandError(b"ERR decrement would overflow")
    return strings.add_integer(view, args[1], -decrement)


@command("incrbyfloat", arity=3, flags=WRITE | DENYOOM | FAST, keys=UPDATE, since="2.6.0", group="string")
def incrbyfloat(view: View, args: Args) -> Reply:
    """Increments the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    return strings.add_float(view, args[1], args[2])

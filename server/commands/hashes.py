"""Hash commands, apart from those on when fields end, which stand in hash_expiry.py. Meaning is in types/hashes.py."""

from itertools import chain

from resp.values import OK
from server.commands.arguments import INT64_MAX, integer
from server.commands.scan import scan_cursor
from server.commands.table import DENYOOM, FAST, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import OUT_OF_RANGE, SYNTAX, CommandError, wrong_arity
from server.keyspace.breath import paced
from server.keyspace.view import View
from server.types import hashes
from server.types.glob import EVERY_KEY, compile_glob

READ = Keys(1, 1, access="RO access")
LOOK = Keys(1, 1, access="RO")
UPDATE = Keys(1, 1, access="RW update")
COUNT = Keys(1, 1, access="RW access update")

_PAGE_FIELDS_DEFAULT = 10
_PAGE_FIELDS_MAX = 5000
"""So that no loop is held for long by a COUNT of a million."""
_RANDOM_FIELDS_MAX = 10_000_000
"""What a negative count of HRANDFIELD may ask for: the reply is made in memory."""
_RANDOM_COUNT_RANGE = (
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)

NUMBER_OF_FIELDS = b"ERR numfields should be greater than 0 and match the provided number of fields"


# -- one field ------------------------------------------------------------------------------------------------------


@command("hget", arity=3, flags=READONLY | FAST, keys=READ, since="2.0.0", group="hash")
def hget(view: View, args: Args) -> Reply:
    """Returns the value of a field in a hash."""
    return hashes.value(view, args[1], args[2])


@command("hexists", arity=3, flags=READONLY | FAST, keys=LOOK, since="2.0.0", group="hash")
def hexists(view: View, args: Args) -> Reply:
    """Determines whether a field exists in a hash."""
    return int(hashes.value(view, args[1], args[2]) is not None)


@command("hstrlen", arity=3, flags=READONLY | FAST, keys=LOOK, since="3.2.0", group="hash")
def hstrlen(view: View, args: Args) -> Reply:
    """Returns the length of the value of a field."""
    return len(hashes.value(view, args[1], args[2]) or b"")


@command(
    "hsetnx",
    arity=4,
    flags=WRITE | DENYOOM | FAST,
    keys=Keys(1, 1, access="RW insert"),
    since="2.0.0",
    group="hash",
)
def hsetnx(view: View, args: Args) -> Reply:
    """Sets the value of a field in a hash only when the field doesn't exist."""
    if hashes.value(view, args[1], args[2]) is not None:
        return 0
    return hashes.set_all(view, args[1], [(args[2], args[3])])


@command("hincrby", arity=4, flags=WRITE | DENYOOM | FAST, keys=COUNT, since="2.0.0", group="hash")
def hincrby(view: View, args: Args) -> Reply:
    """Increments the integer value of a field in a hash by a number. Uses 0 if the field doesn't exist."""
    return hashes.add_integer(view, args[1], args[2], integer(args[3]))


@command("hincrbyfloat", arity=4, flags=WRITE | DENYOOM | FAST, keys=COUNT, since="2.6.0", group="hash")
def hincrbyfloat(view: View, args: Args) -> Reply:
    """Increments the floating point value of a field by a number. Uses 0 if the field doesn't exist."""
    return hashes.add_float(view, args[1], args[2], args[3])


# -- several fields -------------------------------------------------------------------------------------------------


def _set(view: View, args: Args, name: bytes) -> int:
    if len(args) % 2:
        raise wrong_arity(name)
    return hashes.set_all(view, args[1], list(zip(args[2::2], args[3::2], strict=True)))


@command(
    "hset",
    arity=-4,
    flags=WRITE | DENYOOM | FAST,
    keys=UPDATE,
    since="2.0.0",
    group="hash",
    complexity="O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called "
    "with multiple field/value pairs.",
)
def hset(view: View, args: Args) -> Reply:
    """Creates or modifies the value of a field in a hash."""
    return _set(view, args, b"hset")


@command(
    "hmset",
    arity=-4,
    flags=WRITE | DENYOOM | FAST,
    keys=UPDATE,
    since="2.0.0",
    group="hash",
    complexity="O(N) where N is the number of fields being set.",
)
def hmset(view: View, args: Args) -> Reply:
    """Sets the values of multiple fields."""
    _set(view, args, b"hmset")
    return OK


@command(
    "hmget",
    arity=-3,
    flags=READONLY | FAST,
    keys=READ,
    since="2.0.0",
    group="hash",
    complexity="O(N) where N is the number of fields being requested.",
)
def hmget(view: View, args: Args) -> Reply:
    """Returns the values of all fields in a hash."""
    found = hashes.find(view, args[1])
    return [None if found is None else found.get(field) for field in paced(iter(args[2:]))]


@command(
    "hdel",
    arity=-3,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW delete"),
    since="2.0.0",
    group="hash",
    complexity="O(N) where N is the number of fields to be removed.",
)
def hdel(view: View, args: Args) -> Reply:
    """Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain."""
    return sum(value is not None for value in hashes.delete_all(view, args[1], args[2:]))


@command(
    "hgetdel",
    arity=-5,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW access delete"),
    since="9.1.0",
    group="hash",
    complexity="O(N) where N is the number of fields to be retrieved and deleted.",
)
def hgetdel(view: View, args: Args) -> Reply:
    """Returns the values of one or more fields and deletes them from a hash."""
    return hashes.delete_all(view, args[1], listed_fields(args, 2))


def listed_fields(args: Args, at: int, error: bytes = NUMBER_OF_FIELDS) -> Args:
    """What follows `FIELDS number` at index `at`: so many fields to the end. Raises CommandError: SYNTAX when another
    word stands there, `error` for a number that is not theirs."""
    if args[at].upper() != b"FIELDS":
        raise CommandError(SYNTAX)
    number = integer(args[at + 1])
    if number < 1 or number != len(args) - at - 2:
        raise CommandError(error)
    return args[at + 2 :]


# -- the whole hash -------------------------------------------------------------------------------------------------


@command("hlen", arity=2, flags=READONLY | FAST, keys=LOOK, since="2.0.0", group="hash")
def hlen(view: View, args: Args) -> Reply:
    """Returns the number of fields in a hash."""
    found = hashes.find(view, args[1])
    return 0 if found is None else found.count()


_COMPLEXITY_OF_ALL = "O(N) where N is the size of the hash."


def _everything(view: View, key: bytes) -> dict[bytes, bytes]:
    found = hashes.find(view, key)
    return {} if found is None else found.everything()


@command(
    "hgetall",
    arity=2,
    flags=READONLY,
    keys=READ,
    since="2.0.0",
    group="hash",
    complexity=_COMPLEXITY_OF_ALL,
    kept=True,
)
def hgetall(view: View, args: Args) -> Reply:
    """Returns all fields and values in a hash."""
    return _everything(view, args[1])


@command(
    "hkeys",
    arity=2,
    flags=READONLY,
    keys=READ,
    since="2.0.0",
    group="hash",
    complexity=_COMPLEXITY_OF_ALL,
    kept=True,
)
def hkeys(view: View, args: Args) -> Reply:
    """Returns all fields in a hash."""
    return list(_everything(view, args[1]))


@command(
    "hvals",
    arity=2,
    flags=READONLY,
    keys=READ,
    since="2.0.0",
    group="hash",
    complexity=_COMPLEXITY_OF_ALL,
    kept=True,
)
def hvals(view: View, args: Args) -> Reply:
    """Returns all values in a hash."""
    return list(_everything(view, args[1]).values())


# -- some fields ----------------------------------------------------------------------------------------------------


@command(
    "hscan",
    arity=-3,
    flags=READONLY,
    keys=READ,
    since="2.8.0",
    group="hash",
    complexity="O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to "
    "return back to 0. N is the number of elements inside the collection.",
)
def hscan(view: View, args: Args) -> Reply:
    """Iterates over fields and values of a hash."""
    cursor = scan_cursor(args[2])
    found = hashes.find(view, args[1])
    if found is None:
        return [b"0", []]
    count, pattern, with_values = _scan_options(args[3:])
    matches = None if pattern == EVERY_KEY else compile_glob(pattern)
    after, page = found.page(cursor, min(count, _PAGE_FIELDS_MAX))
    chosen = page if matches is None else [item for item in page if matches(item[0])]
    return [
        b"%d" % after,
        list(chain.from_iterable(chosen)) if with_values else [field for field, _ in chosen],
    ]


def _scan_options(options: Args) -> tuple[int, bytes, bool]:
    """Count, pattern and whether values are asked for. Raises CommandError."""
    count, pattern, with_values = _PAGE_FIELDS_DEFAULT, EVERY_KEY, True
    words = iter(options)
    for word in words:
        name = word.lower()
        if name == b"novalues":
            with_values = False
            continue
        if name == b"noscores":
            raise CommandError(b"ERR NOSCORES option can only be used in ZSCAN")
        value = next(words, None)
        if value is None or name not in (b"count", b"match"):
            raise CommandError(SYNTAX)
        if name == b"match":
            pattern = value
        else:
            count = integer(value)
            if count < 1:
                raise CommandError(SYNTAX)
    return count, pattern, with_values


@command(
    "hrandfield",
    arity=-2,
    flags=READONLY,
    keys=READ,
    since="6.2.0",
    group="hash",
    complexity="O(N) where N is the number of fields returned",
)
def hrandfield(view: View, args: Args) -> Reply:
    """Returns one or more random fields from a hash."""
    if len(args) == 2:
        found = hashes.find(view, args[1])
        return None if found is None else found.random_field()[0]
    count = integer(args[2])
    if count < -INT64_MAX:
        raise CommandError(_RANDOM_COUNT_RANGE)
    if len(args) > 4 or (len(args) == 4 and args[3].upper() != b"WITHVALUES"):
        raise CommandError(SYNTAX)
    with_values = len(args) == 4
    if with_values and abs(count) > INT64_MAX // 2:
        raise CommandError(OUT_OF_RANGE)
    if count < -_RANDOM_FIELDS_MAX and hashes.find(view, args[1]) is not None:
        raise CommandError(OUT_OF_RANGE)
    chosen = hashes.random_fields(view, args[1], count)
    if not with_values:
        return [field for field, _ in chosen]
    return chosen if view.protocol == 3 else list(chain.from_iterable(chosen))

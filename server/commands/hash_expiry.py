"""Commands on when the fields of a hash end: the HEXPIRE and HTTL families, HPERSIST, HGETEX, HSETEX.

A field for which a time is set that has come is deleted at once. The options are those of the commands on keys; here
`FIELDS number field …` ends the request, and what stands before it is read first.
"""

from enum import IntEnum

from server.commands.arguments import INT64_MAX, integer
from server.commands.expiry import parse_condition, seconds
from server.commands.hashes import NUMBER_OF_FIELDS, READ, UPDATE, listed_fields
from server.commands.string_options import Options, parse_options
from server.commands.table import DENYOOM, FAST, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import INVALID_EXPIRE, SYNTAX, CommandError
from server.keyspace import events
from server.keyspace.view import View
from server.types import hashes
from server.types.expiry import Condition, holds

_COMPLEXITY = "O(N) where N is the number of specified fields."
_TIMES = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}
"""What each counts in milliseconds, and whether from now."""
_GETEX_OPTIONS = frozenset((*_TIMES, b"PERSIST"))
_SETEX_OPTIONS = frozenset((*_TIMES, b"KEEPTTL", b"NX", b"XX"))
_FIELD_CONDITIONS = (b"FNX", b"FXX")


class Outcome(IntEnum):
    """What these commands answer for each field."""

    NO_FIELD = -2
    NO_EXPIRY = -1
    REFUSED = 0
    """The condition did not hold."""
    DONE = 1
    DELETED = 2
    """The time had come already."""


def _fields_at(args: Args, first: int) -> int:
    """The index of the word FIELDS, not before `first`. Raises CommandError when nothing follows it."""
    for at in range(first, len(args) - 1):
        if args[at].upper() == b"FIELDS":
            return at
    raise CommandError(NUMBER_OF_FIELDS)


def _time_ms(text: bytes, unit_ms: int, base_ms: int, name: bytes) -> int:
    """The Unix time in milliseconds that `text` means; raises CommandError when it is no integer, negative, or beyond
    64 bits. `name`: the command's, for the error text."""
    time = integer(text)
    time_ms = time * unit_ms + base_ms
    if time < 0 or time_ms > INT64_MAX:
        raise CommandError(INVALID_EXPIRE % name)
    return time_ms


# -- setting --------------------------------------------------------------------------------------------------------


def _expire(view: View, args: Args, base_ms: int, unit_ms: int, name: bytes) -> Reply:
    """`base_ms`: what the argument counts from; `unit_ms`: what it counts; `name`: for the error text."""
    at = _fields_at(args, 3)
    condition = parse_condition(args[3:at])
    names = listed_fields(args, at)
    expire_ms = _time_ms(args[2], unit_ms, base_ms, name)
    found = hashes.find(view, args[1])
    if found is None:
        return [int(Outcome.NO_FIELD)] * len(names)
    outcomes = [_expire_field(view, found, field, expire_ms, condition) for field in names]
    if Outcome.DELETED in outcomes:
        hashes.save_deleted(view, args[1], found, b"hexpired")
    elif Outcome.DONE in outcomes:
        found.save()
        view.event(events.HASH, b"hexpire", args[1])
    return [int(outcome) for outcome in outcomes]


def _expire_field(
    view: View, found: hashes.Hash, field: bytes, expire_ms: int, condition: Condition
) -> Outcome:
    old = found.find(field)
    if old is None:
        return Outcome.NO_FIELD
    if not holds(condition, old.expire_ms, expire_ms):
        return Outcome.REFUSED
    if expire_ms <= view.now_ms:
        found.delete(field)
        return Outcome.DELETED
    found.set(field, old.value, expire_ms)
    return Outcome.DONE


@command(
    "hexpire",
    arity=-6,
    flags=WRITE | FAST,
    keys=UPDATE,
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hexpire(view: View, args: Args) -> Reply:
    """Sets expiry time on hash fields."""
    return _expire(view, args, view.now_ms, 1000, b"hexpire")


@command(
    "hpexpire",
    arity=-6,
    flags=WRITE | FAST,
    keys=UPDATE,
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hpexpire(view: View, args: Args) -> Reply:
    """Sets expiry time on hash object."""
    return _expire(view, args, view.now_ms, 1, b"hpexpire")


@command(
    "hexpireat",
    arity=-6,
    flags=WRITE | FAST,
    keys=UPDATE,
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hexpireat(view: View, args: Args) -> Reply:
    """Sets expiry time on hash fields."""
    return _expire(view, args, 0, 1000, b"hexpireat")


@command(
    "hpexpireat",
    arity=-6,
    flags=WRITE | FAST,
    keys=UPDATE,
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hpexpireat(view: View, args: Args) -> Reply:
    """Sets expiration time on hash field."""
    return _expire(view, args, 0, 1, b"hpexpireat")


@command(
    "hpersist",
    arity=-5,
    flags=WRITE | FAST,
    keys=UPDATE,
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hpersist(view: View, args: Args) -> Reply:
    """Remove the existing expiration on a hash key's field(s)."""
    names = listed_fields(args, 2)
    found = hashes.find(view, args[1])
    if found is None:
        return [int(Outcome.NO_FIELD)] * len(names)
    outcomes = [_persist_field(found, field) for field in names]
    if Outcome.DONE in outcomes:
        found.save()
        view.event(events.HASH, b"hpersist", args[1])
    return [int(outcome) for outcome in outcomes]


def _persist_field(found: hashes.Hash, field: bytes) -> Outcome:
    old = found.find(field)
    if old is None:
        return Outcome.NO_FIELD
    if not old.expire_ms:
        return Outcome.NO_EXPIRY
    found.set(field, old.value)
    return Outcome.DONE


# -- asking ---------------------------------------------------------------------------------------------------------


def _ends(view: View, args: Args) -> list[int]:
    """When each field ends, or what there is to say instead."""
    names = listed_fields(args, 2, SYNTAX)
    found = hashes.find(view, args[1])
    ends = []
    for name in names:
        field = None if found is None else found.find(name)
        ends.append(int(Outcome.NO_FIELD) if field is None else field.expire_ms or int(Outcome.NO_EXPIRY))
    return ends


@command(
    "httl", arity=-5, flags=READONLY | FAST, keys=READ, since="9.0.0", group="hash", complexity=_COMPLEXITY
)
def httl(view: View, args: Args) -> Reply:
    """Returns the remaining time to live (in seconds) of a hash key's field(s) that have an associated expiration."""
    return [end if end < 0 else seconds(end - view.now_ms) for end in _ends(view, args)]


@command(
    "hpttl", arity=-5, flags=READONLY | FAST, keys=READ, since="9.0.0", group="hash", complexity=_COMPLEXITY
)
def hpttl(view: View, args: Args) -> Reply:
    """Returns the remaining time to live in milliseconds of a hash key's field(s) that have an expiration."""
    return [end if end < 0 else end - view.now_ms for end in _ends(view, args)]


@command(
    "hexpiretime",
    arity=-5,
    flags=READONLY | FAST,
    keys=READ,
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hexpiretime(view: View, args: Args) -> Reply:
    """Returns Unix timestamps in seconds since the epoch at which the given key's field(s) will expire."""
    return [seconds(end) for end in _ends(view, args)]


@command(
    "hpexpiretime",
    arity=-5,
    flags=READONLY | FAST,
    keys=READ,
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hpexpiretime(view: View, args: Args) -> Reply:
    """Returns the Unix timestamp in milliseconds since Unix epoch at which the given key's field(s) will expire."""
    return _ends(view, args)


# -- with values ----------------------------------------------------------------------------------------------------


def _option_time_ms(view: View, options: Options, name: bytes) -> int | None:
    """The Unix time that the options set, None when they set none."""
    if options.lifetime not in _TIMES:
        return None
    unit_ms, from_now = _TIMES[options.lifetime]
    return _time_ms(options.time, unit_ms, view.now_ms if from_now else 0, name)


@command(
    "hgetex",
    arity=-5,
    flags=WRITE | FAST,
    keys=Keys(1, 1, access="RW access update"),
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hgetex(view: View, args: Args) -> Reply:
    """Gets the value of one or more fields of a given hash key, and optionally sets their expiration time."""
    at = _fields_at(args, 2)
    options = parse_options(args[:at], 2, _GETEX_OPTIONS)
    names = listed_fields(args, at)
    found = hashes.find(view, args[1])
    expire_ms = _option_time_ms(view, options, b"hgetex")
    if found is None:
        return [None] * len(names)
    values: list[bytes | None] = []
    outcomes: list[Outcome] = []
    for name in names:
        values.append(found.get(name))
        if expire_ms is not None:
            outcomes.append(_expire_field(view, found, name, expire_ms, Condition.ALWAYS))
        elif options.lifetime == b"PERSIST":
            outcomes.append(_persist_field(found, name))
    if Outcome.DELETED in outcomes:
        hashes.save_deleted(view, args[1], found, b"hexpired")
    elif Outcome.DONE in outcomes:
        found.save()
        view.event(events.HASH, b"hexpire" if expire_ms is not None else b"hpersist", args[1])
    return values


@command(
    "hsetex",
    arity=-6,
    flags=WRITE | DENYOOM | FAST,
    keys=Keys(1, 1, access="RW insert"),
    since="9.0.0",
    group="hash",
    complexity=_COMPLEXITY,
)
def hsetex(view: View, args: Args) -> Reply:
    """Sets the value of one or more fields of a given hash key, and optionally sets their expiration time."""
    at = _fields_at(args, 2)
    options, condition = _setex_options(args[2:at])
    number = integer(args[at + 1])
    pairs = args[at + 2 :]
    if number < 1 or 2 * number != len(pairs):
        raise CommandError(NUMBER_OF_FIELDS)
    key = args[1]
    found = hashes.find(view, key)
    if options.condition and (found is not None) != (options.condition == b"XX"):
        return 0
    expire_ms = _option_time_ms(view, options, b"hsetex")
    fields = found or hashes.find_or_create(view, key)
    names, values = pairs[::2], pairs[1::2]
    if condition and any((fields.find(name) is not None) != (condition == b"FXX") for name in names):
        return 0
    over = expire_ms is not None and expire_ms <= view.now_ms
    for name, value in zip(names, values, strict=True):
        if over:
            fields.delete(name)
            continue
        old = fields.find(name) if options.lifetime == b"KEEPTTL" else None
        fields.set(name, value, expire_ms or (0 if old is None else old.expire_ms))
    view.event(events.HASH, b"hset", key)
    if expire_ms is not None:
        view.event(events.HASH, b"hexpire", key)
    if over:
        hashes.save_deleted(view, key, fields, b"hexpired")
    else:
        fields.save()
    return 1


def _setex_options(words: Args) -> tuple[Options, bytes]:
    """The options before FIELDS, and FNX, FXX or nothing. Raises CommandError."""
    condition = b""
    others = []
    at = 0
    while at < len(words):
        word = words[at].upper()
        if word in _FIELD_CONDITIONS:
            if condition not in (b"", word):
                raise CommandError(SYNTAX)
            condition = word
        else:
            others.append(word)
            if word in _TIMES:
                at += 1
                others += words[at : at + 1]
        at += 1
    return parse_options(others, 0, _SETEX_OPTIONS), condition

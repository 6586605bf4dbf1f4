"""Bit commands: a string as a row of bits, or as an array of integers (BITFIELD).

What they mean stands in types/bits.py and types/bitfield.py; here are their arguments and error texts.
"""

from server.commands.arguments import bounded_integer, integer
from server.commands.table import DENYOOM, FAST, READONLY, WRITE, Args, Keys, Reply, command
from server.errors import SYNTAX, CommandError
from server.keyspace.layout import STRING
from server.keyspace.view import View
from server.types import bitfield as fields
from server.types import bits, strings
from server.types.numbers import parse_int64

READ = Keys(1, 1, access="RO access")

_OPERATIONS = {operation.value.encode(): operation for operation in bits.Operation}
_ACTIONS = {action.value.encode(): action for action in fields.Action}
_OVERFLOWS = {overflow.value.encode(): overflow for overflow in fields.Overflow}

_BAD_OFFSET = b"ERR bit offset is not an integer or out of range"
_BAD_BIT = b"ERR bit is not an integer or out of range"
_BAD_TYPE = (
    b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)


def _offset(view: View, text: bytes) -> int:
    return bounded_integer(text, 0, 8 * strings.bytes_max(view) - 1, _BAD_OFFSET)


@command(
    "setbit",
    arity=4,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, access="RW access update"),
    since="2.2.0",
    group="bitmap",
)
def setbit(view: View, args: Args) -> Reply:
    """Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist."""
    offset = _offset(view, args[2])
    return bits.put(view, args[1], offset, bounded_integer(args[3], 0, 1, _BAD_BIT))


@command("getbit", arity=3, flags=READONLY | FAST, keys=READ, since="2.2.0", group="bitmap")
def getbit(view: View, args: Args) -> Reply:
    """Returns a bit value by offset."""
    offset = _offset(view, args[2])
    return bits.get(view.payload(args[1], STRING) or b"", offset)


def _unit_is_bit(word: bytes) -> bool:
    """Whether a range counts bits: BIT or BYTE."""
    word = word.lower()
    if word not in (b"bit", b"byte"):
        raise CommandError(SYNTAX)
    return word == b"bit"


@command("bitcount", arity=-2, flags=READONLY, keys=READ, since="2.6.0", group="bitmap", complexity="O(N)")
def bitcount(view: View, args: Args) -> Reply:
    """Counts the number of set bits (population counting) in a string."""
    count = len(args)
    if count > 5:
        raise CommandError(SYNTAX)
    start = integer(args[2]) if count > 2 else 0
    scale = 1 if count > 4 and _unit_is_bit(args[4]) else 8
    end = integer(args[3]) if count > 3 else None
    value = view.payload(args[1], STRING) or b""
    length = len(value) * 8 // scale
    first, stop = strings.span(length, start, length - 1 if end is None else end)
    return bits.count(value, first * scale, stop * scale)


@command("bitpos", arity=-3, flags=READONLY, keys=READ, since="2.8.7", group="bitmap", complexity="O(N)")
def bitpos(view: View, args: Args) -> Reply:
    """Finds the first set (1) or clear (0) bit in a string."""
    count = len(args)
    bit = integer(args[2])
    if bit not in (0, 1):
        raise CommandError(b"ERR The bit argument must be 1 or 0.")
    if count > 6:
        raise CommandError(SYNTAX)
    start = integer(args[3]) if count > 3 else 0
    scale = 1 if count > 5 and _unit_is_bit(args[5]) else 8
    end = integer(args[4]) if count > 4 else None
    value = view.payload(args[1], STRING)
    if value is None:
        return -1 if bit else 0
    length = len(value) * 8 // scale
    first, stop = strings.clamp(length, start, length - 1 if end is None else end)
    found = bits.find(value, bit, first * scale, stop * scale)
    # Without an end, the string counts as followed by zeros.
    return len(value) * 8 if found < 0 and not bit and end is None and first < stop else found


@command(
    "bitop",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=Keys(2, -1, access="OW update, RO access"),
    since="2.6.0",
    group="bitmap",
    complexity="O(N)",
)
def bitop(view: View, args: Args) -> Reply:
    """Performs bitwise operations on multiple strings, and stores the result."""
    operation = _OPERATIONS.get(args[1].lower())
    if operation is None:
        raise CommandError(SYNTAX)
    if operation is bits.Operation.NOT and len(args) != 4:
        raise CommandError(b"ERR BITOP NOT must be called with a single source key.")
    values = [view.payload(key, STRING) or b"" for key in args[3:]]
    return bits.store(view, args[2], bits.combine(operation, values))


@command(
    "bitfield",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=Keys(1, 1, access="RW access update variable_flags"),
    since="3.2.0",
    group="bitmap",
    complexity="O(1) for each subcommand specified",
)
def bitfield(view: View, args: Args) -> Reply:
    """Performs arbitrary bitfield integer operations on strings."""
    return fields.run(view, args[1], _steps(view, args))


@command(
    "bitfield_ro",
    arity=-2,
    flags=READONLY | FAST,
    keys=READ,
    since="6.0.0",
    group="bitmap",
    complexity="O(1) for each subcommand specified",
)
def bitfield_ro(view: View, args: Args) -> Reply:
    """Performs arbitrary read-only bitfield integer operations on strings."""
    steps = _steps(view, args)
    if any(step.action is not fields.Action.GET for step in steps):
        raise CommandError(b"ERR BITFIELD_RO only supports the GET subcommand")
    return fields.run(view, args[1], steps)


def _steps(view: View, args: Args) -> list[fields.Step]:
    """The operations of BITFIELD; OVERFLOW counts for those behind it. Raises CommandError."""
    steps: list[fields.Step] = []
    overflow = fields.Overflow.WRAP
    at, count = 2, len(args)
    while at < count:
        word = args[at].lower()
        if word == b"overflow" and at + 1 < count:
            chosen = _OVERFLOWS.get(args[at + 1].lower())
            if chosen is None:
                raise CommandError(b"ERR Invalid OVERFLOW type specified")
            overflow = chosen
            at += 2
            continue
        action = _ACTIONS.get(word)
        length = 3 if action is fields.Action.GET else 4
        if action is None or at + length > count:
            raise CommandError(SYNTAX)
        signed, width = _field_type(args[at + 1])
        offset = _field_offset(view, args[at + 2], width)
        operand = integer(args[at + 3]) if length == 4 else 0
        steps.append(fields.Step(action, signed, width, offset, operand, overflow))
        at += length
    return steps


def _field_type(text: bytes) -> tuple[bool, int]:
    """Whether signed, and the width in bits: i1 to i64, u1 to u63."""
    signed = text[:1] == b"i"
    width = parse_int64(text[1:])
    if (not signed and text[:1] != b"u") or width is None or not 1 <= width <= (64 if signed else 63):
        raise CommandError(_BAD_TYPE)
    return signed, width


def _field_offset(view: View, text: bytes, width: int) -> int:
    """The bit that a field begins at; `#n` is the n-th field of this width."""
    if text[:1] != b"#":
        return _offset(view, text)
    offset = integer(text[1:], _BAD_OFFSET) * width
    if not 0 <= offset < 8 * strings.bytes_max(view):
        raise CommandError(_BAD_OFFSET)
    return offset

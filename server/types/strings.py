"""What a string is: bytes under a key, which some commands read as a number or change in place.

The head's payload is the value itself. The head's encoding says how the value came about, which is all that OBJECT
ENCODING needs besides the value:

* PLAIN: set whole; shown as int, embstr or raw by what it looks like.
* RAW: changed in place (APPEND, SETRANGE, the bit commands); shown as raw.
* TEXT: the result of INCRBYFLOAT, which is not shown as int even when it looks like one.

Everything that changes a value but not its key's life goes through `replace`, which keeps the expiry. Sizes are
checked before anything is allocated.
"""

from server.errors import NOT_FLOAT, NOT_INTEGER, OVERFLOW, STRING_TOO_LONG, WRONG_TYPE, CommandError
from server.keyspace import events
from server.keyspace.breath import breathe
from server.keyspace.layout import EXPIRES, HEADER_BYTES, STRING, Head, decode_head
from server.keyspace.view import View
from server.types import longdouble
from server.types.numbers import INT64_MAX, INT64_MIN, parse_int64

PLAIN, RAW, TEXT = range(3)

STRING_BYTES_MAX = 512 * 1024 * 1024
"""Default of Redis's proto-max-bulk-len, which bounds what a command may make of a string."""

_INFINITE = b"ERR increment would produce NaN or Infinity"


def head(view: View, key: bytes) -> Head | None:
    """The head of `key`, None when there is no such key; raises WRONGTYPE when it is no string."""
    found = view.head(key)
    if found is not None and found.type != STRING:
        raise CommandError(WRONG_TYPE)
    return found


def value_or_none(view: View, key: bytes) -> bytes | None:
    """The value of `key`, None when there is no such key or it is no string."""
    breathe()
    record = view.record(key)
    return record[HEADER_BYTES:] if record is not None and record[0] == STRING else None


def replace(view: View, key: bytes, old: Head | None, value: bytes, encoding: int, event: bytes) -> None:
    """Write `value` under `key`, whose head was `old`; its expiry stays. Subscribers are told of `event`."""
    view.put(key, STRING, value, 0 if old is None else old.expire_ms, encoding)
    if view.notify:
        view.event(events.STRING, event, key)


def bytes_max(view: View) -> int:
    """How long a string may become by a command that makes it longer: `proto-max-bulk-len`."""
    return min(view.limits.proto_max_bulk_len, STRING_BYTES_MAX)


def check_length(view: View, size_bytes: int) -> None:
    """Raises CommandError when a string of `size_bytes` is not allowed."""
    if size_bytes > bytes_max(view):
        raise CommandError(STRING_TOO_LONG)


def append(view: View, key: bytes, tail: bytes) -> int:
    """Append `tail` to the value of `key`, made when missing. Returns the new length in bytes."""
    old = head(view, key)
    if old is None:
        view.put(key, STRING, tail)
        view.event(events.STRING, b"append", key)
        return len(tail)
    check_length(view, len(old.payload) + len(tail))
    replace(view, key, old, old.payload + tail, RAW, b"append")
    return len(old.payload) + len(tail)


def set_range(view: View, key: bytes, offset: int, patch: bytes) -> int:
    """Overwrite the value of `key` from `offset` (in bytes, not negative) on, zero bytes filling a gap.

    An empty patch changes nothing. Returns the length in bytes; raises CommandError when it would be too long.
    """
    old = head(view, key)
    value = b"" if old is None else old.payload
    if not patch:
        return len(value)
    check_length(view, offset + len(patch))
    value = b"".join((value[:offset].ljust(offset, b"\0"), patch, value[offset + len(patch) :]))
    replace(view, key, old, value, RAW, b"setrange")
    return len(value)


def span(length: int, start: int, end: int) -> tuple[int, int]:
    """The half-open range of the units from `start` up to and including `end`, in a string of `length` units.

    Negative indexes count from the end. As in GETRANGE and BITCOUNT: one before the beginning is the beginning, even
    as the end, unless both are negative and the wrong way round. (0, 0) when the range is empty.
    """
    if start < 0 and end < 0 and start > end:
        return 0, 0
    return clamp(length, start, end)


def clamp(length: int, start: int, end: int) -> tuple[int, int]:
    """As `span`, but whatever lies before the beginning becomes the beginning, as in BITPOS."""
    first = max(start + length, 0) if start < 0 else start
    last = max(end + length, 0) if end < 0 else end
    stop = min(last + 1, length)
    return (first, stop) if first < stop else (0, 0)


def add_integer(view: View, key: bytes, delta: int) -> int:
    """Add `delta` to the counter at `key`, 0 when missing. Returns its new value.

    Raises CommandError when the value is no 64-bit integer or would not be one afterwards.
    """
    record = view.record(key)  # not `head`: a counter is to be quick
    if record is None:
        number = delta
        expire_ms = 0
    else:
        if record[0] != STRING:
            raise CommandError(WRONG_TYPE)
        expire_ms = decode_head(record).expire_ms if record[1] & EXPIRES else 0
        old = parse_int64(record[HEADER_BYTES:])
        if old is None:
            raise CommandError(NOT_INTEGER)
        number = old + delta
    if not INT64_MIN <= number <= INT64_MAX:
        raise CommandError(OVERFLOW)
    view.put(key, STRING, b"%d" % number, expire_ms, PLAIN)
    if view.notify:
        view.event(events.STRING, b"incrby", key)
    return number


def add_float(view: View, key: bytes, delta: bytes) -> bytes:
    """Add the number that `delta` spells to the one at `key`, 0 when missing. Returns the text of the sum.

    Raises CommandError when either is no number or the sum is infinite.
    """
    old = head(view, key)
    try:
        number = longdouble.ZERO if old is None else longdouble.parse(old.payload)
        increment = longdouble.parse(delta)
    except ValueError:
        raise CommandError(NOT_FLOAT) from None
    total = None if number is None or increment is None else longdouble.add(number, increment)
    if total is None:
        raise CommandError(_INFINITE)
    text = longdouble.render(total)
    replace(view, key, old, text, TEXT, b"incrbyfloat")
    return text

"""Strings as rows of bits: bit 0 is the highest bit of the first byte.

Nothing here loops over bytes: whole strings are turned into integers, whose operations run at C speed, or are
searched by a compiled pattern. Long strings go in pieces, so that the integers stay in the processor's cache and a
512 MB operand does not need a second one of the same size.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from operator import and_, or_, xor

from server.keyspace import events
from server.keyspace.breath import breathe
from server.keyspace.layout import STRING
from server.keyspace.view import View
from server.types import strings

_PIECE_BYTES = 64 * 1024

_RUNS = (re.compile(rb"\xff*"), re.compile(rb"\x00*"))
"""For bit 0 and bit 1: the bytes that can not have it."""

_INVERTED = bytes(255 - byte for byte in range(256))


class Operation(Enum):
    """BITOP."""

    AND = "and"
    OR = "or"
    XOR = "xor"
    NOT = "not"


_OPERATORS: dict[Operation, Callable[[int, int], int]] = {
    Operation.AND: and_,
    Operation.OR: or_,
    Operation.XOR: xor,
}


def get(value: bytes, offset: int) -> int:
    """The bit at `offset`, 0 behind the end."""
    byte = offset >> 3
    return value[byte] >> (7 - (offset & 7)) & 1 if byte < len(value) else 0


def put(view: View, key: bytes, offset: int, bit: int) -> int:
    """Set the bit at `offset` (below 8 * strings.bytes_max) of `key`, made or lengthened by zeros as needed.

    Returns the bit that was there. Writes nothing when nothing changes.
    """
    old = strings.head(view, key)
    value = b"" if old is None else old.payload
    byte = offset >> 3
    shift = 7 - (offset & 7)
    before = get(value, offset)
    if byte >= len(value) or before != bit:
        current = value[byte] if byte < len(value) else 0
        changed = bytes((current & ~(1 << shift) | bit << shift,))
        value = b"".join((value[:byte].ljust(byte, b"\0"), changed, value[byte + 1 :]))
        strings.replace(view, key, old, value, strings.RAW, b"setbit")
    return before


def count(value: bytes, first: int, stop: int) -> int:
    """How many bits are set in [first, stop); 0 <= first <= stop <= 8 * len(value)."""
    if first >= stop:
        return 0
    first_byte, stop_byte = first >> 3, (stop + 7) >> 3
    data = memoryview(value)
    total = 0
    for start in range(first_byte, stop_byte, _PIECE_BYTES):
        breathe()
        piece = data[start : min(start + _PIECE_BYTES, stop_byte)]
        total += int.from_bytes(piece, "little").bit_count()
    outside_left = value[first_byte] >> (8 - (first & 7))
    outside_right = value[stop_byte - 1] & (0xFF >> (((stop - 1) & 7) + 1))
    return total - outside_left.bit_count() - outside_right.bit_count()


def find(value: bytes, bit: int, first: int, stop: int) -> int:
    """The offset of the first `bit` in [first, stop), -1 when there is none; 0 <= first <= stop <= 8 * len(value)."""
    if first >= stop:
        return -1
    byte, stop_byte = first >> 3, (stop + 7) >> 3
    # What does not count in the first byte becomes the other bit, so that the search passes over it.
    outside = 0xFF00 >> (first & 7) & 0xFF
    current = value[byte] & ~outside if bit else value[byte] | outside
    if current == (0 if bit else 0xFF):
        byte = _skip(value, bit, byte + 1, stop_byte)
        if byte == stop_byte:
            return -1
        current = value[byte]
    candidates = current if bit else 0xFF ^ current
    offset = byte * 8 + 8 - candidates.bit_length()
    return offset if offset < stop else -1


def _skip(value: bytes, bit: int, byte: int, stop_byte: int) -> int:
    """The first byte from `byte` on that has such a bit, `stop_byte` when none has."""
    while byte < stop_byte:
        breathe()
        piece_stop = min(byte + _PIECE_BYTES, stop_byte)
        match = _RUNS[bit].match(value, byte, piece_stop)
        byte = match.end() if match is not None else piece_stop
        if byte < piece_stop:
            break
    return byte


def combine(operation: Operation, values: Sequence[bytes]) -> bytes:
    """The result of `operation` over `values` (one for NOT, at least one otherwise), as long as the longest: shorter
    ones count as followed by zeros."""
    if operation is Operation.NOT:
        return b"".join([piece.translate(_INVERTED) for piece in _pieces(values[0])])
    if len(values) == 1:
        return values[0]
    operator = _OPERATORS[operation]
    size = max(map(len, values))
    operands = [memoryview(value) for value in values]
    pieces = []
    for start in range(0, size, _PIECE_BYTES):
        stop = min(start + _PIECE_BYTES, size)
        result = int.from_bytes(operands[0][start:stop], "little")
        for operand in operands[1:]:
            breathe()
            result = operator(result, int.from_bytes(operand[start:stop], "little"))
        pieces.append(result.to_bytes(stop - start, "little"))
    return b"".join(pieces)


def _pieces(value: bytes) -> Iterator[bytes]:
    for start in range(0, len(value), _PIECE_BYTES):
        breathe()
        yield value[start : start + _PIECE_BYTES]


def store(view: View, key: bytes, value: bytes) -> int:
    """Make `value` all of `key`, or delete the key when it is empty. Returns the length in bytes."""
    if value:
        view.put(key, STRING, value, 0, strings.RAW)
        view.event(events.STRING, b"set", key)
    elif view.delete(key):
        view.event(events.GENERIC, b"del", key)
    return len(value)

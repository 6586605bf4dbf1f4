"""Compact forms besides the listpack: the intset of today, and ziplist and zipmap of Redis before 7 and 2.6.

    intset    width:u32le elements:u32le  integer of `width` (2, 4, 8) bytes, rising …
    ziplist   bytes:u32le tail:u32le elements:u16le  element …  FF
                element   bytes of the one before (u8, or FE u32le), encoding, data
    zipmap    fields:u8  [field length, field, value length, gap:u8, value, gap bytes] …  FF
                length    u8 below 254, or FE u32le

All are read; of these only intsets are written.
"""

from itertools import pairwise
from struct import Struct

from server.types.rdb.wire import BadFormat

_INTSET = Struct("<II")
_INTSET_FORMATS = {2: "h", 4: "i", 8: "q"}
_ZIPLIST = Struct("<IIH")
_ZIPLIST_COUNT_UNKNOWN = 0xFFFF
_INTEGER_BYTES = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
_FIRST_SMALL, _LAST_SMALL = 0xF1, 0xFD
_END = 0xFF
_LONG = 0xFE


def encode_intset(numbers: list[int]) -> bytes:
    """The intset of these numbers, all different, 64 bits."""
    numbers = sorted(numbers)
    width = next(
        width
        for width in _INTSET_FORMATS
        if -(1 << 8 * width - 1) <= numbers[0] and numbers[-1] < 1 << 8 * width - 1
    )
    body = Struct(f"<{len(numbers)}{_INTSET_FORMATS[width]}").pack(*numbers)
    return _INTSET.pack(width, len(numbers)) + body


def decode_intset(data: bytes) -> list[bytes]:
    """The integers as text. Raises BadFormat."""
    if len(data) < _INTSET.size:
        raise BadFormat
    width, count = _INTSET.unpack_from(data)
    if width not in _INTSET_FORMATS or not count or len(data) != _INTSET.size + width * count:
        raise BadFormat
    numbers = Struct(f"<{count}{_INTSET_FORMATS[width]}").unpack_from(data, _INTSET.size)
    if any(first >= second for first, second in pairwise(numbers)):
        raise BadFormat
    return [b"%d" % number for number in numbers]


def decode_ziplist(data: bytes) -> list[bytes]:
    """The elements, integers as text. Raises BadFormat."""
    if len(data) <= _ZIPLIST.size:
        raise BadFormat
    size_bytes, tail, count = _ZIPLIST.unpack_from(data)
    end = len(data) - 1
    if size_bytes != len(data) or data[end] != _END:
        raise BadFormat
    elements: list[bytes] = []
    at = last = _ZIPLIST.size
    before_bytes = 0
    try:
        while at < end:
            start = last = at
            before = data[at]
            at += 1
            if before == _LONG:
                before = int.from_bytes(data[at : at + 4], "little")
                at += 4
            if before != before_bytes:
                raise BadFormat
            element, at = _ziplist_element(data, at)
            elements.append(element)
            before_bytes = at - start
    except IndexError:
        raise BadFormat from None
    if at != end or tail != last or count not in (len(elements), _ZIPLIST_COUNT_UNKNOWN):
        raise BadFormat
    return elements


def _ziplist_element(data: bytes, at: int) -> tuple[bytes, int]:
    """The element whose encoding is at `at`, and where the next begins. Raises IndexError or BadFormat."""
    first = data[at]
    at += 1
    if first in _INTEGER_BYTES:
        stop = at + _INTEGER_BYTES[first]
        return b"%d" % int.from_bytes(data[at:stop], "little", signed=True), stop
    if _FIRST_SMALL <= first <= _LAST_SMALL:
        return b"%d" % (first - _FIRST_SMALL), at
    if first < 0x40:
        size = first
    elif first < 0x80:
        size = (first & 0x3F) << 8 | data[at]
        at += 1
    elif first == 0x80:
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
    else:
        raise BadFormat
    return data[at : at + size], at + size


def decode_zipmap(data: bytes) -> list[tuple[bytes, bytes]]:
    """Fields and values. Raises BadFormat."""
    found: list[tuple[bytes, bytes]] = []
    at = 1
    try:
        while data[at] != _END:
            size, at = _zipmap_length(data, at)
            field = data[at : at + size]
            at += size
            size, at = _zipmap_length(data, at)
            gap = data[at]
            at += 1
            found.append((field, data[at : at + size]))
            at += size + gap
    except IndexError:
        raise BadFormat from None
    if at != len(data) - 1 or data[0] not in (len(found), _LONG, _END):
        raise BadFormat
    return found


def _zipmap_length(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first == _LONG:
        return int.from_bytes(data[at + 1 : at + 5], "little"), at + 5
    if first == _END:
        raise BadFormat
    return first, at + 1

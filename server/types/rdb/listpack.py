"""Listpacks, Redis's compact form of many short strings.

    bytes:u32le elements:u16le  element …  FF

`elements` is 65,535 when there are that many or more. An element is its data and behind it the length of that, to be
read backwards. What Redis reads as an integer is one:

    0xxxxxxx                       0 to 127             11110001 i16le      11110010 i24le
    110xxxxx xxxxxxxx              -4096 to 4095        11110011 i32le      11110100 i64le
    10nnnnnn …                     up to 63 bytes       1110nnnn nnnnnnnn … up to 4095 bytes
    11110000 n:u32le …             longer

https://github.com/antirez/listpack/blob/master/listpack.md
"""

from collections.abc import Iterable
from struct import Struct

from server.types.listpack_sizes import BACK_LENGTH_MAX, EMPTY_BYTES, with_length
from server.types.numbers import parse_int64
from server.types.rdb.wire import BadFormat

_HEADER = Struct("<IH")
_END = 0xFF
_COUNT_UNKNOWN = 0xFFFF
_WIDE = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
_STRING_32 = 0xF0


# -- writing ---------------------------------------------------------------------------------------------------------


def encode(elements: Iterable[bytes | int]) -> bytes:
    """The listpack of these elements, integers either as such or as text."""
    parts = [b""]
    for element in elements:
        number = element if isinstance(element, int) else parse_int64(element)
        data = _string(element) if number is None else _integer(number)  # type: ignore[arg-type]
        parts += (data, _back_length(len(data)))
    size_bytes = EMPTY_BYTES + sum(map(len, parts))
    parts[0] = _HEADER.pack(size_bytes, min(len(parts) // 2, _COUNT_UNKNOWN))
    parts.append(bytes((_END,)))
    return b"".join(parts)


def _string(text: bytes) -> bytes:
    size = len(text)
    if size < 64:
        return bytes((0x80 | size,)) + text
    if size < 4096:
        return (0xE000 | size).to_bytes(2, "big") + text
    return bytes((_STRING_32,)) + size.to_bytes(4, "little") + text


def _integer(number: int) -> bytes:
    if 0 <= number <= 127:
        return bytes((number,))
    if -4096 <= number <= 4095:
        return (0xC000 | number & 0x1FFF).to_bytes(2, "big")
    for mark, width in _WIDE.items():
        if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
            return bytes((mark,)) + number.to_bytes(width, "little", signed=True)
    raise AssertionError(number)


def _back_length(size: int) -> bytes:
    if size <= BACK_LENGTH_MAX[0]:
        return bytes((size,))
    width = with_length(size) - size
    return bytes(
        (size >> 7 * (width - 1 - at) & 0x7F) | (0x80 if at else 0)  # the first byte, read last, has no mark
        for at in range(width)
    )


# -- reading ---------------------------------------------------------------------------------------------------------


def decode(data: bytes) -> list[bytes]:
    """The elements, integers as text. Raises BadFormat for whatever is no whole listpack."""
    if len(data) < EMPTY_BYTES:
        raise BadFormat
    size_bytes, count = _HEADER.unpack_from(data)
    end = len(data) - 1
    if size_bytes != len(data) or data[end] != _END:
        raise BadFormat
    elements: list[bytes] = []
    at = _HEADER.size
    while at < end:
        start, first = at, data[at]
        if first < 0x80:
            elements.append(b"%d" % first)
            at += 1
        elif first < 0xC0:
            at += 1 + (first & 0x3F)
            elements.append(data[start + 1 : at])
        elif first < 0xE0:
            number = (first & 0x1F) << 8 | data[at + 1]
            elements.append(b"%d" % (number - 0x2000 if number & 0x1000 else number))
            at += 2
        elif first < _STRING_32:
            at += 2 + ((first & 0x0F) << 8 | data[at + 1])
            elements.append(data[start + 2 : at])
        elif first == _STRING_32:
            at += 5 + int.from_bytes(data[at + 1 : at + 5], "little")
            elements.append(data[start + 5 : at])
        elif first in _WIDE:
            at += 1 + _WIDE[first]
            elements.append(b"%d" % int.from_bytes(data[start + 1 : at], "little", signed=True))
        else:
            raise BadFormat
        length = _back_length(at - start)
        if data[at : at + len(length)] != length:
            raise BadFormat
        at += len(length)
    if at != end or count not in (len(elements), _COUNT_UNKNOWN):
        raise BadFormat
    return elements


def pairs(elements: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Elements that come in twos. Raises BadFormat when one is left over."""
    if len(elements) % 2:
        raise BadFormat
    each = iter(elements)
    return list(zip(each, each, strict=True))


def distinct(names: list[bytes]) -> list[bytes]:
    """`names`, of which none comes twice and there is one at least. Raises BadFormat."""
    if not names or len(set(names)) != len(names):
        raise BadFormat
    return names

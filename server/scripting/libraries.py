"""The libraries of scripts that need Python's hands: bit, struct, cmsgpack. cjson.lua is the fourth.

A function takes what lupa makes of Lua's values and returns a tuple of results; ValueError becomes a Lua error
with the script's line. They do what the C libraries in Redis do, error texts included.

https://bitop.luajit.org, http://www.inf.puc-rio.br/~roberto/struct/, https://github.com/antirez/lua-cmsgpack
"""

import struct
from collections.abc import Callable
from functools import reduce
from operator import and_, or_, xor
from typing import Any

from server.scripting.arguments import Result, kind, number, optional_int64, text, uint64
from server.scripting.msgpack import pack, unpack, unpack_limit, unpack_one

_NO_FRACTION = float(3 << 51)


def _bits(values: Result, at: int, function: str) -> int:
    """An argument as 32 bits without sign: the lowest of a double to which so much was added that it has no fraction,
    as BitOp does it."""
    lowest: tuple[int] = struct.unpack_from(
        "<I", struct.pack("<d", number(values, at, function) + _NO_FRACTION)
    )
    return lowest[0]


def _signed(value: int) -> Result:
    value &= 0xFFFFFFFF
    return (value - (1 << 32) if value >> 31 else value,)


def _fold(name: str, operation: Callable[[int, int], int]) -> Callable[..., Result]:
    def folded(*values: Any) -> Result:
        # The first that is no number, in this order, is complained of.
        order = (0, *range(len(values) - 1, 0, -1))
        return _signed(reduce(operation, (_bits(values, at, name) for at in order)))

    return folded


def _shift(name: str, operation: Callable[[int, int], int]) -> Callable[..., Result]:
    def shifted(*values: Any) -> Result:
        return _signed(operation(_bits(values, 0, name), _bits(values, 1, name) & 31))

    return shifted


def _tohex(*values: Any) -> Result:
    value = _bits(values, 0, "tohex")
    digits = _signed(_bits(values, 1, "tohex"))[0] if len(values) > 1 else 8
    text = b"%08X" % value if digits < 0 else b"%08x" % value
    count = min(abs(digits), 8)
    return (text[8 - count :],)


BIT: dict[bytes, Callable[..., Result]] = {
    b"tobit": lambda *values: _signed(_bits(values, 0, "tobit")),
    b"bnot": lambda *values: _signed(~_bits(values, 0, "bnot")),
    b"bswap": lambda *values: _signed(int.from_bytes(_bits(values, 0, "bswap").to_bytes(4, "little"), "big")),
    b"band": _fold("band", and_),
    b"bor": _fold("bor", or_),
    b"bxor": _fold("bxor", xor),
    b"lshift": _shift("lshift", lambda value, by: value << by),
    b"rshift": _shift("rshift", lambda value, by: value >> by),
    b"arshift": _shift("arshift", lambda value, by: _signed(value)[0] >> by),
    b"rol": _shift("rol", lambda value, by: value << by | value >> (32 - by)),
    b"ror": _shift("ror", lambda value, by: value >> by | value << (32 - by)),
    b"tohex": _tohex,
}

# -- struct ----------------------------------------------------------------------------------------------------

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "l": 8, "L": 8, "T": 8, "i": 4, "I": 4, "f": 4, "d": 8, "x": 1}
_INTEGERS_MAX_BYTES = 32
_SIZE_MAX = (1 << 31) - 1
_PACKABLE = "bBhHlLTiI"


def _options(format_: bytes, function: str) -> Any:
    """(option, size, bytes of padding that alignment asks, byte order) of each item; the caller sends the offset."""
    words = format_.decode("latin-1")
    order, align, at, offset = "little", 1, 0, 0
    while at < len(words):
        option = words[at]
        at += 1
        start = at
        while option in "iIc!" and at < len(words) and words[at].isdigit():
            at += 1
        count = int(words[start:at]) if at > start else None
        if option == " ":
            continue
        if option in "<>":
            order = "little" if option == "<" else "big"
            continue
        if option == "!":
            align = 8 if count is None else count
            if not align or align & (align - 1):
                raise ValueError(f"alignment {align} is not a power of 2")
            continue
        if option == "c":
            size = 1 if count is None else count
            if size > _SIZE_MAX:
                raise ValueError("integral size overflow")
        elif option == "s":
            size = 0
        elif option in _SIZES:
            size = _SIZES[option] if count is None else count
            if option in "iI" and size > _INTEGERS_MAX_BYTES:
                raise ValueError(f"integral size {size} is larger than limit of {_INTEGERS_MAX_BYTES}")
        else:
            raise ValueError(f"bad argument #1 to '{function}' (invalid format option '{option}')")
        padding = 0
        if option not in "csx":
            step = min(size, align)
            if step > 1:
                padding = -offset % step
        offset = yield option, size, padding, order


def _walk(format_: Any, function: str, take: Callable[[str, int, int, str], int]) -> None:
    """Call `take` for each item; it returns the offset behind it."""
    layout = text(format_)
    if layout is None:
        raise ValueError(f"bad argument #1 to '{function}' (string expected, got {kind(format_)})")
    options = _options(layout, function)
    try:
        item = next(options)
        while True:
            item = options.send(take(*item))
    except StopIteration:
        return


def _struct_pack(format_: Any = None, *values: Any) -> Result:
    out = bytearray()
    arguments = (format_, *values)
    at = 0

    def given() -> bytes:
        value = arguments[at] if at < len(arguments) else None
        found = text(value)
        if found is None:
            raise ValueError(f"bad argument #{at + 1} to 'pack' (string expected, got {kind(value)})")
        return found

    def take(option: str, size: int, padding: int, order: str) -> int:
        nonlocal at
        out.extend(bytes(padding))
        if option == "x":
            out.append(0)
            return len(out)
        at += 1
        if option in _PACKABLE:
            bits = uint64(number(arguments, at, "pack", "nil")) & ((1 << 8 * size) - 1)
            out.extend(bits.to_bytes(size, order))  # type: ignore[arg-type]
        elif option in "fd":
            mark = ("<" if order == "little" else ">") + option
            out.extend(struct.pack(mark, number(arguments, at, "pack", "nil")))
        elif option == "s":
            out.extend(given() + b"\0")
        else:
            value = given()
            size = size or len(value)
            if len(value) < size:
                raise ValueError(f"bad argument #{at + 2} to 'pack' (string too short)")  # so it counts
            out.extend(value[:size])
        return len(out)

    _walk(format_, "pack", take)
    return (bytes(out),)


def _struct_size(format_: Any = None, *_: Any) -> Result:
    total = 0

    def take(option: str, size: int, padding: int, order: str) -> int:
        nonlocal total
        if option == "s" or (option == "c" and not size):
            kind = "'s'" if option == "s" else "'c0'"
            raise ValueError(f"bad argument #1 to 'size' (option {kind} has no fixed size)")
        total += padding + size
        return total

    _walk(format_, "size", take)
    return (total,)


def _struct_unpack(format_: Any = None, given: Any = None, *more: Any) -> Result:
    data = text(given)
    if data is None:
        raise ValueError(f"bad argument #2 to 'unpack' (string expected, got {kind(given)})")
    offset = optional_int64((format_, given, *more), 2, "unpack", 1) - 1
    if offset < 0:
        raise ValueError("bad argument #3 to 'unpack' (offset must be 1 or greater)")
    results: list[Any] = []

    def take(option: str, size: int, padding: int, order: str) -> int:
        nonlocal offset
        offset += padding
        if offset + size > len(data):
            raise ValueError("bad argument #2 to 'unpack' (data string too short)")
        if option == "c" and not size:
            count = results.pop() if results else None
            if isinstance(count, bytes) or count is None:
                raise ValueError("format 'c0' needs a previous size")
            size = int(count)
        if size < 0 or offset + size > len(data):
            raise ValueError("bad argument #2 to 'unpack' (data string too short)")
        piece = data[offset : offset + size]
        if option == "s":
            end = data.find(b"\0", offset)
            if end < 0:
                raise ValueError("unfinished string in data")
            results.append(data[offset:end])
            offset = end + 1
            return offset
        if option in _PACKABLE:
            low = piece[:8] if order == "little" else piece[-8:]
            value = int.from_bytes(low, order, signed=option.islower())  # type: ignore[arg-type]
            results.append(float(value))
        elif option in "fd":
            results.append(struct.unpack(("<" if order == "little" else ">") + option, piece)[0])
        elif option == "c":
            results.append(piece)
        offset += size
        return offset

    _walk(format_, "unpack", take)
    return (*results, offset + 1)


STRUCT: dict[bytes, Callable[..., Result]] = {
    b"pack": _struct_pack,
    b"size": _struct_size,
    b"unpack": _struct_unpack,
}

CMSGPACK: dict[bytes, Callable[..., Result]] = {
    b"pack": pack,
    b"unpack": unpack,
    b"unpack_one": unpack_one,
    b"unpack_limit": unpack_limit,
}

LIBRARIES = {b"bit": BIT, b"struct": STRUCT, b"cmsgpack": CMSGPACK}

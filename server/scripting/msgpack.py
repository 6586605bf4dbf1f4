"""cmsgpack: MessagePack as the Lua library of that name writes and reads it.

A table whose keys are 1 to n is an array, any other a map. Tables nested deeper than 16 become nil. Reading makes
Python lists and dicts of arrays and maps; `to_table` of the interpreter's makes Lua's tables of them. Large tables are
written and read with breaths in between (keyspace/breath.py).
"""

import struct
from math import isfinite
from typing import Any

from lupa.lua51 import lua_type

from server.keyspace.breath import breathe
from server.scripting.arguments import Result, int64, kind, number, optional_int64, text

depth_max = 16
"""Of tables in tables, when writing."""
_read_depth_max = 200


def pack(*values: Any) -> Result:
    """All values, one behind the other."""
    if not values:
        raise ValueError("bad argument #0 to 'pack' (MessagePack pack needs input.)")
    out = bytearray()
    for value in values:
        _write(value, out, 0)
    return (bytes(out),)


def _write(value: Any, out: bytearray, depth: int) -> None:
    if isinstance(value, bytes):
        size = len(value)
        if size < 32:
            out.append(0xA0 | size)
        elif size <= 0xFF:
            out.extend(struct.pack(">BB", 0xD9, size))
        elif size <= 0xFFFF:
            out.extend(struct.pack(">BH", 0xDA, size))
        else:
            out.extend(struct.pack(">BI", 0xDB, size))
        out.extend(value)
    elif isinstance(value, bool):
        out.append(0xC3 if value else 0xC2)
    elif isinstance(value, (int, float)):
        _write_number(value, out)
    elif lua_type(value) == "table" and depth < depth_max:
        _write_table(value, out, depth)
    else:
        out.append(0xC0)


def _write_number(value: float, out: bytearray) -> None:
    if not isfinite(value) or value != int(value) or not -(2**63) <= value < 2**63:
        single = struct.pack(">f", value) if abs(value) < 3.4e38 or not isfinite(value) else b""
        if single and struct.unpack(">f", single)[0] == value:
            out.extend(b"\xca" + single)
        else:
            out.extend(struct.pack(">Bd", 0xCB, value))
        return
    number = int(value)
    if number >= 0:
        if number <= 0x7F:
            out.append(number)
        else:
            _write_sized(
                number, out, ((0xFF, 0xCC, ">BB"), (0xFFFF, 0xCD, ">BH"), (0xFFFFFFFF, 0xCE, ">BI")), ">BQ"
            )
    elif number >= -32:
        out.append(number & 0xFF)
    elif number >= -128:
        out.extend(struct.pack(">Bb", 0xD0, number))
    elif number >= -32768:
        out.extend(struct.pack(">Bh", 0xD1, number))
    elif number >= -(2**31):
        out.extend(struct.pack(">Bi", 0xD2, number))
    else:
        out.extend(struct.pack(">Bq", 0xD3, number))


def _write_sized(number: int, out: bytearray, sizes: tuple[tuple[int, int, str], ...], widest: str) -> None:
    for limit, mark, layout in sizes:
        if number <= limit:
            out.extend(struct.pack(layout, mark, number))
            return
    out.extend(struct.pack(widest, 0xCF, number))


def _write_table(table: Any, out: bytearray, depth: int) -> None:
    items = []
    for item in table.items():
        breathe()
        items.append(item)
    length = len(items)
    keys = [key for key, _ in items]
    if all(type(key) is int and key > 0 for key in keys) and max(keys, default=0) == length:
        _write_header(length, out, 0x90, 0xDC)
        by_key = dict(items)
        for at in range(1, length + 1):
            breathe()
            _write(by_key[at], out, depth + 1)
        return
    _write_header(length, out, 0x80, 0xDE)
    for key, value in items:
        breathe()
        _write(key, out, depth + 1)
        _write(value, out, depth + 1)


def _write_header(length: int, out: bytearray, short: int, long: int) -> None:
    if length < 16:
        out.append(short | length)
    elif length <= 0xFFFF:
        out.extend(struct.pack(">BH", long, length))
    else:
        out.extend(struct.pack(">BI", long + 1, length))


def unpack(*values: Any) -> Result:
    """All values of the data."""
    return tuple(_read_many(_data(values, "unpack"), 0, 0)[0])


def unpack_one(*values: Any) -> Result:
    """The offset behind one value (-1 at the end), and the value. After the data: the offset where it begins."""
    offset = optional_int64(values, 1, "unpack_one", 0)
    return _limited(_data(values, "unpack_one"), 1, offset)


def unpack_limit(*values: Any) -> Result:
    """The offset behind some values (-1 at the end), and the values. After the data: how many, and the offset where
    they begin; 0 for both: all values, and no offset."""
    limit = int64(number(values, 1, "unpack_limit"))
    offset = optional_int64(values, 2, "unpack_limit", 0)
    return _limited(_data(values, "unpack_limit"), limit, offset) if limit or offset else unpack(*values)


def _limited(data: bytes, limit: int, offset: int) -> Result:
    if offset < 0 or limit < 0:
        raise ValueError(
            f"Invalid request to unpack with offset of {_shown(offset)} and limit of {len(data)}."
        )
    if offset > len(data):
        raise ValueError(f"Start offset {_shown(offset)} greater than input length {len(data)}.")
    values, end = _read_many(data, offset, limit)
    return (-1 if end >= len(data) else end, *values)


def _shown(offset: int) -> int:
    """As C prints 64 bits as a number of 32."""
    return (offset + (1 << 31)) % (1 << 32) - (1 << 31)


def _data(values: Result, function: str) -> bytes:
    found = text(values[0]) if values else None
    if found is None:
        got = kind(values[0]) if values else "no value"
        raise ValueError(f"bad argument #1 to '{function}' (string expected, got {got})")
    return found


def _read_many(data: bytes, at: int, limit: int) -> tuple[list[Any], int]:
    values: list[Any] = []
    while at < len(data) and (not limit or len(values) < limit):
        value, at = _read(data, at, 0)
        values.append(value)
    return values, at


_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_TEXTS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_TABLES = {0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def _field(data: bytes, at: int, layout: str) -> tuple[Any, int]:
    end = at + struct.calcsize(layout)
    if end > len(data):
        raise ValueError("Missing bytes in input.")
    return struct.unpack_from(layout, data, at)[0], end


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """One value that begins at `at`, and where it ends."""
    mark, at = _field(data, at, ">B")
    if depth > _read_depth_max:
        raise ValueError("Bad data format in input.")
    if mark < 0x80:
        return mark, at
    if mark >= 0xE0:
        return mark - 256, at
    if mark in _CONSTANTS:
        return _CONSTANTS[mark], at
    if mark in _NUMBERS:
        number, at = _field(data, at, _NUMBERS[mark])
        return (float(number) if abs(number) > 1 << 53 else number), at
    if mark in _TEXTS or 0xA0 <= mark <= 0xBF:
        size, at = _field(data, at, _TEXTS[mark]) if mark in _TEXTS else (mark & 31, at)
        if at + size > len(data):
            raise ValueError("Missing bytes in input.")
        return data[at : at + size], at + size
    if mark in _TABLES:
        count, at = _field(data, at, _TABLES[mark])
    elif mark <= 0x9F:
        count = mark & 15
    else:
        raise ValueError("Bad data format in input.")
    if mark in (0xDC, 0xDD) or 0x90 <= mark <= 0x9F:
        items = []
        for _ in range(count):
            breathe()
            item, at = _read(data, at, depth + 1)
            items.append(item)
        return items, at
    pairs = {}
    for _ in range(count):
        breathe()
        key, at = _read(data, at, depth + 1)
        value, at = _read(data, at, depth + 1)
        if isinstance(key, (list, dict)) or key is None:
            raise ValueError("Bad data format in input.")
        pairs[key] = value
    return pairs, at

"""CRC-64 as Redis has it (Jones: polynomial ad93d23594c935a9, reflected, no inversion), fast enough in
Python.

Byte by byte through a table costs some 0.1 µs a byte, which for a string of megabytes would hold the loop for
too long. A longer text is therefore cut into `_LANES` pieces of equal length whose checksums are computed
side by side: the eight bytes of all the registers lie in eight `bytes` objects of one byte per lane
("planes"), and one step for all lanes is eight `bytes.translate` and eight exclusive-ors of long integers,
which run at C speed. A checksum that starts at 0 is linear, so the checksum of two texts one after the other
is that of the first moved on over as many zero bytes as the second has, exclusive-or that of the second.
"""

from server.keyspace.breath import breathe

_POLYNOMIAL = 0x95AC9329AC4BC9B5
"""ad93d23594c935a9 with its bits reversed."""
_LANES = 1024
_PARALLEL_BYTES_MIN = 16 * _LANES
"""Below this the plain loop is as fast."""


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ _POLYNOMIAL if byte & 1 else byte >> 1
    return byte


_TABLE = tuple(_table_entry(byte) for byte in range(256))
_PLANE_TABLES = tuple(bytes(entry >> 8 * plane & 0xFF for entry in _TABLE) for plane in range(8))


def crc64(data: bytes, crc: int = 0) -> int:
    """The checksum of `data`, going on from `crc`."""
    if len(data) < _PARALLEL_BYTES_MIN:
        return _serial(data, crc)
    lane_bytes = len(data) // _LANES
    whole = lane_bytes * _LANES
    crc = _move_on(crc, lane_bytes, _lane_checksums(data[:whole], lane_bytes))
    return _serial(data[whole:], crc)


def _serial(data: bytes, crc: int) -> int:
    table = _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


def _lane_checksums(data: bytes, lane_bytes: int) -> list[int]:
    """The checksum of each of the _LANES pieces of `lane_bytes` bytes."""
    planes = [0] * 8
    for column in range(lane_bytes):
        breathe()
        index = (planes[0] ^ int.from_bytes(data[column::lane_bytes], "little")).to_bytes(_LANES, "little")
        planes = [
            planes[plane + 1] ^ int.from_bytes(index.translate(_PLANE_TABLES[plane]), "little")
            for plane in range(7)
        ] + [int.from_bytes(index.translate(_PLANE_TABLES[7]), "little")]
    rows = bytearray(8 * _LANES)
    for plane, value in enumerate(planes):
        rows[plane::8] = value.to_bytes(_LANES, "little")
    return [int.from_bytes(rows[at : at + 8], "little") for at in range(0, 8 * _LANES, 8)]


def _move_on(crc: int, lane_bytes: int, checksums: list[int]) -> int:
    """Go over the lanes in order: each moves the checksum on by `lane_bytes` zero bytes and adds its own."""
    shifts = _zero_bytes_tables(lane_bytes)
    for checksum in checksums:
        moved = checksum
        for at, table in enumerate(shifts):
            moved ^= table[crc >> 8 * at & 0xFF]
        crc = moved
    return crc


def _zero_bytes_tables(count: int) -> list[list[int]]:
    """For each of a checksum's eight bytes and each value of it: what `count` zero bytes make of that."""
    columns = _matrix_power(count)
    tables = []
    for byte in range(8):
        table = [0]
        for column in columns[8 * byte : 8 * byte + 8]:
            table += [entry ^ column for entry in table]
        tables.append(table)
    return tables


def _matrix_power(count: int) -> list[int]:
    """What `count` zero bytes make of each single bit of a checksum."""
    result = [1 << bit for bit in range(64)]
    step = [_TABLE[column & 0xFF] ^ column >> 8 for column in result]
    while count:
        if count & 1:
            result = [_apply(step, column) for column in result]
        step = [_apply(step, column) for column in step]
        count >>= 1
    return result


def _apply(columns: list[int], vector: int) -> int:
    out = 0
    while vector:
        low = vector & -vector
        out ^= columns[low.bit_length() - 1]
        vector ^= low
    return out

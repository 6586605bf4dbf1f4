"""HyperLogLogs: how many different elements were added, within one percent, in at most twelve kilobytes.

The value is a string, byte for byte as Redis writes it, so that GET, SET and DUMP carry it from one server to another:

    "HYLL" encoding:u8 0:u8 0:u8 0:u8 cardinality:u64le registers

An element's hash chooses one of 16384 registers, which keeps the longest run of zeros that any hash showed there (plus
one). `cardinality` is the last result; its top bit says that registers have changed since. Dense registers are 6 bits
each, lowest first. Sparse ones are runs (hyperloglog_sparse.py); a sparse value becomes dense, for good, when a
register passes 32 or its bytes pass SPARSE_BYTES_MAX.

Estimation: Otmar Ertl, New cardinality estimation algorithms for HyperLogLog sketches, arXiv:1702.01284. Hash:
MurmurHash64A by Austin Appleby. Dense registers are read and written many at a time, as one large integer or by byte
tables: a loop over 16384 of them in Python would hold the shard for milliseconds.
"""

from collections.abc import Iterator
from math import floor, inf, sqrt
from struct import Struct

from server.errors import CommandError
from server.keyspace.breath import breathe, paced
from server.types import hyperloglog_sparse as sparse
from server.types.hyperloglog_sparse import CORRUPTED, HEADER_BYTES, REGISTERS

REGISTER_BITS = 6
DENSE_BYTES = HEADER_BYTES + REGISTERS * REGISTER_BITS // 8
DENSE, SPARSE = range(2)

NOT_ONE = b"WRONGTYPE Key is not a valid HyperLogLog string value."

_MAGIC = b"HYLL"
_ENCODING_AT = 4
_CARDINALITY_AT = 8
_STALE = 0x80
_HASH_BITS = 64 - 14
_ALPHA = 0.721347520444481703680
"""1 / (2 ln 2)"""

_SEED = 0xADC83B19
_MULTIPLIER = 0xC6A4A7935BD1E995
_SHIFT = 47
_MASK = (1 << 64) - 1
_MANY = 8
"""So many registers are raised in a list of all runs; to make that takes as long as some walks along them."""


# -- elements -------------------------------------------------------------------------------------------------------


def murmur64a(data: bytes, seed: int = _SEED) -> int:
    """MurmurHash64A of `data`."""
    size = len(data)
    mask, multiplier = _MASK, _MULTIPLIER
    result = (seed ^ (size * multiplier)) & mask
    whole = size >> 3
    for word in Struct(f"<{whole}Q").unpack_from(data) if whole else ():
        word = word * multiplier & mask
        word ^= word >> _SHIFT
        result = ((result ^ (word * multiplier & mask)) * multiplier) & mask
    if size & 7:
        result = ((result ^ int.from_bytes(data[whole << 3 :], "little")) * multiplier) & mask
    result ^= result >> _SHIFT
    result = result * multiplier & mask
    return result ^ (result >> _SHIFT)


def place(element: bytes) -> tuple[int, int]:
    """The register that an element belongs to, and what it makes of it: 1 to 51."""
    digest = murmur64a(element)
    rest = (digest >> 14) | (1 << _HASH_BITS)
    return digest & (REGISTERS - 1), (rest & -rest).bit_length()


# -- values ---------------------------------------------------------------------------------------------------------


def new() -> bytearray:
    """A value without elements, its cardinality known."""
    return bytearray(_MAGIC + bytes((SPARSE, *(0,) * 11)) + sparse.EMPTY)


def check(value: bytes) -> None:
    """Raises CommandError when `value` does not look like a HyperLogLog."""
    if (
        len(value) < HEADER_BYTES
        or value[:_ENCODING_AT] != _MAGIC
        or value[_ENCODING_AT] > SPARSE
        or (value[_ENCODING_AT] == DENSE and len(value) != DENSE_BYTES)
    ):
        raise CommandError(NOT_ONE)


def is_dense(value: bytes | bytearray) -> bool:
    """Whether the registers are dense."""
    return value[_ENCODING_AT] == DENSE


def forget_cardinality(value: bytearray) -> None:
    """The registers are not those that the cardinality was taken from."""
    value[HEADER_BYTES - 1] |= _STALE


def known_cardinality(value: bytes) -> int | None:
    """The cardinality, when no register has changed since it was taken."""
    if value[HEADER_BYTES - 1] & _STALE:
        return None
    return int.from_bytes(value[_CARDINALITY_AT:HEADER_BYTES], "little")


def with_cardinality(value: bytes, cardinality: int) -> bytes:
    """The value that knows its cardinality."""
    return value[:_CARDINALITY_AT] + cardinality.to_bytes(8, "little") + value[HEADER_BYTES:]


def add(value: bytearray, elements: list[bytes]) -> bool:
    """Add elements. Whether a register changed. Raises CommandError for a value that is damaged."""
    places = map(place, elements)
    changed = False
    if len(elements) >= _MANY and value[_ENCODING_AT] == SPARSE and len(value) <= HEADER_BYTES + REGISTERS:
        changed = _raise_many(value, places)  # a longer one is damaged, and could be of any size
    for index, count in places:
        breathe()
        if raise_register(value, index, count):
            changed = True
    return changed


def raise_register(value: bytearray, index: int, count: int) -> bool:
    """Let a register be at least `count`; whether it was less. Raises CommandError for a value that is damaged."""
    if value[_ENCODING_AT] == SPARSE:
        raised = sparse.raise_register(value, index, count)
        if raised is not None:
            return raised
        make_dense(value)
    bit = index * REGISTER_BITS
    at, shift = HEADER_BYTES + (bit >> 3), bit & 7
    pair = int.from_bytes(value[at : at + 2], "little")
    if pair >> shift & 63 >= count:
        return False
    pair = pair & ~(63 << shift) | count << shift
    value[at : at + 2] = pair.to_bytes(2, "little")[: len(value) - at]
    return True


def _raise_many(value: bytearray, registers: Iterator[tuple[int, int]]) -> bool:
    """`raise_register` of a sparse value for (index, count), until there are no more or the value has become dense.
    Whether any was less."""
    changed = False
    found = sparse.Runs(value)
    for index, count in registers:
        breathe()
        outcome = found.raise_register(index, count)
        if outcome is None:
            value[HEADER_BYTES:] = found.encode()
            make_dense(value)
            return raise_register(value, index, count) or changed
        changed = changed or outcome
    value[HEADER_BYTES:] = found.encode()
    return changed


def make_dense(value: bytearray) -> None:
    """Write the registers densely. Raises CommandError for a value that is damaged."""
    if value[_ENCODING_AT] == SPARSE:
        value[HEADER_BYTES:] = pack(registers(value))
        value[_ENCODING_AT] = DENSE


# -- all registers --------------------------------------------------------------------------------------------------


def registers(value: bytes | bytearray) -> bytes:
    """All registers, a byte each. Raises CommandError for a value that is damaged."""
    if is_dense(value):
        return _unpack(value[HEADER_BYTES:])
    found = sparse.runs(value)
    if sum(count for _, count, _ in found) != REGISTERS:
        raise CommandError(CORRUPTED)
    return b"".join([bytes((each,)) * count for each, count, _ in found])


def raise_registers(value: bytearray, each: bytes) -> None:
    """Let each register be at least what `each` says, a byte each. Raises CommandError for a value that is damaged."""
    if value[_ENCODING_AT] == SPARSE:
        _raise_many(value, ((index, count) for index, count in paced(iter(enumerate(each))) if count))
    if value[_ENCODING_AT] == DENSE:
        value[HEADER_BYTES:] = pack(_largest(registers(value), each))


def _mask(bits: int, every: int) -> int:
    """The lowest `bits` of every so many bits, over all registers."""
    unit = ((1 << bits) - 1).to_bytes(every // 8, "little")
    return int.from_bytes(unit * (REGISTERS * 8 // every), "little")


_LOW_12, _LOW_6 = _mask(12, 32), _mask(6, 16)
_HIGH_12, _HIGH_6 = _LOW_12 << 12, _LOW_6 << 6
_TOPS = _mask(1, 8) << 7


def _unpack(dense: bytes | bytearray) -> bytes:
    """6 bits each to a byte each."""
    # Three bytes hold four registers. With a fourth byte of zeros they can be moved apart all at once.
    wide = bytearray(REGISTERS)
    wide[0::4], wide[1::4], wide[2::4] = dense[0::3], dense[1::3], dense[2::3]
    number = int.from_bytes(wide, "little")
    number = number & _LOW_12 | (number & _HIGH_12) << 4
    number = number & _LOW_6 | (number & _HIGH_6) << 2
    return number.to_bytes(REGISTERS, "little")


def pack(each: bytes) -> bytes:
    """A byte each to 6 bits each."""
    number = int.from_bytes(each, "little")
    number = number & _LOW_6 | number >> 2 & _HIGH_6
    number = number & _LOW_12 | number >> 4 & _HIGH_12
    wide = number.to_bytes(REGISTERS, "little")
    dense = bytearray(DENSE_BYTES - HEADER_BYTES)
    dense[0::3], dense[1::3], dense[2::3] = wide[0::4], wide[1::4], wide[2::4]
    return bytes(dense)


def merge(values: list[bytes]) -> bytes:
    """The largest of each register, a byte each. Raises CommandError when a value is damaged."""
    merged = bytes(REGISTERS)
    for value in values:
        breathe()
        merged = _largest(merged, registers(value))
    return merged


def _largest(a: bytes, b: bytes) -> bytes:
    """Byte by byte the larger of two, all less than 128."""
    first, second = int.from_bytes(a, "little"), int.from_bytes(b, "little")
    # Bit 7 of each byte of this says whether the first is at least the second; no byte borrows from the next.
    at_least = ((first | _TOPS) - second) & _TOPS
    keep = (at_least << 1) - (at_least >> 7)
    return (first & keep | second & ~keep).to_bytes(REGISTERS, "little")


# -- estimation -----------------------------------------------------------------------------------------------------


def estimate(each: bytes) -> int:
    """The number of elements that registers, a byte each, tell of. Raises CommandError for what they can not be."""
    counts = [0] * (_HASH_BITS + 2)
    left = REGISTERS
    for value in range(_HASH_BITS + 2):
        counts[value] = each.count(value)
        left -= counts[value]
        if not left:
            break  # high values are rare
    size = float(REGISTERS)
    z = size * _tau((size - counts[_HASH_BITS + 1]) / size)
    for value in range(_HASH_BITS, 0, -1):
        z = (z + counts[value]) * 0.5
    z += size * _sigma(counts[0] / size)
    if not z:
        raise CommandError(CORRUPTED)
    return floor(_ALPHA * size * size / z + 0.5)


def _sigma(x: float) -> float:
    if x == 1.0:
        return inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == before:
            return z / 3

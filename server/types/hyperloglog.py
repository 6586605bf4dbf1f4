"""HyperLogLogs: how many different elements were added, within one percent, in at most twelve kilobytes.

The value is a string, byte for byte as Redis writes it, so that GET, SET and DUMP carry it from one server to another:

    "HYLL" encoding:u8 0:u8 0:u8 0:u8 cardinality:u64le registers

An element's hash chooses one of 16384 registers, which keeps the longest run of zeros that any hash showed there (plus
one). `cardinality` is the last result; its top bit says that registers have changed since. Dense registers are 6 bits
each, lowest first. Sparse ones are runs:

    00llllll            l + 1 registers are 0
    01llllll llllllll   l + 1 registers are 0
    1vvvvvll            l + 1 registers are v + 1, up to 32

A sparse value becomes dense, for good, when a register passes 32 or its bytes pass SPARSE_BYTES_MAX. To have the same
bytes as Redis it is changed as there: one run is split, and then neighbours are joined, but only a few. Redis walks
along the runs for each register; many at once are raised in a list of the runs (_Runs), each found by bisection.

Estimation: Otmar Ertl, New cardinality estimation algorithms for HyperLogLog sketches, arXiv:1702.01284. Hash:
MurmurHash64A by Austin Appleby. Dense registers are read and written many at a time, as one large integer or by byte
tables: a loop over 16384 of them in Python would hold the shard for milliseconds.
"""

from bisect import bisect_right
from collections.abc import Iterator
from math import floor, inf, sqrt
from struct import Struct

from server.errors import CommandError
from server.keyspace.breath import breathe, paced

REGISTERS = 1 << 14
REGISTER_BITS = 6
HEADER_BYTES = 16
DENSE_BYTES = HEADER_BYTES + REGISTERS * REGISTER_BITS // 8
SPARSE_BYTES_MAX = 3000
"""Redis's default of hll-sparse-max-bytes, the header included."""
DENSE, SPARSE = range(2)

NOT_ONE = b"WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPTED = b"INVALIDOBJ Corrupted HLL object detected"

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
_ZERO_MAX = 64
_VALUE_RUN_MAX = 4
_VALUE_MAX = 32
_JOIN_STEPS = 5
_MANY = 8
"""So many registers are raised in a list of all runs; to make that takes as long as some walks along them."""

_XZERO, _VALUE = 0x40, 0x80


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
    run = REGISTERS - 1
    return bytearray(_MAGIC + bytes((SPARSE, *(0,) * 11, _XZERO | run >> 8, run & 0xFF)))


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
        return _raise_sparse(value, index, count)
    bit = index * REGISTER_BITS
    at, shift = HEADER_BYTES + (bit >> 3), bit & 7
    pair = int.from_bytes(value[at : at + 2], "little")
    if pair >> shift & 63 >= count:
        return False
    pair = pair & ~(63 << shift) | count << shift
    value[at : at + 2] = pair.to_bytes(2, "little")[: len(value) - at]
    return True


def make_dense(value: bytearray) -> None:
    """Write the registers densely. Raises CommandError for a value that is damaged."""
    if value[_ENCODING_AT] == SPARSE:
        value[HEADER_BYTES:] = pack(registers(value))
        value[_ENCODING_AT] = DENSE


# -- sparse registers -----------------------------------------------------------------------------------------------


def runs(value: bytes | bytearray) -> list[tuple[int, int, bool]]:
    """Of a sparse value: what its registers are, for how many of them, and whether two bytes say so."""
    found: list[tuple[int, int, bool]] = []
    codes = iter(value[HEADER_BYTES:])
    for code in codes:
        if code & _VALUE:
            found.append(((code >> 2 & 31) + 1, (code & 3) + 1, False))
        elif code & _XZERO:
            found.append((0, ((code & 63) << 8 | next(codes, 0)) + 1, True))
        else:
            found.append((0, code + 1, False))
    return found


def _zeros(count: int) -> bytes:
    if not count:
        return b""
    count -= 1
    return bytes((count,)) if count < _ZERO_MAX else bytes((_XZERO | count >> 8, count & 0xFF))


def _values(value: int, count: int) -> bytes:
    return bytes((_VALUE | value - 1 << 2 | count - 1,)) if count else b""


def _split(code: int, left: int, count: int, right: int) -> tuple[bytes, bytes, bytes]:
    """The run that begins with `code`, when the register behind its first `left` and before its last `right` becomes
    `count`."""
    if code & _VALUE:
        old = (code >> 2 & 31) + 1
        return _values(old, left), _values(count, 1), _values(old, right)
    return _zeros(left), _values(count, 1), _zeros(right)


def _raise_sparse(value: bytearray, index: int, count: int) -> bool:
    """`raise_register` for a sparse value."""
    at, first = HEADER_BYTES, 0
    before = at
    end = len(value)
    while at < end:
        code = value[at]
        if code & _VALUE:
            span, size = (code & 3) + 1, 1
        elif code & _XZERO:
            span, size = ((code & 63) << 8 | (value[at + 1] if at + 1 < end else 0)) + 1, 2
        else:
            span, size = code + 1, 1
        if index < first + span:
            break
        before = at
        at += size
        first += span
    else:
        raise CommandError(CORRUPTED)
    if code & _VALUE and (code >> 2 & 31) + 1 >= count:
        return False
    if count <= _VALUE_MAX:
        split = b"".join(_split(code, index - first, count, first + span - 1 - index))
        if len(split) <= size or end + len(split) - size <= SPARSE_BYTES_MAX:
            value[at : at + size] = split
            _join(value, before)
            return True
    make_dense(value)
    return raise_register(value, index, count)


def _join(value: bytearray, at: int) -> None:
    """Make one of neighbouring runs of the same value where they fit, in a few steps from `at` on."""
    for _ in range(_JOIN_STEPS):
        if at >= len(value):
            return
        code = value[at]
        if not code & _VALUE:
            at += 2 if code & _XZERO else 1
            continue
        if at + 1 < len(value) and (code ^ value[at + 1]) & 0xFC == 0:
            length = (code & 3) + (value[at + 1] & 3) + 2
            if length <= _VALUE_RUN_MAX:
                value[at : at + 2] = bytes((code & 0xFC | length - 1,))
                continue
        at += 1


class _Runs:
    """The runs of a sparse value, to raise many registers. It does what `_raise_sparse` and `_join` do."""

    def __init__(self, value: bytearray) -> None:
        self._codes: list[bytes] = []
        self._firsts: list[int] = []
        """The first register of each run."""
        self._bytes = len(value)
        first = 0
        at = HEADER_BYTES
        for _, span, wide in runs(value):
            size = 2 if wide else 1
            self._codes.append(bytes(value[at : at + size]))
            self._firsts.append(first)
            at += size
            first += span
        self._end = first

    def raise_register(self, index: int, count: int) -> bool | None:
        """Whether it was less than `count`; None when it can not be so high in a sparse value. Raises CommandError."""
        if index >= self._end:
            raise CommandError(CORRUPTED)
        codes, firsts = self._codes, self._firsts
        at = bisect_right(firsts, index) - 1
        whole, first = codes[at], firsts[at]
        code = whole[0]
        if code & _VALUE and (code >> 2 & 31) + 1 >= count:
            return False
        if count > _VALUE_MAX:
            return None
        stop = firsts[at + 1] if at + 1 < len(firsts) else self._end
        split = _split(code, index - first, count, stop - 1 - index)
        size = self._bytes + sum(map(len, split)) - len(whole)
        if size > self._bytes and size > SPARSE_BYTES_MAX:
            return None
        pairs = zip((first, index, index + 1), split, strict=True)
        new = [(begin, part) for begin, part in pairs if part]
        firsts[at : at + 1] = [begin for begin, _ in new]
        codes[at : at + 1] = [part for _, part in new]
        self._bytes = size
        self._join(max(at - 1, 0))
        return True

    def _join(self, at: int) -> None:
        codes = self._codes
        for _ in range(_JOIN_STEPS):
            if at + 1 >= len(codes):
                return
            code, following = codes[at][0], codes[at + 1][0]
            length = (code & 3) + (following & 3) + 2
            if code & _VALUE and (code ^ following) & 0xFC == 0 and length <= _VALUE_RUN_MAX:
                codes[at : at + 2] = [bytes((code & 0xFC | length - 1,))]
                del self._firsts[at + 1]
                self._bytes -= 1
            else:
                at += 1

    def encode(self) -> bytes:
        """The value behind its header."""
        return b"".join(self._codes)


def _raise_many(value: bytearray, registers: Iterator[tuple[int, int]]) -> bool:
    """`raise_register` of a sparse value for (index, count), until there are no more or the value has become dense.
    Whether any was less."""
    changed = False
    found = _Runs(value)
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


# -- all registers --------------------------------------------------------------------------------------------------


def registers(value: bytes | bytearray) -> bytes:
    """All registers, a byte each. Raises CommandError for a value that is damaged."""
    if is_dense(value):
        return _unpack(value[HEADER_BYTES:])
    found = runs(value)
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

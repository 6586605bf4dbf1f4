"""HyperLogLogs that are sparse: registers as runs behind the value's header.

    00llllll            l + 1 registers are 0
    01llllll llllllll   l + 1 registers are 0
    1vvvvvll            l + 1 registers are v + 1, up to 32

To have the same bytes as Redis a value is changed as there: one run is split, and then neighbours are joined, but only
a few. Redis walks along the runs for each register; many at once are raised in a list of the runs (Runs), each found by
bisection.
"""

from bisect import bisect_right

from server.errors import CommandError

REGISTERS = 1 << 14
HEADER_BYTES = 16
SPARSE_BYTES_MAX = 3000
"""Redis's default of hll-sparse-max-bytes, the header included."""

CORRUPTED = b"INVALIDOBJ Corrupted HLL object detected"

_XZERO, _VALUE = 0x40, 0x80
_ZERO_MAX = 64
_VALUE_RUN_MAX = 4
_VALUE_MAX = 32
_JOIN_STEPS = 5

EMPTY = bytes((_XZERO | REGISTERS - 1 >> 8, REGISTERS - 1 & 0xFF))
"""All registers are 0."""


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


def raise_register(value: bytearray, index: int, count: int) -> bool | None:
    """Let a register be at least `count`. Whether it was less; None when it can not be so high in a sparse value.
    Raises CommandError for a value that is damaged."""
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
    if count > _VALUE_MAX:
        return None
    split = b"".join(_split(code, index - first, count, first + span - 1 - index))
    if len(split) > size and end + len(split) - size > SPARSE_BYTES_MAX:
        return None
    value[at : at + size] = split
    _join(value, before)
    return True


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


class Runs:
    """The runs of a sparse value, to raise many registers. It does what `raise_register` does."""

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

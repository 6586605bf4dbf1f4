"""What a rank index keeps of the elements of an interval, so as not to read them again: a few bytes of each.

How they all begin is kept once, and of each some bytes behind that, its part: in an interval of a hundred elements it
mostly tells one from the others. Where several have the same part, as members of a sorted set with the same score may,
a mark tells which of them an element is, if it is known to be one of them; or else they are read (rank_index.py).

It follows what comes and goes, until an element comes that begins otherwise.
"""

from array import array
from bisect import bisect_left, bisect_right
from sys import byteorder
from zlib import crc32

_PART_BYTES = 4
"""Of an element that are kept: an array of unsigned integers holds them."""
_MARK_BITS = 16
"""Of a checksum of an element."""
_NOT_KNOWN = 0
"""No element's mark."""
PARTS_IN_RECORD = 16
"""So many, with their marks, take as much memory as a record of the index; what holds them as much as two."""


class Inside:
    """What is known of the elements of one interval."""

    __slots__ = ("begin", "marks", "parts", "size")

    def __init__(self, keys: list[bytes]) -> None:
        """`keys`: the elements, in order."""
        alike = common(keys[0], keys[-1]) if keys else 0
        self.begin = keys[0][:alike] if keys else b""
        self.parts = self._parts(keys)
        """In order. To elements that end before, zeros are added: equal parts tell nothing of the order."""
        differ = len(set(self.parts)) == len(keys)
        self.marks = array("H", bytes(2 * len(keys)) if differ else [_mark(key) for key in keys])
        """Of the same elements, if they are known: they need not be where no other one has the part."""
        self.size = 2 + len(keys) // PARTS_IN_RECORD
        """In records, about, when it was read."""

    def _parts(self, keys: list[bytes]) -> "array[int]":
        skip = len(self.begin)
        pieces = [key[skip : skip + _PART_BYTES] for key in keys]
        joined = b"".join(pieces)
        if len(joined) < _PART_BYTES * len(pieces):
            joined = b"".join([piece.ljust(_PART_BYTES, b"\0") for piece in pieces])
        parts = array("I", joined)
        if byteorder == "little":
            parts.byteswap()
        return parts

    def part(self, key: bytes) -> int:
        """Of a key that begins as they all do."""
        skip = len(self.begin)
        piece = key[skip : skip + _PART_BYTES]
        part = int.from_bytes(piece, "big")
        return part if len(piece) == _PART_BYTES else part << 8 * (_PART_BYTES - len(piece))

    def first(self, part: int) -> bytes:
        """The first key that `part` can be of."""
        return self.begin + part.to_bytes(_PART_BYTES, "big").rstrip(b"\0")

    def marked(self, key: bytes, low: int, stop: int) -> int | None:
        """Which of [low, stop), all those with the part of `key`, is `key`; it is one of them. None: not known."""
        marks = self.marks[low:stop]
        if marks.count(_NOT_KNOWN):
            return None
        mark = _mark(key)
        return low + marks.index(mark) if marks.count(mark) == 1 else None

    def learn(self, keys: list[bytes], low: int) -> None:
        """These are the elements from `low` on that have one part."""
        for at, key in enumerate(keys, low):
            self.marks[at] = _mark(key)

    def change(self, key: bytes, count: int) -> bool:
        """`key` has come or gone. Whether this is of use still."""
        if not key.startswith(self.begin):
            return False
        parts, marks, part = self.parts, self.marks, self.part(key)
        low = bisect_left(parts, part)
        stop = bisect_right(parts, part, low)
        if count > 0:
            parts.insert(low, part)
            marks.insert(low, _NOT_KNOWN)
            for at in range(low, stop + 1):
                marks[at] = _NOT_KNOWN
            return True
        assert low < stop, "an element is gone that was not there"
        found = low if low + 1 == stop else self.marked(key, low, stop)
        if found is None:
            found = low
            for at in range(low, stop):
                marks[at] = _NOT_KNOWN
        del parts[found], marks[found]
        return True


def _mark(key: bytes) -> int:
    """Bits of a checksum of `key`."""
    return crc32(key) >> 32 - _MARK_BITS or _NOT_KNOWN + 1


def common(low: bytes, high: bytes) -> int:
    """How many bytes they have in common, from their beginning."""
    pairs = enumerate(zip(low, high, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(low), len(high)))

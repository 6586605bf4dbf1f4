"""Collections whose elements lie in the order of a checksum: what is stateless to page through and fair to draw from.

    element:  crc32(name):u32 name

The checksum scatters names evenly over 32 bits, whatever they look like. So a cursor is the checksum of the first
element that was not seen yet: it needs no state and means the same on every node, and what stays in the collection from
the first page to the last is returned exactly once, as a page never ends between equal checksums. And a random element
is found without counting through the collection, see `draw`.
"""

from binascii import crc32
from itertools import islice
from random import Random
from struct import Struct

from server.keyspace.collection import Collection
from server.types.drawing import choices, sample

CRC_BYTES = 4
CRC_END = 1 << 32
_CRC = Struct(">I")

_BUCKET_EXPECTED = 8
"""Elements that a bucket of `draw` should hold: few enough to read, enough that most buckets hold some."""
_BUCKET_MAX = 32
"""So many it practically never holds: once in ten thousand million buckets."""
_BUCKET_READ_MAX = 256
"""Names of like checksums can be made by someone who wants to: a bucket with so many is halved, so that no draw reads
many; it is not fair any more, but all but names of one and the same checksum are drawn."""
_SAMPLE_MAX = 64
"""Names that a Sample draws at once, from"""
_SAMPLE_BUCKET_EXPECTED = 256
"""a bucket of up to so many, about: few of them, so that the checksums of what stays are as even as they were."""
_SAMPLE_BUCKET_FULL = 320
"""More than that practically none holds whose elements nobody has taken from: four times the deviation."""
_SAMPLE_TRIES_MAX = 8
"""One or two do, unless the checksums were made to be uneven."""
_TRIES_MAX = 200
"""A try fails three times out of four; so many in a row only when the checksums were made to be uneven."""
_DRAW_SHARE_MAX = 3
"""Who wants more than one in so many reads the whole collection, which costs less than drawing."""


def element(name: bytes) -> bytes:
    """Where `name` lies."""
    return _CRC.pack(crc32(name)) + name


def page(collection: Collection, cursor: int, count: int) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Where to go on (0: the end was reached), and about `count` (1 or more) names and values from `cursor` on."""
    found: list[tuple[bytes, bytes]] = []
    if cursor >= CRC_END:
        return 0, found
    last = b""
    for where, value in collection.scan(cursor.to_bytes(CRC_BYTES, "big")):
        crc = where[:CRC_BYTES]
        if len(found) >= count and crc != last:
            return int.from_bytes(crc, "big"), found
        last = crc
        found.append((where[CRC_BYTES:], value))
    return 0, found


def _range(
    collection: Collection, start: int, stop: int, limit: int = _BUCKET_READ_MAX
) -> list[tuple[bytes, bytes]]:
    """The elements of checksums in [start, stop), up to `limit` of them."""
    end = stop.to_bytes(CRC_BYTES, "big") if stop < CRC_END else None
    return collection.range(start.to_bytes(CRC_BYTES, "big"), end, limit=limit)


def draw(collection: Collection, size: int, random: Random) -> tuple[bytes, bytes]:
    """A random name and its value, each as likely as any other, of a collection of `size` (1 or more) elements.

    While spread: a random bucket of checksums is read, wide enough for some eight elements. One of 32 places in it is
    drawn; when nothing lies there, the next bucket is tried. So an element is as likely in a full bucket as in a
    nearly empty one.
    """
    if not collection.spread:
        where, value = next(islice(collection.items(), random.randrange(size), None))
        return where[CRC_BYTES:], value
    buckets = max(size // _BUCKET_EXPECTED, 1)
    for _ in range(_TRIES_MAX):
        bucket = random.randrange(buckets)
        start, stop = bucket * CRC_END // buckets, (bucket + 1) * CRC_END // buckets
        found = _range(collection, start, stop)
        while len(found) == _BUCKET_READ_MAX and stop - start > 1:
            middle = (start + stop) // 2
            start, stop = (start, middle) if random.randrange(2) else (middle, stop)
            found = _range(collection, start, stop)
        place = random.randrange(max(len(found), _BUCKET_MAX))
        if place < len(found):
            return found[place][0][CRC_BYTES:], found[place][1]
    start = random.randrange(CRC_END)
    for where, value in collection.scan(start.to_bytes(CRC_BYTES, "big")):
        return where[CRC_BYTES:], value
    where, value = next(collection.scan())
    return where[CRC_BYTES:], value


class Sample:
    """Random elements of a spread collection, drawn ahead for who takes random ones off it again and again: with each
    change of the collection it stays what it is, a random choice among all. For Derived, see keyspace/derived.py.

    It is filled from one wide bucket of checksums, taken with a probability that grows with what is in it, so that each
    element is as likely as any other. Those that are taken together have checksums that lie together, which nobody can
    see in their names.
    """

    __slots__ = ("chosen", "size")

    def __init__(self) -> None:
        self.chosen: list[bytes] = []
        """In random order, as they lie in the collection."""
        self.size = _SAMPLE_MAX

    def fill(self, collection: Collection, size: int, random: Random) -> None:
        """Choose some of the `size` elements, if luck will have it."""
        buckets = -(-size // _SAMPLE_BUCKET_EXPECTED)
        most = 2 * _SAMPLE_BUCKET_EXPECTED
        for _ in range(_SAMPLE_TRIES_MAX):
            bucket = random.randrange(buckets)
            start, stop = bucket * CRC_END // buckets, (bucket + 1) * CRC_END // buckets
            found = _range(collection, start, stop, most + 1)
            if buckets == 1 or (len(found) <= most and random.randrange(_SAMPLE_BUCKET_FULL) < len(found)):
                self.chosen = [where for where, _ in random.sample(found, min(_SAMPLE_MAX, len(found)))]
                return

    def added(self, where: bytes, size: int, random: Random) -> None:
        """An element has come to lie at `where`; they are `size` now."""
        chosen = self.chosen
        if chosen and (at := random.randrange(size)) < len(chosen):
            chosen[at] = where

    def removed(self, where: bytes) -> None:
        """The element there has gone."""
        if where in self.chosen:
            self.chosen.remove(where)


def draw_many(
    collection: Collection, size: int, count: int, random: Random, *, repeat: bool
) -> list[tuple[bytes, bytes]]:
    """`count` random names and values; with `repeat` each drawn from all of them, else all different ones and at most
    `size`."""
    if collection.spread and count * _DRAW_SHARE_MAX < size:
        if repeat:
            return [draw(collection, size, random) for _ in range(count)]
        chosen: dict[bytes, bytes] = {}
        while len(chosen) < count:
            name, value = draw(collection, size, random)
            chosen[name] = value
        return list(chosen.items())
    everything = [(where[CRC_BYTES:], value) for where, value in collection.items()]
    if repeat:
        return choices(random, everything, count)
    return sample(random, everything, count)

"""Tables of collections that lie in the order of a checksum: what is stateless to page through and fair to draw from.

    element:  prefix crc32(name):u32 name

The checksum scatters names evenly over 32 bits, whatever they look like. So a cursor is the checksum of the first
element that was not seen yet: it needs no state and means the same on every node, and what stays in the table from the
first page to the last is returned exactly once, as a page never ends between equal checksums. And a random element is
found without counting through the table, see `Table.draw`.
"""

from binascii import crc32
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from math import inf
from random import Random
from struct import Struct

from server.keyspace.collection import Collection
from server.keyspace.store import prefix_end
from server.types.drawing import choices, sample

Row = tuple[bytes, bytes]
"""An element, or its name, and its value."""

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
"""A try fails three times out of four; so many in a row only when the checksums were made to be uneven, or when nearly
no row counts: then names are not as likely as each other any more."""
_DRAW_SHARE_MAX = 3
"""Who wants more than one in so many reads the whole collection, which costs less than drawing."""


def element(name: bytes) -> bytes:
    """Where `name` lies."""
    return _CRC.pack(crc32(name)) + name


class Table:
    """One table of a collection, for the length of one command."""

    __slots__ = ("_collection", "_end", "_name_at", "_prefix", "_there")

    def __init__(
        self,
        collection: Collection,
        prefix: bytes = b"",
        there: Callable[[Iterable[Row]], Iterator[Row]] | None = None,
    ) -> None:
        """`prefix`: what the table's elements begin with; `there`: picks those that count among rows, if not all do."""
        self._collection = collection
        self._prefix = prefix
        self._end = prefix_end(prefix) if prefix else None
        self._name_at = len(prefix) + CRC_BYTES
        self._there = there

    def rows(self, start: int, stop: int) -> Iterator[Row]:
        """The rows of checksums in [start, stop), in their order."""
        low = self._prefix + start.to_bytes(CRC_BYTES, "big")
        high = self._prefix + stop.to_bytes(CRC_BYTES, "big") if stop < CRC_END else self._end
        rows = self._collection.scan(low, high)
        return rows if self._there is None else self._there(rows)

    def _all(self) -> Iterable[Row]:
        """Every row, in no order that matters."""
        if self._collection.spread:
            return self.rows(0, CRC_END)
        rows: Iterable[Row] = self._collection.items()
        if self._prefix:
            rows = (row for row in rows if row[0].startswith(self._prefix))
        return rows if self._there is None else self._there(rows)

    def _named(self, row: Row) -> Row:
        return row[0][self._name_at :], row[1]

    def page(self, cursor: int, count: int, bytes_max: float = inf) -> tuple[int, list[Row]]:
        """Where to go on (0: the end was reached), and about `count` (1 or more) names and values from `cursor` on;
        fewer when they have more than `bytes_max`."""
        found: list[Row] = []
        if cursor >= CRC_END:
            return 0, found
        size_bytes = 0
        last = b""
        crc_at, name_at = len(self._prefix), self._name_at
        for where, value in self.rows(cursor, CRC_END):
            crc = where[crc_at:name_at]
            if (len(found) >= count or size_bytes >= bytes_max) and crc != last:
                return int.from_bytes(crc, "big"), found
            last = crc
            size_bytes += len(where) + len(value)
            found.append((where[name_at:], value))
        return 0, found

    def draw(self, size: int, random: Random) -> Row:
        """A random name and its value, each as likely as any other; there must be one. `size`: how many rows lie here.

        While spread: a random bucket of checksums is read, wide enough for some eight rows. One of 32 places in it is
        drawn; when nothing lies there, the next bucket is tried. So a name is as likely in a full bucket as in a nearly
        empty one.
        """
        if not self._collection.spread:
            return self._named(random.choice(list(self._all())))
        buckets = max(size // _BUCKET_EXPECTED, 1)
        for _ in range(_TRIES_MAX):
            bucket = random.randrange(buckets)
            start, stop = bucket * CRC_END // buckets, (bucket + 1) * CRC_END // buckets
            found = list(islice(self.rows(start, stop), _BUCKET_READ_MAX))
            while len(found) == _BUCKET_READ_MAX and stop - start > 1:
                middle = (start + stop) // 2
                start, stop = (start, middle) if random.randrange(2) else (middle, stop)
                found = list(islice(self.rows(start, stop), _BUCKET_READ_MAX))
            place = random.randrange(max(len(found), _BUCKET_MAX))
            if place < len(found):
                return self._named(found[place])
        start = random.randrange(CRC_END)
        for row in chain(self.rows(start, CRC_END), self.rows(0, start)):
            return self._named(row)
        raise LookupError("nothing to draw from")

    def draw_many(self, size: int, count: int, random: Random, *, repeat: bool) -> list[Row]:
        """`count` random names and values; with `repeat` each drawn from all of them, else all different ones and at
        most `size`, which is how many there are."""
        if self._collection.spread and count * _DRAW_SHARE_MAX < size:
            if repeat:
                return [self.draw(size, random) for _ in range(count)]
            chosen: dict[bytes, bytes] = {}
            while len(chosen) < count:
                name, value = self.draw(size, random)
                chosen[name] = value
            return list(chosen.items())
        everything = [self._named(row) for row in self._all()]
        return choices(random, everything, count) if repeat else sample(random, everything, count)


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
        table = Table(collection)
        buckets = -(-size // _SAMPLE_BUCKET_EXPECTED)
        most = 2 * _SAMPLE_BUCKET_EXPECTED
        for _ in range(_SAMPLE_TRIES_MAX):
            bucket = random.randrange(buckets)
            start, stop = bucket * CRC_END // buckets, (bucket + 1) * CRC_END // buckets
            found = list(islice(table.rows(start, stop), most + 1))
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

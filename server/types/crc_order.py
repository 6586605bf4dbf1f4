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
_SLICE_EXPECTED = 64
"""Elements that a Sample reads at once, about."""
_SLICE_FULL = 96
"""More than that practically no slice holds: four times the deviation."""
_SECTOR_EXPECTED = 16 * _SLICE_EXPECTED
"""Elements of a sector of slices: what lies next to a slice may be empty so far."""
_SLICE_TRIES_MAX = 8
"""One or two do, unless the checksums were made to be uneven."""
_WHOLE_MAX = 256
"""A collection with no more is one slice."""
_TRIES_MAX = 200
"""A try fails three times out of four; so many in a row only when the checksums were made to be uneven, or when nearly
no row counts: then names are not as likely as each other any more."""
_DRAW_SHARE_MAX = 3
"""Who wants more than one in so many reads the whole collection, which costs less than drawing."""


def element(name: bytes) -> bytes:
    """Where `name` lies."""
    return _CRC.pack(crc32(name)) + name


def _until_large(rows: Iterable[Row], bytes_max: int) -> Iterator[Row]:
    """The first of `rows`, until they have so many bytes."""
    size_bytes = 0
    for row in rows:
        yield row
        size_bytes += len(row[0]) + len(row[1])
        if size_bytes >= bytes_max:
            return


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
            prefix = self._prefix
            rows = filter(lambda row: row[0].startswith(prefix), rows)
        return rows if self._there is None else self._there(rows)

    def _named(self, row: Row) -> Row:
        return row[0][self._name_at :], row[1]

    def page(self, cursor: int, count: int, bytes_max: int | None = None) -> tuple[int, list[Row]]:
        """Where to go on (0: the end was reached), and about `count` (1 or more) rows from `cursor` on; fewer when they
        have `bytes_max`."""
        if cursor >= CRC_END:
            return 0, []
        rows = self.rows(cursor, CRC_END)
        found = list(islice(rows if bytes_max is None else _until_large(rows, bytes_max), count))
        crc_at, name_at = len(self._prefix), self._name_at
        last = found[-1][0][crc_at:name_at] if found else b""
        for row in rows:
            crc = row[0][crc_at:name_at]
            if crc != last:
                return int.from_bytes(crc, "big"), found
            found.append(row)
        return 0, found

    def draw(self, size: int, random: Random) -> Row:
        """A random name and its value, each as likely as any other, of `size` (1 or more) that there are; while spread,
        that may be about.

        While spread: a random bucket of checksums is read, wide enough for some eight rows. One of 32 places in it is
        drawn; when nothing lies there, the next bucket is tried. So a name is as likely in a full bucket as in a nearly
        empty one.
        """
        if not self._collection.spread:
            return self._named(next(islice(self._all(), random.randrange(size), None)))
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
    """Random elements of a spread collection, read ahead for who takes random ones off it again and again. For Derived,
    see keyspace/derived.py.

    LevelDB walks over what was taken off as if it were still there, for a while. So the checksums are gone through in
    laps: from a slice drawn as `draw` does it, one slice after the other, and all of one is taken, in random order,
    before the next one is read. Each step finds an element then, however many have gone, and each is as likely as any
    other. Those that are taken together have checksums that lie together, which nobody can see in their names.

    The slices of a lap do not lie side by side: it visits the first one of each sector, then the second ones. So the
    checksums of what stays are about as even as they were, for `draw`.
    """

    __slots__ = ("_begun_with", "_left", "_rounds", "_sectors", "_step", "chosen", "size")

    def __init__(self) -> None:
        self.chosen: list[bytes] = []
        """In random order, as they lie in the collection."""
        self.size = _WHOLE_MAX
        self._begun_with = 0
        """Elements at the beginning of the lap."""
        self._sectors = self._rounds = 1
        """The slices: so many sectors, and slices in each."""
        self._step = 0
        """The next slice, in the order of the lap."""
        self._left = 0
        """Slices of this lap that were not read."""

    def fill(self, collection: Collection, size: int, random: Random) -> bool:
        """Choose some of the `size` elements, none of which is chosen. Whether luck would have it."""
        for _ in range(_SLICE_TRIES_MAX):
            is_first = not self._left or size > 2 * self._begun_with
            if is_first:
                self._begin(size, random)
            found = self._next(collection)
            if is_first and size > _WHOLE_MAX and random.randrange(_SLICE_FULL) >= len(found):
                self._left = 0  # as likely as there are elements in it
            elif found:
                random.shuffle(found)
                self.chosen = found
                return True
        return False

    def _begin(self, size: int, random: Random) -> None:
        """A lap through a collection of `size` elements."""
        self._begun_with = size
        self._sectors = max(size // _SECTOR_EXPECTED, 1)
        self._rounds = -(-size // (self._sectors * _SLICE_EXPECTED)) if size > _WHOLE_MAX else 1
        self._left = self._sectors * self._rounds
        self._step = random.randrange(self._left)

    def _next(self, collection: Collection) -> list[bytes]:
        """What lies in the next slice."""
        slices = self._sectors * self._rounds
        round_, sector = divmod(self._step, self._sectors)
        at = sector * self._rounds + round_
        self._step = (self._step + 1) % slices
        self._left -= 1
        rows = Table(collection).rows(at * CRC_END // slices, (at + 1) * CRC_END // slices)
        return [where for where, _ in islice(rows, _BUCKET_READ_MAX)]

    def added(self, where: bytes, size: int, random: Random) -> None:
        """An element has come to lie at `where`; they are `size` now."""
        chosen = self.chosen
        if not chosen:
            return
        at = random.randrange(size)
        if len(chosen) == size - 1 < _WHOLE_MAX:  # they are all that there are, and stay so
            chosen.insert(at, where)
        elif at < len(chosen):
            chosen[at] = where

    def removed(self, where: bytes) -> None:
        """The element there has gone."""
        if where in self.chosen:
            self.chosen.remove(where)

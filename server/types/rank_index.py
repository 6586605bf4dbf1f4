"""Ranks in an ordered table: how many elements lie before a key, and which key is the n-th, in O(log n).

LevelDB knows the order of a table and not how many keys lie before one. So beside the table of elements this index
keeps counts of intervals, in levels: a B+ tree whose leaves are the table itself.

    level 0      bound -> count     elements in [bound, next bound of level 0)
    level 1      bound -> count     elements in [bound, next bound of level 1), which is some 280 intervals of level 0
    …
    the root     not stored         the intervals of the highest level, up to 20,000

    record: index prefix, level:u8, bound -> count:u32, in the same collection

The first bound of every level is empty, and the bounds of a level are bounds of the level below too: each interval is
divided by those below it and never cut by them. A bound is the shortest key that lies between two elements, as it is
written whenever something near it comes or goes. A node is an interval with the intervals directly below it, wide so
that there are few levels, each of which is a record more to write; widest the root, which is read once: to more than a
million elements level 0 is enough. How many levels there are is `height`, which the owner of the index keeps with its
own meta (1 for a new one).

Nodes are read when they are walked through, one range of records each, and changed in memory: `add` only counts. Within
an interval of level 0 a scan of the table counts; of what it reads some bytes of each element are kept, which mostly
tell it from the others (rank_inside.py), as far as the owner of the index gives room.

`save` sets right what has grown or shrunk. An interval of level 0 with too many elements is read once and cut into as
many parts as it takes (which is also how an index over a table that was there already is built: `add` all of it to
a new one, then `save`). A node with too many intervals is divided, small neighbours of one node are joined, the root
grows and loses levels. Only records that are not as they were are written. After `save`, or when nothing was added, an
index is good for further commands on the same state: see keyspace/derived.py.

The edges of the table are remembered, too: `lowest` and `highest`, outside of which nothing lies. Who takes the first
element again and again, as a queue does, would else step over all that LevelDB has not yet thrown away; or the last
one, for LevelDB comes to the end of a range by going forward to it from behind. And he finds some of the elements that
come next read already (`edge`), more of them each time.

Usable for any ordered table of a Collection: the prefix of the elements and a prefix for the index are all it knows.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

from server.keyspace.collection import Collection
from server.keyspace.order import tails
from server.types.rank_inside import PARTS_IN_RECORD, Inside, common


class Fanout(NamedTuple):
    """How much is directly below an interval."""

    most: int
    """More are divided."""
    new: int
    """About what the parts of a division hold: room to grow, and not soon few enough to be joined."""
    fewest: int
    """Fewer are joined with a neighbour, if both together are at most `new`."""


ELEMENTS = Fanout(128, 80, 32)
"""In an interval of level 0: what a rank costs at first is a scan of up to half of them."""
NODES = Fanout(400, 250, 100)
"""Intervals in a node."""
ROOT_MAX = 20_000
"""Intervals in the root, which is divided as any other node if there are more. To read them takes some 10 ms."""
INTERVAL_EXPECTED = 90
"""About what an interval of level 0 holds on average."""
EDGE_MAX = 256
"""Elements that can be asked for at an edge at once."""
AHEAD_MAX = 1024
"""Elements at an edge that are read at once: each time it takes a look at all that is not applied yet."""
_AHEAD_BYTES_MAX = 1 << 20
"""About so much of them, where they are large."""
_EDGE_AT_FIRST = 16
_SUM_BITS = 5
_SUM = 1 << _SUM_BITS
"""So many counts are added up together, and so many sums of counts."""
_TOTAL_BITS = 2 * _SUM_BITS
_REFUSALS = 8
"""For lack of room, until what was kept longest makes some."""
_COUNT = Struct(">I")
_LEVELS = [bytes((level,)) for level in range(256)]


class _Node:
    """An interval and the intervals directly below it."""

    __slots__ = ("bounds", "counts", "kids", "level", "stop", "stored", "sums", "totals")

    def __init__(self, level: int, bounds: list[bytes], counts: list[int], stop: bytes | None) -> None:
        self.level = level
        """Of its intervals."""
        self.bounds = bounds
        """Where each interval begins; the first is where the node begins."""
        self.counts = counts
        """Elements in each."""
        self.kids: list[_Node | None] = [None] * len(bounds)
        """The intervals as nodes, as far as they were read. Always None in a node of level 0."""
        self.stop = stop
        """Where the node ends; None: with the table."""
        self.stored: dict[int, int] = {}
        """Intervals that elements have come to or gone from since the last `save`, and their counts before that."""
        self.sums: list[int] = []
        """Of _SUM counts each, the first ones; those that are not there are to be made."""
        self.totals: list[int] = []
        """Of _SUM sums each, likewise."""

    def stop_of(self, at: int) -> bytes | None:
        """Where interval `at` ends."""
        return self.bounds[at + 1] if at + 1 < len(self.bounds) else self.stop

    def part(self, first: int, stop: int) -> "_Node":
        """The intervals from `first` up to but without `stop`, as a node of its own."""
        node = _Node(self.level, self.bounds[first:stop], self.counts[first:stop], self.stop_of(stop - 1))
        node.kids = self.kids[first:stop]
        return node

    def before(self, at: int) -> int:
        """Elements before interval `at`."""
        counts, sums, totals = self.counts, self.sums, self.totals
        if len(totals) << _TOTAL_BITS < len(counts):
            self._add_up()
        first, second = at >> _TOTAL_BITS, at >> _SUM_BITS
        return (
            sum(totals[:first])
            + sum(sums[first << _SUM_BITS : second])
            + sum(counts[second << _SUM_BITS : at])
        )

    def find(self, rank: int) -> tuple[int, int]:
        """The interval in which the element is that so many lie before, and how many of those are in it too."""
        if len(self.totals) << _TOTAL_BITS < len(self.counts):
            self._add_up()
        at = 0
        for counts in (self.totals, self.sums, self.counts):
            at <<= _SUM_BITS
            while rank >= counts[at]:
                rank -= counts[at]
                at += 1
        return at, rank

    def change(self, at: int, count: int) -> None:
        """`count` elements (negative: fewer) have come to interval `at`."""
        counts, sums, totals = self.counts, self.sums, self.totals
        counts[at] += count
        if at >> _SUM_BITS < len(sums):
            sums[at >> _SUM_BITS] += count
            if at >> _TOTAL_BITS < len(totals):
                totals[at >> _TOTAL_BITS] += count

    def replaced(self, first: int) -> None:
        """The intervals from `first` on are others."""
        del self.sums[first >> _SUM_BITS :]
        del self.totals[first >> _TOTAL_BITS :]

    def _add_up(self) -> None:
        counts, sums, totals = self.counts, self.sums, self.totals
        for first in range(len(sums) << _SUM_BITS, len(counts), _SUM):
            sums.append(sum(counts[first : first + _SUM]))
        for first in range(len(totals) << _SUM_BITS, len(sums), _SUM):
            totals.append(sum(sums[first : first + _SUM]))


class _Edge:
    """The first elements of the table, or the last ones: all on one side of `bound`."""

    __slots__ = ("bound", "keys", "size")

    def __init__(self, keys: list[bytes], bound: bytes) -> None:
        self.keys = keys
        """In the table's order."""
        self.size = len(keys)
        """When they were read."""
        self.bound = bound
        """The first ones are all before it, the last ones it and all behind it."""

    def change(self, key: bytes, count: int) -> None:
        """`key`, which lies on this side, has come or gone."""
        keys = self.keys
        if count < 0:
            del keys[bisect_left(keys, key)]
        else:
            insort(keys, key)


class RankIndex:
    """The index of one table in a collection that is spread."""

    def __init__(self, collection: Collection, table: bytes, index: bytes, height: int) -> None:
        """`table`, `index`: prefixes of the elements and of the index's records; `height`: 0 for a new index of a
        table that is empty or whose elements are going to be added."""
        self._collection = collection
        self._table = table
        self._index = index
        self.height = height
        """Levels that are stored. The owner keeps it after `save`."""
        self.size = 0
        """Records that were read or made: what it takes in memory, about."""
        self.lowest = b""
        """No element lies before it. Owners that read the table from its beginning set it to what they have found."""
        self.highest: bytes | None = None
        """The last element; None: not known."""
        self._first: _Edge | None = None
        self._last: _Edge | None = None
        self._ahead = _EDGE_AT_FIRST
        """How many elements are read next at an edge."""
        self._insides: dict[bytes, Inside] = {}
        """By the bounds of the intervals, those that were read last at the end."""
        self._refused = 0
        """Intervals that there was no room for."""
        self._changed: list[_Node] = []
        """Nodes that have something in `stored`: all that `save` has to look at while no interval has become too large
        or too small."""
        self._touched: dict[bytes, int | None] = {}
        """While they are set right: where records lie that may have to be written, and their counts as stored; None:
        not there."""
        self._unsettled = not height
        """Some interval has."""
        if height:
            self._root = self._read(height - 1, b"", None)
        else:
            self.height = 1
            self._root = _Node(0, [b""], [0], None)
            self._touched[self._place(0, b"")] = None

    def attach(self, collection: Collection) -> None:
        """Go on with the same collection in another command."""
        self._collection = collection

    def __len__(self) -> int:
        """How many elements there are."""
        root = self._root
        return root.before(len(root.counts))

    def add(self, key: bytes, count: int = 1) -> None:
        """`count` elements (negative: fewer) have come to the interval of `key`: one at `key` itself, or any number
        before the first `save`. The table is to be changed by the caller, before `save`."""
        if key < self.lowest:
            self.lowest = key
        if self.highest is not None and key >= self.highest:
            self.highest = key if count > 0 else None
        edge = self._first
        if edge is not None and key < edge.bound:
            edge.change(key, count)
            if len(edge.keys) > 2 * AHEAD_MAX:
                edge.bound = edge.keys[AHEAD_MAX]
                del edge.keys[AHEAD_MAX:]
        edge = self._last
        if edge is not None and key >= edge.bound:
            edge.change(key, count)
            if len(edge.keys) > 2 * AHEAD_MAX:
                edge.bound = edge.keys[-AHEAD_MAX]
                del edge.keys[:-AHEAD_MAX]
        node = self._root
        while True:
            at = bisect_right(node.bounds, key) - 1
            stored = node.stored
            if at not in stored:
                if not stored:
                    self._changed.append(node)
                stored[at] = node.counts[at]
            node.change(at, count)
            if not node.level:
                break
            node = node.kids[at] or self._kid(node, at)
        if node.counts[at] > ELEMENTS.most or (count < 0 and self._joinable(node, at)):
            self._unsettled = True
        if self._insides:
            inside = self._insides.get(node.bounds[at])
            if inside is not None and not inside.change(key, count):
                self._forget_inside(node.bounds[at])

    def rank(self, key: bytes, is_there: bool = False, room: int = 0) -> int:
        """How many elements lie before `key`, which need not be there, or as `is_there` says is. `room`: what may be
        kept anew, in records. Not between `add` and `save`."""
        node = self._root
        at = bisect_right(node.bounds, key) - 1
        before = node.before(at)
        while node.level:
            node = self._kid(node, at)
            at = bisect_right(node.bounds, key) - 1
            before += node.before(at)
        inside = self._insides.get(node.bounds[at]) or self._look_inside(node, at, room)
        if inside is None:
            return before + self._before(key, node, at)
        if not key.startswith(inside.begin):
            return before if key < inside.begin else before + node.counts[at]
        parts, part = inside.parts, inside.part(key)
        low = bisect_left(parts, part)
        if is_there and (low + 1 == len(parts) or parts[low + 1] != part):
            return before + low
        stop = bisect_right(parts, part, low)
        if low == stop:
            return before + low
        found = inside.marked(key, low, stop) if is_there else None
        if found is None:
            first = max(inside.first(part), node.bounds[at])
            alike = list(islice(self._elements(first, None), stop - low))
            inside.learn(alike, low)
            found = low + bisect_left(alike, key)
        return before + found

    def key_at(self, rank: int) -> bytes:
        """The element before which `rank` others lie; there must be one. Not between `add` and `save`."""
        node = self._root
        at, rank = node.find(rank)
        while node.level:
            node = self._kid(node, at)
            at, rank = node.find(rank)
        start = node.bounds[at]
        inside = self._insides.get(start)
        if inside is not None:
            part = inside.parts[rank]
            rank -= bisect_left(inside.parts, part)
            start = max(inside.first(part), start)
        elements = self._elements(start, node.stop_of(at))
        return next(islice(elements, rank, None))

    def edge(self, count: int, reverse: bool) -> list[bytes]:
        """The first `count` elements, at most EDGE_MAX, in order, or with `reverse` the last ones from behind; there
        are more. Not between `add` and `save`."""
        edge = self._last if reverse else self._first
        if edge is None or len(edge.keys) < count:
            # The last ones, too, forwards and no step further: behind them lies what was taken off before.
            wanted = max(count, self._ahead)
            first = self.key_at(max(len(self) - wanted, 0)) if reverse else self.lowest
            keys = list(islice(self._elements(first, None), min(wanted, len(self))))
            if sum(map(len, keys)) <= _AHEAD_BYTES_MAX // 2:
                self._ahead = min(2 * self._ahead, AHEAD_MAX)
            else:
                self._ahead = max(self._ahead // 2, 1)
            self.size += len(keys) - (0 if edge is None else edge.size)
            if reverse:
                self.highest = keys[-1]
                edge = self._last = _Edge(keys, keys[0])
            else:
                self.lowest = keys[0]
                edge = self._first = _Edge(keys, keys[-1] + b"\0")
        keys = edge.keys
        return keys[: -count - 1 : -1] if reverse else keys[:count]

    def save(self) -> None:
        """Write what has changed."""
        if self._unsettled:
            self._save_settled()
            self._touched.clear()
            self._unsettled = False
        else:
            records = {}
            for node in self._changed:
                for at, count in node.stored.items():
                    if node.counts[at] != count:
                        records[self._place(node.level, node.bounds[at])] = _COUNT.pack(node.counts[at])
                node.stored.clear()
            self._collection.put_all(records)
        self._changed.clear()

    def _save_settled(self) -> None:
        """`save`, the tree set right before."""
        touched = self._touched
        for node in self._changed:
            for at, count in node.stored.items():
                touched.setdefault(self._place(node.level, node.bounds[at]), count)
        parts = self._settle(self._root, ROOT_MAX)
        while len(parts) > 1:
            bounds = [part.bounds[0] for part in parts]
            root = _Node(self.height, bounds, [sum(part.counts) for part in parts], None)
            root.kids = list(parts)
            for bound in bounds:
                touched.setdefault(self._place(self.height, bound), None)
            self.size += len(bounds)
            self.height += 1
            parts = self._divided(root, ROOT_MAX)
        self._root = parts[0]
        while self.height > 1 and len(self._root.bounds) == 1:
            touched.setdefault(self._place(self.height - 1, b""), self._root.counts[0])
            self._root = self._kid(self._root, 0)
            self.height -= 1
        level_at = len(self._index)
        for place, stored in touched.items():
            now = self._count(place[level_at], place[level_at + 1 :])
            if now is None:
                if stored is not None:
                    self._collection.delete(place)
            elif now != stored:
                self._collection.put(place, _COUNT.pack(now))

    # -- nodes ---------------------------------------------------------------------------------------------------

    def _place(self, level: int, bound: bytes) -> bytes:
        return self._index + _LEVELS[level] + bound

    def _read(self, level: int, start: bytes, stop: bytes | None) -> _Node:
        """The node over the intervals of `level` in [start, stop)."""
        end = self._place(level + 1, b"") if stop is None else self._place(level, stop)
        bounds: list[bytes] = []
        counts: list[int] = []
        skip = len(self._index) + 1
        for place, value in self._collection.scan(self._place(level, start), end):
            count = int.from_bytes(value, "big")
            bounds.append(place[skip:])
            counts.append(count)
        self.size += len(bounds)
        assert bounds[:1] == [start], "an interval without a record"
        return _Node(level, bounds, counts, stop)

    def _kid(self, node: _Node, at: int) -> _Node:
        """Interval `at` of `node`, which is not of level 0, as a node."""
        kid = node.kids[at]
        if kid is None:
            kid = node.kids[at] = self._read(node.level - 1, node.bounds[at], node.stop_of(at))
        return kid

    def _look_inside(self, node: _Node, at: int, room: int) -> Inside | None:
        """What is to be kept of interval `at` of a node of level 0 from now on. None: nothing, as there is no room; so
        who asks of ever other intervals pays little more than a scan of a part of each."""
        wanted = 2 + node.counts[at] // PARTS_IN_RECORD
        if wanted > room:
            self._refused += 1
            if self._refused % _REFUSALS:
                return None
            room += self.size
            while self._insides and self.size + wanted > room:
                self._forget_inside(next(iter(self._insides)))
            if self.size + wanted > room:
                return None
        bound = node.bounds[at]
        inside = Inside(list(self._elements(bound, node.stop_of(at))))
        self._insides[bound] = inside
        self.size += inside.size
        return inside

    def _forget_inside(self, bound: bytes) -> None:
        """The interval is another now, or makes room."""
        inside = self._insides.pop(bound, None)
        if inside is not None:
            self.size -= inside.size

    def _before(self, key: bytes, node: _Node, at: int) -> int:
        """How many elements of interval `at` of a node of level 0 lie before `key`. Counts those on the side of it on
        which there seem to be fewer."""
        low, stop = max(node.bounds[at], self.lowest), node.stop_of(at)
        if key <= low:
            return 0
        if stop is not None and _is_nearer_to_stop(key, low, stop):
            return node.counts[at] - self._scanned(key, stop)
        return self._scanned(low, key)

    def _scanned(self, start: bytes, stop: bytes) -> int:
        """How many elements are in [start, stop)."""
        table = self._table
        return len(list(self._collection.scan(table + start, table + stop)))

    def _end(self) -> bytes:
        """Where the table ends."""
        return self._table[:-1] + bytes((self._table[-1] + 1,))

    def _elements(self, start: bytes, stop: bytes | None) -> Iterator[bytes]:
        """The elements in [start, stop)."""
        table = self._table
        start = max(start, self.lowest)
        end = self._end() if stop is None else table + stop
        return tails(map(itemgetter(0), self._collection.scan(table + start, end)), len(table))

    def _count(self, level: int, bound: bytes) -> int | None:
        """The count of an interval in a node that was read; None: there is no such interval (any more)."""
        if level >= self.height:
            return None
        node = self._root
        for _ in range(self.height - 1, level, -1):
            kid = node.kids[bisect_right(node.bounds, bound) - 1]
            assert kid is not None, "a record was touched and its node not read"
            node = kid
        at = bisect_right(node.bounds, bound) - 1
        return node.counts[at] if node.bounds[at] == bound else None

    # -- setting right ------------------------------------------------------------------------------------------

    def _settle(self, node: _Node, most: int) -> list[_Node]:
        """`node`, with no interval below it too large or too small; as several nodes if there are more than `most`."""
        changed = sorted(node.stored, reverse=True)
        node.stored.clear()
        bounds = [node.bounds[at] for at in changed]
        for at in changed:  # from behind: the others stay where they are
            if node.level:
                parts = self._settle(self._kid(node, at), NODES.most)
                if len(parts) > 1:
                    pieces = [(part.bounds[0], sum(part.counts)) for part in parts]
                    self._replace(node, at, at + 1, pieces, parts)
            elif node.counts[at] > ELEMENTS.most:
                pieces = self._cut(node.bounds[at], node.stop_of(at), node.counts[at])
                self._replace(node, at, at + 1, pieces, [None] * len(pieces))
        for bound in bounds:
            self._join(node, bound)
        return self._divided(node, most)

    def _replace(
        self,
        node: _Node,
        first: int,
        stop: int,
        pieces: list[tuple[bytes, int]],
        kids: Sequence[_Node | None],
    ) -> None:
        """Put `pieces`, bounds and counts, and their `kids` where the intervals [first, stop) of `node` are."""
        touched, level = self._touched, node.level
        for at in range(first, stop):
            bound = node.bounds[at]
            touched.setdefault(self._place(level, bound), node.counts[at])
            if not level:
                self._forget_inside(bound)
        for bound, _ in pieces:
            touched.setdefault(self._place(level, bound), None)
        self.size += len(pieces) - (stop - first)
        node.bounds[first:stop] = [bound for bound, _ in pieces]
        node.counts[first:stop] = [count for _, count in pieces]
        node.kids[first:stop] = kids
        node.replaced(first)

    def _cut(self, start: bytes, stop: bytes | None, count: int) -> list[tuple[bytes, int]]:
        """An interval of level 0 in several, as (bound, count)."""
        elements = self._elements(start, stop)
        bound = start
        cuts: list[tuple[bytes, int]] = []
        last = b""
        for size in _sizes(count, ELEMENTS):
            first = next(elements)
            if cuts:
                bound = _between(last, first)
            cuts.append((bound, size))
            last = next(islice(elements, size - 2, None))
        return cuts

    def _join(self, node: _Node, bound: bytes) -> None:
        """Join the interval that `bound` lies in with a neighbour, if it has become small."""
        new = (NODES if node.level else ELEMENTS).new
        at = bisect_right(node.bounds, bound) - 1
        while len(node.bounds) > 1 and self._small(node, at):
            at = min(at, len(node.bounds) - 2)
            if self._size(node, at) + self._size(node, at + 1) > new:
                return
            left = None
            if node.level:
                left, right = self._kid(node, at), self._kid(node, at + 1)
                left.bounds += right.bounds
                left.counts += right.counts
                left.kids += right.kids
                left.stop = right.stop
                left.replaced(0)
            joined = node.bounds[at], node.counts[at] + node.counts[at + 1]
            self._replace(node, at, at + 2, [joined], [left])

    def _joinable(self, node: _Node, at: int) -> bool:
        """Whether interval `at` of a node of level 0 has become so small that it can be joined with a neighbour."""
        counts = node.counts
        if counts[at] >= ELEMENTS.fewest or len(counts) == 1:
            return not counts[at]
        return counts[at] + counts[at + 1 if at + 1 < len(counts) else at - 1] <= ELEMENTS.new

    def _small(self, node: _Node, at: int) -> bool:
        """Whether interval `at` is known to be small: one that was not read has not become so."""
        kid = node.kids[at]
        return (
            len(kid.bounds) < NODES.fewest
            if kid is not None
            else node.level == 0 and node.counts[at] < ELEMENTS.fewest
        )

    def _size(self, node: _Node, at: int) -> int:
        """What is directly below interval `at`: nodes or elements."""
        return len(self._kid(node, at).bounds) if node.level else node.counts[at]

    def _divided(self, node: _Node, most: int) -> list[_Node]:
        """`node`, or if there are more than `most` intervals in it its parts."""
        if len(node.bounds) <= most:
            return [node]
        parts: list[_Node] = []
        first = 0
        for size in _sizes(len(node.bounds), NODES):
            parts.append(node.part(first, first + size))
            first += size
        return parts


def _sizes(count: int, fanout: Fanout) -> list[int]:
    """`count`, more than `fanout.most`, in parts that are alike and hold about `fanout.new`."""
    parts = -(-count // fanout.new)
    return [count // parts + (number < count % parts) for number in range(parts)]


def _is_nearer_to_stop(key: bytes, low: bytes, stop: bytes) -> bool:
    """Whether `key`, as a number, lies in the upper half of what is between the others."""
    size = len(stop) + 1  # a bound is short: it ends where it differs from the element before it
    first = int.from_bytes(low[:size].ljust(size, b"\0"), "big")
    middle = int.from_bytes(key[:size].ljust(size, b"\0"), "big")
    return 2 * middle - first > int.from_bytes(stop, "big") << 8


def _between(low: bytes, high: bytes) -> bytes:
    """The shortest key that lies behind `low` and not behind `high`."""
    same = common(low, high)
    return high[: same + 1]

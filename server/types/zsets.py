"""Sorted sets: members with a score, in the order of score and then member.

Two tables in one collection, and counts for ranks once it is spread:

    'm' crc32(member):u32 member -> score:f64             always
    's' sortable score:u64 member -> '' or '-'            once spread; '-': the score is minus zero
    't' …                        -> counts of 's'         once spread, see rank_index.py

    meta:  members:u64 height:u8                          height of the rank index, 0 while compact

A sortable score is the double's bits, the sign turned, or all of them if it is negative, so that byte order is numeric
order; both zeros are one place. What comes after 's' is called a *place* here: places are in the set's order, and every
range (of ranks, scores or words, see zset_ranges.py) is one of places. While compact the places are made from the
members and sorted when they are needed.

The encoding is how Valkey would hold it in memory: a listpack up to 128 members of 64 bytes (keyspace/limits.py), a
skiplist beyond and from then on. It shows in OBJECT ENCODING, in ZSCAN's pages, and in that a listpack knows no minus
zero.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from random import Random
from struct import Struct
from zlib import crc32

from server.keyspace.breath import paced
from server.keyspace.collection import Collection
from server.keyspace.layout import ZSET
from server.keyspace.store import prefix_end
from server.keyspace.view import View
from server.types.crc_order import Table
from server.types.drawing import choices, sample
from server.types.rank_index import EDGE_MAX, INTERVAL_EXPECTED, RankIndex

LISTPACK, SKIPLIST = range(2)
ENCODING_NAMES = (b"listpack", b"skiplist")

_DRAW_SHARE = 30
"""A set is read whole when more than this part of it is drawn: a look-up by rank costs so many steps of a scan."""

_META = Struct(">QB")
_SCORE = Struct(">d")
_MEMBER = Struct(">cI")
_MEMBER_BYTES = _MEMBER.size
_SORTED, _SORTED_END, _INDEX = b"s", b"t", b"t"
_MINUS_ZERO = b"-"
_SIGN = 0x80
"""Of a score's first byte."""
_SIGN_TURNED = [bytes((byte ^ _SIGN,)) for byte in range(256)]
_ALL_TURNED = bytes(range(255, -1, -1))
"""To translate bytes with."""

SCORE_BYTES = _SCORE.size
"""Of a place, before the member."""
_ROW_MEMBER = 1 + SCORE_BYTES

Row = tuple[bytes, bytes]
"""A member with its score as it lies in the table 's'."""


def place_of_score(score: float, after: bool = False) -> bytes:
    """Where members of `score` begin, or with `after` where they have ended."""
    bits = _SCORE.pack(score + 0.0)  # minus zero plus zero is zero
    first = bits[0]
    place = bits.translate(_ALL_TURNED) if first & _SIGN else _SIGN_TURNED[first] + bits[1:]
    return prefix_end(place) if after else place


def pair_of(row: Row) -> tuple[bytes, float]:
    """Member and score."""
    where, value = row
    place = where[1:_ROW_MEMBER]
    first = place[0]
    bits = _SIGN_TURNED[first] + place[1:] if first & _SIGN else place.translate(_ALL_TURNED)
    score: float = _SCORE.unpack(bits)[0]
    return where[_ROW_MEMBER:], -0.0 if value == _MINUS_ZERO else score


def member_of(row: Row) -> bytes:
    """The member alone."""
    return row[0][_ROW_MEMBER:]


def members_of(rows: Iterable[Row]) -> list[bytes]:
    """The members alone."""
    return [where[_ROW_MEMBER:] for where, _ in rows]


def pairs_of(rows: Iterable[Row]) -> list[tuple[bytes, float]]:
    """Members and scores."""
    return list(map(pair_of, rows))


_ZERO_PLACE = place_of_score(0.0)
_MINUS_ZERO_SCORE = _SCORE.pack(-0.0)


def _element(member: bytes) -> bytes:
    return _MEMBER.pack(b"m", crc32(member)) + member


class SortedSet:
    """The sorted set under one key, good for one command."""

    __slots__ = ("_collection", "_height", "_index", "_places", "_view", "count", "encoding")

    def __init__(self, view: View, collection: Collection) -> None:
        self._view = view
        self._collection = collection
        count, height = _META.unpack(collection.meta) if collection.meta else (0, 0)
        self.count: int = count
        """Members."""
        self._height: int = height
        """Levels of the index."""
        self.encoding = collection.encoding
        """LISTPACK or SKIPLIST."""
        self._index: RankIndex | None = None
        self._places: list[bytes] | None = None
        """All places in order, while compact and unchanged since."""

    # -- members -------------------------------------------------------------------------------------------------

    def score(self, member: bytes) -> float | None:
        """The score of `member`, None when it is not there."""
        value = self._collection.get(_element(member))
        return None if value is None else _SCORE.unpack(value)[0]

    def put(self, member: bytes, score: float) -> None:
        """Set the score of `member`, new or not."""
        self.change(member, self.score(member), score)

    def change(self, member: bytes, old: float | None, score: float) -> None:
        """As `put`, if it is known which score `member` has, None for none."""
        collection = self._collection
        element = _element(member)
        if self.encoding == LISTPACK:
            limits = self._view.limits
            if old is None and (
                self.count >= limits.zset_max_listpack_entries or len(member) > limits.zset_max_listpack_value
            ):
                self.encoding = SKIPLIST
            else:
                score += 0.0
        if old is None:
            self.count += 1
        self._places = None
        if collection.spread:
            if old is not None:
                self._delete_place(place_of_score(old) + member)
            collection.put(element, _SCORE.pack(score))
            self._put_place(member, score)
            return
        collection.put(element, _SCORE.pack(score))
        if self._has_spread():
            for where, value in collection.range(b"m", b"n"):
                self._put_place(where[_MEMBER_BYTES:], _SCORE.unpack(value)[0])

    def make_room(self, members: int, member_bytes: int) -> bool:
        """Before so many members of up to so many bytes are put: choose the encoding. Whether a set that was there
        has changed its encoding, which is to be saved even if nothing else is."""
        limits = self._view.limits
        if members <= limits.zset_max_listpack_entries and member_bytes <= limits.zset_max_listpack_value:
            return False
        was_listpack, self.encoding = self.encoding == LISTPACK, SKIPLIST
        return was_listpack and self.count > 0

    def remove(self, member: bytes) -> bool:
        """Remove `member`; False when it was not there."""
        collection = self._collection
        element = _element(member)
        old = collection.get(element)
        if old is None:
            return False
        collection.delete(element)
        self.count -= 1
        self._places = None
        if collection.spread:
            self._delete_place(place_of_score(_SCORE.unpack(old)[0]) + member)
        return True

    def remove_all(self, members: Iterable[bytes]) -> int:
        """Remove `members`, and save; how many there were."""
        removed = sum(self.remove(member) for member in members)
        if removed:
            self.save()
        return removed

    def pop(self, count: int, reverse: bool = False) -> list[tuple[bytes, float]]:
        """Take the first `count` members (1 or more), or with `reverse` the last ones from behind, and save."""
        if not self._collection.spread or count > EDGE_MAX or count >= self.count:
            pairs = list(self.slice(0, count, reverse))
            self.remove_all([member for member, _ in pairs])
            return pairs
        collection = self._collection
        pairs = []
        for place in self._ranks().edge(count, reverse):
            where = _SORTED + place
            # Only the record of a zero tells which one it is.
            value = (collection.get(where) or b"") if place.startswith(_ZERO_PLACE) else b""
            pairs.append(pair_of((where, value)))
            collection.delete(_element(place[SCORE_BYTES:]))
            self._delete_place(place)
        self.count -= len(pairs)
        self.save()
        return pairs

    def save(self) -> bool:
        """Write the changes. Whether there still is such a key: no sorted set is empty."""
        collection = self._collection
        if not self.count:
            self._view.delete(collection.key)
            return False
        if self._index is not None:
            self._index.save()
            self._height = self._index.height
            self._view.derived.keep(collection.id, self._index)
        collection.meta = _META.pack(self.count, self._height)
        collection.encoding = self.encoding
        collection.save()
        return True

    def tables(self) -> list[tuple[bytes, bytes | None, int]]:
        """The tables of a spread set: where each begins and ends, and about how many records it has."""
        return [
            (b"m", b"n", self.count),
            (_SORTED, _SORTED_END, self.count),
            (_INDEX, None, self.count // INTERVAL_EXPECTED + 1),
        ]

    def page(self, cursor: int, count: int) -> tuple[int, list[tuple[bytes, float]]]:
        """Where ZSCAN goes on, 0 at the end, and about `count` members from `cursor` on, in the order of their
        checksums (crc_order.py); all that a listpack has, in its own order."""
        if self.encoding == LISTPACK:
            return 0, list(self.scan())
        after, found = Table(self._collection, b"m").page(cursor, count)
        return after, [(where[_MEMBER_BYTES:], _SCORE.unpack(value)[0]) for where, value in found]

    # -- order ---------------------------------------------------------------------------------------------------

    def rank(self, member: bytes) -> int | None:
        """How many members come before `member`, None when it is not there."""
        score = self.score(member)
        return None if score is None else self.position(place_of_score(score) + member, is_there=True)

    def position(self, place: bytes, is_there: bool = False) -> int:
        """How many members lie before `place`; `is_there`: one lies at it."""
        if not self._collection.spread:
            return bisect_left(self._ordered(), place)
        ranks, derived = self._ranks(), self._view.derived
        size = ranks.size
        position = ranks.rank(place, is_there, derived.room())
        if ranks.size != size:
            derived.keep(self._collection.id, ranks)
        return position

    def scan(
        self, start: bytes = b"", stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, float]]:
        """Member and score of all whose place is in [start, stop) (None: to the end), in order or its reverse. Not
        while the set is changed."""
        return map(pair_of, self.rows(start, stop, reverse))

    def slice(self, first: int, stop: int, reverse: bool = False) -> Iterator[tuple[bytes, float]]:
        """Member and score of those at the ranks [first, stop), counted from the end and in reverse order if
        `reverse`. Not while the set is changed."""
        return map(pair_of, self.slice_rows(first, stop, reverse))

    def rows(self, start: bytes = b"", stop: bytes | None = None, reverse: bool = False) -> Iterator[Row]:
        """As `scan`, for those who do not need everything of it: see `members_of` and `pairs_of`."""
        if stop is not None and start >= stop:
            return iter(())
        if self._collection.spread:
            return self._spread_rows(start, stop, reverse)
        places = self._ordered()
        low = bisect_left(places, start) if start else 0
        high = len(places) if stop is None else bisect_left(places, stop)
        chosen = places[low:high]
        if reverse:
            chosen.reverse()
        return map(self._row, chosen)

    def _row(self, place: bytes) -> Row:
        """What would lie at `place`, were the set spread."""
        minus_zero = (
            self.encoding == SKIPLIST
            and place.startswith(_ZERO_PLACE)
            and self._collection.get(_element(place[SCORE_BYTES:])) == _MINUS_ZERO_SCORE
        )
        return _SORTED + place, _MINUS_ZERO if minus_zero else b""

    def _spread_rows(self, start: bytes, stop: bytes | None, reverse: bool) -> Iterator[Row]:
        """`rows` while spread; learns where the set begins and ends."""
        ranks = self._ranks()
        low = max(start, ranks.lowest)
        if reverse and ranks.highest is None:
            ranks.highest = ranks.key_at(self.count - 1)
        high = stop
        if ranks.highest is not None and (stop is None or ranks.highest < stop):
            high = ranks.highest + b"\0"
        rows = self._collection.scan(_SORTED + low, _SORTED_END if high is None else _SORTED + high, reverse)
        if reverse or low != ranks.lowest:
            return rows
        edge = next(rows, None)
        if edge is None:
            return iter(())
        ranks.lowest = edge[0][1:]
        return chain((edge,), rows)

    def slice_rows(self, first: int, stop: int, reverse: bool = False) -> Iterator[Row]:
        """As `slice`; see `rows`."""
        stop = min(stop, self.count)
        if first >= stop:
            return iter(())
        if first == 0:
            rows = self.rows(reverse=reverse)
        else:
            at = self.count - 1 - first if reverse else first
            place = self._ranks().key_at(at) if self._collection.spread else self._ordered()[at]
            rows = self.rows(stop=place + b"\0", reverse=True) if reverse else self.rows(place)
        return islice(rows, stop - first)

    def _has_spread(self) -> bool:
        """Whether the collection is spread, asked after a change that may have made it so."""
        return self._collection.spread

    def _ordered(self) -> list[bytes]:
        if self._places is None:
            self._places = sorted(
                place_of_score(_SCORE.unpack(value)[0]) + where[_MEMBER_BYTES:]
                for where, value in self._collection.scan()
            )
        return self._places

    def _ranks(self) -> RankIndex:
        if self._index is None:
            collection, derived = self._collection, self._view.derived
            index = derived.find(collection.id)
            if index is None:
                index = RankIndex(collection, _SORTED, _INDEX, self._height)
                if self._height:
                    derived.keep(collection.id, index)
            else:
                index.attach(collection)
            self._index = index
        return self._index

    def _put_place(self, member: bytes, score: float) -> None:
        place = place_of_score(score) + member
        minus_zero = score == 0 and _SCORE.pack(score)[0]
        self._collection.put(_SORTED + place, _MINUS_ZERO if minus_zero else b"")
        self._ranks().add(place)

    def _delete_place(self, place: bytes) -> None:
        self._collection.delete(_SORTED + place)
        self._ranks().add(place, -1)


def find(view: View, key: bytes) -> SortedSet | None:
    """The sorted set at `key`, None when there is no such key; raises WRONGTYPE when it is none."""
    collection = view.collection(key, ZSET)
    return None if collection is None else SortedSet(view, collection)


def score(view: View, key: bytes, member: bytes) -> float | None:
    """The score of `member` in the sorted set at `key`, None when either is not there; raises WRONGTYPE."""
    value = view.value_in(key, ZSET, _element(member))
    return None if value is None else _SCORE.unpack(value)[0]


def create(view: View, key: bytes) -> SortedSet:
    """A new sorted set for `key`; its `save` replaces whatever is there."""
    return SortedSet(view, view.create(key, ZSET, encoding=LISTPACK))


def draw(zset: SortedSet, count: int, random: Random) -> list[tuple[bytes, float]]:
    """`count` random members with their scores, up to all of them, each once; if it is negative so many, each drawn
    from all."""
    size = zset.count
    if count >= size:
        return list(zset.scan())
    every = range(size)
    ranks = choices(random, every, -count) if count < 0 else sample(random, every, count)
    if len(ranks) * _DRAW_SHARE > size:
        pairs = list(zset.scan())
        return [pairs[rank] for rank in paced(iter(ranks))]
    return [pair for rank in ranks for pair in zset.slice(rank, rank + 1)]


def store(view: View, key: bytes, pairs: list[tuple[bytes, float]]) -> None:
    """Let `key` be a sorted set of these members with their scores, which are not none."""
    created = create(view, key)
    created.make_room(len(pairs), max(len(member) for member, _ in paced(iter(pairs))))
    for member, score in pairs:
        created.put(member, score)
    created.save()

"""Ranges of a sorted set: by rank, by score, by word. Each says which members it means, in either order.

A `Range` is asked for its members, as rows of the set, from an offset and up to a limit, or how many they are. All
three kinds come down to a range of places (zsets.py), so that reading costs what is read and counting O(log n).

A range of words only makes sense among members of one score; that is the range of places of that score. For a set with
several scores Redis leaves open what such a range means; here it is what Redis does with a small set, which compares
words from one end on. That walks over the members.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, takewhile
from typing import NamedTuple, Protocol

from server.types.zsets import Row, SortedSet, member_of, place_of_score

Pair = tuple[bytes, float]


class Range(Protocol):
    """Some members that follow each other."""

    def rows(self, zset: SortedSet, reverse: bool, offset: int, limit: int | None) -> Iterable[Row]:
        """The members with their scores, in order or its reverse, without the first `offset`, at most `limit`.
        `offset` is not negative."""

    def count(self, zset: SortedSet) -> int:
        """How many they are."""


class Ranks(NamedTuple):
    """Redis's indexes, both inclusive, negative ones from the end; from the highest score on when reversed."""

    start: int
    stop: int

    def _span(self, count: int) -> tuple[int, int]:
        first = max(self.start + count if self.start < 0 else self.start, 0)
        return first, (self.stop + count if self.stop < 0 else self.stop) + 1

    def rows(self, zset: SortedSet, reverse: bool, offset: int, limit: int | None) -> Iterable[Row]:
        """See Range."""
        first, stop = self._span(zset.count)
        first += offset
        return zset.slice_rows(first, stop if limit is None else min(stop, first + limit), reverse)

    def count(self, zset: SortedSet) -> int:
        """See Range."""
        first, stop = self._span(zset.count)
        return max(min(stop, zset.count) - first, 0)


class Places(NamedTuple):
    """Everything in [start, stop)."""

    start: bytes
    stop: bytes | None

    def rows(self, zset: SortedSet, reverse: bool, offset: int, limit: int | None) -> Iterable[Row]:
        """See Range."""
        if not offset:
            return islice(zset.rows(self.start, self.stop, reverse), limit)
        low = zset.position(self.start)
        high = zset.count if self.stop is None else zset.position(self.stop)
        first, stop = (zset.count - high, zset.count - low) if reverse else (low, high)
        first += offset
        return zset.slice_rows(first, stop if limit is None else min(stop, first + limit), reverse)

    def count(self, zset: SortedSet) -> int:
        """See Range."""
        low = zset.position(self.start)
        return max((zset.count if self.stop is None else zset.position(self.stop)) - low, 0)


def scores(low: float, after_low: bool, high: float, before_high: bool) -> Places:
    """Scores from `low` to `high`, without these themselves if so said."""
    return Places(place_of_score(low, after_low), place_of_score(high, not before_high))


class Word(NamedTuple):
    """One end of a range of words."""

    text: bytes
    exclusive: bool
    infinite: int = 0
    """-1 before all words, 1 behind all; `text` means nothing then."""


class Words(NamedTuple):
    """Members from `low` to `high`."""

    low: Word
    high: Word

    def rows(self, zset: SortedSet, reverse: bool, offset: int, limit: int | None) -> Iterable[Row]:
        """See Range."""
        score = _only_score(zset)
        if score is not None:
            places = self._places(score)
            return () if places is None else places.rows(zset, reverse, offset, limit)
        return islice(self._walk(zset, reverse), offset, None if limit is None else offset + limit)

    def count(self, zset: SortedSet) -> int:
        """See Range."""
        score = _only_score(zset)
        if score is None:
            return sum(1 for _ in self._walk(zset, False))
        places = self._places(score)
        return 0 if places is None else places.count(zset)

    def _places(self, score: float) -> Places | None:
        """The range among members that all have `score`; None: an end is on the wrong side of all words."""
        if self.low.infinite > 0 or self.high.infinite < 0:
            return None
        prefix = place_of_score(score)
        start, stop = prefix, place_of_score(score, after=True)
        if not self.low.infinite:
            start = prefix + self.low.text + (b"\0" if self.low.exclusive else b"")
        if not self.high.infinite:
            stop = prefix + self.high.text + (b"" if self.high.exclusive else b"\0")
        return Places(start, stop)

    def _behind_low(self, member: bytes) -> bool:
        low = self.low
        return (
            low.infinite < 0
            if low.infinite
            else member > low.text or (member == low.text and not low.exclusive)
        )

    def _before_high(self, member: bytes) -> bool:
        high = self.high
        return (
            high.infinite > 0
            if high.infinite
            else member < high.text or (member == high.text and not high.exclusive)
        )

    def _walk(self, zset: SortedSet, reverse: bool) -> Iterator[Row]:
        """As Redis goes over a small set."""
        low, high = self.low, self.high
        finite = not low.infinite and not high.infinite
        if finite and (low.text, low.exclusive or high.exclusive) > (high.text, False):
            return
        (first, _), (last, _) = next(zset.scan()), next(zset.scan(reverse=True))
        if not self._behind_low(last) or not self._before_high(first):
            return
        near, far = self._behind_low, self._before_high
        if reverse:
            near, far = far, near
        rows = zset.rows(reverse=reverse)
        for row in rows:
            if near(member_of(row)):
                if far(member_of(row)):
                    yield row
                    yield from takewhile(lambda each: far(member_of(each)), rows)
                return


def _only_score(zset: SortedSet) -> float | None:
    """The score of all members, None when they have several."""
    (_, lowest), (_, highest) = next(zset.scan()), next(zset.scan(reverse=True))
    return lowest if lowest == highest else None

"""Union, intersection and difference of sorted sets. Plain sets take part: their members score 1."""

from collections.abc import Callable, Iterable, Iterator
from math import isnan
from typing import Protocol

from server.errors import WRONG_TYPE, CommandError
from server.keyspace.breath import ordered
from server.keyspace.collection import Collection
from server.keyspace.layout import SET, ZSET
from server.keyspace.view import View
from server.types.crc_order import CRC_BYTES, element
from server.types.sets import COUNT_MAX, READ_SHARE_MAX
from server.types.zset_ranges import Pair
from server.types.zsets import SortedSet

Aggregate = Callable[[float, float], float]


def add_scores(a: float, b: float) -> float:
    """The sum; of opposite infinities 0."""
    total = a + b
    return 0.0 if isnan(total) else total


AGGREGATES: dict[bytes, Aggregate] = {
    b"sum": add_scores,
    b"min": lambda a, b: b if b < a else a,
    b"max": lambda a, b: b if b > a else a,
}


class Source(Protocol):
    """A set of either kind."""

    count: int

    def scan(self) -> Iterator[Pair]:
        """Every member with its score."""

    def score(self, member: bytes) -> float | None:
        """The score of `member`, None when it is not there."""


class _Plain:
    """A set without scores, as a source; see types/sets.py."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self.count = int.from_bytes(collection.meta, "big") & COUNT_MAX

    def scan(self) -> Iterator[Pair]:
        """See Source."""
        return ((where[CRC_BYTES:], 1.0) for where, _ in self._collection.items())

    def score(self, member: bytes) -> float | None:
        """See Source."""
        return None if self._collection.get(element(member)) is None else 1.0


def source(view: View, key: bytes) -> Source | None:
    """The set at `key`, None when there is no such key; raises WRONGTYPE when it is no set of either kind."""
    head = view.head(key)
    if head is None:
        return None
    if head.type not in (SET, ZSET):
        raise CommandError(WRONG_TYPE)
    collection = view.collection(key, head.type)
    assert collection is not None
    return SortedSet(view, collection) if head.type == ZSET else _Plain(collection)


def _times(weight: float, score: float) -> float:
    """Zero times infinity is zero."""
    product = weight * score
    return 0.0 if isnan(product) else product


def in_order(scores: dict[bytes, float]) -> list[Pair]:
    """As a sorted set orders them."""
    return ordered(scores.items(), _place)


def _place(pair: Pair) -> tuple[float, bytes]:
    return pair[1], pair[0]


def _by_size(sources: list[Source | None], weights: list[float]) -> list[tuple[Source | None, float]]:
    """The smallest first, which is also the order in which scores are aggregated."""
    return sorted(
        zip(sources, weights, strict=True), key=lambda each: each[0].count if each[0] is not None else 0
    )


def union(sources: list[Source | None], weights: list[float], aggregate: Aggregate) -> dict[bytes, float]:
    """Members of any source, their weighted scores aggregated."""
    result: dict[bytes, float] = {}
    for each, weight in _by_size(sources, weights):
        for member, score in each.scan() if each is not None else ():
            value = _times(weight, score)
            result[member] = aggregate(result[member], value) if member in result else value
    return result


def intersection(
    sources: list[Source | None], weights: list[float], aggregate: Aggregate
) -> dict[bytes, float]:
    """Members of every source, their weighted scores aggregated."""
    (first, first_weight), *others = _by_size(sources, weights)
    result: dict[bytes, float] = {}
    if first is None:
        return result
    for member, score in first.scan():
        value = _times(first_weight, score)
        for other, weight in others:
            found = other.score(member) if other is not None else None
            if found is None:
                break
            value = aggregate(value, weight * found)
        else:
            result[member] = value
    return result


def intersection_size(sources: list[Source | None], limit: int) -> int:
    """How many members are in every source; counts up to `limit`, 0 for all."""
    present = sorted((each for each in sources if each is not None), key=lambda each: each.count)
    if len(present) < len(sources):
        return 0
    size = 0
    for member, _ in present[0].scan():
        if all(other.score(member) is not None for other in present[1:]):
            size += 1
            if size == limit:
                break
    return size


def difference(sources: list[Source | None]) -> dict[bytes, float]:
    """Members of the first source that are in no other, with their scores."""
    first = sources[0]
    if first is None:
        return {}
    others = [each for each in sources[1:] if each is not None]
    if sum(each.count for each in others) <= READ_SHARE_MAX * first.count:
        gone = {member for each in others for member, _ in each.scan()}
        return {member: score for member, score in first.scan() if member not in gone}
    return {member: score for member, score in first.scan() if _in_none(member, others)}


def _in_none(member: bytes, sources: Iterable[Source]) -> bool:
    return all(each.score(member) is None for each in sources)

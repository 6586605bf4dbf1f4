"""The keys of a dict in their order, kept up with the dict as it grows: for scans over what is not in the store yet.

Sorting the keys for each scan makes a command that scans and writes in turn quadratic, and a scan slow while much waits
to be applied. `Order` has them in chunks of some hundred, so that a new key moves little. Whoever writes to the dict
need not know of it: a dict remembers the order in which its keys came, so what is new is found from its end (`follow`).
Who deletes from the dict has to `discard`.

`overlaid` is the scan: the rows of a store with the dict's laid over them.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from server.keyspace.breath import ordered, paced

Value = TypeVar("Value")

CHUNK_MAX = 512
"""Keys in one sorted piece: about where moving them costs as much as finding the piece."""
few_max = 64
"""With no more keys in the dict than this, sorting those of a range is as quick."""


class Order:
    """The keys of one dict, in byte order."""

    __slots__ = ("_changes", "_chunks", "_firsts")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._chunks: list[list[bytes]] = [[]]
        """Never empty, the first apart."""
        self._firsts: list[bytes] = [b""]
        """Where each chunk begins: no key of an earlier one is at or behind it."""
        self._changes = 0
        self._fill(keys)

    def _fill(self, keys: Iterable[bytes]) -> None:
        every = ordered(keys)
        step = CHUNK_MAX // 2
        self._chunks = [every[at : at + step] for at in range(0, len(every), step)] or [[]]
        self._firsts = [b"", *[chunk[0] for chunk in self._chunks[1:]]]
        self._changes += 1

    def __len__(self) -> int:
        return sum(map(len, self._chunks))

    def __contains__(self, key: bytes) -> bool:
        chunk = self._chunks[bisect_right(self._firsts, key) - 1]
        at = bisect_left(chunk, key)
        return at < len(chunk) and chunk[at] == key

    def follow(self, source: dict[bytes, Value]) -> None:
        """Take in the keys that have come to the dict since the last time."""
        new = []
        for key in paced(reversed(source)):
            if key in self:
                break
            new.append(key)
        if len(new) > len(source) // 4:
            self._fill(source)
            return
        for key in new:
            at = bisect_right(self._firsts, key) - 1
            chunk = self._chunks[at]
            insort(chunk, key)
            if len(chunk) > CHUNK_MAX:
                half = len(chunk) // 2
                self._chunks[at : at + 1] = [chunk[:half], chunk[half:]]
                self._firsts.insert(at + 1, chunk[half])
        if new:
            self._changes += 1

    def discard(self, key: bytes) -> None:
        """The key was deleted from the dict; nothing when it had not been taken in."""
        index = bisect_right(self._firsts, key) - 1
        chunk = self._chunks[index]
        at = bisect_left(chunk, key)
        if at < len(chunk) and chunk[at] == key:
            del chunk[at]
            self._changes += 1
            if not chunk and index:
                del self._chunks[index]
                del self._firsts[index]

    def range(self, start: bytes, stop: bytes, reverse: bool) -> Iterator[bytes]:
        """The keys in [start, stop), in order or its reverse. It may change meanwhile: what has not been reached yet is
        as it is then."""
        while True:
            changes = self._changes
            for key in self._backwards(start, stop) if reverse else self._forwards(start, stop):
                yield key
                if self._changes != changes:
                    if reverse:
                        stop = key
                    else:
                        start = key + b"\0"
                    break
            else:
                return

    def _forwards(self, start: bytes, stop: bytes) -> Iterator[bytes]:
        index = bisect_right(self._firsts, start) - 1
        at = bisect_left(self._chunks[index], start)
        while index < len(self._chunks):
            chunk = self._chunks[index]
            if chunk and chunk[-1] >= stop:
                yield from chunk[at : bisect_left(chunk, stop)]
                return
            yield from chunk[at:]
            index, at = index + 1, 0

    def _backwards(self, start: bytes, stop: bytes) -> Iterator[bytes]:
        index = bisect_right(self._firsts, stop) - 1
        at = bisect_left(self._chunks[index], stop)
        while index >= 0:
            chunk = self._chunks[index]
            low = bisect_left(chunk, start)
            yield from reversed(chunk[low:at])
            if low:
                return
            index -= 1
            at = len(self._chunks[index])


def in_range(source: dict[bytes, Value], start: bytes, stop: bytes, reverse: bool) -> Iterator[bytes]:
    """As Order.range, for a dict without an Order."""
    return iter(sorted([key for key in source if start <= key < stop], reverse=reverse))


def united(first: Iterator[bytes], second: Iterator[bytes], reverse: bool) -> Iterator[bytes]:
    """The keys of both, each once; both go in one direction."""
    one, other = next(first, None), next(second, None)
    while one is not None and other is not None:
        if one == other:
            yield one
            one, other = next(first, None), next(second, None)
        elif (one > other) if reverse else (one < other):
            yield one
            one = next(first, None)
        else:
            yield other
            other = next(second, None)
    if one is not None:
        yield one
        yield from first
    elif other is not None:
        yield other
        yield from second


def tails(keys: Iterable[bytes], cut: int) -> Iterator[bytes]:
    """The keys without their first `cut` bytes."""
    for key in keys:
        yield key[cut:]


def row_tails(rows: Iterable[tuple[bytes, bytes]], cut: int) -> Iterator[tuple[bytes, bytes]]:
    """The rows, their keys without their first `cut` bytes."""
    for key, value in rows:
        yield key[cut:], value


def overlaid(
    below: Iterator[tuple[bytes, bytes]],
    keys: Iterator[bytes],
    value_of: Callable[[bytes], bytes | None],
    reverse: bool,
) -> Iterator[tuple[bytes, bytes]]:
    """The rows of `below` and those of `keys`, which win; both go in one direction. A value of None hides a row."""
    mine = next(keys, None)
    if mine is None:
        yield from below
        return
    for row in below:
        where = row[0]
        while mine is not None and (mine > where if reverse else mine < where):
            value = value_of(mine)
            if value is not None:
                yield mine, value
            mine = next(keys, None)
        if mine == where:
            value = value_of(where)
            if value is not None:
                yield where, value
            mine = next(keys, None)
        else:
            yield row
    while mine is not None:
        value = value_of(mine)
        if value is not None:
            yield mine, value
        mine = next(keys, None)

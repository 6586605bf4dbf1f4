"""Lists: elements in order, added and taken at both ends.

The elements lie in a Collection under their positions, 8 bytes each, which have no gaps: the head's meta holds the
first position and the length, so that both ends and every index are one element away. A new list begins in the middle
of all positions, so that it can grow to either side for ever. Inserting and removing in between shifts the shorter
side.

Layout:     meta  first:u64 length:u64 size:u64        elements  position:u64 -> value

`size` is what the elements would take in a listpack. By it the collection's encoding says how Valkey would hold the
list: in a listpack while that fits one node (keyspace/limits.py), in a quicklist beyond, and in a listpack again when
it has shrunk to half of a node. Valkey knows its nodes and converts back only when a single one is left; here what
counts is the sum.

Who takes elements off an end one by one finds some of those that come next read already, see Ahead.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from itertools import chain, islice
from operator import itemgetter
from struct import Struct

from server.keyspace import events
from server.keyspace.breath import paced
from server.keyspace.collection import Collection
from server.keyspace.layout import LIST
from server.keyspace.limits import fits_list_node
from server.keyspace.view import View
from server.types.listpack_sizes import EMPTY_BYTES, element_bytes

LISTPACK, QUICKLIST = range(2)
ENCODING_NAMES = (b"listpack", b"quicklist")

_META = Struct(">QQQ")
_VALUE: Callable[[tuple[bytes, bytes]], bytes] = itemgetter(1)
_FEW = 4
"""So many look-ups cost less than a scan."""
_AHEAD_MIN = 64
_AHEAD_MAX = 512
"""Elements that are read at once: twice as many as the last time, as all of those were taken; and"""
_AHEAD_BYTES_MAX = 1 << 14
"""so many bytes of them, or one element."""
_AHEAD_UNIT_BYTES = 100
_POSITION = Struct(">Q").pack
_MIDDLE = 2**63


class End(Enum):
    """One of a list's two ends."""

    LEFT = b"LEFT"
    RIGHT = b"RIGHT"


PUSHED = {End.LEFT: b"lpush", End.RIGHT: b"rpush"}
POPPED = {End.LEFT: b"lpop", End.RIGHT: b"rpop"}


class Ahead:
    """Elements of one spread list that will be taken next, by position. Whatever is written at one of these positions
    is to be taken out: pushing never does that, as the positions lie within the list."""

    __slots__ = ("count", "next", "size", "values")

    def __init__(self) -> None:
        self.count = _AHEAD_MIN
        """So many are read next."""
        self.values: dict[int, bytes] = {}
        self.next = -1
        """What is taken after the last one that was not here: if it is not here either, it is time to read."""
        self.size = 1

    def read(self, rows: Iterable[tuple[bytes, bytes]], length: int) -> None:
        """Positions and values, as far as they are worth it, of a list of `length`: no step beyond its other end, where
        what was taken off may lie."""
        size_bytes = 0
        self.values = values = {}
        for where, value in islice(rows, min(length, self.count)):
            values[int.from_bytes(where, "big")] = value
            size_bytes += len(value)
            if size_bytes > _AHEAD_BYTES_MAX:
                break
        self.count = min(2 * self.count, _AHEAD_MAX)
        self.size = 1 + len(values) + size_bytes // _AHEAD_UNIT_BYTES


class ListValue:
    """The list at a key, for the length of one command. Changes are written by `save`."""

    __slots__ = ("_collection", "_first", "_view", "length", "size_bytes")

    def __init__(self, view: View, collection: Collection) -> None:
        self._view = view
        self._collection = collection
        self._first: int
        self.length: int
        self.size_bytes: int
        """What the elements take in a listpack."""
        self._first, self.length, self.size_bytes = _META.unpack(collection.meta)

    @property
    def encoding(self) -> int:
        """LISTPACK or QUICKLIST."""
        return self._collection.encoding

    def tables(self) -> list[tuple[bytes, bytes | None, int]]:
        """The only table of a spread list: where it begins and ends, and how many records it has."""
        return [(_POSITION(self._first), None, self.length)]

    def make_room(self, values: Iterable[bytes], count: int) -> None:
        """Before `count` `values` are added or put: choose the encoding, as Redis does by their bare lengths."""
        if self._collection.encoding == LISTPACK:
            size_bytes = EMPTY_BYTES + self.size_bytes + sum(map(len, values))
            if not fits_list_node(self._view.limits.list_max_listpack_size, size_bytes, self.length + count):
                self._collection.encoding = QUICKLIST

    def make_small(self, share: int = 2) -> None:
        """After elements were taken: a quicklist becomes a listpack when it fits in a `share` of a node."""
        if self._collection.encoding == QUICKLIST:
            size_bytes, length = EMPTY_BYTES + self.size_bytes, self.length
            limit = self._view.limits.list_max_listpack_size
            if limit >= 0:
                fits = length <= max(limit, 1) // share and fits_list_node(limit, size_bytes, length)
            else:
                fits = fits_list_node(limit, size_bytes * share, length)
            if fits:
                self._collection.encoding = LISTPACK

    def put(self, index: int, value: bytes) -> bool:
        """Replace the element at `index`, counted from the right when negative; False outside of the list."""
        if index < 0:
            index += self.length
        where = _POSITION(self._first + index)
        old = self._collection.get(where) if 0 <= index < self.length else None
        if old is None:
            return False
        self.make_room((value,), 1)
        self._collection.put(where, value)
        self._view.derived.forget(self._collection.id)
        self.size_bytes += element_bytes(value) - element_bytes(old)
        self.make_small()
        return True

    def walk(self, start: int, stop: int, reverse: bool = False) -> Iterator[bytes]:
        """The elements of [start, stop), indexes within the list, in order or from behind."""
        if stop - start <= _FEW:
            get = self._collection.get
            few = range(self._first + start, self._first + stop)
            values = [get(_POSITION(at)) for at in (reversed(few) if reverse else few)]
            return iter([value for value in values if value is not None])  # None: beyond the ends
        low, high = _POSITION(self._first + start), _POSITION(self._first + stop - 1) + b"\0"
        # No step into what was taken off.
        rows = islice(self._collection.scan(low, high, reverse), stop - start)
        return map(_VALUE, rows)

    def push(self, values: Sequence[bytes], end: End) -> None:
        """Add `values`, one after the other, at `end`."""
        collection = self._collection
        if collection.encoding == LISTPACK:
            self.make_room(values, len(values))
        step = -1 if end is End.LEFT else 1
        at = self._first - 1 if end is End.LEFT else self._first + self.length
        for value in values:
            collection.put(_POSITION(at), value)
            at += step
            self.size_bytes += element_bytes(value)
        self.length += len(values)
        if end is End.LEFT:
            self._first -= len(values)

    def pop(self, count: int, end: End) -> list[bytes]:
        """Take up to `count` elements, in the order in which they come off `end`."""
        if count == 1 and self.length > 1 and self._collection.spread:
            return [self._pop_one(end)]
        count = min(count, self.length)
        if end is End.LEFT:
            taken = list(self.walk(0, count))
            self._cut(count, 0, taken)
        else:
            taken = list(self.walk(self.length - count, self.length, reverse=True))
            self._cut(0, count, taken)
        return taken

    def _pop_one(self, end: End) -> bytes:
        """`pop` of one of several elements."""
        collection, derived = self._collection, self._view.derived
        at = self._first if end is End.LEFT else self._first + self.length - 1
        where = _POSITION(at)
        ahead: Ahead | None = derived.find(collection.id)
        if ahead is None:
            ahead = Ahead()
            derived.keep(collection.id, ahead)
        value = ahead.values.get(at)
        if value is None:
            if ahead.next != at:
                ahead.count = _AHEAD_MIN
                value = collection.get(where)
            elif end is End.LEFT:
                rows = collection.scan(where, _POSITION(at + ahead.count))
                ahead.read(rows, self.length)
            else:
                rows = collection.scan(_POSITION(at + 1 - ahead.count), where + b"\0", reverse=True)
                ahead.read(rows, self.length)
            step = max(len(ahead.values), 1) if value is None else 1
            ahead.next = at + step if end is End.LEFT else at - step
            if value is None:
                value = ahead.values[at]
                derived.keep(collection.id, ahead)
        collection.delete(where)
        ahead.values.pop(at, None)
        self.size_bytes -= element_bytes(value)
        self.length -= 1
        if end is End.LEFT:
            self._first += 1
        self.make_small()
        return value

    def cut(self, left: int, right: int) -> None:
        """Drop so many elements at the left end and at the right one."""
        if left + right < self.length:
            self._cut(left, right, chain(self.walk(0, left), self.walk(self.length - right, self.length)))
        else:
            self.length = 0

    def _cut(self, left: int, right: int, gone: Iterable[bytes]) -> None:
        """As `cut`; `gone` are these elements, or with the same sizes."""
        length = self.length - left - right
        self._view.derived.forget(self._collection.id)
        if length > 0:  # else the key goes, and what hangs under it with it
            self.size_bytes -= sum(map(element_bytes, gone))
            for at in range(left):
                self._collection.delete(_POSITION(self._first + at))
            for at in range(left + length, self.length):
                self._collection.delete(_POSITION(self._first + at))
        self._first += left
        self.length = max(length, 0)
        self.make_small()

    def insert(self, index: int, value: bytes) -> None:
        """Put `value` in front of the element that is at `index` (the length: behind all)."""
        self.make_room((value,), 1)
        self.size_bytes += element_bytes(value)
        if index < self.length - index:
            before = list(self.walk(0, index))
            self._first -= 1
            self._store(0, [*before, value])
        else:
            self._store(index, [value, *self.walk(index, self.length)])
        self.length += 1

    def remove(self, indexes: list[int]) -> None:
        """Remove the elements at `indexes`, which are some and in rising order."""
        first, last, gone = indexes[0], indexes[-1], set(indexes)
        removed: list[bytes] = []
        kept: list[bytes] = []
        if first + 1 >= self.length - last:  # the way to the right end is the shorter one
            for at, value in enumerate(self.walk(first, self.length), first):
                (removed if at in gone else kept).append(value)
            self._store(first, kept)
            self._cut(0, len(indexes), removed)
        else:
            for at, value in enumerate(self.walk(0, last + 1)):
                (removed if at in gone else kept).append(value)
            self._store(len(indexes), kept)
            self._cut(len(indexes), 0, removed)

    def _store(self, index: int, values: list[bytes]) -> None:
        self._view.derived.forget(self._collection.id)
        for at, value in enumerate(paced(iter(values)), self._first + index):
            self._collection.put(_POSITION(at), value)

    def save(self) -> None:
        """Write what has changed; a list that has become empty is a key that is gone, with its event."""
        collection = self._collection
        if not self.length:
            self._view.delete(collection.key)
            self._view.event(events.GENERIC, b"del", collection.key)
            return
        collection.meta = _META.pack(self._first, self.length, self.size_bytes)
        collection.save()


def find(view: View, key: bytes) -> ListValue | None:
    """The list at `key`, None when there is no such key; raises WRONGTYPE."""
    collection = view.collection(key, LIST)
    return None if collection is None else ListValue(view, collection)


def length(view: View, key: bytes) -> int:
    """How many elements the list at `key` has, 0 when there is no such key; raises WRONGTYPE."""
    meta = view.meta_in(key, LIST)
    return 0 if meta is None else _META.unpack(meta)[1]


def at(view: View, key: bytes, index: int) -> bytes | None:
    """The element at `index`, counted from the right when negative, of the list at `key`, which is there; None outside
    of it."""
    first, length, _ = _META.unpack(view.meta_in(key, LIST) or b"")
    if index < 0:
        index += length
    return view.value_in(key, LIST, _POSITION(first + index)) if 0 <= index < length else None


def find_or_new(view: View, key: bytes) -> ListValue:
    """As `find`, but an empty list when there is no such key."""
    return find(view, key) or create(view, key)


def create(view: View, key: bytes) -> ListValue:
    """A new list for `key`; its `save` replaces whatever is there."""
    return ListValue(view, view.create(key, LIST, _META.pack(_MIDDLE, 0, 0)))


def store(
    view: View, key: bytes, values: list[bytes], *, quicklist: bool = False, expire_ms: int = 0
) -> None:
    """Let `key` be a list of `values`, which are not none, whatever it was. `quicklist`: in any case."""
    collection = view.create(key, LIST, _META.pack(_MIDDLE, 0, 0))
    collection.expire_ms = expire_ms
    created = ListValue(view, collection)
    created.push(values, End.RIGHT)
    collection.encoding = QUICKLIST
    if not quicklist:
        created.make_small(share=1)
    created.save()


def span(length: int, start: int, stop: int) -> tuple[int, int]:
    """Redis's inclusive range, negative numbers counted from the right, as [first, stop) within the list; first ==
    stop when it is empty."""
    if start < 0:
        start = max(start + length, 0)
    if stop < 0:
        stop += length
    stop = min(stop + 1, length)
    return (start, stop) if start < stop else (0, 0)


def push(view: View, key: bytes, values: list[bytes], end: End, only_if_there: bool = False) -> int:
    """Add `values` at `end`; the new length, 0 when `only_if_there` and it is not."""
    found = find(view, key) if only_if_there else find_or_new(view, key)
    if found is None:
        return 0
    found.push(values, end)
    found.save()
    if view.notify:
        view.event(events.LIST, PUSHED[end], key)
    return found.length


def pop(view: View, key: bytes, count: int, end: End) -> list[bytes] | None:
    """Take up to `count` elements from `end`; None when there is no such key."""
    found = find(view, key)
    if found is None:
        return None
    if not count:
        return []
    taken = found.pop(count, end)
    if view.notify:
        view.event(events.LIST, POPPED[end], key)
    found.save()
    return taken


def move(view: View, source: bytes, target: bytes, take: End, give: End) -> bytes | None:
    """Take an element from `source` and add it to `target`, which may be the same; None when there is no `source`."""
    found = find(view, source)
    if found is None:
        return None
    into = found if source == target else find_or_new(view, target)
    if into is found and found.length == 1:
        (value,) = found.walk(0, 1)
    else:
        (value,) = found.pop(1, take)
        into.push([value], give)
    into.save()
    view.event(events.LIST, PUSHED[give], target)
    view.event(events.LIST, POPPED[take], source)
    if into is not found:
        found.save()
    return value


def insert(view: View, key: bytes, pivot: bytes, value: bytes, after: bool) -> int:
    """Put `value` beside the first `pivot`; the new length, -1 without a pivot, 0 without the key."""
    found = find(view, key)
    if found is None:
        return 0
    for index, element in enumerate(found.walk(0, found.length)):
        if element == pivot:
            found.insert(index + after, value)
            found.save()
            view.event(events.LIST, b"linsert", key)
            return found.length
    return -1


def remove(view: View, key: bytes, count: int, value: bytes) -> int:
    """Remove the first `count` elements equal to `value`; the last ones when negative, all when 0. How many."""
    found = find(view, key)
    if found is None:
        return 0
    indexes = positions(found, value, skip=0, count=abs(count), limit=0, reverse=count < 0)
    if not indexes:
        return 0
    found.remove(sorted(indexes))
    view.event(events.LIST, b"lrem", key)
    found.save()
    return len(indexes)


def positions(
    found: ListValue, value: bytes, *, skip: int, count: int, limit: int, reverse: bool
) -> list[int]:
    """The indexes of elements equal to `value`, in the order of the search, `count` (0: all) after the first `skip` of
    them; it looks at no more than `limit` elements (0: all)."""
    length = found.length
    looked = min(limit or length, length)
    start, stop = (length - looked, length) if reverse else (0, looked)
    indexes = []
    for number, element in enumerate(found.walk(start, stop, reverse)):
        if element != value:
            continue
        if skip:
            skip -= 1
            continue
        indexes.append(length - 1 - number if reverse else number)
        if len(indexes) == count:
            break
    return indexes


def trim(view: View, key: bytes, start: int, stop: int) -> None:
    """Keep the elements of Redis's range and drop all others."""
    found = find(view, key)
    if found is None:
        return
    first, end = span(found.length, start, stop)
    found.cut(first, found.length - end)
    view.event(events.LIST, b"ltrim", key)
    found.save()

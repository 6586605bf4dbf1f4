"""What a stream is: entries under growing ids, an append-only log that can be trimmed and have holes.

An id is 128 bits, milliseconds above and a sequence number below; here it is one integer, and 16 big endian bytes where
it lies. The elements of the collection:

    'e' id                     -> msgpack [field, value, field, value, …]
    'n' id of its first entry  -> Node                                     every node but the last
    'g' 'c' 'p' 'q' …          consumer groups, see stream_groups.py

Redis keeps entries in nodes of up to 100 entries or 4 KB (keyspace/limits.py), and approximate trimming (`~`) drops
whole nodes only. What such a command answers hangs on where nodes end, so they are counted here as Redis counts them,
although nothing is stored by node: the last node's count lies in the meta bytes, so that an XADD writes the entry and
the head, and a node becomes a record when the next one begins.

A stream without entries stays a key. All counts that XINFO shows and the lag of groups needs lie in the meta bytes,
and so do the first entry and the first node: nothing is searched from the collection's start, where deleted records
may lie by the million.
"""

from collections.abc import Iterator
from itertools import islice
from struct import Struct
from zlib import crc32

import msgspec

from server.keyspace.collection import Collection
from server.keyspace.layout import STREAM
from server.keyspace.limits import HasLimits, fits_stream_node
from server.keyspace.view import View
from server.types.listpack_sizes import EMPTY_BYTES, element_bytes, integer_bytes

Id = int
"""Milliseconds << 64 | sequence number."""
ID_MAX = (1 << 128) - 1
SEQUENCE_BITS = 64
SEQUENCE_MAX = (1 << SEQUENCE_BITS) - 1

_META = Struct(">QQQQQQQQQQQ")
_TAIL = Struct(">QQQQIIII")
_NODE = Struct(">16sIIII")
_ID_BYTES = 16
_parts = Struct(">QQ").unpack_from
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


def id_bytes(id_: Id) -> bytes:
    """An id as it lies in the store."""
    return id_.to_bytes(_ID_BYTES, "big")


def id_of(data: bytes) -> Id:
    """The id that `data`, the end of an element, is."""
    return int.from_bytes(data[-_ID_BYTES:], "big")


def fields_crc(names: list[bytes]) -> int:
    """What a node remembers of the names of its first entry's fields."""
    return crc32(b"".join(b"%d:%b" % (len(name), name) for name in names))


class Node:
    """What Redis would know of one of its nodes."""

    __slots__ = ("entries", "fields_crc", "first", "last", "live", "size_bytes")

    def __init__(
        self, first: Id, last: Id, live: int, entries: int, size_bytes: int, fields_crc: int
    ) -> None:
        self.first = first
        self.last = last
        """The id of the last entry, deleted or not."""
        self.live = live
        self.entries = entries
        """With the deleted ones."""
        self.size_bytes = size_bytes
        self.fields_crc = fields_crc
        """Of the names of the first entry's fields: entries with the same ones do not repeat them."""

    def encode(self) -> bytes:
        """The record, which the id of the first entry is the key of."""
        return _NODE.pack(id_bytes(self.last), self.live, self.entries, self.size_bytes, self.fields_crc)

    @classmethod
    def decode(cls, first: Id, record: bytes) -> "Node":
        """The node in a record."""
        last, *counts = _NODE.unpack(record)
        return cls(first, id_of(last), *counts)


class Stream:
    """A stream as of one command; changes are written by `save`, or the command fails."""

    __slots__ = (
        "_saved",
        "added",
        "collection",
        "first",
        "head",
        "last",
        "length",
        "max_deleted",
        "nodes",
        "tail",
    )

    def __init__(self, collection: Collection) -> None:
        """`collection`: as in the store, or new with empty meta."""
        self.collection = collection
        self._saved = collection.meta if collection.spread else b""
        self.length = self.added = self.nodes = 0
        """Entries; entries ever added; nodes."""
        self.last = self.max_deleted = self.first = self.head = 0
        """Last id given, highest id deleted by XDEL, id of the first entry, of the first node: 0 for none."""
        self.tail: Node | None = None
        """The last node; None when there is none."""
        meta = collection.meta
        if meta:
            self.length, self.added, self.nodes, a, b, c, d, e, f, g, h = _META.unpack_from(meta)
            bits = SEQUENCE_BITS
            self.last, self.max_deleted, self.first, self.head = (
                a << bits | b,
                c << bits | d,
                e << bits | f,
                g << bits | h,
            )
            if self.nodes:
                a, b, c, d, *counts = _TAIL.unpack_from(meta, _META.size)
                self.tail = Node(a << bits | b, c << bits | d, *counts)

    def save(self, changed: bool = False) -> None:
        """Write what has changed. The head, which waiters and WATCH go by, only with a change of the entries or when
        the whole stream lies in it; `changed`: in any case."""
        tail = self.tail
        bits, low = SEQUENCE_BITS, SEQUENCE_MAX
        last, max_deleted, first, head = self.last, self.max_deleted, self.first, self.head
        meta = _META.pack(
            self.length,
            self.added,
            self.nodes,
            last >> bits,
            last & low,
            max_deleted >> bits,
            max_deleted & low,
            first >> bits,
            first & low,
            head >> bits,
            head & low,
        )
        if tail is not None:
            first, last = tail.first, tail.last
            meta += _TAIL.pack(
                first >> bits,
                first & low,
                last >> bits,
                last & low,
                tail.live,
                tail.entries,
                tail.size_bytes,
                tail.fields_crc,
            )
        if changed or meta != self._saved:
            self.collection.meta = meta
            self.collection.save()
            self._saved = meta if self.collection.spread else b""

    # -- reading ---------------------------------------------------------------------------------------------

    def get(self, id_: Id) -> list[bytes] | None:
        """Fields and values of an entry, None when it is not there."""
        if not self.first <= id_ <= self.last:
            return None
        value = self.collection.get(b"e" + id_bytes(id_))
        return None if value is None else _decode(value)

    def scan(self, start: Id, end: Id, reverse: bool = False) -> Iterator[tuple[Id, list[bytes]]]:
        """Entries with ids in [start, end], fields and values in turn."""
        for element, value in self._rows(start, end, reverse):
            yield id_of(element), _decode(value)

    def show(self, start: Id, end: Id, reverse: bool, limit: int | None) -> list[list[bytes | list[bytes]]]:
        """As `scan`, up to `limit` of them, with ids as clients write them."""
        rows = islice(self._rows(start, end, reverse), limit)
        return [[b"%d-%d" % _parts(element, 1), _decode(value)] for element, value in rows]

    def _rows(self, start: Id, end: Id, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        start, end = max(start, self.first), min(end, self.last)
        if start > end or not self.length:
            return iter(())
        return self.collection.scan(b"e" + id_bytes(start), b"e" + id_bytes(end) + b"\0", reverse)

    def top(self) -> Id:
        """The id of the last entry that is there; 0 when there is none."""
        return next((id_ for id_, _ in self.scan(0, ID_MAX, reverse=True)), 0)

    # -- adding ----------------------------------------------------------------------------------------------

    def append(self, id_: Id, pairs: list[bytes], limits: HasLimits) -> None:
        """Add an entry; `id_` is above `last`. `limits`: of nodes."""
        crc = fields_crc(pairs[::2])
        tail = self.tail
        if tail is not None and not fits_stream_node(
            limits, tail.size_bytes + sum(map(len, pairs)), tail.entries
        ):
            self.collection.put(b"n" + id_bytes(tail.first), tail.encode())
            tail = None
        if tail is None:
            tail = self.tail = Node(id_, id_, 0, 0, _node_bytes(pairs[::2]), crc)
            self.nodes += 1
            if self.nodes == 1:
                self.head = id_
        tail.size_bytes += _entry_bytes(tail.first, id_, pairs, crc == tail.fields_crc)
        tail.last = id_
        tail.live += 1
        tail.entries += 1
        self.collection.put(b"e" + id_bytes(id_), _encode(pairs))
        if not self.length:
            self.first = id_
        self.last = id_
        self.length += 1
        self.added += 1

    def load(self, node: Node, entries: list[tuple[Id, list[bytes]]]) -> None:
        """Add a node behind all others as it is, with its live entries (RESTORE). The ids rise; counts that are not
        about entries and nodes are the caller's."""
        if self.tail is not None:
            self.collection.put(b"n" + id_bytes(self.tail.first), self.tail.encode())
        else:
            self.head = node.first
        self.tail = node
        self.nodes += 1
        for id_, pairs in entries:
            self.collection.put(b"e" + id_bytes(id_), _encode(pairs))
        if entries and not self.length:
            self.first = entries[0][0]
        self.length += len(entries)

    def tables(self) -> list[tuple[bytes, bytes | None, int]]:
        """The tables of a spread stream, those of groups apart: where each begins and ends, and how many records it
        has."""
        return [(b"e" + id_bytes(self.first), b"f", self.length), (b"n", b"o", max(self.nodes - 1, 0))]

    def every_node(self) -> list[tuple[Node, list[tuple[Id, list[bytes]]]]]:
        """All nodes, each with its entries."""
        return [(node, list(self.scan(node.first, node.last))) for node in self._nodes(self.head)]

    # -- removing --------------------------------------------------------------------------------------------

    def delete(self, ids: list[Id]) -> int:
        """Remove these entries (XDEL). How many were there."""
        deleted = 0
        first = self.first
        for id_ in ids:
            element = b"e" + id_bytes(id_)
            if id_ > self.last or self.collection.get(element) is None:
                continue
            self.collection.delete(element)
            self.length -= 1
            deleted += 1
            self.max_deleted = max(self.max_deleted, id_)
            if id_ == first:
                self.first = id_ + 1  # a bound until the end of the loop
            self._leave_node(id_)
        if deleted:
            self._find_first()
        return deleted

    def _find_first(self) -> None:
        """`first` is a lower bound: make it exact."""
        self.first = next((id_ for id_, _ in self.scan(self.first, ID_MAX)), 0) if self.length else 0

    def _leave_node(self, id_: Id) -> None:
        """Count the entry out of its node; a node without entries is none."""
        tail = self.tail
        assert tail is not None
        if id_ >= tail.first:
            tail.live -= 1
            if not tail.live:
                self._drop_tail()
            return
        ((element, record),) = self.collection.range(
            b"n" + id_bytes(self.head), b"n" + id_bytes(id_ + 1), reverse=True, limit=1
        )
        node = Node.decode(id_of(element), record)
        node.live -= 1
        if node.live:
            self.collection.put(element, node.encode())
            return
        self.collection.delete(element)
        self.nodes -= 1
        if node.first == self.head:
            self.head = next(self._nodes(node.last + 1)).first

    def _drop_tail(self) -> None:
        """The last node goes: the one before it becomes the last."""
        tail = self.tail
        assert tail is not None
        self.nodes -= 1
        if not self.nodes:
            self.tail, self.head = None, 0
            return
        ((element, record),) = self.collection.range(
            b"n" + id_bytes(self.head), b"n" + id_bytes(tail.first), reverse=True, limit=1
        )
        self.collection.delete(element)
        self.tail = Node.decode(id_of(element), record)

    def _nodes(self, start: Id) -> Iterator[Node]:
        """The nodes whose first id is at least `start`, in order."""
        tail = self.tail
        if tail is None:
            return
        for element, record in self.collection.scan(b"n" + id_bytes(start), b"n" + id_bytes(tail.first)):
            yield Node.decode(id_of(element), record)
        yield tail

    def trim_length(self, length_max: int, approximate: bool, limit: int) -> int:
        """Remove the first entries until `length_max` are left; how many that were. `approximate`: whole nodes only,
        not more than `limit` entries (0: any number)."""
        gone: list[Node] = []
        partial: Node | None = None
        left = self.length
        for node in self._nodes(self.head):
            if left <= length_max or (limit and self.length - left + node.live > limit):
                break
            if left - node.live < length_max:
                partial = None if approximate else node
                break
            gone.append(node)
            left -= node.live
        return self._remove(gone, partial, left - length_max if partial is not None else 0, ID_MAX)

    def trim_before(self, id_min: Id, approximate: bool, limit: int) -> int:
        """Remove the entries below `id_min`; otherwise as `trim_length`."""
        gone: list[Node] = []
        partial: Node | None = None
        removed = 0
        for node in self._nodes(self.head):
            if limit and removed + node.live > limit:
                break
            if node.last >= id_min:
                partial = None if approximate else node
                break
            gone.append(node)
            removed += node.live
        return self._remove(gone, partial, 0 if partial is None else partial.live, id_min)

    def _remove(self, gone: list[Node], partial: Node | None, of_partial: int, before: Id) -> int:
        """Remove the nodes `gone`, the first ones, and of `partial`, the next, up to `of_partial` entries with ids
        below `before`."""
        if not gone and partial is None:
            return 0
        end = gone[-1].last if gone else 0
        doomed: list[bytes] = []
        cut = 0
        first = 0
        for id_, _ in self.scan(0, ID_MAX):
            if id_ > end:
                if partial is None or id_ > partial.last or id_ >= before or cut == of_partial:
                    first = id_
                    break
                cut += 1
            doomed.append(b"e" + id_bytes(id_))
        for element in doomed:
            self.collection.delete(element)
        self.length -= len(doomed)
        if doomed:
            self.first = first
        tail = self.tail
        if partial is not None and cut:
            partial.live -= cut
            if partial is not tail:
                self.collection.put(b"n" + id_bytes(partial.first), partial.encode())
        self._remove_nodes(gone)
        return len(doomed)

    def _remove_nodes(self, gone: list[Node]) -> None:
        """The nodes `gone`, the first ones, have no entries any more."""
        for node in gone:
            if node is self.tail:
                self.tail = None
            else:
                self.collection.delete(b"n" + id_bytes(node.first))
        self.nodes -= len(gone)
        if gone:
            self.head = next((node.first for node in self._nodes(gone[-1].last + 1)), 0)

    # -- counting what was read ------------------------------------------------------------------------------

    def has_holes_from(self, start: Id) -> bool:
        """Whether XDEL has removed an entry at or behind `start`."""
        return bool(self.length and self.max_deleted) and start <= self.max_deleted

    def distance(self, id_: Id) -> int | None:
        """How many entries were ever added up to `id_`; None when it can not be told."""
        if not self.added:
            return 0
        if id_ == self.last or (not self.length and id_ < self.last):
            return self.added
        if id_ and id_ < self.max_deleted:
            return None
        if id_ < self.last and (not self.max_deleted or self.max_deleted < self.first):
            if id_ < self.first:
                return self.added - self.length
            if id_ == self.first:
                return self.added - self.length + 1
        return None


def find(view: View, key: bytes) -> Stream | None:
    """The stream at `key`, None when there is no such key; raises WRONGTYPE when it is none."""
    collection = view.collection(key, STREAM)
    if collection is None:
        return None
    known = collection.understood
    if isinstance(known, Stream):
        return known
    stream = Stream(collection)
    if collection.spread:  # else the view does not keep it, and the two would be one more cycle of garbage
        collection.understood = stream
    return stream


def create(view: View, key: bytes) -> Stream:
    """A new stream for `key`, where nothing is."""
    return Stream(view.create(key, STREAM))


# -- how large a node would be in Redis ------------------------------------------------------------------------------


def _node_bytes(names: list[bytes]) -> int:
    """A node without entries: counts, and the names of the fields that entries do not repeat."""
    return EMPTY_BYTES + 6 + integer_bytes(len(names)) + sum(map(element_bytes, names))


def _entry_bytes(first: Id, id_: Id, pairs: list[bytes], same_fields: bool) -> int:
    """An entry in the node that begins with `first`."""
    milliseconds = (id_ >> SEQUENCE_BITS) - (first >> SEQUENCE_BITS)
    sequence = (id_ & SEQUENCE_MAX) - (first & SEQUENCE_MAX)
    count = len(pairs) // 2
    size_bytes = integer_bytes(0) + integer_bytes(milliseconds) + integer_bytes(sequence)
    if same_fields:
        return size_bytes + integer_bytes(count + 3) + sum(map(element_bytes, pairs[1::2]))
    return size_bytes + integer_bytes(count) + integer_bytes(2 * count + 4) + sum(map(element_bytes, pairs))

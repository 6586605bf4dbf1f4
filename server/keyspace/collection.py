"""The elements of one key: an ordered map from element to value, small in the head, large in records of its own.

A type (hash, list, …) sees the same map either way: byte strings in byte order, values beside them, and `meta`, some
bytes of its own in the head, such as counts. While the map is small it lies in the head's payload, so that reading or
writing any of it is one record. When it outgrows COMPACT_BYTES_MAX or COMPACT_ELEMENTS_MAX each element becomes a
record under an id of the collection, and stays one: from then on an operation costs the elements that it touches.

    compact:  meta_bytes:u16 meta msgpack [element, value, element, value, …]   in element order; those of hashes
                                                                                and sets as they were added
    SPREAD:   id:u64 meta                                                       and 'e' id element -> value

A type numbers its elements' first bytes as it likes; several tables under one key (a sorted set's scores and its
order) are several first bytes. `save` writes the head with this command's revision, which WATCH and waiters go by: call
it once after the changes. A collection that has become empty is not saved, its key is deleted (`view.delete`).

The view keeps those that are spread and were used lately as they are, since to read a head and to write it anew costs
more than most commands do besides. So who changes `meta`, `encoding` or `expire_ms` saves, or fails.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

import msgspec

from server.keyspace.breath import breathe
from server.keyspace.layout import (
    COMPACT_META_BYTES,
    ELEMENT_PREFIX,
    ENCODING_MASK,
    HASH,
    HEADER,
    HEADER_BYTES,
    ID_BYTES,
    SET,
    SPREAD,
)

COMPACT_BYTES_MAX = 1000
"""Of elements and values: a head that is rewritten with each change should not be much larger than what changes."""
COMPACT_ELEMENTS_MAX = 128
_NOT_COUNTED = -1
_ELEMENT_TABLE = b"e"
_SPREAD_META_AT = HEADER_BYTES + ID_BYTES
_META_AT = HEADER_BYTES + COMPACT_META_BYTES

_AS_ADDED = (HASH, SET)
"""Types whose elements Redis shows, while they are few, in the order in which they were added."""

AsRecord = Callable[[int, bytes], bytes]
"""How a value lies outside of the head: from how many elements were added before it, and the value."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


class Keys(Protocol):
    """What a collection needs of the view."""

    effects: dict[bytes, bytes | None]
    """What this command has written."""

    def element(self, where: bytes) -> bytes | None:
        """The value of the element that lies at `where`."""

    def elements_under(
        self, prefix: bytes, start: bytes, stop: bytes | None, reverse: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """The elements of the one at `prefix` in [start, stop) (None: to the end), and their values."""

    def new_id(self) -> int:
        """An id for a new collection's elements."""

    def put(self, key: bytes, type_: int, payload: bytes, expire_ms: int = 0, encoding: int = 0) -> None:
        """Write the whole head of `key`."""

    def put_spread(self, collection: "Collection", payload: bytes) -> None:
        """`put` of the head of a collection that is spread."""


class Collection:
    """What view.collection and view.create return. Ask for it anew in each command."""

    __slots__ = (
        "_compact",
        "_prefix",
        "_size_bytes",
        "_sorted",
        "_view",
        "encoding",
        "expire_ms",
        "id",
        "key",
        "meta",
        "record",
        "type",
        "understood",
        "where",
    )

    def __init__(
        self,
        view: Keys,
        key: bytes,
        type_: int,
        encoding: int,
        expire_ms: int,
        id_: int,
        meta: bytes,
        compact: dict[bytes, bytes] | None,
        prefix: bytes = b"",
    ) -> None:
        """`prefix`: that of `id_`, if it is at hand."""
        self.key = key
        self.type = type_
        self.encoding = encoding
        """The type's own numbering, 0 to 31, and ELEMENTS_EXPIRE, without SPREAD."""
        self.expire_ms = expire_ms
        """Of the key: Unix time, 0 for none. `save` keeps it."""
        self.id = id_
        """0 while compact."""
        self.meta = meta
        """The type's own, at most 65,535 bytes. Written by `save`."""
        self.record: bytes | None = None
        """The head, while spread, as it was read or written last; the view's, as is"""
        self.where = b""
        """where it lies; empty: not known."""
        self.understood: object = None
        """What the type has made of `meta`, for the next command that is given this very collection."""
        self._view = view
        self._compact = compact
        self._sorted: list[bytes] | None = None
        """The elements in order, while compact and unchanged since."""
        self._size_bytes = _NOT_COUNTED if compact else 0
        """Of elements and values, while compact and since something was changed."""
        self._prefix = prefix or ELEMENT_PREFIX.pack(b"e", id_)

    @property
    def spread(self) -> bool:
        """The elements are records of their own."""
        return self._compact is None

    def get(self, element: bytes) -> bytes | None:
        """The value of `element`, None when it is not there."""
        if self._compact is not None:
            return self._compact.get(element)
        return self._view.element(self._prefix + element)

    def put(self, element: bytes, value: bytes, as_record: AsRecord | None = None) -> None:
        """Set `element`, new or not. `as_record`: what becomes of all values if this spreads the collection."""
        compact = self._compact
        if compact is None:
            breathe()
            self._view.effects[self._prefix + element] = value
            return
        if self._size_bytes == _NOT_COUNTED:
            self._size_bytes = sum(map(len, compact)) + sum(map(len, compact.values()))
        old = compact.get(element)
        if old is None:
            self._size_bytes += len(element) + len(value)
            self._sorted = None
        else:
            self._size_bytes += len(value) - len(old)
        compact[element] = value
        if self._size_bytes > COMPACT_BYTES_MAX or len(compact) > COMPACT_ELEMENTS_MAX:
            self._spread(as_record)

    def put_all(self, values: dict[bytes, bytes]) -> None:
        """Set some few elements, while spread."""
        breathe()
        prefix, effects = self._prefix, self._view.effects
        for element, value in values.items():
            effects[prefix + element] = value

    def delete(self, element: bytes) -> None:
        """Delete `element`; nothing when it is not there."""
        compact = self._compact
        if compact is None:
            breathe()
            self._view.effects[self._prefix + element] = None
            return
        old = compact.pop(element, None)
        if old is not None:
            if self._size_bytes != _NOT_COUNTED:
                self._size_bytes -= len(element) + len(old)
            self._sorted = None

    def scan(
        self, start: bytes = b"", stop: bytes | None = None, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Element and value of everything in [start, stop) (None: to the end), in order or its reverse. What is
        changed while it runs may or may not show: take a `range` to change what is walked over."""
        compact = self._compact
        if compact is None:
            return self._view.elements_under(self._prefix, start, stop, reverse)
        elements = self._ordered()
        low = bisect_left(elements, start) if start else 0
        high = len(elements) if stop is None else bisect_left(elements, stop)
        chosen = elements[low:high]
        if reverse:
            chosen.reverse()
        return iter([(element, compact[element]) for element in chosen])

    def range(
        self, start: bytes = b"", stop: bytes | None = None, reverse: bool = False, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """As `scan`, all at once, at most `limit` of them."""
        return list(islice(self.scan(start, stop, reverse), limit))

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """Every element and its value: of a hash or set that is compact as they were added, otherwise in order. Change
        nothing while it runs."""
        if self._compact is None:
            return self._view.elements_under(self._prefix, b"", None, False)
        return self._compact.items() if self.type in _AS_ADDED else self.scan()

    def rearrange(self, place: Callable[[bytes], Any]) -> None:
        """Have the elements, while compact, as if they had been added in the order of `place`."""
        if self._compact is not None:
            self._compact = {element: self._compact[element] for element in sorted(self._compact, key=place)}

    def save(self) -> None:
        """Write the head: the changes are this command's effects now."""
        compact = self._compact
        if compact is None:
            self._view.put_spread(self, self._prefix[1:] + self.meta)
            return
        pairs: list[bytes] = []
        if self.type in _AS_ADDED:
            for pair in compact.items():
                pairs += pair
        else:
            for element in self._ordered():
                pairs += (element, compact[element])
        payload = len(self.meta).to_bytes(COMPACT_META_BYTES, "big") + self.meta + _encode(pairs)
        self._view.put(self.key, self.type, payload, self.expire_ms, self.encoding)

    def _ordered(self) -> list[bytes]:
        if self._sorted is None:
            assert self._compact is not None
            self._sorted = sorted(self._compact)
        return self._sorted

    def _spread(self, as_record: AsRecord | None) -> None:
        """It has outgrown the head."""
        compact, self._compact = self._compact, None
        assert compact is not None
        self._sorted = None
        self.id = self._view.new_id()
        self._prefix = prefix = ELEMENT_PREFIX.pack(b"e", self.id)
        effects = self._view.effects
        for number, (element, value) in enumerate(compact.items()):
            effects[prefix + element] = value if as_record is None else as_record(number, value)


def open_collection(view: Keys, key: bytes, record: bytes) -> Collection:
    """The collection in `record`, the head of `key`."""
    type_, flags, _, expire_ms = HEADER.unpack_from(record)
    encoding = flags & ENCODING_MASK
    if flags & SPREAD:
        id_bytes = record[HEADER_BYTES:_SPREAD_META_AT]
        spread = Collection(
            view,
            key,
            type_,
            encoding & ~SPREAD,
            expire_ms,
            int.from_bytes(id_bytes, "big"),
            record[_SPREAD_META_AT:],
            None,
            _ELEMENT_TABLE + id_bytes,
        )
        spread.record = record
        return spread
    start = _META_AT + int.from_bytes(record[HEADER_BYTES:_META_AT], "big")
    pairs = iter(_decode(record[start:]))
    compact = dict(zip(pairs, pairs, strict=True))
    return Collection(view, key, type_, encoding, expire_ms, 0, record[_META_AT:start], compact)


def meta_of(record: bytes) -> bytes:
    """The meta in the head `record` of a collection."""
    if record[1] & SPREAD:
        return record[_SPREAD_META_AT:]
    return record[_META_AT : _META_AT + int.from_bytes(record[HEADER_BYTES:_META_AT], "big")]


def spread_element(record: bytes, element: bytes) -> bytes:
    """Where `element` of the collection with the SPREAD head `record` lies."""
    return _ELEMENT_TABLE + record[HEADER_BYTES:_SPREAD_META_AT] + element


def compact_value(record: bytes, element: bytes) -> bytes | None:
    """The value of `element` in a head that is not SPREAD, None when it is not there."""
    pairs = iter(_decode(record[_META_AT + int.from_bytes(record[HEADER_BYTES:_META_AT], "big") :]))
    return dict(zip(pairs, pairs, strict=True)).get(element)

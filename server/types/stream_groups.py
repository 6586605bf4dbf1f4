"""Consumer groups of a stream: who was given which entry, and has not acknowledged it.

Elements of the stream's collection, `<name>` being a name's length in four bytes and the name:

    'g' group                  -> last id delivered, entries read (-1: not known), pending, consumers
    'c' <group> consumer       -> last seen, last active (Unix ms, -1: never), pending
    'p' <group> id             -> time of delivery (Unix ms), deliveries, consumer
    'q' <group> <consumer> id  -> ''       the same pending entries by consumer

The counts make summaries cheap, and the second order makes a consumer's history one range. A `Group` keeps the
consumers that a command touches and writes them with itself in `save`; pending entries are written at once.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from server.types.streams import ID_MAX, Id, Stream, id_bytes, id_of

UNKNOWN = -1
"""Of `entries_read`: nobody can tell."""

_GROUP = Struct(">16sqQQ")
_CONSUMER = Struct(">qqQ")
_PENDING = Struct(">qQ")


def _named(name: bytes) -> bytes:
    return len(name).to_bytes(4, "big") + name


def _after(prefix: bytes) -> bytes:
    """Behind everything that begins with `prefix`, which is not all 255."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,))


def _ids(prefix: bytes, start: Id, end: Id) -> tuple[bytes, bytes]:
    """The range of the elements `prefix` id, with ids in [start, end]."""
    return prefix + id_bytes(start), prefix + id_bytes(end) + b"\0"


class Consumer:
    """One of a group's consumers."""

    __slots__ = ("active_ms", "name", "pending", "seen_ms")

    def __init__(self, name: bytes, seen_ms: int, active_ms: int = -1, pending: int = 0) -> None:
        self.name = name
        self.seen_ms = seen_ms
        self.active_ms = active_ms
        """When it was last given an entry; -1: never."""
        self.pending = pending


class Pending(NamedTuple):
    """An entry that was delivered and not acknowledged."""

    id: Id
    consumer: bytes
    delivered_ms: int
    deliveries: int


class Group:
    """One group of a stream, for the length of one command."""

    __slots__ = (
        "_by_consumer",
        "_by_id",
        "_consumer_prefix",
        "_loaded",
        "consumers",
        "entries_read",
        "last",
        "name",
        "pending",
        "stream",
    )

    def __init__(
        self, stream: Stream, name: bytes, last: Id, entries_read: int, pending: int = 0, consumers: int = 0
    ) -> None:
        self.stream = stream
        self.name = name
        self.last = last
        """The last id delivered."""
        self.entries_read = entries_read
        self.pending = pending
        """How many entries are pending."""
        self.consumers = consumers
        """How many consumers there are."""
        self._consumer_prefix = b"c" + _named(name)
        self._by_id = b"p" + _named(name)
        self._by_consumer = b"q" + _named(name)
        self._loaded: dict[bytes, Consumer] = {}

    def save(self) -> None:
        """Write the group and the consumers that were looked up; the stream is saved by who opened it."""
        put = self.stream.collection.put
        put(
            b"g" + self.name,
            _GROUP.pack(id_bytes(self.last), self.entries_read, self.pending, self.consumers),
        )
        for name, consumer in self._loaded.items():
            put(
                self._consumer_prefix + name,
                _CONSUMER.pack(consumer.seen_ms, consumer.active_ms, consumer.pending),
            )

    def tables(self) -> list[tuple[bytes, bytes | None, int]]:
        """Where what belongs to the group lies, in a spread stream: begin, end and how many records."""
        where = b"g" + self.name
        return [
            (where, where + b"\0", 1),
            (self._consumer_prefix, _after(self._consumer_prefix), self.consumers),
            (self._by_id, _after(self._by_id), self.pending),
            (self._by_consumer, _after(self._by_consumer), self.pending),
        ]

    # -- consumers -------------------------------------------------------------------------------------------

    def consumer(self, name: bytes) -> Consumer | None:
        """A consumer, None when there is none of that name."""
        found = self._loaded.get(name)
        if found is None:
            record = self.stream.collection.get(self._consumer_prefix + name)
            if record is None:
                return None
            found = self._loaded[name] = Consumer(name, *_CONSUMER.unpack(record))
        return found

    def create_consumer(self, name: bytes, now_ms: int) -> Consumer:
        """A new consumer."""
        self.consumers += 1
        consumer = self._loaded[name] = Consumer(name, now_ms)
        return consumer

    def delete_consumer(self, consumer: Consumer) -> None:
        """Remove a consumer and what is pending for it."""
        collection = self.stream.collection
        for pending in self.pending_of(consumer.name, 0, ID_MAX):
            self.release(pending)
        collection.delete(self._consumer_prefix + consumer.name)
        del self._loaded[consumer.name]
        self.consumers -= 1

    def every_consumer(self) -> list[Consumer]:
        """All consumers, ordered by name, as they are in the store."""
        prefix = self._consumer_prefix
        return [
            Consumer(element[len(prefix) :], *_CONSUMER.unpack(record))
            for element, record in self.stream.collection.scan(prefix, _after(prefix))
        ]

    # -- what is pending -------------------------------------------------------------------------------------

    def find_pending(self, id_: Id) -> Pending | None:
        """The pending entry of that id."""
        record = self.stream.collection.get(self._by_id + id_bytes(id_))
        return None if record is None else _decode(id_, record)

    def scan_pending(self, start: Id, end: Id, reverse: bool = False) -> Iterator[Pending]:
        """What is pending with ids in [start, end]."""
        if self.pending:
            for element, record in self.stream.collection.scan(*_ids(self._by_id, start, end), reverse):
                yield _decode(id_of(element), record)

    def scan_pending_of(self, consumer: bytes, start: Id, end: Id) -> Iterator[Pending]:
        """What is pending for one consumer."""
        bounds = _ids(self._by_consumer + _named(consumer), start, end)
        for element, _ in self.stream.collection.scan(*bounds):
            pending = self.find_pending(id_of(element))
            assert pending is not None
            yield pending

    def pending_of(self, consumer: bytes, start: Id, end: Id) -> list[Pending]:
        """As `scan_pending_of`, all at once: for changing what is walked over."""
        return list(self.scan_pending_of(consumer, start, end))

    def assign(
        self, id_: Id, before: Pending | None, consumer: Consumer, delivered_ms: int, deliveries: int
    ) -> None:
        """The entry is pending for `consumer` from now on; `before`: how it was pending until now."""
        collection = self.stream.collection
        where = id_bytes(id_)
        if before is None:
            self.pending += 1
        elif before.consumer != consumer.name:
            self._take_from(before)
        if before is None or before.consumer != consumer.name:
            consumer.pending += 1
            collection.put(self._by_consumer + _named(consumer.name) + where, b"")
        collection.put(self._by_id + where, _PENDING.pack(delivered_ms, deliveries) + consumer.name)

    def release(self, pending: Pending) -> None:
        """The entry is pending no more."""
        self.pending -= 1
        self._take_from(pending)
        self.stream.collection.delete(self._by_id + id_bytes(pending.id))

    def _take_from(self, pending: Pending) -> None:
        owner = self.consumer(pending.consumer)
        assert owner is not None
        owner.pending -= 1
        self.stream.collection.delete(self._by_consumer + _named(owner.name) + id_bytes(pending.id))

    # -- reading ---------------------------------------------------------------------------------------------

    def advance(self, id_: Id) -> None:
        """The entry `id_` is delivered for the first time: count it as read, if that can be counted."""
        stream = self.stream
        if id_ <= self.last:
            return
        if (
            self.entries_read != UNKNOWN
            and self.last >= stream.first
            and not stream.has_holes_from(self.last)
        ):
            self.entries_read += 1
        elif stream.added:
            distance = stream.distance(id_)
            self.entries_read = UNKNOWN if distance is None else distance
        self.last = id_

    def deliver(self, consumer: Consumer, id_: Id, now_ms: int, keep: bool) -> None:
        """A new entry goes to `consumer`; `keep`: it is pending until acknowledged."""
        self.advance(id_)
        if keep:
            before = self.find_pending(id_)  # another's, when SETID has turned the group back
            self.assign(id_, before, consumer, now_ms, 1)
            consumer.active_ms = now_ms

    def lag(self) -> int | None:
        """How many entries are still to be delivered; None when nobody can tell."""
        stream = self.stream
        if not stream.added:
            return 0
        if self.entries_read != UNKNOWN and not stream.has_holes_from(self.last):
            return stream.added - self.entries_read
        distance = stream.distance(self.last)
        return None if distance is None else stream.added - distance


def _decode(id_: Id, record: bytes) -> Pending:
    delivered_ms, deliveries = _PENDING.unpack_from(record)
    return Pending(id_, record[_PENDING.size :], delivered_ms, deliveries)


def _decode_group(stream: Stream, name: bytes, record: bytes) -> Group:
    last, *counts = _GROUP.unpack(record)
    return Group(stream, name, id_of(last), *counts)


def find(stream: Stream, name: bytes) -> Group | None:
    """A group of `stream`, None when there is none of that name."""
    record = stream.collection.get(b"g" + name)
    return None if record is None else _decode_group(stream, name, record)


def every_group(stream: Stream) -> list[Group]:
    """All groups of `stream`, ordered by name."""
    return [
        _decode_group(stream, element[1:], record) for element, record in stream.collection.scan(b"g", b"h")
    ]


def destroy(group: Group) -> None:
    """Remove a group, its consumers and what is pending."""
    collection = group.stream.collection
    doomed = [element for start, stop, _ in group.tables() for element, _ in collection.scan(start, stop)]
    for element in doomed:
        collection.delete(element)

"""Streams in an RDB payload.

    15, 19, 21   nodes:length  [master id:string of 16 bytes  listpack:string] …
                 entries  last id                               two lengths to an id, milliseconds and sequence number
                 first id  highest deleted id  entries added    not in 15
                 groups:length  group …

    group        name:string  last id  entries read (not in 15)
                 pending:length  [id:16 bytes  delivered_ms:i64  deliveries:length] …
                 consumers:length  [name:string  seen_ms:i64  active_ms:i64 (21 only)
                                    pending:length  [id:16 bytes] …] …

    listpack     entries, deleted, number of fields, field …, 0     the master entry
                 flags, milliseconds and sequence number less the master id's,
                     [number of fields, field, value, …] or, flag 2, [value …] of the master's fields,
                     number of elements of this entry               flag 1: it is deleted

15 is what Redis wrote before 7.0, 19 that of 7.0, 21 that of 7.2. Without consumers 19 loses nothing, so such a stream
is written as that. Nodes are written as `Stream` counts them, without deleted entries.
"""

from typing import NamedTuple

from server.keyspace.layout import STREAM
from server.keyspace.view import View
from server.types import stream_groups, streams
from server.types.numbers import INT64_MAX, parse_int64
from server.types.rdb import listpack, wire
from server.types.rdb.wire import BadFormat, Reader
from server.types.stream_groups import Group
from server.types.streams import SEQUENCE_BITS, SEQUENCE_MAX, Id, Node, Stream, id_bytes, id_of

RDB_STREAM = 15
RDB_STREAM_2 = 19
RDB_STREAM_3 = 21
_ID_BYTES = 16
_DELETED, _SAME_FIELDS = 1, 2
_UINT64 = 1 << 64

Entry = tuple[Id, list[bytes]]
"""Id; fields and values in turn."""


class PendingValue(NamedTuple):
    """An entry that was delivered and not acknowledged."""

    id: Id
    consumer: bytes
    delivered_ms: int
    deliveries: int


class ConsumerValue(NamedTuple):
    """A consumer."""

    name: bytes
    seen_ms: int
    active_ms: int


class GroupValue(NamedTuple):
    """A group that was read."""

    name: bytes
    last: Id
    entries_read: int | None
    """None: the payload does not say."""
    consumers: list[ConsumerValue]
    pending: list[PendingValue]


class StreamValue(NamedTuple):
    """A stream that was read."""

    nodes: list[tuple[Node, list[Entry]]]
    last: Id
    max_deleted: Id
    added: int
    groups: list[GroupValue]

    def put(self, view: View, key: bytes, expire_ms: int) -> bool:
        """Write it; True, there is such a key now."""
        collection = view.create(key, STREAM)
        collection.expire_ms = expire_ms
        stream = Stream(collection)
        for node, entries in self.nodes:
            stream.load(node, entries)
        stream.last, stream.max_deleted, stream.added = self.last, self.max_deleted, self.added
        for each in self.groups:
            self._put_group(stream, each)
        stream.save(changed=True)
        return True

    def _put_group(self, stream: Stream, value: GroupValue) -> None:
        read = stream.distance(value.last) if value.entries_read is None else value.entries_read
        group = Group(stream, value.name, value.last, stream_groups.UNKNOWN if read is None else read)
        for name, seen_ms, active_ms in value.consumers:
            group.create_consumer(name, seen_ms).active_ms = active_ms
        for id_, owner, delivered_ms, deliveries in value.pending:
            consumer = group.consumer(owner)
            assert consumer is not None
            group.assign(id_, None, consumer, delivered_ms, deliveries)
        group.save()


# -- reading ---------------------------------------------------------------------------------------------------------


def read_stream(reader: Reader) -> StreamValue:
    """Type 15. Raises BadFormat."""
    return _read(reader, RDB_STREAM)


def read_stream_2(reader: Reader) -> StreamValue:
    """Type 19. Raises BadFormat."""
    return _read(reader, RDB_STREAM_2)


def read_stream_3(reader: Reader) -> StreamValue:
    """Type 21. Raises BadFormat."""
    return _read(reader, RDB_STREAM_3)


def _read(reader: Reader, form: int) -> StreamValue:
    nodes: list[tuple[Node, list[Entry]]] = []
    top = -1
    for _ in range(reader.length()):
        key = reader.string()
        if len(key) != _ID_BYTES:
            raise BadFormat
        node, entries = _read_node(id_of(key), reader.string())
        if node.first <= top:
            raise BadFormat
        top = node.last
        nodes.append((node, entries))
    length = reader.length()
    last = _read_id(reader)
    max_deleted, added = 0, length
    if form != RDB_STREAM:
        _read_id(reader)  # of the first entry, which is known
        max_deleted, added = _read_id(reader), reader.length()
    if length != sum(len(entries) for _, entries in nodes) or last < top:
        raise BadFormat
    groups = [_read_group(reader, form) for _ in range(reader.length())]
    if groups:
        listpack.distinct([group.name for group in groups])
    return StreamValue(nodes, last, max_deleted, added, groups)


def _read_id(reader: Reader) -> Id:
    milliseconds = reader.length()
    return milliseconds << SEQUENCE_BITS | reader.length()


def _read_group(reader: Reader, form: int) -> GroupValue:
    name = reader.string()
    last = _read_id(reader)
    entries_read = None if form == RDB_STREAM else reader.length()
    if entries_read is not None and entries_read > INT64_MAX:
        entries_read -= _UINT64
    pending: dict[Id, tuple[int, int]] = {}
    for _ in range(reader.length()):
        id_ = id_of(reader.take(_ID_BYTES))
        if id_ in pending:
            raise BadFormat
        pending[id_] = (reader.int64(), reader.length())
    consumers: list[ConsumerValue] = []
    owned: list[PendingValue] = []
    for _ in range(reader.length()):
        consumer = reader.string()
        seen_ms = reader.int64()
        active_ms = reader.int64() if form == RDB_STREAM_3 else seen_ms
        consumers.append(ConsumerValue(consumer, seen_ms, active_ms))
        for _ in range(reader.length()):
            id_ = id_of(reader.take(_ID_BYTES))
            if id_ not in pending:
                raise BadFormat
            owned.append(PendingValue(id_, consumer, *pending.pop(id_)))
    if pending:
        raise BadFormat
    if consumers:
        listpack.distinct([consumer.name for consumer in consumers])
    return GroupValue(name, last, entries_read, consumers, sorted(owned))


def _read_node(master: Id, data: bytes) -> tuple[Node, list[Entry]]:
    """A node and its live entries."""
    numbers = _Elements(listpack.decode(data))
    live, deleted = numbers.count(), numbers.count()
    names = numbers.many(numbers.count())
    if numbers.count() != 0:
        raise BadFormat
    entries: list[Entry] = []
    first = last = -1
    for _ in range(live + deleted):
        flags = numbers.count()
        id_ = (master >> SEQUENCE_BITS) + numbers.number() << SEQUENCE_BITS | (
            master & SEQUENCE_MAX
        ) + numbers.number() & SEQUENCE_MAX
        if not last < id_ < 1 << 2 * SEQUENCE_BITS:
            raise BadFormat
        first, last = (id_ if first < 0 else first), id_
        if flags & _SAME_FIELDS:
            values = numbers.many(len(names))
            pairs = [part for pair in zip(names, values, strict=True) for part in pair]
            elements = len(names) + 3
        else:
            count = numbers.count()
            pairs = numbers.many(2 * count)
            elements = 2 * count + 4
        if numbers.count() != elements:
            raise BadFormat
        if not flags & _DELETED:
            entries.append((id_, pairs))
    numbers.end()
    if not entries or len(entries) != live or first < master:
        raise BadFormat
    node = Node(master, last, live, live + deleted, len(data), streams.fields_crc(names))
    return node, entries


class _Elements:
    """Goes through the elements of a node's listpack. All methods raise BadFormat."""

    def __init__(self, elements: list[bytes]) -> None:
        self._elements = elements
        self._at = 0

    def many(self, count: int) -> list[bytes]:
        """The next `count` of them."""
        stop = self._at + count
        if stop > len(self._elements):
            raise BadFormat
        found = self._elements[self._at : stop]
        self._at = stop
        return found

    def number(self) -> int:
        """An integer."""
        number = parse_int64(self.many(1)[0])
        if number is None:
            raise BadFormat
        return number

    def count(self) -> int:
        """An integer that is not negative."""
        number = self.number()
        if number < 0:
            raise BadFormat
        return number

    def end(self) -> None:
        """Nothing is left."""
        if self._at != len(self._elements):
            raise BadFormat


# -- writing ---------------------------------------------------------------------------------------------------------


def write(view: View, key: bytes) -> tuple[int, bytes]:
    """RDB type and body of the stream at `key`."""
    stream = streams.find(view, key)
    assert stream is not None
    groups = stream_groups.every_group(stream)
    form = RDB_STREAM_3 if any(group.consumers for group in groups) else RDB_STREAM_2
    parts: list[bytes] = []
    for node, entries in stream.every_node():
        parts += (wire.raw_string(id_bytes(node.first)), wire.raw_string(_node(node.first, entries)))
    parts.append(wire.length(stream.length))
    parts += map(_id, (stream.last, stream.first, stream.max_deleted))
    parts += (wire.length(stream.added), wire.length(len(groups)))
    for group in groups:
        _write_group(group, parts, form)
    return form, b"".join((wire.length(stream.nodes), *parts))


def _id(id_: Id) -> bytes:
    return wire.length(id_ >> SEQUENCE_BITS) + wire.length(id_ & SEQUENCE_MAX)


def _write_group(group: Group, parts: list[bytes], form: int) -> None:
    pending = list(group.scan_pending(0, streams.ID_MAX))
    consumers = group.every_consumer()
    parts += (wire.raw_string(group.name), _id(group.last), wire.length(group.entries_read % _UINT64))
    parts.append(wire.length(len(pending)))
    owned: dict[bytes, list[bytes]] = {consumer.name: [] for consumer in consumers}
    for id_, owner, delivered_ms, deliveries in pending:
        owned[owner].append(id_bytes(id_))
        parts += (id_bytes(id_), wire.int64(delivered_ms), wire.length(deliveries))
    parts.append(wire.length(len(consumers)))
    for consumer in consumers:
        parts += (wire.raw_string(consumer.name), wire.int64(consumer.seen_ms))
        if form == RDB_STREAM_3:
            parts.append(wire.int64(consumer.active_ms))
        ids = owned[consumer.name]
        parts += (wire.length(len(ids)), *ids)


def _node(master: Id, entries: list[Entry]) -> bytes:
    """The listpack of a node."""
    names = entries[0][1][::2]
    elements: list[bytes | int] = [len(entries), 0, len(names), *names, 0]
    for id_, pairs in entries:
        same = pairs[::2] == names
        elements += (
            _SAME_FIELDS if same else 0,
            (id_ >> SEQUENCE_BITS) - (master >> SEQUENCE_BITS),
            _signed((id_ & SEQUENCE_MAX) - (master & SEQUENCE_MAX)),
        )
        if same:
            elements += (*pairs[1::2], len(names) + 3)
        else:
            elements += (len(pairs) // 2, *pairs, len(pairs) + 4)
    return listpack.encode(elements)


def _signed(number: int) -> int:
    """As it lies in 64 bits."""
    return (number + INT64_MAX + 1) % _UINT64 - INT64_MAX - 1

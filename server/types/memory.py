"""What a key takes in the data store, before compression: MEMORY USAGE.

A value that lies in its head is counted exactly. The elements of a spread one are records, in tables of which the type
knows the counts (`tables`): of each table the first few records are weighed, and stand for all, as Redis does it.
"""

from collections.abc import Callable
from itertools import islice

from server.keyspace.layout import (
    ELEMENT_PREFIX_BYTES,
    EXPIRY_PREFIX_BYTES,
    HASH,
    HEAD_PREFIX_BYTES,
    HEADER_BYTES,
    LIST,
    SET,
    SPREAD,
    STREAM,
    ZSET,
    Head,
)
from server.keyspace.view import View
from server.types import hashes, lists, sets, stream_groups, streams, zsets

Table = tuple[bytes, bytes | None, int]
"""Where it begins and ends (None: with the collection), and how many records it has."""


def memory_bytes(view: View, key: bytes, head: Head, samples: int) -> int:
    """What `key`, whose head is `head`, takes; up to `samples` records of each table are looked at, 0: all."""
    index_bytes = EXPIRY_PREFIX_BYTES + HEAD_PREFIX_BYTES - 1 + len(key) if head.expire_ms else 0
    total = HEAD_PREFIX_BYTES + len(key) + HEADER_BYTES + len(head.payload) + index_bytes
    if not head.encoding & SPREAD:
        return total
    tables: list[Table] = [(b"", None, 0)] if not samples else _TABLES[head.type](view, key)
    collection = view.collection(key, head.type)
    assert collection is not None
    for start, stop, count in tables:
        sizes = [
            ELEMENT_PREFIX_BYTES + len(element) + len(value)
            for element, value in islice(collection.scan(start, stop), samples or None)
        ]
        if sizes:
            total += sum(sizes) * count // len(sizes) if samples else sum(sizes)
    return total


def _list_tables(view: View, key: bytes) -> list[Table]:
    found = lists.find(view, key)
    return found.tables() if found is not None else []


def _set_tables(view: View, key: bytes) -> list[Table]:
    found = sets.find(view, key)
    return [(b"", None, found.count)] if found is not None else []


def _zset_tables(view: View, key: bytes) -> list[Table]:
    found = zsets.find(view, key)
    return found.tables() if found is not None else []


def _hash_tables(view: View, key: bytes) -> list[Table]:
    found = hashes.find(view, key)
    return found.tables() if found is not None else []


def _stream_tables(view: View, key: bytes) -> list[Table]:
    stream = streams.find(view, key)
    if stream is None:
        return []
    tables = stream.tables()
    for group in stream_groups.every_group(stream):
        tables += group.tables()
    return tables


_TABLES: dict[int, Callable[[View, bytes], list[Table]]] = {
    LIST: _list_tables,
    SET: _set_tables,
    ZSET: _zset_tables,
    HASH: _hash_tables,
    STREAM: _stream_tables,
}

"""Hashes in an RDB payload.

04  fields:length  [field:string value:string] …
16  listpack:string                                             since Redis 7.0
22  fields:length  [field:string value:string expire_ms:i64] …  Valkey 9, when a field expires; -1: this one does not
09  zipmap:string   13  ziplist:string                          before
"""

from typing import NamedTuple

from server.keyspace.layout import HASH
from server.keyspace.view import View
from server.types import hashes
from server.types.rdb import listpack, oldforms, wire
from server.types.rdb.wire import BadFormat, Reader

RDB_HASH, RDB_ZIPMAP, RDB_ZIPLIST, RDB_LISTPACK, RDB_EXPIRING = 4, 9, 13, 16, 22
_NEVER = -1


class HashValue(NamedTuple):
    """A hash that was read."""

    fields: list[tuple[bytes, bytes, int]]
    """Name, value and when it ends: Unix time in milliseconds, 0 for never."""
    encoding: int | None
    """Of the payload: a listpack stays one whatever the lengths of fields and values. None: as if they were set one by
    one."""

    def put(self, view: View, key: bytes, expire_ms: int) -> bool:
        """Write it, but for fields past their time. Whether there is such a key now."""
        elements = view.create(key, HASH)
        elements.expire_ms = expire_ms
        made = hashes.Hash(view, elements)
        if self.encoding == hashes.HASHTABLE or len(self.fields) > view.limits.hash_max_listpack_entries:
            made.leave_listpack()
        for field, value, ends_ms in self.fields:
            if not 0 < ends_ms <= view.now_ms:
                made.set(field, value, ends_ms, any_length=self.encoding == hashes.LISTPACK)
        return made.save()


def _lasting(pairs: list[tuple[bytes, bytes]], encoding: int | None) -> HashValue:
    listpack.distinct([field for field, _ in pairs])
    return HashValue([(field, value, 0) for field, value in pairs], encoding)


def read_hash(reader: Reader) -> HashValue:
    """Type 04. Raises BadFormat."""
    return _lasting([(reader.string(), reader.string()) for _ in range(reader.length())], None)


def read_expiring(reader: Reader) -> HashValue:
    """Type 22. Raises BadFormat."""
    fields = []
    for _ in range(reader.length()):
        field, value, ends_ms = reader.string(), reader.string(), reader.int64()
        if ends_ms < _NEVER:
            raise BadFormat
        # A time of 0 is over like any other in the past.
        fields.append((field, value, 0 if ends_ms == _NEVER else max(ends_ms, 1)))
    listpack.distinct([field for field, _, _ in fields])
    return HashValue(fields, hashes.HASHTABLE)


def read_listpack(reader: Reader) -> HashValue:
    """Type 16. Raises BadFormat."""
    return _lasting(listpack.pairs(listpack.decode(reader.string())), hashes.LISTPACK)


def read_ziplist(reader: Reader) -> HashValue:
    """Type 13. Raises BadFormat."""
    return _lasting(listpack.pairs(oldforms.decode_ziplist(reader.string())), hashes.LISTPACK)


def read_zipmap(reader: Reader) -> HashValue:
    """Type 09. Raises BadFormat."""
    return _lasting(oldforms.decode_zipmap(reader.string()), None)


def write(view: View, key: bytes) -> tuple[int, bytes] | None:
    """RDB type and body of the hash at `key`; None when all its fields are over."""
    found = hashes.find(view, key)
    if found is None:
        return None
    fields = list(found.fields())
    if any(ends_ms for _, _, ends_ms in fields):
        parts = [
            part
            for field, value, ends_ms in fields
            for part in (wire.raw_string(field), wire.raw_string(value), wire.int64(ends_ms or _NEVER))
        ]
        return RDB_EXPIRING, b"".join((wire.length(len(fields)), *parts))
    flat = [part for field, value, _ in fields for part in (field, value)]
    if found.is_listpack:
        return RDB_LISTPACK, wire.string(listpack.encode(flat))
    return RDB_HASH, b"".join((wire.length(len(fields)), *map(wire.raw_string, flat)))

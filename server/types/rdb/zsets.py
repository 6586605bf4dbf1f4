"""Sorted sets in an RDB payload.

05  members:length  [member:string score:f64le] …       written from the greatest to the smallest, as Redis does
17  listpack:string of member, score, …                 since Redis 7.0, in their order
03  members:length  [member:string score] …             before 4.0; score: length:u8 text, or FD nan FE inf FF -inf
12  ziplist:string                                      before 7.0
"""

from math import isnan
from typing import NamedTuple

from server.keyspace.layout import ZSET
from server.keyspace.view import View
from server.types import zsets
from server.types.rdb import listpack, oldforms, wire
from server.types.rdb.wire import BadFormat, Reader

RDB_ZSET, RDB_ZSET_2, RDB_ZIPLIST, RDB_LISTPACK = 3, 5, 12, 17


class SortedSetValue(NamedTuple):
    """A sorted set that was read."""

    pairs: list[tuple[bytes, float]]
    packed: bool
    """It was a listpack, so it stays one whatever the lengths of members."""

    def put(self, view: View, key: bytes, expire_ms: int) -> bool:
        """Write it; True, there is such a key now."""
        limits = view.limits
        is_listpack = len(self.pairs) <= limits.zset_max_listpack_entries and (
            self.packed or max(len(member) for member, _ in self.pairs) <= limits.zset_max_listpack_value
        )
        collection = view.create(key, ZSET, encoding=zsets.LISTPACK if is_listpack else zsets.SKIPLIST)
        collection.expire_ms = expire_ms
        made = zsets.SortedSet(view, collection)
        for member, score in self.pairs:
            made.put(member, score + 0.0 if is_listpack else score)
        made.encoding = collection.encoding
        return made.save()


def _checked(pairs: list[tuple[bytes, float]], packed: bool) -> SortedSetValue:
    listpack.distinct([member for member, _ in pairs])
    if any(isnan(score) for _, score in pairs):
        raise BadFormat
    return SortedSetValue(pairs, packed)


def read_zset(reader: Reader) -> SortedSetValue:
    """Type 03. Raises BadFormat."""
    return _checked([(reader.string(), reader.old_score()) for _ in range(reader.length())], packed=False)


def read_zset_2(reader: Reader) -> SortedSetValue:
    """Type 05. Raises BadFormat."""
    return _checked([(reader.string(), reader.double()) for _ in range(reader.length())], packed=False)


def read_listpack(reader: Reader) -> SortedSetValue:
    """Type 17. Raises BadFormat."""
    return _packed(listpack.decode(reader.string()))


def read_ziplist(reader: Reader) -> SortedSetValue:
    """Type 12. Raises BadFormat."""
    return _packed(oldforms.decode_ziplist(reader.string()))


def _packed(elements: list[bytes]) -> SortedSetValue:
    try:
        pairs = [(member, float(score)) for member, score in listpack.pairs(elements)]
    except ValueError:
        raise BadFormat from None
    return _checked(pairs, packed=True)


def write(view: View, key: bytes) -> tuple[int, bytes]:
    """RDB type and body of the sorted set at `key`."""
    found = zsets.find(view, key)
    assert found is not None
    if found.encoding == zsets.LISTPACK:
        flat = [part for member, score in found.scan() for part in (member, _score(score))]
        return RDB_LISTPACK, wire.string(listpack.encode(flat))
    parts = [
        part
        for member, score in found.scan(reverse=True)
        for part in (wire.raw_string(member), wire.double(score))
    ]
    return RDB_ZSET_2, b"".join((wire.length(found.count), *parts))


def _score(score: float) -> bytes:
    """A score as text that reads as the same number; integers as such."""
    if score.is_integer() and abs(score) < 1 << 53:
        return b"%d" % int(score)
    return repr(score).encode()

"""Sets in an RDB payload.

    02  members:length  string …
    11  intset:string
    20  listpack:string                 since Redis 7.2

A small set is written as type 02, which every version reads and holds as a listpack again, unless it would not come
back as it is: the integers that it begins with become an intset, by value, until another member comes.
"""

from itertools import takewhile
from typing import NamedTuple

from server.keyspace.layout import SET
from server.keyspace.view import View
from server.types import sets
from server.types.numbers import parse_int64
from server.types.rdb import listpack, oldforms, wire
from server.types.rdb.wire import Reader

RDB_SET, RDB_INTSET, RDB_LISTPACK = 2, 11, 20


class SetValue(NamedTuple):
    """A set that was read."""

    members: list[bytes]
    encoding: int | None
    """Of the payload; None: as if the members were added one by one."""

    def put(self, view: View, key: bytes, expire_ms: int) -> bool:
        """Write it; True, there is such a key now."""
        limits = view.limits
        count = len(self.members)
        collection = view.create(key, SET)
        collection.expire_ms = expire_ms
        made = sets.Set(view, collection)
        if self.encoding is None:
            made.encoding = sets.INTSET if count <= limits.set_max_intset_entries else sets.HASHTABLE
            made.add_all(self.members)
        else:
            intset = self.encoding == sets.INTSET
            most = limits.set_max_intset_entries if intset else limits.set_max_listpack_entries
            made.load(self.members, self.encoding if count <= most else sets.HASHTABLE)
        return made.save()


def read_set(reader: Reader) -> SetValue:
    """Type 02. Raises BadFormat."""
    members = [reader.string() for _ in range(reader.length())]
    return SetValue(listpack.distinct(members), None)


def read_intset(reader: Reader) -> SetValue:
    """Type 11. Raises BadFormat."""
    return SetValue(oldforms.decode_intset(reader.string()), sets.INTSET)


def read_listpack(reader: Reader) -> SetValue:
    """Type 20. Raises BadFormat."""
    return SetValue(listpack.distinct(listpack.decode(reader.string())), sets.LISTPACK)


def write(view: View, key: bytes) -> tuple[int, bytes]:
    """RDB type and body of the set at `key`."""
    found = sets.find(view, key)
    assert found is not None
    if found.encoding != sets.HASHTABLE:
        numbers = [parse_int64(member) for member in found]
        if found.encoding == sets.INTSET:
            return RDB_INTSET, wire.string(oldforms.encode_intset([number or 0 for number in numbers]))
        leading = list(takewhile(lambda number: number is not None, numbers))
        if len(leading) == found.count or leading != sorted(leading):  # type: ignore[type-var]
            return RDB_LISTPACK, wire.string(listpack.encode(found))
    return RDB_SET, b"".join((wire.length(found.count), *map(wire.raw_string, found)))

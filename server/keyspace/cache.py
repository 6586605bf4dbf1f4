"""What was read lately, by key.

RecordCache has head records: what saves the hot path a walk into the store. Two generations: what is used moves to the
young one; when that is full it becomes the old one, and the old one is forgotten. Nearly as good as LRU, and a hit
costs one look into a dict. Only the leader's view has one, and keeps it true: whatever changes a record drops it here.

HotReplies has whole replies to GET, and to those that read a good part of a key (`kept` in commands/table.py), for all
groups that this node leads: what saves them the walk through dispatch and shard as well. A reply is in here only while
it is settled: nothing of its key expires, what it says is committed, and no later command has touched the key, not even
an uncommitted one. So whoever can prove that this node leads may give it.

Derived has what commands have worked out about single collections, such as the part of a rank index that was read. It
is as true as the view it belongs to: a command that fails after it has written empties it. So who changes a collection
writes first and then has the structure follow, at once; or takes it out and puts it back when it agrees again.
"""

from collections import OrderedDict
from typing import Any, Protocol

MISSING = b"missing"
"""Stands for the reply that there is no such key, which is not the same in RESP2 and 3."""
structures_max = 32
"""Kept by one Derived."""
record_bytes_max = 1024
"""Larger records are not kept: reading them costs more than finding them."""
part_bytes_max = 1 << 16
"""Larger replies about a part of a key are not kept."""
parts_bytes_max = 16 << 20
"""Of all of them."""
parts_of_key_max = 64
_PART_BYTES = 300
"""What a request takes beside its reply, about."""

Request = tuple[int | bytes, ...]
"""The client's RESP version, and the words of a command."""


class RecordCache:
    """Records of one space (one database of one group)."""

    __slots__ = ("_limit", "_old", "young")

    def __init__(self, limit: int) -> None:
        """`limit`: records in each generation, at least 1; a command's go into the same one."""
        self.young: dict[bytes, bytes] = {}
        """The hot path looks in here by itself."""
        self._old: dict[bytes, bytes] = {}
        self._limit = limit

    def find(self, key: bytes) -> bytes | None:
        """The record of `key` if it is kept; it stays longer then."""
        record = self.young.get(key)
        if record is None:
            record = self._old.get(key)
            if record is not None:
                self.keep(key, record)
        return record

    def keep(self, key: bytes, record: bytes) -> None:
        """Remember a record."""
        if len(record) <= record_bytes_max:
            if len(self.young) >= self._limit:
                self._old, self.young = self.young, {}
            self.young[key] = record

    def keep_all(self, records: dict[bytes, bytes]) -> None:
        """Remember what a command has written."""
        if len(self.young) >= self._limit:
            self._old, self.young = self.young, {}
        young = self.young
        for key, record in records.items():
            if len(record) <= record_bytes_max:
                young[key] = record

    def take(self, key: bytes) -> bytes | None:
        """Forget the record of `key`, which is about to change, and return it if it was kept."""
        old = self._old.pop(key, None)
        return self.young.pop(key, old)

    def __len__(self) -> int:
        """Records kept, those in both generations twice."""
        return len(self.young) + len(self._old)


class HotReplies:
    """Encoded replies of one node: to GET, or MISSING, and to other requests about one key."""

    def __init__(self, databases: int, limit: int) -> None:
        """`limit`: replies to GET in each database, at least 1; when there are so many it begins anew."""
        self.databases: list[dict[bytes, bytes]] = [{} for _ in range(databases)]
        """By number: key to reply to GET. For reading; a write to a key takes it out."""
        self.parts: list[dict[bytes, dict[Request, bytes]]] = [{} for _ in range(databases)]
        """By number: key to replies to other requests about it. Likewise."""
        self._limit = limit
        self._parts_bytes = 0
        """Of `parts`, with what was taken out since it was counted."""

    def keep(self, db: int, key: bytes, reply: bytes) -> None:
        """Remember a settled reply to GET."""
        if len(reply) <= record_bytes_max:
            replies = self.databases[db]
            if len(replies) >= self._limit:
                replies.clear()
            replies[key] = reply

    def keep_part(self, db: int, key: bytes, request: Request, reply: bytes) -> None:
        """Remember a settled reply to another request about `key`."""
        if len(reply) > part_bytes_max:
            return
        parts = self.parts[db].setdefault(key, {})
        if len(parts) >= parts_of_key_max:
            parts.clear()
        parts[request] = reply
        self._parts_bytes += len(reply) + _PART_BYTES
        if self._parts_bytes > parts_bytes_max:
            self._count_parts()

    def _count_parts(self) -> None:
        """Begin anew, unless much of what was kept has been taken out."""
        self._parts_bytes = sum(
            len(reply) + _PART_BYTES
            for keys in self.parts
            for parts in keys.values()
            for reply in parts.values()
        )
        if self._parts_bytes > parts_bytes_max // 2:
            self._parts_bytes = 0
            for keys in self.parts:
                keys.clear()

    def clear(self) -> None:
        """Databases were exchanged or emptied, or a group is led by this node no more."""
        for replies in self.databases:
            replies.clear()
        for keys in self.parts:
            keys.clear()


class Sized(Protocol):
    """What Derived keeps."""

    size: int
    """Roughly in records; it may grow while it is kept."""


class Derived:
    """Structures by the id of their collection, the last used ones."""

    __slots__ = ("_kept", "_size", "_size_max", "_sizes")

    def __init__(self, size_max: int) -> None:
        """`size_max`: of all together, in records."""
        self._kept: OrderedDict[int, Sized] = OrderedDict()
        self._size_max = size_max
        self._sizes: dict[int, int] = {}
        """As they were when they were last kept."""
        self._size = 0
        """Their sum."""

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, id_: int) -> Any:
        """What is kept for a collection, None when there is nothing."""
        found = self._kept.get(id_)
        if found is not None:
            self._kept.move_to_end(id_)
        return found

    def keep(self, id_: int, structure: Sized) -> None:
        """Keep `structure`, and nothing else for that collection; what was not used for longest makes room."""
        kept, sizes = self._kept, self._sizes
        kept[id_] = structure
        kept.move_to_end(id_)
        self._size += structure.size - sizes.get(id_, 0)
        sizes[id_] = structure.size
        while len(kept) > structures_max or self._size > self._size_max:
            self.forget(next(iter(kept)))

    def forget(self, id_: int) -> None:
        """Nothing is kept for this collection any more."""
        if self._kept.pop(id_, None) is not None:
            self._size -= self._sizes.pop(id_)

    def clear(self) -> None:
        """Nothing is kept at all."""
        self._kept.clear()
        self._sizes.clear()
        self._size = 0

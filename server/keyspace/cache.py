"""Head records that were read or written lately, by key: what saves the hot path a walk into the store.

Two generations: what is used moves to the young one; when that is full it becomes the old one, and the old one is
forgotten. Nearly as good as LRU, and a hit costs one look into a dict. Only the leader's view has one, and keeps it
true: whatever changes a record drops it here.
"""

record_bytes_max = 1024
"""Larger records are not kept: reading them costs more than finding them."""


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

"""Head records that were read or written lately, by key: what saves the hot path a walk into the store.

Generations: what is used moves to the young one; at the end of a period (uses.py) that joins the one before, or when
they are many becomes it, and the oldest are forgotten. Nearly as good as LRU, and a hit costs one look into a dict.
Only the leader's view has one, and keeps it true: whatever changes a record drops it here.
"""

from server.keyspace.uses import LastUses

record_bytes_max = 1024
"""Larger records are not kept: reading them costs more than finding them."""
joining_max = 5000
"""Records that join older ones at once: a millisecond or two."""


class RecordCache:
    """Records of one space (one database of one group), and when their keys were used."""

    __slots__ = ("_limit", "_middle", "_old", "uses", "young")

    def __init__(self, limit: int) -> None:
        """`limit`: records in each generation, at least 1; a command's go into the same one."""
        self.young: dict[bytes, bytes] = {}
        """What was used in this period. The hot path looks in here by itself."""
        self._middle: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._limit = limit
        self.uses = LastUses(limit)

    def find(self, key: bytes, now_ms: int) -> bytes | None:
        """The record of `key`, which is used, if it is kept; it stays longer then."""
        record = self.young.get(key)
        if record is None:
            record = self._middle.get(key) or self._old.get(key)
            if record is not None:
                self.keep(key, record, now_ms)
        return record

    def peek(self, key: bytes) -> bytes | None:
        """Likewise, of one that is not used."""
        return self.young.get(key) or self._middle.get(key) or self._old.get(key)

    def keep(self, key: bytes, record: bytes, now_ms: int) -> None:
        """Remember a record that is used."""
        self.keep_all({key: record}, now_ms)

    def keep_all(self, records: dict[bytes, bytes], now_ms: int) -> None:
        """Remember what a command has written."""
        if len(self.young) >= self._limit:
            self._shift()
        young, uses = self.young, self.uses
        if uses.counting:
            uses.count_all(records, now_ms)
        noted, period = uses.noted, uses.period
        for key, record in records.items():
            noted[key] = period
            if len(record) <= record_bytes_max:
                young[key] = record

    def keep_unused(self, key: bytes, record: bytes) -> None:
        """Remember a record that was looked at."""
        if len(record) <= record_bytes_max:
            if len(self._middle) >= self._limit:
                self._old, self._middle = self._middle, {}
            self._middle[key] = record

    def take(self, key: bytes) -> bytes | None:
        """Forget the record of `key`, which is about to change, and return it if it was kept."""
        old = self._old.pop(key, None)
        old = self._middle.pop(key, old)
        return self.young.pop(key, old)

    def end_period(self, now_ms: int) -> None:
        """What is used from now on is noted again."""
        self.uses.end_period(now_ms)
        if len(self.young) <= joining_max and len(self._middle) + len(self.young) <= self._limit:
            self._middle.update(self.young)
            self.young = {}
        else:
            self._shift()

    def _shift(self) -> None:
        self._old, self._middle, self.young = self._middle, self.young, {}
        self.uses.tidy()

    def __len__(self) -> int:
        """Records kept, those in several generations as often."""
        return len(self.young) + len(self._middle) + len(self._old)

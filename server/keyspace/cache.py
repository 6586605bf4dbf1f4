"""Head records that were read or written lately, by key: what saves the hot path a walk into the store.

Generations: what is used moves to the young one; at the end of a period (uses.py) that joins the one before, or when
they are many becomes it, and the oldest are forgotten. Nearly as good as LRU, and a hit costs one look into a dict.
Only the leader's view has one, and keeps it true: whatever changes a record puts the new one here, or drops it. The new
one goes into the young generation, and what older ones have of the key stays there: the youngest is what counts, and
generations are forgotten from the oldest on. Of a command that fails all is dropped.
"""

from typing import Final

from server.keyspace.uses import LastUses

record_bytes_max: Final = 1024
"""Larger records are not kept: reading them costs more than finding them."""
joining_max = 5000
"""Records that join older ones at once: a millisecond or two."""


class RecordCache:
    """Records of one space (one database of one group), and when their keys were used."""

    __slots__ = ("_limit", "_middle", "_old", "uses", "young")

    def __init__(self, limit: int) -> None:
        """`limit`: records in each generation, at least 1."""
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
        uses = self.uses
        if uses.counting:
            uses.count_all((key,), now_ms)
        uses.noted[key] = uses.period
        if len(record) <= record_bytes_max:
            if len(self.young) >= self._limit:
                self._shift()
            self.young[key] = record

    def put(self, key: bytes, record: bytes, now_ms: int) -> None:
        """A command has written the record of `key`, which is used thereby."""
        young, uses = self.young, self.uses
        if uses.counting:
            uses.count_all((key,), now_ms)
        if len(record) > record_bytes_max:
            self.pass_by(key)
        elif key in young:
            young[key] = record
        else:
            uses.noted[key] = uses.period
            if len(young) >= self._limit:
                self._shift()
                young = self.young
            young[key] = record

    def pass_by(self, key: bytes) -> None:
        """Likewise, and the record is not to be kept."""
        self.drop(key)
        uses = self.uses
        uses.noted[key] = uses.period
        uses.tidy()

    def keep_unused(self, key: bytes, record: bytes) -> None:
        """Remember a record that was looked at."""
        if len(record) <= record_bytes_max:
            if len(self._middle) >= self._limit:
                self._old, self._middle = self._middle, {}
            self._middle[key] = record

    def drop(self, key: bytes) -> None:
        """Forget the record of `key`."""
        self._old.pop(key, None)
        self._middle.pop(key, None)
        self.young.pop(key, None)

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

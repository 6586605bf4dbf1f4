"""What committed entries say, on its way into one batch for the data store.

The loop gathers it, step by step: first what the entries write, each record once, as the last of them has left it; then
that into a batch. A worker thread writes the batch: that takes LevelDB longer, and does not need the interpreter's
lock. For each record that is put into a batch, though, plyvel lets go of that lock for a moment; two threads that both
want it would hand it to and fro at ten times the cost.
"""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from raft.core.messages import NORMAL, Entry
from server.keyspace.layout import TIME, TIME_KEY
from server.keyspace.leveldb import APPLIED, DataStore
from server.shard.effects import Operations, decode_effects

if TYPE_CHECKING:
    from server.shard.replica import Replica

_HEAD, _SPACE = b"hq"


class Gathering:
    """Of one group. See raft.runtime.machine."""

    def __init__(self, replica: "Replica", store: DataStore, entries: list[Entry]) -> None:
        """`entries`: at least one."""
        self._replica = replica
        self._store = store
        self._index = entries[-1].index
        self._batch: Any = store.batch()
        self._unread: Iterator[Operations] | None = self._read(entries)
        self._newest: Operations = {}
        self._unput: Iterator[tuple[bytes, bytes | None]] = iter(())
        self._flushes: list[tuple[int, Operations]] = []
        """(index, what it wrote) of the entries."""
        self._leaves_some = False
        """Elements or a space were left behind, to be swept."""

    def step(self, records_max: int) -> int:
        """See raft.runtime.machine."""
        left = records_max
        unread = self._unread
        if unread is not None:
            newest = self._newest
            for operations in unread:
                newest.update(operations)
                left -= len(operations)
                if left <= 0:
                    return records_max
            self._unread = None
            self._unput = iter(newest.items())
        left -= self._put(left)
        if left > 0:
            self._end()
        return records_max - left

    def _read(self, entries: list[Entry]) -> Iterator[Operations]:
        """What the entries write, piece by piece; the replica is told of what else they say."""
        replica = self._replica
        for entry in entries:
            if entry.kind == NORMAL and entry.data:
                effects = decode_effects(entry.data)
                if effects.now_ms > replica.clock_ms:
                    replica.clock_ms = effects.now_ms
                for receipt in effects.receipts:
                    if receipt[0] == replica.asker:
                        replica.receipts.append(receipt)
                for operations in effects.pieces():
                    self._flushes.append((entry.index, operations))
                    if None in operations.values():
                        for key, value in operations.items():
                            if value is None and key[0] == _HEAD:
                                replica.deletions.note(key, entry.index)
                    yield operations

    def _put(self, records_max: int) -> int:
        """Put some records into the batch. Returns how many."""
        put, delete, prefix = self._batch.put, self._batch.delete, self._replica.prefix
        count = 0
        for key, value in islice(self._unput, records_max):
            count += 1
            if value is None:
                delete(prefix + key)
            else:
                put(prefix + key, value)
                if not value and key[0] in b"iq":  # elements or a space were left behind
                    self._leaves_some = True
                    if key[0] == _SPACE:
                        self._note_flush(key)
        return count

    def _note_flush(self, note: bytes) -> None:
        for index, operations in self._flushes:
            if note in operations:
                self._replica.deletions.floor = index

    def _end(self) -> None:
        replica = self._replica
        self._index = max(self._index, replica.applied_index)
        self._batch.put(replica.prefix + TIME_KEY, TIME.pack(replica.clock_ms))
        applied = APPLIED.pack(self._index, replica.consistent_index, replica.generation)
        self._batch.put(replica.applied_key, applied)

    def write(self) -> None:
        """See raft.runtime.machine."""
        replica = self._replica
        replica.writes += 1
        self._store.write(self._batch)
        replica.writes += 1
        if self._leaves_some:
            replica.sweep_due = True  # after the write: a sweep that looks before it does not find the note
        if replica.changes is not None:
            replica.changes.append(self._newest)
        replica.applied_index = self._index

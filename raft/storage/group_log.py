"""One group's log as the core reads it: the recent tail in memory, the rest from LevelDB.

A GroupLog belongs to the thread of the loop. The disk thread writes through LogStore.persist and never touches it;
when a write is on disk the loop calls LogStore.publish, and only then does the GroupLog show the new entries. LevelDB
itself may be read while another thread writes.

The tail cache is one list, cut in large steps when it outgrows its bound, so that both appending and reading a range
are slices. What is in the journal and not yet in LevelDB is always in it. `size_bytes` and the marks give compaction an
index for an amount of log without reading it. The terms of all entries are known too, as runs: to ask for one never
reads an entry, which may be as large as a value.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from raft.core.messages import ConfState, Entry, HardState, SnapshotMeta
from raft.core.quorum import UNBOUNDED
from raft.core.storage import Compacted, SnapshotUnavailable, Unavailable
from raft.storage.errors import REMEDY, LogDamaged
from raft.storage.records import BadRecord, Base, decode_entry, entry_key, entry_key_index

CACHE_BYTES_MAX = 8 << 20  # per group; a follower in step never makes the leader read its disk
ENTRY_OVERHEAD_BYTES = 64  # what an entry costs beside its data, on disk and in memory, roughly
_UNAPPLIED_BYTES_MAX = 64 << 20
"""What is still to be applied stays in memory while what came after it is no more than that: it may be one large entry,
and the loop would have to read it from the disk."""
_MARK_BYTES = 64 << 10  # how fine index_keeping answers


def damaged(path: str, group_id: int, fact: str) -> LogDamaged:
    """The error for a log that is not all there, with the remedy."""
    return LogDamaged(f"the log in {path} is damaged (group {group_id}: {fact}): {REMEDY}")


class GroupLog:
    """A LogReader over LevelDB. Made by LogStore.group; read on the loop only."""

    def __init__(
        self,
        db: Any,
        path: str,
        group_id: int,
        hard_state: HardState,
        base: Base,
        installing: Base | None,
    ) -> None:
        self.group_id = group_id
        self.hard_state = hard_state
        """The newest hard state on disk."""
        self.installing = installing
        """A snapshot whose install had begun when the node went down."""
        self.snapshot_source: Callable[[], SnapshotMeta] | None = None
        """Set by the runtime: describes the state that could be sent now. May raise SnapshotUnavailable."""
        self.applied_index = UNBOUNDED
        """Set by the runtime: what is above is still to be applied."""
        self._db = db
        self._path = path
        self._cache: list[Entry] = []
        self._cache_bytes = 0
        self._reset(base)

    def _reset(self, base: Base) -> None:
        self._base = base
        self._last_index = base.index
        self._cache.clear()
        self._cache_bytes = 0
        self._cache_first = base.index + 1
        self._total_bytes = 0
        """Bytes of every entry appended since the reset; the marks and the base are positions in it."""
        self._base_total_bytes = 0
        self._mark_indexes: list[int] = []
        self._mark_totals: list[int] = []
        self._run_firsts = [base.index]
        """First index of each run of entries of one term; the base counts as an entry."""
        self._run_terms = [base.term]

    # What the core reads

    @property
    def first_index(self) -> int:
        """The oldest retained index; one past the last when the log is empty."""
        return self._base.index + 1

    @property
    def last_index(self) -> int:
        """The newest index on disk."""
        return self._last_index

    def term(self, index: int) -> int:
        """Term of the entry at `index`. Raises Compacted below the base, Unavailable past the end."""
        if index > self._last_index:
            raise Unavailable(index)
        if index < self._base.index:
            raise Compacted(index)
        return self._run_terms[bisect_right(self._run_firsts, index) - 1]

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """Entries in [low, high), at least one, as many as fit in bytes_max of data. Raises as `term` does."""
        if low < self.first_index:
            raise Compacted(low)
        if high > self._last_index + 1:
            raise Unavailable(high - 1)
        if low >= high:
            return []
        found: list[Entry] = []
        size_bytes = 0
        if low < self._cache_first:
            found = self._read(low, min(high, self._cache_first), bytes_max)
            size_bytes = sum(len(entry.data) for entry in found)
            low += len(found)
            if low < self._cache_first:
                return found
        for entry in self._cache[low - self._cache_first : high - self._cache_first]:
            size_bytes += len(entry.data)
            if size_bytes > bytes_max and found:
                break
            found.append(entry)
        return found

    def snapshot_meta(self) -> SnapshotMeta:
        """The state that may be sent instead of the log. Raises SnapshotUnavailable when there is none now."""
        if self.snapshot_source is None:
            raise SnapshotUnavailable
        return self.snapshot_source()

    def _read(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """Entries from LevelDB by a short-lived iterator. Raises LogDamaged when one is absent or altered."""
        found: list[Entry] = []
        size_bytes = 0
        start, stop = entry_key(self.group_id, low), entry_key(self.group_id, high)
        with self._db.iterator(start=start, stop=stop, verify_checksums=True, fill_cache=False) as rows:
            for index, (key, record) in enumerate(rows, low):
                size_bytes += len(record)
                if size_bytes > bytes_max and found:
                    return found
                found.append(self._decode(index, key, record))
        if low + len(found) != high:
            raise damaged(self._path, self.group_id, f"entry {low + len(found)} is missing")
        return found

    def _decode(self, index: int, key: bytes, record: bytes) -> Entry:
        try:
            if entry_key_index(key) != index:
                raise BadRecord(f"entry {index} is missing")
            return decode_entry(self.group_id, index, record)
        except BadRecord as error:
            raise damaged(self._path, self.group_id, str(error)) from error

    # What is known about the state below the log

    @property
    def conf(self) -> ConfState:
        """The configuration in force at durable_applied."""
        return self._base.conf

    @property
    def durable_applied(self) -> int:
        """Everything up to here is synced in the data store."""
        return self._base.durable_applied

    @property
    def consistent_index(self) -> int:
        """The data store holds a state that existed only once this index is applied."""
        return self._base.consistent_index

    @property
    def size_bytes(self) -> int:
        """Roughly what the retained entries take."""
        return self._total_bytes - self._base_total_bytes

    def size_bytes_above(self, index: int) -> int:
        """Roughly what the entries above `index` take; exact to one mark (64 KiB)."""
        place = bisect_right(self._mark_indexes, index) - 1
        start = self._mark_totals[place] if place >= 0 else self._base_total_bytes
        return self._total_bytes - start

    def index_keeping(self, keep_bytes: int, keep_entries: int) -> int:
        """The highest index that can go so that about keep_bytes and at most keep_entries stay behind it."""
        place = bisect_right(self._mark_totals, self._total_bytes - keep_bytes) - 1
        by_bytes = self._mark_indexes[place] if place >= 0 else self._base.index
        return max(by_bytes, self._last_index - keep_entries, self._base.index)

    # Loading and publishing: called by LogStore

    def load(self) -> None:
        """Read and check every retained entry. Raises LogDamaged."""
        start, stop = entry_key(self.group_id, self.first_index), entry_key(self.group_id + 1, 0)[:2]
        term = self._base.term
        with self._db.iterator(start=start, stop=stop, verify_checksums=True, fill_cache=False) as rows:
            for key, record in rows:
                entry = self._decode(self._last_index + 1, key, record)
                if entry.term < term:
                    raise damaged(
                        self._path, self.group_id, f"the term falls from {term} at entry {entry.index}"
                    )
                term = entry.term
                self._append(entry)
                self._trim()
        state = self.hard_state
        if state.term < term:
            raise damaged(
                self._path, self.group_id, f"its term is {state.term}, but an entry has term {term}"
            )
        for name, index in (("commit", state.commit), ("synced applied index", self.durable_applied)):
            if index > self._last_index:
                fact = f"its {name} is {index}, but the log ends at {self._last_index}"
                raise damaged(self._path, self.group_id, fact)
        if self.durable_applied < self._base.index:
            fact = f"the log begins after {self._base.index}, above its synced applied index {self.durable_applied}"
            raise damaged(self._path, self.group_id, fact)

    def published(self, hard_state: HardState | None, entries: Sequence[Entry], reset: Base | None) -> None:
        """These are on disk now: show them."""
        if reset is not None:
            self._reset(reset)
            self.installing = None
        if hard_state is not None:
            self.hard_state = hard_state
        if entries:
            if entries[0].index <= self._last_index:
                self._truncate(entries[0].index)
            for entry in entries:
                self._append(entry)
            self._trim()

    def _append(self, entry: Entry) -> None:
        assert entry.index == self._last_index + 1, (entry.index, self._last_index)
        size_bytes = len(entry.data) + ENTRY_OVERHEAD_BYTES
        self._cache.append(entry)
        self._cache_bytes += size_bytes
        self._last_index = entry.index
        if entry.term != self._run_terms[-1]:
            self._run_firsts.append(entry.index)
            self._run_terms.append(entry.term)
        self._total_bytes += size_bytes
        if self._total_bytes - (self._mark_totals[-1] if self._mark_totals else 0) >= _MARK_BYTES:
            self._mark_indexes.append(entry.index)
            self._mark_totals.append(self._total_bytes)

    def _trim(self) -> None:
        if self._cache_bytes <= CACHE_BYTES_MAX:
            return
        # Down to three quarters at once, so that the cost of moving the list is shared by many entries.
        drop = 0
        while self._cache_bytes > CACHE_BYTES_MAX * 3 // 4 and drop < len(self._cache) - 1:
            entry = self._cache[drop]
            left_bytes = self._cache_bytes - len(entry.data) - ENTRY_OVERHEAD_BYTES
            if entry.index > self.applied_index and left_bytes <= _UNAPPLIED_BYTES_MAX:
                break
            self._cache_bytes = left_bytes
            drop += 1
        del self._cache[:drop]
        self._cache_first += drop

    def _truncate(self, index: int) -> None:
        """Forget the entries from `index` on: they are about to be replaced."""
        assert index > self._base.index, (index, self._base.index)
        keep = max(index - self._cache_first, 0)
        cut_bytes = sum(len(entry.data) + ENTRY_OVERHEAD_BYTES for entry in self._cache[keep:])
        del self._cache[keep:]
        self._cache_bytes -= cut_bytes
        while self._mark_indexes and self._mark_indexes[-1] >= index:
            del self._mark_indexes[-1], self._mark_totals[-1]
        while self._run_firsts[-1] >= index:
            del self._run_firsts[-1], self._run_terms[-1]
        if index >= self._cache_first:
            self._total_bytes -= cut_bytes
        else:  # some of them were in memory no more: the last mark is near enough
            self._total_bytes = self._mark_totals[-1] if self._mark_totals else self._base_total_bytes
            self._cache_first = index
        self._last_index = index - 1

    def compacted(self, upto_index: int, term: int, conf: ConfState, durable_applied: int) -> None:
        """Show the log without its entries up to upto_index: call before LogStore.compact deletes them."""
        assert self._base.index <= upto_index <= durable_applied <= self._last_index
        self._base_total_bytes = self._total_bytes - self.size_bytes_above(upto_index)
        drop = min(max(upto_index + 1 - self._cache_first, 0), len(self._cache))
        for entry in self._cache[:drop]:
            self._cache_bytes -= len(entry.data) + ENTRY_OVERHEAD_BYTES
        del self._cache[:drop]
        self._cache_first = max(self._cache_first, upto_index + 1)
        marks = bisect_right(self._mark_indexes, upto_index)
        del self._mark_indexes[:marks], self._mark_totals[:marks]
        runs = bisect_right(self._run_firsts, upto_index) - 1
        del self._run_firsts[:runs], self._run_terms[:runs]
        self._run_firsts[0] = upto_index
        self._base = Base(upto_index, term, durable_applied, self._base.consistent_index, conf)

    def expect_consistent_at(self, index: int) -> None:
        """Raise consistent_index to `index`: see LogStore.note_consistent, which writes it."""
        if index > self._base.consistent_index:
            self._base = msgspec.structs.replace(self._base, consistent_index=index)

    @property
    def base(self) -> Base:
        """The base record in force."""
        return self._base

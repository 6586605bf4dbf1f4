"""A log in memory: the LogReader of tests and of the simulator.

It keeps what it is given and nothing more; what a crash would lose is the caller's to play (keep a `copy`
from the last sync, go back to it).
"""

from collections.abc import Sequence

from raft.core.messages import Entry, SnapshotMeta
from raft.core.storage import Compacted, SnapshotUnavailable, Unavailable


class MemoryLog:
    """A LogReader that is also a writer."""

    __slots__ = ("_base", "_base_term", "_entries", "_snapshot", "snapshot_ready")

    def __init__(self) -> None:
        self._base = 0  # index of the last compacted entry; _entries[0].index == _base + 1
        self._base_term = 0
        self._entries: list[Entry] = []
        self._snapshot: SnapshotMeta | None = None
        self.snapshot_ready = True
        """Set to False to play a snapshot that is temporarily not to be had."""

    @property
    def first_index(self) -> int:
        """See LogReader."""
        return self._base + 1

    @property
    def last_index(self) -> int:
        """See LogReader."""
        return self._base + len(self._entries)

    def term(self, index: int) -> int:
        """See LogReader."""
        offset = index - self._base
        if offset <= 0:
            if offset < 0:
                raise Compacted(f"term of {index}, log begins at {self._base + 1}")
            return self._base_term
        if offset > len(self._entries):
            raise Unavailable(f"term of {index}, log ends at {self.last_index}")
        return self._entries[offset - 1].term

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """See LogReader."""
        if low <= self._base:
            raise Compacted(f"entries from {low}, log begins at {self._base + 1}")
        if high > self._base + len(self._entries) + 1:
            raise Unavailable(f"entries below {high}, log ends at {self.last_index}")
        found = self._entries[low - self._base - 1 : high - self._base - 1]
        size = 0
        for count, entry in enumerate(found):
            size += len(entry.data)
            if size > bytes_max and count:
                return found[:count]
        return found

    def snapshot_meta(self) -> SnapshotMeta | None:
        """See LogReader. What `offer_snapshot` or `apply_snapshot` said last."""
        if not self.snapshot_ready:
            raise SnapshotUnavailable
        return self._snapshot

    def append(self, entries: Sequence[Entry]) -> None:
        """Write `entries` (contiguous); everything from the first one's index on is replaced.

        Raises ValueError if that would leave a hole or touch what is compacted.
        """
        if not entries:
            return
        keep = entries[0].index - self._base - 1
        if not 0 <= keep <= len(self._entries):
            raise ValueError(f"append at {entries[0].index} to a log [{self.first_index}, {self.last_index}]")
        del self._entries[keep:]
        self._entries.extend(entries)

    def compact(self, index: int) -> None:
        """Forget all entries up to and including `index` (at most last_index; lower than before: nothing)."""
        if index <= self._base:
            return
        term = self.term(index)
        del self._entries[: index - self._base]
        self._base, self._base_term = index, term

    def offer_snapshot(self, meta: SnapshotMeta) -> None:
        """From now on the state at `meta` may be sent to followers."""
        self._snapshot = meta

    def apply_snapshot(self, meta: SnapshotMeta) -> None:
        """Begin anew after `meta`: no entries, first_index == meta.index + 1."""
        self._entries.clear()
        self._base, self._base_term = meta.index, meta.term
        self._snapshot = meta

    def copy(self) -> "MemoryLog":
        """Return an independent log of the same content (entries are immutable and shared)."""
        other = MemoryLog()
        other._base, other._base_term = self._base, self._base_term
        other._entries = self._entries.copy()
        other._snapshot, other.snapshot_ready = self._snapshot, self.snapshot_ready
        return other

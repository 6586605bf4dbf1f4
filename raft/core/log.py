"""The log as the core sees it: the durable part behind a LogReader, and the newest part in memory.

::

    reader: ... [first_index ........... offset - 1]     stable
    unstable:                            [offset ........ last_index]
    snapshot (waiting to be installed): stands for everything below offset

`unstable` holds what the disk does not have yet. A Ready gives out all of it; when the write is done,
`stable` drops what was written, found again by (index, term). If a new leader replaced entries meanwhile,
those that it replaced are not found and nothing is taken for stable that is not (the reader may still
show them; whatever is at `offset` or above is looked up in `unstable` only).

applied <= handed <= commit <= last_index, and handed < offset: an entry is handed to the state machine
only when it is committed and stable here. `handed` runs ahead of `applied` by at most `apply_bytes_max`
of payload.

A membership change is handed out only once its commit index is on disk too. A state machine may come back
from a crash without the change; then the log must still say that it is committed, or the node would go on
asking members that left long ago, or count on those that it had alone.
"""

from collections import deque
from collections.abc import Sequence

from raft.core.errors import Corrupted
from raft.core.messages import CONF_CHANGE, Entry, SnapshotMeta
from raft.core.storage import Compacted, LogReader, Unavailable

_SCAN_BYTES_MAX = 8 << 20  # one page of the scan at start


class RaftLog:
    """See the module's head. Attributes are for the core to read; they change through the methods."""

    __slots__ = (
        "_applying",
        "_applying_bytes",
        "applied",
        "apply_bytes_max",
        "commit",
        "conf_changes",
        "handed",
        "last_index",
        "last_term",
        "offset",
        "reader",
        "snapshot",
        "unstable",
    )

    def __init__(self, reader: LogReader, commit: int, applied: int, apply_bytes_max: int) -> None:
        """Raises Corrupted if the log does not hold what `commit` and `applied` say it must."""
        last = reader.last_index
        if commit > last or applied > last:
            raise Corrupted(
                f"the log ends at {last}, but {commit} was committed and {applied} applied: entries were lost"
            )
        if applied < reader.first_index - 1:
            raise Corrupted(
                f"the log begins at {reader.first_index}, but only {applied} is applied: state was lost"
            )
        self.reader = reader
        self.last_index = last
        self.last_term = reader.term(last)
        self.offset = last + 1
        self.unstable: list[Entry] = []
        self.snapshot: SnapshotMeta | None = None
        self.commit = max(commit, applied)
        self.applied = applied
        self.handed = applied
        self.apply_bytes_max = apply_bytes_max
        self._applying: deque[tuple[int, int]] = deque()  # (last index, payload bytes) of each handout
        self._applying_bytes = 0
        self.conf_changes: list[int] = []
        """Indexes of the membership changes in the log that are not applied, ascending."""
        low = applied + 1
        while low <= last:
            page = reader.entries(low, last + 1, _SCAN_BYTES_MAX)
            self._note_conf_changes(page)
            low = page[-1].index + 1

    # Looking

    @property
    def first_index(self) -> int:
        """Last compacted index + 1."""
        return self.reader.first_index if self.snapshot is None else self.snapshot.index + 1

    @property
    def stable_index(self) -> int:
        """Highest index of the present log that is on disk."""
        return self.offset - 1 if self.snapshot is None else 0

    def term(self, index: int) -> int:
        """Return the term at `index`. Raises Compacted or Unavailable."""
        if index == self.last_index:
            return self.last_term
        if index >= self.offset:
            if index > self.last_index:
                raise Unavailable(f"term of {index}, log ends at {self.last_index}")
            return self.unstable[index - self.offset].term
        if self.snapshot is not None:
            if index == self.snapshot.index:
                return self.snapshot.term
            raise Compacted(f"term of {index}, a snapshot at {self.snapshot.index} is being installed")
        return self.reader.term(index)

    def matches(self, index: int, term: int) -> bool:
        """Return whether our log has (index, term)."""
        try:
            return self.term(index) == term
        except (Compacted, Unavailable):
            return False

    def up_to_date(self, index: int, term: int) -> bool:
        """Return whether a log that ends with (index, term) has everything that ours may have committed."""
        return term > self.last_term or (term == self.last_term and index >= self.last_index)

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        """Return the entries in [low, high), cut where their payload passes `bytes_max`, but at least one.

        Raises Compacted if low < first_index. `high` is at most last_index + 1.
        """
        offset = self.offset
        if low >= offset:
            return _limited(self.unstable[low - offset : high - offset], bytes_max)
        if self.snapshot is not None:
            raise Compacted(f"entries from {low}, a snapshot at {self.snapshot.index} is being installed")
        found = self.reader.entries(low, min(high, offset), bytes_max)
        if high > offset and found[-1].index == offset - 1:
            found = _limited(found + self.unstable[: high - offset], bytes_max)
        return found

    def last_agreement(self, index: int, term: int) -> tuple[int, int]:
        """Return the highest (index, term) of ours at or below `index` whose term is at most `term`.

        No entry above it can agree with a log that has `term` at `index`. Term 0 where ours is compacted.
        """
        index = min(index, self.last_index)
        while True:
            try:
                ours = self.term(index)
            except Compacted:
                return index, 0
            if ours <= term:
                return index, ours
            index -= 1

    # Growing

    def append_own(self, term: int, kind: int, data: bytes) -> int:
        """A leader's: append one entry and return its index."""
        index = self.last_index + 1
        self.unstable.append(Entry(index, term, kind, data))
        self.last_index = index
        self.last_term = term
        if kind == CONF_CHANGE:
            self.conf_changes.append(index)
        return index

    def append_after(self, index: int, term: int, entries: Sequence[Entry]) -> bool:
        """A follower's: append `entries` after our entry (index, term); False if we do not have that.

        What agrees already stays; from the first conflict on everything is replaced. Raises Corrupted if a
        committed entry conflicts.
        """
        if not self.matches(index, term):
            return False
        if not entries:
            return True
        if index != self.last_index:
            known = 0
            for entry in entries:
                if not self.matches(entry.index, entry.term):
                    break
                known += 1
            entries = entries[known:]
            if not entries:
                return True
        self._replace(entries)
        return True

    def _replace(self, entries: Sequence[Entry]) -> None:
        first = entries[0].index
        if first <= self.commit:
            raise Corrupted(f"entry {first} conflicts, but {self.commit} is committed")
        if first < self.offset:
            self.offset = first
            self.unstable = list(entries)
        else:
            del self.unstable[first - self.offset :]
            self.unstable.extend(entries)
        while self.conf_changes and self.conf_changes[-1] >= first:
            self.conf_changes.pop()
        self._note_conf_changes(entries)
        self.last_index, self.last_term = entries[-1].index, entries[-1].term

    def _note_conf_changes(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.kind == CONF_CHANGE:
                self.conf_changes.append(entry.index)

    def restore(self, meta: SnapshotMeta) -> None:
        """Begin anew after a snapshot. Nothing is handed out until it is on disk."""
        self.snapshot = meta
        self.unstable = []
        self.offset = meta.index + 1
        self.last_index, self.last_term = meta.index, meta.term
        self.commit = self.handed = meta.index
        self.conf_changes.clear()

    # Becoming stable, committed, applied

    def stable(self, snapshot: SnapshotMeta | None, entries: Sequence[Entry]) -> None:
        """The disk has `snapshot` and `entries`, as given out. What was replaced since stays unstable."""
        if self.snapshot is not None:
            if snapshot is None or snapshot != self.snapshot:
                return  # a newer snapshot replaced all of it
            self.snapshot = None
            self._applied(snapshot.index)
        unstable, offset = self.unstable, self.offset
        for entry in reversed(entries):
            place = entry.index - offset
            if 0 <= place < len(unstable) and unstable[place].term == entry.term:
                del unstable[: place + 1]
                self.offset = entry.index + 1
                return

    def commit_to(self, index: int) -> bool:
        """Everything up to `index` is committed. Return whether that is news. Never goes back."""
        if index <= self.commit:
            return False
        if index > self.last_index:
            raise Corrupted(
                f"the log ends at {self.last_index}, but the leader counted on {index}: entries were lost"
            )
        self.commit = index
        return True

    def conf_change_due(self) -> bool:
        """Return whether a membership change is committed and not applied."""
        return bool(self.conf_changes) and self.conf_changes[0] <= self.commit

    def commit_to_save(self, durable_commit: int) -> bool:
        """Return whether a membership change waits for its commit index to get to the disk."""
        changes = self.conf_changes
        return bool(changes) and any(durable_commit < index <= self.commit for index in changes)

    def _high(self, durable_commit: int) -> int:
        """The index below which everything may be handed out."""
        high = min(self.commit, self.offset - 1) + 1
        for index in self.conf_changes:
            if index > durable_commit and index > self.handed:
                return min(high, index)
        return high

    def has_committed(self, durable_commit: int) -> bool:
        """Return whether `take_committed` would give anything."""
        return (
            self.handed < self.commit
            and self._applying_bytes < self.apply_bytes_max
            and self.handed + 1 < self._high(durable_commit)
        )

    def take_committed(self, durable_commit: int) -> list[Entry]:
        """Hand out the next committed and stable entries, each once; none while enough is being applied.

        `durable_commit` is the commit index on disk.
        """
        low = self.handed + 1
        high = self._high(durable_commit)
        room_bytes = self.apply_bytes_max - self._applying_bytes
        if low >= high or room_bytes <= 0:
            return []
        entries = self.reader.entries(low, high, room_bytes)
        self.handed = entries[-1].index
        size = sum([len(entry.data) for entry in entries])
        self._applying.append((self.handed, size))
        self._applying_bytes += size
        return entries

    def applied_to(self, index: int) -> None:
        """The state machine has everything up to `index`. ValueError if that was not handed out."""
        if index > self.handed:
            raise ValueError(f"{index} was applied, but only {self.handed} handed out")
        if index > self.applied:
            self._applied(index)

    def _applied(self, index: int) -> None:
        self.applied = max(self.applied, index)
        applying = self._applying
        while applying and applying[0][0] <= index:
            self._applying_bytes -= applying.popleft()[1]
        changes = self.conf_changes
        while changes and changes[0] <= index:
            del changes[0]


def _limited(entries: list[Entry], bytes_max: int) -> list[Entry]:
    if len(entries) > 1:
        size = 0
        for count, entry in enumerate(entries):
            size += len(entry.data)
            if size > bytes_max and count:
                return entries[:count]
    return entries

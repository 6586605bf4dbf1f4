"""What a simulated node keeps when it crashes.

Two stores, as on a real node: the log store (entries, hard state; every write synced) and the data store (the
key value pairs, the applied index and the membership, written in one atomic batch, synced only now and then).

A write to the log store is a `Batch`. It is invisible until `complete()`: the log that the core reads is
always exactly what is durable. A crash in between lets chance decide: the batch is lost, or torn (half a
record: recovery finds the bad checksum and drops it whole, as LevelDB does), or whole although nobody was
ever told. A crash of the machine also takes the data store back to its last sync; a crash of the process
alone does not.

The log may only be compacted up to an applied index that is synced in the data store: `compact` asserts it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

from raft.core.messages import CONF_CHANGE, ConfState, Entry, HardState, SnapshotMeta
from raft.core.storage import Compacted, SnapshotUnavailable, Unavailable
from tests.sim.violation import InvariantViolation

SNAPSHOTS_KEPT_MAX = 8


def chain(digest: int, entry: Entry) -> int:
    """Digest of a history that goes on with `entry`; equal digests mean equal histories."""
    return crc32(entry.data, (digest ^ entry.index * 0x9E3779B1 ^ entry.term * 0x85EBCA6B) & 0xFFFFFFFF)


@dataclass(slots=True)
class Data:
    """The replicated state machine: a small key value map. All fields change in one atomic batch."""

    applied: int
    term: int
    """Term of the entry at `applied`."""
    conf: ConfState
    conf_index: int
    """Index of the membership change that made `conf`."""
    values: dict[int, int]
    digest: int

    def clone(self) -> "Data":
        return Data(self.applied, self.term, self.conf, self.conf_index, self.values.copy(), self.digest)

    def apply(self, entry: Entry) -> None:
        if entry.index != self.applied + 1:
            raise InvariantViolation("apply order", f"entry {entry.index} applied on top of {self.applied}")
        self.applied = entry.index
        self.term = entry.term
        self.digest = chain(self.digest, entry)
        if entry.data and entry.kind != CONF_CHANGE:
            key, _, value = entry.data.partition(b"=")
            self.values[int(key)] = int(value)


class SimulatedLog:
    """The durable log of one node: the LogReader that the core reads from."""

    def __init__(self, disk: "SimulatedDisk", index: int, term: int) -> None:
        self.disk = disk
        self.base_index = index
        """Index of the last entry that is compacted away; its term is `base_term`."""
        self.base_term = term
        self.tail: list[Entry] = []

    @property
    def first_index(self) -> int:
        return self.base_index + 1

    @property
    def last_index(self) -> int:
        return self.base_index + len(self.tail)

    def term(self, index: int) -> int:
        offset = index - self.base_index
        if offset <= 0:
            if offset == 0:
                return self.base_term
            raise Compacted(index)
        if offset > len(self.tail):
            raise Unavailable(index)
        return self.tail[offset - 1].term

    def entries(self, low: int, high: int, bytes_max: int) -> list[Entry]:
        base = self.base_index
        if low <= base:
            raise Compacted(low)
        if high > self.last_index + 1:
            raise Unavailable(high)
        found: list[Entry] = []
        size_bytes = 0
        for entry in self.tail[low - base - 1 : high - base - 1]:
            size_bytes += len(entry.data)
            if found and size_bytes > bytes_max:
                break
            found.append(entry)
        return found

    def snapshot_meta(self) -> SnapshotMeta | None:
        return self.disk.freeze()

    def holds(self, index: int, term: int) -> bool:
        """True if the entry (index, term) is durable here, or was before it was compacted."""
        if index < self.base_index:
            return True
        return index <= self.last_index and self.term(index) == term

    def append(self, entries: list[Entry]) -> None:
        first = entries[0].index
        if not self.base_index < first <= self.last_index + 1:
            raise InvariantViolation(
                "log contiguity", f"write at {first}, log is ({self.base_index}, {self.last_index}]"
            )
        del self.tail[first - self.base_index - 1 :]
        for entry in entries:
            if entry.index != self.last_index + 1:
                raise InvariantViolation(
                    "log contiguity", f"entry {entry.index} written after {self.last_index}"
                )
            self.tail.append(entry)

    def reset(self, index: int, term: int) -> None:
        """A snapshot replaces the whole log."""
        self.base_index = index
        self.base_term = term
        self.tail.clear()

    def compact(self, index: int) -> None:
        offset = index - self.base_index
        if offset > 0:
            self.base_term = self.tail[offset - 1].term
            del self.tail[:offset]
            self.base_index = index


@dataclass(frozen=True, slots=True)
class Batch:
    """One atomic, synced write to the log store; a snapshot replaces the data store in the same step."""

    hard_state: HardState | None
    entries: list[Entry]
    snapshot: Data | None


class SimulatedDisk:
    """Everything that survives a crash of node `id`, and the data store's unsynced rest."""

    def __init__(self, index: int, term: int, conf: ConfState) -> None:
        self.log = SimulatedLog(self, index, term)
        self.hard_state = HardState(term, 0, index)
        self.data = Data(index, term, conf, index, {}, 0)
        self.data_synced = self.data.clone()
        self.frozen: dict[int, Data] = {}
        self.freeze_allowed: Callable[[], bool] = lambda: True
        self.pending: Batch | None = None
        # Faults, switched on and off by faults.py.
        self.slowness = 1
        self.is_full = False
        self.sync_fails = False

    def freeze(self) -> SnapshotMeta | None:
        """Meta of a copy of the data as it is now, kept for `take_frozen`. None while nothing is applied."""
        data = self.data
        if data.applied == 0:
            return None
        if not self.freeze_allowed():
            raise SnapshotUnavailable(data.applied)
        if data.applied not in self.frozen:
            while len(self.frozen) >= SNAPSHOTS_KEPT_MAX:
                del self.frozen[next(iter(self.frozen))]
            self.frozen[data.applied] = data.clone()
        return SnapshotMeta(data.applied, data.term, data.conf)

    def begin(self, batch: Batch) -> None:
        if self.pending is not None:
            raise InvariantViolation(
                "one write at a time", "a Ready to persist while another is being persisted"
            )
        self.pending = batch

    def complete(self) -> None:
        """The pending batch is durable."""
        batch = self.pending
        assert batch is not None
        self.pending = None
        if batch.snapshot is not None:
            data = batch.snapshot
            self.data = data.clone()
            self.data_synced = data.clone()
            self.log.reset(data.applied, data.term)
        if batch.entries:
            self.log.append(batch.entries)
        if batch.hard_state is not None:
            self.hard_state = batch.hard_state
        if self.hard_state.commit > self.log.last_index:
            raise InvariantViolation(
                "hard state", f"{self.hard_state} ahead of a log to {self.log.last_index}"
            )

    def crash(self, batch_survives: bool, data_survives: bool) -> None:
        """Lose what a crash loses. `batch_survives`: the pending batch reached the platter though never reported."""
        if self.pending is not None:
            if batch_survives:
                self.complete()
            self.pending = None
        if not data_survives:
            self.data = self.data_synced.clone()
        self.frozen.clear()

    def sync_data(self) -> None:
        self.data_synced = self.data.clone()

    def compact(self, index: int) -> None:
        if index > self.data_synced.applied:
            raise InvariantViolation(
                "compaction", f"log compacted to {index} beyond the synced applied index"
            )
        self.log.compact(index)

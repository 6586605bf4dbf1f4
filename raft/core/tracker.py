"""What a leader knows of one member, and how much it may send: probe, replicate, snapshot.

- PROBE: we do not know where its log agrees with ours. One APPEND, then wait for the answer or a heartbeat's.
- REPLICATE: it keeps up. APPENDs stream; `next` runs ahead of `match`, bounded by `inflight`.
- SNAPSHOT: what it needs is compacted. Nothing is sent until the snapshot is reported or acknowledged.
"""

from collections import deque
from enum import IntEnum


class ProgressState(IntEnum):
    """See the module's head."""

    PROBE = 0
    REPLICATE = 1
    SNAPSHOT = 2


class Inflight:
    """The APPENDs with entries that one member has not acknowledged: (last index, payload bytes) each.

    Invariant: `size_bytes` is the sum over the queue; both shrink and reset together.
    """

    __slots__ = ("_bytes_max", "_messages_max", "_queue", "size_bytes")

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._queue: deque[tuple[int, int]] = deque()
        self.size_bytes = 0

    @property
    def count(self) -> int:
        """Messages on the way."""
        return len(self._queue)

    @property
    def full(self) -> bool:
        """Whether nothing more may be sent. One message may overshoot the bytes."""
        return len(self._queue) >= self._messages_max or self.size_bytes >= self._bytes_max

    def add(self, last_index: int, size_bytes: int) -> None:
        """A message that ends with entry `last_index` (higher than the one before) went out."""
        self._queue.append((last_index, size_bytes))
        self.size_bytes += size_bytes

    def free_to(self, index: int) -> None:
        """Everything up to `index` has arrived."""
        queue = self._queue
        while queue and queue[0][0] <= index:
            self.size_bytes -= queue.popleft()[1]

    def reset(self) -> None:
        """Nothing is on the way, or what is does not count any more."""
        self._queue.clear()
        self.size_bytes = 0


class Progress:
    """What a leader knows of one member. Only the leader's modules change it."""

    __slots__ = (
        "acked_us",
        "commit_told",
        "id",
        "inflight",
        "match",
        "next",
        "pending_snapshot",
        "probe_sent",
        "read_acked",
        "recent_active",
        "stamp",
        "state",
    )

    id: int
    match: int
    """Highest index known to be on its disk and equal to ours."""
    next: int
    """Next index to send. Entries in (match, next) are in flight. Invariant: match < next."""
    state: ProgressState
    probe_sent: bool
    """PROBE: the one message is out."""
    pending_snapshot: int
    """SNAPSHOT: the index of the one that is on its way; 0 otherwise."""
    inflight: Inflight
    recent_active: bool
    """It was heard since the last check of the quorum."""
    acked_us: int
    """Newest of our own clock readings that it echoed in this term; 0 for none. A lease counts from it."""
    read_acked: int
    """Newest read-index number that it echoed in this term."""
    stamp: int
    """When it answered a heartbeat last, by its own clock alone; 0 for none."""
    commit_told: int
    """Highest commit index sent to it (not necessarily received)."""

    def __init__(self, id: int, next: int, inflight: Inflight) -> None:
        self.id = id
        self.match = 0
        self.next = next
        self.state = ProgressState.PROBE
        self.probe_sent = False
        self.pending_snapshot = 0
        self.inflight = inflight
        self.recent_active = False
        self.acked_us = 0
        self.read_acked = 0
        self.stamp = 0
        self.commit_told = 0

    def _enter(self, state: ProgressState) -> None:
        self.state = state
        self.probe_sent = False
        self.pending_snapshot = 0
        self.inflight.reset()

    def become_probe(self) -> None:
        """Find out anew where it is: after the snapshot that it probably has, or else after `match`."""
        self.next = max(self.match, self.pending_snapshot) + 1
        self._enter(ProgressState.PROBE)

    def become_replicate(self) -> None:
        """Stream from `match` on."""
        self.next = self.match + 1
        self._enter(ProgressState.REPLICATE)

    def become_snapshot(self, index: int) -> None:
        """A snapshot at `index` goes out: send nothing else."""
        self._enter(ProgressState.SNAPSHOT)
        self.next = max(self.match, index) + 1
        self.pending_snapshot = index

    def update(self, index: int) -> bool:
        """It has everything up to `index`. Return whether that is news."""
        if index <= self.match:
            return False
        self.match = index
        if self.next <= index:
            self.next = index + 1
        self.probe_sent = False
        return True

    def decrease(self, rejected: int, hint: int) -> bool:
        """It refused an APPEND after entry `rejected` and may agree up to `hint`.

        Return whether that is news, and then `next` was lowered; an answer to an older message changes
        nothing.
        """
        if self.state is ProgressState.REPLICATE:
            if rejected <= self.match:
                return False
            self.next = self.match + 1
            return True
        if self.state is ProgressState.SNAPSHOT or self.next - 1 != rejected:
            return False
        self.next = max(min(rejected, hint + 1), self.match + 1)
        self.probe_sent = False
        return True

"""What the core hands its caller: how it is set up (RaftConfig), what is due (Ready), how it is (Status)."""

from dataclasses import dataclass
from enum import IntEnum

from raft.core.messages import NONE, ConfState, Entry, HardState, Message, SnapshotMeta


class Role(IntEnum):
    """What a node is in its group at present. A learner is a FOLLOWER that never campaigns."""

    FOLLOWER = 0
    PRE_CANDIDATE = 1
    CANDIDATE = 2
    LEADER = 3


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """The settings of one node. Raises ValueError for what can not work."""

    id: int
    """Positive; unique in the group for ever."""
    election_ticks: int = 12
    """A follower that hears nothing for this many ticks, and up to half as many more, campaigns."""
    heartbeat_ticks: int = 2
    append_bytes_max: int = 1 << 20
    """Payload of one APPEND message, unless a single entry is larger."""
    inflight_messages_max: int = 256
    """APPEND messages on the way to one follower that it has not acknowledged."""
    inflight_bytes_max: int = 32 << 20
    """Their payload together; one message may overshoot."""
    uncommitted_bytes_max: int = 64 << 20
    """Payload that a leader has proposed and not yet committed; above it proposals are dropped."""
    apply_bytes_max: int = 4 << 20
    """Payload handed out in Ready.committed and not yet applied, unless a single entry is larger."""
    pre_vote: bool = True
    check_quorum: bool = True
    lease_us: int = 0
    """How long an acknowledgement keeps the leader's lease alive; 0 for no lease. Needs check_quorum, and
    must be shorter than (election_ticks - 1) ticks of real time less the drift of the clocks."""

    def __post_init__(self) -> None:
        if self.id <= NONE:
            raise ValueError("id must be positive")
        if self.heartbeat_ticks < 1 or self.election_ticks <= self.heartbeat_ticks:
            raise ValueError("election_ticks must exceed heartbeat_ticks, which must be at least 1")
        if self.lease_us < 0 or (self.lease_us and not self.check_quorum):
            raise ValueError("a lease is safe only with check_quorum")
        sizes = (
            self.append_bytes_max,
            self.inflight_messages_max,
            self.inflight_bytes_max,
            self.uncommitted_bytes_max,
            self.apply_bytes_max,
        )
        if min(sizes) < 1:
            raise ValueError("every *_max must be positive")


class Ready:
    """Everything that is due now, in the order in which to do it.

    1. Send `messages` (they depend on nothing that is not on disk already).
    2. If `persist`: install `snapshot`, write `entries` (the first one's index truncates), write
       `hard_state`, sync, call `RaftNode.advance`, then send `messages_after`. `messages_after` is empty
       otherwise.
    3. Hand `committed` to the state machine, in order; `RaftNode.applied_to` when it has them.
    4. Release `reads`: (number, index), good as soon as `index` is applied. Fail `reads_lost`.
    """

    __slots__ = (
        "committed",
        "entries",
        "hard_state",
        "leader",
        "messages",
        "messages_after",
        "persist",
        "reads",
        "reads_lost",
        "role",
        "snapshot",
        "term",
    )

    def __init__(
        self,
        hard_state: HardState | None,
        entries: list[Entry],
        snapshot: SnapshotMeta | None,
        messages: list[Message],
        messages_after: list[Message],
        committed: list[Entry],
        reads: list[tuple[int, int]],
        reads_lost: list[int],
        persist: bool,
        role: Role,
        leader: int,
        term: int,
    ) -> None:
        self.hard_state = hard_state
        self.entries = entries
        self.snapshot = snapshot
        self.messages = messages
        self.messages_after = messages_after
        self.committed = committed
        self.reads = reads
        self.reads_lost = reads_lost
        self.persist = persist
        self.role = role
        self.leader = leader
        self.term = term


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A leader's knowledge of one member (itself too)."""

    id: int
    match: int
    next: int
    state: str
    """probe, replicate or snapshot."""
    recent_active: bool
    inflight_messages: int
    inflight_bytes: int
    learner: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How a node is, for people."""

    id: int
    role: Role
    term: int
    vote: int
    leader: int
    commit: int
    applied: int
    first_index: int
    last_index: int
    conf: ConfState
    transfer_target: int
    uncommitted_bytes: int
    peers: tuple[PeerStatus, ...]
    """Empty unless leader."""

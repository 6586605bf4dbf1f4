"""The settings of a host, with units, checked when they are made."""

from dataclasses import dataclass

CLOCK_DRIFT_MAX = 0.1
"""How much faster or slower two machines' clocks may run, as a part; far above real ones."""


@dataclass(frozen=True, slots=True)
class HostOptions:
    """Raises ValueError for what can not work."""

    tick_s: float = 0.05
    election_ticks: int = 14
    """A follower that hears nothing for this many ticks, and up to half as many more, campaigns."""
    heartbeat_ticks: int = 2
    lease_fraction: float = 0.75
    """The leader's lease as a part of election_ticks; 0 turns leases off."""
    append_bytes_max: int = 1 << 20
    inflight_messages_max: int = 256
    inflight_bytes_max: int = 32 << 20
    uncommitted_bytes_max: int = 64 << 20
    """Payload proposed and not yet committed, per group; above it nothing can be proposed."""
    apply_bytes_max: int = 4 << 20
    """Payload handed to a state machine in one piece."""
    log_retain_bytes: int = 16 << 20
    """Per group. A log twice as long is compacted to this; a follower further behind needs a snapshot."""
    log_retain_entries: int = 50_000
    """Per group; likewise."""
    log_pinned_bytes_max: int = 512 << 20
    """Per group. A snapshot transfer that would need more log than this is given up."""
    checkpoint_bytes: int = 4 << 20
    """Per group. After so much log the data is synced, so that a restart applies no more than that again."""
    checkpoint_entries: int = 20_000
    maintenance_s: float = 0.5
    """How often compaction looks whether there is something to do."""
    snapshot_bytes_per_s: int = 64 << 20
    """All outgoing snapshots of the node together."""
    snapshot_chunk_bytes: int = 256 << 10
    snapshot_window_chunks: int = 4
    """Chunks sent and not yet stored by the receiver."""
    snapshots_sent_max: int = 2
    """Outgoing transfers at a time; others wait for their turn."""
    snapshot_idle_s: float = 30.0
    """A transfer without progress for this long is given up."""
    entry_bytes_max: int = 1 << 30
    """The largest entry that can be proposed; the same on all nodes, for it bounds the frames that they take."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if name != "lease_fraction" and getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive")
        if self.election_ticks <= 2 * self.heartbeat_ticks:
            raise ValueError("election_ticks must be more than twice heartbeat_ticks")
        if not 0 <= self.lease_fraction <= 1:
            raise ValueError("lease_fraction must be from 0 to 1")

    @property
    def frame_bytes_max(self) -> int:
        """The largest frame taken from a peer: the largest entry, or a turn's other messages, and what goes around."""
        return self.entry_bytes_max + (16 << 20)

    @property
    def lease_us(self) -> int:
        """The lease: a part of the election timeout, and always shorter than what drift leaves of it."""
        safe_s = (self.election_ticks - 1) * self.tick_s * (1 - CLOCK_DRIFT_MAX)
        return int(min(self.lease_fraction * self.election_ticks * self.tick_s, safe_s) * 1_000_000)

"""What may go wrong in a run: one `Profile` per theme, `everything` for all of it at once.

A profile gives probabilities and weights; the seed draws the rest (cluster size, tick counts, latencies,
drift). To add a fault: write it in faults.py, give it a weight here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Profile:
    """Probabilities are per message (0..1), weights are relative, intervals in election timeouts."""

    name: str
    loss: float = 0.0
    duplicate: float = 0.0
    straggler: float = 0.0
    """Probability that a message is delayed by up to `straggler_timeouts` election timeouts."""
    straggler_timeouts: float = 6.0
    late_transfer: float = 0.0
    """Probability that the order to take over leadership is such a straggler."""
    jitter: float = 1.0
    """Scales the random part of a message's delay: high values reorder."""
    drift_ppm_max: int = 0
    """Every clock runs at most this much fast or slow. The lease is sized for exactly this bound."""
    fault_interval: float = 0.0
    """Mean time between two faults; 0: none."""
    faults: Mapping[str, float] = field(default_factory=dict)
    """Name of a function in faults.py -> weight."""
    snapshot_unavailable: float = 0.0
    compaction_keeps_max: int = 40
    """A compaction leaves 0 to this many applied entries in the log."""
    joins: bool = False
    """True: nodes beyond the first members exist and may join."""


_CRASHES = {"crash": 4.0, "crash_many": 1.0}
_DISK = {"slow_disk": 2.0, "fail_sync": 2.0, "fill_disk": 2.0, "crash": 2.0}
_PARTITIONS = {
    "isolate": 2.0,
    "split": 2.0,
    "one_way": 3.0,
    "cut_links": 3.0,
    "mend": 2.0,
    "isolate_leader": 2.0,
}
_LEADERSHIP = {"transfer": 3.0, "transfer_then_isolate": 1.0, "usurp": 1.0, "campaign": 1.0}
_MEMBERSHIP = {"change_membership": 4.0, "leave_joint": 2.0}
_CLOCKS = {"pause": 3.0, "drift": 2.0, "jump": 2.0}

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("calm", fault_interval=8.0, faults={"transfer": 3.0, "campaign": 1.0}),
        Profile(
            "network",
            loss=0.1,
            duplicate=0.1,
            straggler=0.02,
            jitter=6.0,
            fault_interval=4.0,
            faults={"mend": 1.0, "isolate_leader": 1.0, "transfer": 0.5},
        ),
        Profile("partitions", loss=0.01, jitter=2.0, fault_interval=2.0, faults=_PARTITIONS),
        Profile("crashes", loss=0.01, fault_interval=2.0, faults=_CRASHES, compaction_keeps_max=5),
        Profile(
            "disks",
            loss=0.02,
            fault_interval=1.5,
            faults=_DISK | {"isolate_leader": 1.0, "mend": 2.0, "transfer": 1.0},
            compaction_keeps_max=10,
        ),
        Profile(
            "slow_disks",
            loss=0.05,
            fault_interval=0.7,
            faults={"slow_disk": 4.0, "isolate_leader": 2.0, "mend": 3.0, "crash": 2.0, "fail_sync": 1.0},
        ),
        Profile(
            "leases",
            loss=0.02,
            straggler=0.03,
            late_transfer=0.5,
            jitter=3.0,
            drift_ppm_max=50_000,
            fault_interval=1.0,
            faults=_CLOCKS
            | {"transfer": 2.0, "transfer_then_isolate": 4.0, "isolate_leader": 3.0, "usurp": 8.0}
            | {"cut_from_leader": 3.0, "one_way": 1.0, "mend": 8.0, "campaign": 1.0, "crash": 2.0},
        ),
        Profile(
            "membership",
            loss=0.02,
            straggler=0.005,
            jitter=2.0,
            fault_interval=1.0,
            faults=_MEMBERSHIP | {"transfer": 1.0, "crash": 0.5, "isolate_leader": 0.5, "mend": 1.0},
            compaction_keeps_max=10,
            snapshot_unavailable=0.05,
            joins=True,
        ),
        Profile(
            "everything",
            loss=0.05,
            duplicate=0.05,
            straggler=0.01,
            late_transfer=0.1,
            jitter=3.0,
            drift_ppm_max=20_000,
            fault_interval=0.7,
            faults=_CRASHES | _DISK | _PARTITIONS | _LEADERSHIP | _MEMBERSHIP | _CLOCKS | {"mend": 6.0},
            snapshot_unavailable=0.05,
            compaction_keeps_max=15,
            joins=True,
        ),
    )
}

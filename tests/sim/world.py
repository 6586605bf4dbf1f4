"""The simulated world: virtual time, a network, the nodes, their clients, and chance.

Theory of operation. `World(seed, profile)` draws everything from one `random.Random(seed)`: the size of the
cluster, the settings of the core, latencies, which message is lost, what fails when. Time is a heap of events
(time in µs, order, function, arguments); one step takes one event off and calls it. Nothing else runs,
nothing reads a clock or a hash order, so the same seed and profile give the same run to the last message.

A run has two parts. For `steps` steps faults come at the profile's rate while clients write and read. Then
everything is mended (`faults.mend_all`), and within `RECOVERY_TIMEOUTS` election timeouts the cluster must
elect a leader, commit a new write, confirm a new read and bring every live member up to it.

checker.py holds the invariants; host.py is a node; disk.py what it keeps; faults.py what goes wrong;
profiles.py how often. The lease is set to the longest that is safe under the profile's drift: a few µs less
than what the slowest leader clock and the fastest follower clock allow, so a lease that the core counts wrong
by a tick shows up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Any

from raft.core.errors import RaftError
from raft.core.messages import ConfChange, ConfState, Entry, Message, MessageKind
from raft.core.ready import RaftConfig
from tests.sim import faults
from tests.sim.checker import Checker
from tests.sim.disk import Data, SimulatedDisk
from tests.sim.host import Host, describe
from tests.sim.profiles import PROFILES, Profile
from tests.sim.violation import InvariantViolation

TICK_US = 10_000
RECOVERY_TIMEOUTS = 60
CLOCK_ROUNDING_US = 10
KEYS = 6
TIMEOUT_NOW = int(MessageKind.TIMEOUT_NOW)
WRITES_WAITING_MAX = 30

Event = tuple[int, int, Callable[..., None], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did. Equal for equal seeds."""

    steps: int
    virtual_us: int
    committed: int
    acknowledged: int
    reads: int
    lease_reads: int
    terms: int
    faults: int
    digest: int


class World:
    """One run. Raises InvariantViolation, or whatever the core raises, out of `run`."""

    def __init__(self, seed: int, profile: Profile, trace: Callable[[str], None] | None = None) -> None:
        self.random = random = Random(seed)
        self.profile = profile
        self.now_us: int = 0
        self.trace: Callable[[str], None] | None = None
        if trace is not None:
            self.trace = lambda text: trace(f"{self.now_us / 1000:12.3f} ms  {text}")
        self.order = 0
        self.heap: list[Event] = []
        self.steps = 0
        self.faults = 0
        self.acknowledged_writes = 0
        self.reads_served = 0
        self.lease_reads = 0
        self.is_mended = False

        # Settings of the run.
        self.tick_us: int = TICK_US
        self.election_ticks = random.choice((4, 6, 8, 10))
        self.timeout_us = self.election_ticks * TICK_US
        self.turn_us = random.choice((0, 0, 0, 100, 2_000))
        self.delay_us = random.choice((100, 500, 2_000))
        self.jitter_us = int(random.choice((200, 1_000, 3_000)) * profile.jitter)
        self.disk_latency_us = random.choice((50, 400, 4_000))
        self.apply_latency_us = random.choice((20, 500, 6_000))
        self.client_interval_us = random.choice((2_000, 6_000, 20_000, 40_000))
        self.maintenance_chance = random.choice((0.02, 0.1, 0.4))
        self.loss = profile.loss
        self.duplicate = profile.duplicate
        self.straggler = profile.straggler
        self.late_transfer = profile.late_transfer
        self.snapshot_unavailable = profile.snapshot_unavailable
        self.blocked: set[tuple[int, int]] = set()
        """Directed links (sender, receiver) that carry nothing."""
        self._draw_config()

        # The members. Each starts from the same state: nothing at all, or a first snapshot that joiners are
        # sent too.
        count = (
            random.choice((1, 2, 3, 3, 3, 4, 5)) if profile.joins else random.choice((1, 2, 3, 3, 3, 3, 5, 5))
        )
        members = tuple(range(1, count + 1))
        learners = random.choice((0, 0, 1)) if count > 2 else 0
        conf = ConfState(voters=members[: count - learners], learners=members[count - learners :])
        self.ids_max = count + random.randrange(1, 4) if profile.joins else count
        index = 1 if profile.joins else random.choice((0, 1))
        self.hosts: dict[int, Host] = {}
        self.checker = Checker(self.hosts, index, index)
        for id in members:
            self.add_host(id, SimulatedDisk(index, index, conf))
        self.after(random.randrange(TICK_US), self.client)
        if profile.fault_interval:
            self.fault_interval_us = profile.fault_interval * self.timeout_us
            self.after(int(random.expovariate(1 / self.fault_interval_us)), self.fault)
        self.number = 0
        self.quiet_until_us = 0
        """Clients rest until then."""

    def _draw_config(self) -> None:
        random = self.random
        ppm = self.profile.drift_ppm_max
        safe_us = (self.election_ticks - 1) * TICK_US * (1_000_000 - ppm) // (1_000_000 + ppm)
        check_quorum = self.profile.joins or random.random() < 0.9
        self.settings: dict[str, Any] = {
            "election_ticks": self.election_ticks,
            "heartbeat_ticks": random.choice((1, 1, 2)),
            "append_bytes_max": random.choice((1, 16, 1 << 20)),
            "inflight_messages_max": random.choice((1, 3, 256)),
            "inflight_bytes_max": random.choice((10, 1 << 20)),
            "uncommitted_bytes_max": random.choice((60, 1 << 20)),
            "apply_bytes_max": random.choice((1, 30, 1 << 20)),
            "check_quorum": check_quorum,
            "pre_vote": self.profile.joins or random.random() < 0.9,
            "lease_us": safe_us - CLOCK_ROUNDING_US if check_quorum and random.random() < 0.9 else 0,
        }

    def config(self, id: int) -> RaftConfig:
        return RaftConfig(id=id, **self.settings)

    # Events

    def at(self, time_us: int, function: Callable[..., None], *arguments: Any) -> None:
        self.order += 1
        heappush(self.heap, (time_us, self.order, function, arguments))

    def after(self, delay_us: int, function: Callable[..., None], *arguments: Any) -> None:
        self.order += 1
        heappush(self.heap, (self.now_us + delay_us, self.order, function, arguments))

    def step(self) -> None:
        self.now_us, _, function, arguments = heappop(self.heap)
        self.steps += 1
        function(*arguments)

    def run(self, steps: int) -> Outcome:
        """Run `steps` steps of faults and then the recovery. Returns what happened."""
        heap = self.heap
        while self.steps < steps:
            self.now_us, _, function, arguments = heappop(heap)
            self.steps += 1
            function(*arguments)
        self.recover()
        return self.outcome()

    def outcome(self) -> Outcome:
        checker = self.checker
        return Outcome(
            steps=self.steps,
            virtual_us=self.now_us,
            committed=checker.committed,
            acknowledged=self.acknowledged_writes,
            reads=self.reads_served,
            lease_reads=self.lease_reads,
            terms=len(checker.leader_of_term),
            faults=self.faults,
            digest=checker.digests[-1],
        )

    # Nodes

    def add_host(self, id: int, disk: SimulatedDisk | None = None) -> Host:
        """A new node, with the disk of a first member, or with an empty one to join."""
        host = Host(self, id, disk or SimulatedDisk(0, 0, ConfState(())))
        host.disk.freeze_allowed = lambda: self.random.random() >= self.snapshot_unavailable
        self.hosts[id] = host
        ppm_max = self.profile.drift_ppm_max
        host.set_clock(self.random.randint(-ppm_max, ppm_max), 0)
        host.start()
        return host

    def restart_later(self, host: Host) -> None:
        """Some come back within a fraction of an election timeout: soon enough to break a forgotten promise."""
        delay_us = self.random.randrange(1, self.timeout_us // 4)
        if self.random.random() < 0.6 and not self.is_mended:
            delay_us = self.random.randrange(1, 4 * self.timeout_us)
        self.after(delay_us, self.restart, host, host.life)

    def restart(self, host: Host, life: int) -> None:
        if host.life == life and not host.is_up:
            host.start()

    def leader(self) -> Host | None:
        """The running, unpaused leader of the highest term, if any."""
        best: Host | None = None
        for host in self.checker.leaders.values():
            if host.paused_until_us <= self.now_us and (best is None or host.core.term > best.core.term):
                best = host
        return best

    def disk_us(self) -> int:
        return 20 + int(self.random.random() * self.disk_latency_us)

    def apply_us(self) -> int:
        return 5 + int(self.random.random() * self.apply_latency_us)

    # Network

    def send(self, message: Message, data: Data | None) -> None:
        """Carry a message, and with a SNAPSHOT its data, to its receiver, or not."""
        random = self.random
        link = (message.sender, message.to)
        chance = random.random()
        if link in self.blocked or chance < self.loss or message.to not in self.hosts:
            if self.trace:
                self.trace(f"n{message.to} never gets {describe(message)}")
            if data is not None:
                self.report_snapshot(message, ok=False)
            elif chance < 0.3:
                sender = self.hosts[message.sender]
                self.after(self.delay_us, sender.report_unreachable, sender.life, message.to)
            return
        receiver = self.hosts[message.to]
        copies = 2 if chance < self.loss + self.duplicate else 1
        for _ in range(copies):
            delay_us = self.delay_us + int(random.random() * self.jitter_us)
            if data is not None:
                delay_us = delay_us * 4 + random.randrange(self.timeout_us)
            straggler = self.late_transfer if message.kind == TIMEOUT_NOW else self.straggler
            if straggler and random.random() < straggler:
                delay_us += int(random.random() * self.profile.straggler_timeouts * self.timeout_us)
            self.order += 1
            heappush(self.heap, (self.now_us + delay_us, self.order, receiver.deliver, (message, data)))

    def report_snapshot(self, message: Message, ok: bool) -> None:
        """The transport tells the sender of a SNAPSHOT, some time later, how that went."""
        sender = self.hosts[message.sender]
        self.after(self.delay_us + self.jitter_us, sender.report_snapshot, sender.life, message.to, ok)

    # Clients

    def client(self) -> None:
        """One client operation, mostly at a leader; now and then a burst, or at just any node."""
        random = self.random
        self.after(1 + int(random.random() * 2 * self.client_interval_us), self.client)
        if self.now_us < self.quiet_until_us:
            return
        leaders = self.checker.leaders
        if leaders and random.random() < 0.97:
            host = list(leaders.values())[random.randrange(len(leaders))]
        else:
            host = self.hosts[random.randrange(len(self.hosts)) + 1]
        if not host.is_up or host.paused_until_us > self.now_us or len(host.writes) >= WRITES_WAITING_MAX:
            return
        key = random.randrange(KEYS)
        chance = random.random()
        if chance < 0.6:
            for _ in range(1 if chance < 0.5 or self.is_mended else random.randrange(2, 12)):
                self.number += 1
                host.write(self.number, key)
        elif chance < 0.8:
            host.read_quorum(key)
        else:
            host.read_lease(key)

    def acknowledged(self, host: Host, entry: Entry, floor: int) -> None:
        self.acknowledged_writes += 1
        if self.trace:
            self.trace(f"n{host.id} acknowledges {entry.index}")
        self.checker.acknowledged(host, entry, floor)

    # Faults and recovery

    def fault(self) -> None:
        if self.is_mended:
            return
        self.after(1 + int(self.random.expovariate(1 / self.fault_interval_us)), self.fault)
        names = list(self.profile.faults)
        name = self.random.choices(names, list(self.profile.faults.values()))[0]
        self.faults += 1
        if self.trace:
            self.trace(f"-- {name}")
        faults.FAULTS[name](self)

    def recover(self) -> None:
        """Stop all faults, then require progress within the bound."""
        self.is_mended = True
        self.loss = self.duplicate = self.straggler = self.late_transfer = self.snapshot_unavailable = 0.0
        self.jitter_us = min(self.jitter_us, 1_000)
        # What has queued up must drain within the bound, whatever the pace that the seed drew.
        self.disk_latency_us = min(self.disk_latency_us, 1_000)
        self.apply_latency_us = min(self.apply_latency_us, 200)
        self.client_interval_us = max(self.client_interval_us, 20_000)
        if self.trace:
            self.trace("-- all faults end")
        faults.mend_all(self)
        begun_us = self.now_us
        deadline_us = begun_us + RECOVERY_TIMEOUTS * self.timeout_us
        next_look_us = begun_us
        goal = goal_term = reads_before = 0
        while True:
            self.step()
            if self.now_us < next_look_us:
                continue
            next_look_us = self.now_us + self.timeout_us // 2
            if self.now_us > deadline_us:
                raise InvariantViolation("progress", self._stuck(goal))
            leader = self.leader()
            if leader is None:
                continue
            conf = leader.core.conf
            if conf.voters_outgoing:
                if not conf.auto_leave:
                    self._leave_joint(leader)
                continue
            if goal_term != leader.core.term or not goal:
                self.number += 1
                goal = leader.write(self.number, 0)
                goal_term = leader.core.term
                continue
            members = conf.voters + conf.learners
            if all(self.hosts[id].disk.data.applied >= goal for id in members):
                if self.reads_served > reads_before:
                    break
                leader.read_quorum(0)
            else:
                reads_before = self.reads_served

    def _leave_joint(self, leader: Host) -> None:
        try:
            leader.core.propose_conf_change(ConfChange(), leader.local_us())
        except RaftError:
            return
        leader.turn()

    def _stuck(self, goal: int) -> str:
        lines = [f"{RECOVERY_TIMEOUTS} election timeouts after the faults ended, goal {goal}"]
        lines += [
            f"  n{host.id} up={host.is_up} applied={host.disk.data.applied} {host.core.status()}"
            for host in self.hosts.values()
        ]
        return "\n".join(lines)


def simulate(seed: int, profile_name: str, steps: int, trace: Callable[[str], None] | None = None) -> Outcome:
    """Run one seed. Raises what the run raises."""
    return World(seed, PROFILES[profile_name], trace).run(steps)


def profile_of(seed: int) -> str:
    """The profile of a seed for which none is named."""
    names = list(PROFILES)
    return names[seed % len(names)]

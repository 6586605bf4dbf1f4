"""One simulated node: the real core, a simulated disk, and the loop that a runtime runs around them.

The loop is asynchronous, as the real one is. A Ready is taken and its `messages` leave at once; its
persistent part becomes one disk write that completes later, and only then `messages_after` leave and
`advance` is called; `committed` goes to a queue that is applied later still. Meanwhile the node goes on
stepping, ticking and taking Readies. Some runs take a Ready after each event, others let events gather for a
turn.

A pause defers everything that would happen at the node until it ends; a crash forgets everything but the
disk.
"""

from collections import deque
from typing import TYPE_CHECKING

from raft.core.errors import NotLeader, ProposalDropped
from raft.core.messages import CONF_CHANGE, Entry, Message, MessageKind, decode_conf_change
from raft.core.node import RaftNode
from raft.core.ready import Ready
from tests.sim.checker import View
from tests.sim.disk import Batch, Data, SimulatedDisk
from tests.sim.violation import InvariantViolation

if TYPE_CHECKING:
    from tests.sim.world import World

SNAPSHOT = int(MessageKind.SNAPSHOT)
READIES_PER_TURN_MAX = 200
STAGED_MAX = 4
SLOW_WRITE_TIMEOUTS_MAX = 5


class Host:
    """Node `id` of `world`, started from `disk` by `start`."""

    core: RaftNode
    view: View

    def __init__(self, world: "World", id: int, disk: SimulatedDisk) -> None:
        self.world = world
        self.id = id
        self.disk = disk
        self.is_up = False
        self.life = 0
        """Counts starts and crashes: whatever was scheduled in an earlier life is void."""
        self.paused_until_us = 0
        # The node's own monotonic clock: local = clock_local + (now - clock_real) * (1 + ppm / 10**6).
        self.clock_real_us = 0
        self.clock_local_us = 0
        self.clock_ppm = 0
        self.tick_us: int = world.tick_us
        self.turn_scheduled = False
        self.persisting: Ready | None = None
        self.apply_queue: deque[Entry] = deque()
        self.apply_scheduled = False
        self.staged: dict[tuple[int, int], Data] = {}
        """Snapshot data that has arrived, by (index, term), until the core asks to install it."""
        self.writes: dict[int, tuple[int, int, int]] = {}
        """Writes of clients that wait: index -> (term, floor, number)."""
        self.reads: dict[int, tuple[int, int]] = {}
        """Reads that wait for leadership to be confirmed: context -> (floor, key)."""
        self.reads_ready: list[tuple[int, int, int]] = []
        """Reads that wait for the state machine: (index, floor, key)."""

    # Clock

    def local_us(self) -> int:
        elapsed_us = self.world.now_us - self.clock_real_us
        return self.clock_local_us + elapsed_us + elapsed_us * self.clock_ppm // 1_000_000

    def set_clock(self, ppm: int, jump_us: int) -> None:
        """Let the clock run `ppm` fast (or slow: negative) from now on, after a jump ahead of `jump_us`."""
        self.clock_local_us = self.local_us() + jump_us
        self.clock_real_us = self.world.now_us
        self.clock_ppm = ppm
        # Rounded up: a tick never comes early.
        self.tick_us = -(-self.world.tick_us * 1_000_000 // (1_000_000 + ppm))

    # Life

    def start(self) -> None:
        world = self.world
        self.life += 1
        self.is_up = True
        self.clock_local_us = world.random.randrange(10**9)  # another boot, another origin
        self.clock_real_us = world.now_us
        self.core = RaftNode(
            world.config(self.id),
            self.disk.log,
            self.disk.hard_state,
            self.disk.data.conf,
            self.disk.data.applied,
            world.random.randrange,
        )
        world.checker.started(self)
        if world.trace:
            world.trace(f"n{self.id} starts: {self.disk.hard_state}, log to {self.disk.log.last_index}")
        world.after(1 + world.random.randrange(self.tick_us), self.tick, self.life)

    def crash(self, batch_survives: bool, data_survives: bool) -> None:
        self.life += 1
        self.is_up = False
        self.turn_scheduled = False
        self.persisting = None
        self.apply_queue.clear()
        self.apply_scheduled = False
        self.staged.clear()
        self.writes.clear()
        self.reads.clear()
        self.reads_ready.clear()
        batch = self.disk.pending
        self.disk.crash(batch_survives, data_survives)
        if batch is not None and batch_survives:
            self.world.checker.persisted(self, batch.entries)
        self.world.checker.stopped(self)

    def stop(self, why: str) -> None:
        """The node ends itself: its disk has failed."""
        world = self.world
        if world.trace:
            world.trace(f"n{self.id} stops: {why}")
        self.crash(batch_survives=world.random.random() < 0.5, data_survives=world.random.random() < 0.5)
        world.restart_later(self)

    # Events. Each takes the life it was scheduled in, and is void in any other.

    def tick(self, life: int) -> None:
        if life != self.life:
            return
        world = self.world
        if self.paused_until_us > world.now_us:
            world.at(self.paused_until_us, self.tick, life)
            return
        # The next one counts from this one, never from when this one was due: ticks do not bunch up.
        world.after(self.tick_us, self.tick, life)
        self.core.tick(self.local_us())
        if world.random.random() < world.maintenance_chance:
            self.maintain()
        self.turn()

    def deliver(self, message: Message, data: Data | None = None) -> None:
        if not self.is_up:
            if data is not None:
                self.world.report_snapshot(message, ok=False)
            return
        world = self.world
        if self.paused_until_us > world.now_us:
            world.at(self.paused_until_us, self.deliver, message, data)
            return
        if data is not None:
            while len(self.staged) >= STAGED_MAX:
                del self.staged[next(iter(self.staged))]
            self.staged[data.applied, data.term] = data
            world.report_snapshot(message, ok=True)
        if world.trace:
            world.trace(f"n{self.id} <- {describe(message)}")
        self.core.step(message, self.local_us())
        self.turn()

    def persisted(self, life: int) -> None:
        """The disk is done with the write it was given."""
        if life != self.life:
            return
        world = self.world
        if self.paused_until_us > world.now_us:
            world.at(self.paused_until_us, self.persisted, life)
            return
        disk = self.disk
        if disk.is_full:
            # Step aside: the write is tried again until there is space. The node still hears its peers.
            world.after(world.tick_us * 2, self.persisted, life)
            return
        if disk.sync_fails:
            disk.sync_fails = False
            self.stop("sync failed")
            return
        ready = self.persisting
        assert ready is not None
        self.persisting = None
        installed = disk.pending is not None and disk.pending.snapshot is not None
        disk.complete()
        world.checker.persisted(self, ready.entries)
        if installed:
            self._installed()
        if world.trace:
            world.trace(f"n{self.id} persisted {disk.hard_state}, log to {disk.log.last_index}")
        self.core.advance(ready)
        if installed:
            world.checker.core_agrees(self)
        for message in ready.messages_after:
            self.send(message)
        self.turn()

    def apply(self, life: int) -> None:
        """Apply what has been committed, up to a random number of entries."""
        if life != self.life:
            return
        world = self.world
        if self.paused_until_us > world.now_us:
            world.at(self.paused_until_us, self.apply, life)
            return
        self.apply_scheduled = False
        queue = self.apply_queue
        if not queue:
            return
        data = self.disk.data
        for _ in range(1 + world.random.randrange(8)):
            if not queue:
                break
            entry = queue.popleft()
            world.checker.check_entry(self.id, entry)
            data.apply(entry)
            if entry.kind == CONF_CHANGE:
                data.conf = self.core.apply_conf_change(decode_conf_change(entry.data))
                data.conf_index = entry.index
                world.checker.change_is_durable(self, entry.index)
                world.checker.conf_applied(self, data)
                if world.trace:
                    world.trace(f"n{self.id} applies at {entry.index} {data.conf}")
        if queue:
            self.apply_scheduled = True
            world.after(world.apply_us(), self.apply, life)
        self.core.applied_to(data.applied)
        world.checker.check_data(self.id, data)
        self.serve_reads()
        self.turn()

    def report_snapshot(self, life: int, peer: int, ok: bool) -> None:
        if life == self.life and self.is_up:
            self.core.report_snapshot(peer, ok)
            self.turn()

    def report_unreachable(self, life: int, peer: int) -> None:
        if life == self.life and self.is_up:
            self.core.report_unreachable(peer)
            self.turn()

    # The loop

    def turn(self) -> None:
        """Something happened in the core: check it, and do what is due now or at the end of the turn."""
        assert self.is_up, "only a running node is called"
        world = self.world
        world.checker.observe(self)
        if not world.turn_us:
            self.pump()
        elif not self.turn_scheduled:
            self.turn_scheduled = True
            world.after(world.turn_us, self.end_turn, self.life)

    def end_turn(self, life: int) -> None:
        if life != self.life:
            return
        world = self.world
        if self.paused_until_us > world.now_us:
            world.at(self.paused_until_us, self.end_turn, life)
            return
        self.turn_scheduled = False
        self.pump()

    def pump(self) -> None:
        """Take every Ready there is and do, or start, what it asks for."""
        core = self.core
        if not core.has_ready():
            return
        world = self.world
        checker = world.checker
        for _ in range(READIES_PER_TURN_MAX):
            ready = core.ready()
            checker.ready(self, ready)
            for message in ready.messages:
                self.send(message)
            if ready.committed:
                self._committed(ready.committed)
            if ready.reads:
                self._confirmed(ready.reads)
            for context in ready.reads_lost:
                self.reads.pop(context, None)
            if ready.persist:
                self._persist(ready)
            elif ready.messages_after:
                raise InvariantViolation(
                    "the loop rests", f"node {self.id} has messages after a write of nothing"
                )
            checker.observe(self)
            if not core.has_ready():
                return
        raise InvariantViolation(
            "the loop rests", f"node {self.id} has a Ready after {READIES_PER_TURN_MAX} of them"
        )

    def send(self, message: Message) -> None:
        self.world.checker.sent(self, message)
        data = None
        if message.kind == SNAPSHOT:
            meta = message.snapshot
            assert meta is not None
            data = self.disk.frozen.get(meta.index)
            if data is None:
                self.world.report_snapshot(message, ok=False)
                return
        self.world.send(message, data)

    def _persist(self, ready: Ready) -> None:
        self.persisting = ready
        data: Data | None = None
        if ready.snapshot is not None:
            data = self.staged.pop((ready.snapshot.index, ready.snapshot.term), None)
            if data is None:
                raise InvariantViolation(
                    "snapshots are staged", f"node {self.id} installs unknown {ready.snapshot}"
                )
        self.disk.begin(Batch(ready.hard_state, ready.entries, data))
        world = self.world
        if self.disk.is_full and world.random.random() < 0.3:
            self.world.after(1, self._out_of_space, self.life)
            return
        delay_us = min(world.disk_us() * self.disk.slowness, SLOW_WRITE_TIMEOUTS_MAX * world.timeout_us)
        world.after(delay_us, self.persisted, self.life)

    def _out_of_space(self, life: int) -> None:
        if life == self.life:
            self.stop("disk full")

    def _installed(self) -> None:
        """The data store was replaced: what waited to be applied is part of it."""
        data = self.disk.data
        queue = self.apply_queue
        while queue and queue[0].index <= data.applied:
            queue.popleft()
        self.view.handed_out = max(self.view.handed_out, data.applied)
        self.world.checker.check_data(self.id, data)
        self.world.checker.conf_applied(self, data)
        if self.world.trace:
            self.world.trace(f"n{self.id} installed the snapshot at {data.applied}, {data.conf}")
        self.serve_reads()

    def _committed(self, committed: list[Entry]) -> None:
        world = self.world
        writes = self.writes
        if writes:
            for entry in committed:
                write = writes.pop(entry.index, None)
                if write is not None and write[0] == entry.term:
                    world.acknowledged(self, entry, write[1])
        self.apply_queue.extend(committed)
        if not self.apply_scheduled:
            self.apply_scheduled = True
            world.after(world.apply_us(), self.apply, self.life)

    def _confirmed(self, reads: list[tuple[int, int]]) -> None:
        """Leadership was confirmed for each context given and for every one before it."""
        for context, index in reads:
            for asked in [asked for asked in self.reads if asked <= context]:
                floor, key = self.reads.pop(asked)
                self.world.checker.read_allowed(self, index, floor, "quorum")
                self.reads_ready.append((index, floor, key))
        self.serve_reads()

    # Clients

    def write(self, number: int, key: int) -> int:
        """A client writes `number` to `key`. Returns the index of the entry, 0 if the node refused."""
        world = self.world
        try:
            index = self.core.propose(b"%d=%d" % (key, number), self.local_us())
        except (NotLeader, ProposalDropped):
            return 0
        self.writes[index] = self.core.term, world.checker.completed, number
        if world.trace:
            world.trace(f"n{self.id} proposes {number} at {index}")
        self.turn()
        return index

    def read_quorum(self, key: int) -> None:
        try:
            context = self.core.read_index(self.local_us())
        except NotLeader:
            return
        self.reads[context] = self.world.checker.completed, key
        self.turn()

    def read_lease(self, key: int) -> None:
        core = self.core
        if core.lease_valid(self.local_us()):
            self.world.lease_reads += 1
            floor = self.world.checker.completed
            self.world.checker.read_allowed(self, core.commit, floor, "lease")
            self.reads_ready.append((core.commit, floor, key))
            self.serve_reads()

    def serve_reads(self) -> None:
        if not self.reads_ready:
            return
        applied = self.disk.data.applied
        waiting: list[tuple[int, int, int]] = []
        for index, floor, key in self.reads_ready:
            if index > applied:
                waiting.append((index, floor, key))
            else:
                self.world.checker.read(self, key, floor)
                self.world.reads_served += 1
        self.reads_ready = waiting

    # Upkeep of the disk

    def maintain(self) -> None:
        """Sync the data store, then compact the log up to what is synced, or a little less."""
        disk = self.disk
        if disk.is_full:
            return
        disk.sync_data()
        index = disk.data_synced.applied - self.world.random.randrange(
            self.world.profile.compaction_keeps_max + 1
        )
        if index > disk.log.base_index:
            disk.compact(index)


def describe(message: Message) -> str:
    """One line for the event log."""
    text = f"{MessageKind(message.kind).name} from n{message.sender} term {message.term}"
    if message.index or message.log_term:
        text += f" at ({message.index}, {message.log_term})"
    if message.entries:
        text += f" entries {message.entries[0].index}..{message.entries[-1].index}"
    if message.commit:
        text += f" commit {message.commit}"
    if message.reject:
        text += f" reject, hint ({message.hint}, {message.hint_term})"
    if message.context:
        text += f" context {message.context}"
    if message.snapshot is not None:
        text += f" snapshot ({message.snapshot.index}, {message.snapshot.term})"
    if message.transfer:
        text += " transfer"
    return text

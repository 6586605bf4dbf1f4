"""The leader of a shard group: what Raft tells of it, what is proposed, and when replies may leave.

The evaluator (evaluator.py) runs the commands of a turn and gathers what they write; at the end of the turn that
becomes one log entry (`flush`), closed early when it grows large. A reply waits for the index of its own effects, or
for the highest index whose effects it saw (`gate`). The commit of its own entry proves a write; a reply that wrote
nothing also needs the proof that we were the leader when it was evaluated: the lease, looked at *after* the evaluation,
so that a process that was stopped in between finds it expired, or else one read-index round for all such replies of the
turn.

When the leadership is lost the overlay is dropped, and replies that still waited are orphans (orphans.py). Until no
orphan is left the group takes no other call on this node, so that nothing overtakes.

The group is `ready` when it leads, its own term's no-op is applied (so everything that earlier leaders
committed is in the data), no transfer is going on, and the log and the store keep up.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from operator import itemgetter
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from raft.core.errors import EntryTooLarge, NotLeader, ProposalDropped
from raft.core.messages import ConfChange, Entry
from raft.core.node import Role
from raft.core.quorum import UNBOUNDED as NEVER_ENDS_US
from raft.runtime.machine import Lag
from server.commands.table import Args
from server.keyspace.events import FLUSHED, Event
from server.keyspace.home import EVERYWHERE, Home
from server.keyspace.hot import HotReplies
from server.keyspace.limits import DEFAULTS, HasLimits
from server.keyspace.meta import Meta
from server.shard.call import Call
from server.shard.clock import GroupClock, TurnClock, boot_time_us
from server.shard.evaluator import Evaluator
from server.shard.expirer import Expirer
from server.shard.failure import refuse_the_last
from server.shard.gathering import Gathering
from server.shard.orphans import Orphans
from server.shard.overlay import Overlay
from server.shard.proofs import Proofs
from server.shard.replica import Replica
from server.shard.stale import StaleReads
from server.shard.views import Views
from server.shard.work import INTERRUPTED, Job, Unfinished, Worker
from server.telemetry.stats import Stats

if TYPE_CHECKING:
    from raft.runtime.group import Group

log = logging.getLogger("redraft.shard")

entry_bytes_max: Final = 1 << 20
"""An entry is closed when it has grown past this; one command's effects are never divided."""
entry_commands_max: Final = 0xF000
"""The number of a command within its entry is the low half of its revision."""
overlay_keys_max: Final = 500_000
"""Effects that are committed but not applied; the leader takes no more commands above it until the store
catches up."""
lag_leading = Lag(1.0, 2 << 20)
"""Nobody looks at what is applied, and ten thousand records or two are kept in memory without harm."""
lag_looked_at = Lag(0.1, 256 << 10)
"""Some thousand records: who reads a range goes through what is pending of it, replicas are read from, and a new leader
begins with applying what is left, in some 10 ms."""


class Shard:
    """One group on this node; the StateMachine that raft.runtime drives, and the executor of its commands."""

    def __init__(
        self,
        replica: Replica,
        make_overlay: Callable[[bytes], Overlay],
        clock: TurnClock,
        stats: Stats,
        *,
        use_lease: bool,
        stale_max_ms: int,
        cache_limit: int,
        hot: HotReplies,
        on_change: Callable[["Shard"], None],
        on_dirty: Callable[["Shard"], None],
        on_events: Callable[[list[Event]], None] = lambda events: None,
        on_applied: Callable[[], None] = lambda: None,
        home: Home = EVERYWHERE,
        limits: HasLimits = DEFAULTS,
        on_work: Callable[["Shard"], None] = lambda shard: None,
        on_work_done: Callable[[Call, float], None] = lambda call, seconds: None,
    ) -> None:
        """`on_change`: readiness or leader changed; `on_dirty`: there is something to `flush` this turn; `on_events`:
        keyspace events happened, what made them is committed; `on_applied`: the data store has more; `limits`: see
        View; `on_work`: from now on `go_on` has to be called, until `work` is None; `on_work_done`: it was, and took
        so many seconds."""
        self.replica = replica
        self.number = replica.group
        self.group: Group
        """Raft's side; set by the host's owner right after add_group."""
        self.ready = False
        self.is_full = False
        """It takes nothing before more of what is committed has been applied: nobody gives up on that."""
        self.role = int(Role.FOLLOWER)
        self.leader = 0
        self.commit = 0
        """The index up to which everything is committed, as told."""
        self.paused = False
        """CLIENT PAUSE: nothing is deleted because its time has come."""
        self.orphans = Orphans()
        """Calls of a leadership that was lost."""
        self.retry: list[Call] = []
        """Calls to be done again, for the route to take."""
        self.settled_term = 0
        """What was forwarded for an earlier term and has no receipt by now was not applied; the forwarder's."""
        self.views = Views(hot, home, limits, cache_limit)
        self._group_clock = GroupClock(clock)
        self.evaluator = evaluator = Evaluator(self.number, self, self.views, clock, stats)
        self.evaluate = evaluator.evaluate
        """Only when `ready`, as the next two."""
        self.evaluate_for_all = evaluator.evaluate_for_all
        self.evaluate_transaction = evaluator.evaluate_transaction
        self.waiters = evaluator.waiters
        self.worker = Worker(self, on_work_done)
        self.expirer = Expirer(evaluator, stats)
        self.stale_reads = StaleReads(replica, self._group_clock, stats, self.views, max_ms=stale_max_ms)
        self.snapshot_read, self.snapshot_begin = replica.snapshot_read, replica.snapshot_begin
        self.snapshot_write, self.snapshot_install = replica.snapshot_write, replica.snapshot_install
        self._make_overlay = make_overlay
        self._clock = clock
        self._use_lease = use_lease
        self._on_change = on_change
        self._on_dirty = on_dirty
        self._on_events = on_events
        self._on_applied = on_applied
        self._on_work = on_work
        self._leading_term = 0
        """Term of the leadership that overlay and gates belong to; 0: none."""
        self._refused_turn = 0
        """The last turn in which Raft did not take something. It would not take it then if it were tried again."""
        self._lease_until_us = 0
        self._gates: dict[int, list[Call]] = {}
        """Index to the calls that wait for its commit, in index order."""
        self._events: deque[tuple[int, list[Event]]] = deque()
        """(index, events) of commands whose effects are not committed yet, in index order."""
        self._proofs = Proofs()
        """Calls that wait for a proof of leadership."""
        self._start_leadership()

    # -- what the evaluator needs ----------------------------------------------------------------------------

    def begin_turn(self) -> tuple[int, int]:
        """See evaluator.Leader."""
        self._lease_until_us = self.read_lease_until_us()
        return self.group.last_index + 1, self._group_clock.now_ms(self.replica.clock_ms)

    def on_written(self) -> None:
        """See evaluator.Leader."""
        self._on_dirty(self)

    def happened(self, events: list[Event]) -> None:
        """Hold the events until what made them is committed; those that nothing was written for go out."""
        if self.evaluator.wrote:
            self._events.append((self.evaluator.gate, events))
        else:
            self._on_events(events)

    # -- answering -------------------------------------------------------------------------------------------

    def submit(self, call: Call) -> None:
        """Evaluate `call` and answer it as soon as it may be. Only when `ready`."""
        if call.forwarded is not None and call.sent is not None and call.sent.term != self._leading_term:
            call.forwarded.refuse(self.leader)  # who asked for this term will take it for not done in another
            return
        began_ns = perf_counter_ns()
        try:
            reply = self.evaluator.run(call)
        except Unfinished:
            self.worker.adopt(call)
            return
        if call.notes is not None:
            call.notes.then()
        if call.forwarded is not None:
            call.took(perf_counter_ns() - began_ns)
        self._answer(call, reply)

    def _answer(self, call: Call, reply: bytes) -> None:
        """`call` has just been evaluated."""
        evaluator = self.evaluator
        why, evaluator.would_block = evaluator.would_block, None
        if why is not None:
            call.since_s = call.since_s or self._clock.now_s
            call.gate = evaluator.gate
            self.waiters.add(call, why)
            if call.forwarded is not None and why.retry_args is not None:
                call.forwarded.waits(why.retry_args)
        elif self.is_free():
            call.slot.fill(reply)
        else:
            self.hold(call, reply)

    def is_free(self) -> bool:
        """After `evaluate`: whether its reply may go out at once."""
        lease_us = self._lease_until_us
        return self.evaluator.gate <= self.commit and (lease_us == NEVER_ENDS_US or boot_time_us() < lease_us)

    def read_lease_until_us(self) -> int:
        """Until when reads need no proof of leadership, on boot_time_us."""
        return self.group.lease_until_us if self._use_lease else 0

    def settle(self, key: bytes, reply: bytes) -> None:
        """After `evaluate` of a GET whose reply is free: it may be given again until a command touches the key."""
        self.evaluator.view.settle(key, reply)

    def settle_part(self, args: Args, reply: bytes) -> None:
        """Likewise, of a command that is `kept`."""
        self.evaluator.view.settle_part(args[1], args, reply)

    def hold(self, call: Call, reply: bytes) -> None:
        """After `evaluate`: `reply` to `call` waits for what it has to wait for."""
        self.keep(call, reply)
        evaluator = self.evaluator
        if call.wrote and (
            evaluator.draft.size_bytes > entry_bytes_max
            or evaluator.view.revision & 0xFFFF >= entry_commands_max
        ):
            self._propose()

    def keep(self, call: Call, reply: bytes) -> None:
        """As `hold`; the entry stays open, as another command may be in the midst of it."""
        evaluator = self.evaluator
        call.reply = reply
        call.gate = evaluator.gate
        call.wrote = evaluator.wrote
        if call.wrote:
            if call.receipt is not None:
                assert call.gate == evaluator.draft.index, "a receipt belongs into the entry of its effects"
                evaluator.draft.add_receipt(*call.receipt, reply)
        elif boot_time_us() >= self._lease_until_us:
            call.proof = evaluator.draft.index
            self._proofs.add(call)
            self._on_dirty(self)
            return
        self._wait_for_commit(call)

    def _wait_for_commit(self, call: Call) -> None:
        if call.gate <= self.commit:
            call.slot.fill(call.reply)
            return
        gate = self._gates.get(call.gate)
        if gate is None:
            self._gates[call.gate] = [call]
        else:
            gate.append(call)

    def do_again(self, calls: list[Call]) -> None:
        """They are for the route to take."""
        self.retry += calls
        self._on_change(self)

    def check_waiters(self) -> None:
        """Answer those whose time is over."""
        self.waiters.end_overdue(self._clock.now_s)

    # -- what the worker needs -------------------------------------------------------------------------------

    @property
    def work(self) -> Job | None:
        """The command that is being evaluated and takes long."""
        return self.evaluator.work

    def begin_work(self, job: Job) -> bool:
        """See work.Leader."""
        evaluator = self.evaluator
        evaluator.abandon()
        if evaluator.draft.effects:  # what came before it need not wait for it
            self._propose()
            if not self.ready:
                return False
        evaluator.begin_work(job)
        self.ready = False
        self._on_change(self)
        self._on_work(self)
        return True

    def leave_work(self) -> None:
        """See work.Leader."""
        self.evaluator.leave_work()

    def drop_work(self) -> None:
        """See work.Leader."""
        self.evaluator.leave_work()
        self.evaluator.forget(self._first_index)

    def finish(self, call: Call, reply: bytes) -> None:
        """See work.Leader."""
        self.evaluator.step_in()
        self.evaluator.serve()
        self._answer(call, reply)

    # -- proposing -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """The turn ends: propose what it wrote, ask for the proof that its reads need."""
        if self.work is None:
            self._flush_writes()
        if refused := self._proofs.ask(self.group):
            self.do_again(refused)
        if self.ready and (not self.group.can_propose or len(self.evaluator.base) > overlay_keys_max):
            self.refresh()

    def _flush_writes(self) -> None:
        evaluator = self.evaluator
        if self.waiters.woken and self.ready:
            evaluator.step_in()
            evaluator.serve()
        if evaluator.view.expired:
            seen = set(evaluator.view.expired)
            evaluator.view.expired.clear()
            if self.ready and not self.paused:
                self.expirer.expire_seen(seen)
        if evaluator.draft.effects:
            self._propose()

    def change_members(self, change: ConfChange) -> None:
        """Propose a membership change. Raises RaftError when it can not be now."""
        self.flush()  # what was evaluated gets the index that it was evaluated for
        self.group.propose_conf_change(change)
        self.evaluator.end_turn()  # what comes next is for an index behind the change

    def _propose(self) -> None:
        """Make what was evaluated since the last entry the next one, or have it done again."""
        try:
            self.evaluator.propose(self.group)
        except EntryTooLarge:
            refuse_the_last(self._gates.get(self.evaluator.draft.index))
            self._forget_draft()
        except (NotLeader, ProposalDropped):
            self._forget_draft()

    def _forget_draft(self) -> None:
        """What was evaluated since the last entry did not happen: Raft does not take it now."""
        index = self.evaluator.draft.index
        while self._events and self._events[-1][0] == index:
            self._events.pop()
        self.evaluator.forget(self._first_index)
        self._refused_turn = self._clock.turn
        saw_it = self._proofs.take_those_that_saw(index) + self.waiters.take_those_that_saw(index)
        self.do_again(self._gates.pop(index, []) + saw_it)
        self.refresh()

    def newest(self, where: bytes) -> bytes | None:
        """The record at `where`, as newest known here."""
        return self.evaluator.base.get(where)

    def newest_in(self, start: bytes, stop: bytes) -> Iterator[bytes]:
        """Where there are records in [start, stop), as newest known here."""
        return map(itemgetter(0), self.evaluator.base.scan(start, stop))

    # -- what Raft tells -------------------------------------------------------------------------------------

    def committed(self, index: int) -> None:
        """Everything up to `index` is committed: release the replies that waited for it."""
        self.commit = index
        if self.group.term == self._leading_term:
            # Under another term than the one that made them the replies are orphans in a moment.
            gates, events = self._gates, self._events
            while gates and (at := next(iter(gates))) <= index:
                for call in gates.pop(at):
                    call.slot.fill(call.reply)
            while events and events[0][0] <= index:
                self._on_events(events.popleft()[1])
        if happened := self.orphans.take_events(self.group):
            self._on_events(happened)
        if self.orphans:
            self.do_again(self.orphans.settle(self.group, final=False))

    @property
    def lag(self) -> Lag:
        """See StateMachine."""
        return lag_leading if self._leading_term and not self.evaluator.base.is_scanned else lag_looked_at

    def begin_apply(self, entries: list[Entry]) -> Gathering:
        """See StateMachine."""
        return self.replica.begin_apply(entries)

    def applied(self, index: int) -> None:
        """The data store holds everything up to `index`."""
        self.evaluator.applied(index)
        if self.work is not None:
            return
        self._on_applied()
        if self.role == Role.LEADER and not self.ready:
            self.refresh()

    def tidy(self) -> None:
        """Now and then: drop what is left here of large entries that are applied."""
        self.evaluator.tidy()

    def reads_confirmed(self, context: int) -> None:
        """We were the leader after every read of `context` was evaluated."""
        for call in self._proofs.take(context):
            self._wait_for_commit(call)

    def reads_lost(self, context: int) -> None:
        """No proof will come for the reads of `context`."""
        self.do_again(self._proofs.take(context))

    def role_changed(self, role: int, term: int, leader: int) -> None:
        """Raft's role, term or leader changed."""
        if self._leading_term and (role != Role.LEADER or term != self._leading_term):
            self._lose_leadership()
        self.role = role
        self.leader = leader
        self.refresh()
        self._on_change(self)

    def meta(self) -> Meta:
        """The group's databases, as newest known here."""
        return self.evaluator.meta() if self._leading_term else self.replica.meta()

    @property
    def applied_index(self) -> int:
        """See Replica."""
        return self.replica.applied_index

    # -- leadership ------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Find out whether the group is ready now."""
        group = self.group
        if (
            self.role == Role.LEADER
            and not self._leading_term
            and group.term_at(self.applied_index) == group.term
        ):
            self._leading_term = group.term
            self.commit = group.commit
            self._start_leadership()
            self.do_again(self.orphans.settle(group, final=True))
            if self.views.notify & FLUSHED:  # whether what we inherit was told, nobody knows
                self._on_events([(FLUSHED, b"", 0, b"")])
        self.is_full = len(self.evaluator.base) > overlay_keys_max
        ready = (
            bool(self._leading_term)
            and group.can_propose
            and self._refused_turn != self._clock.turn
            and not self.is_full
            and self.work is None
        )
        if ready != self.ready:
            self.ready = ready
            self._on_change(self)
            if ready and self.waiters.woken:
                self._on_dirty(self)

    def _start_leadership(self) -> None:
        """The data as applied is all there is; the overlay is empty."""
        self.evaluator.start(
            self._make_overlay(self.replica.prefix),
            self.replica.meta(),
            self._first_index,
            self.replica.deletions.as_revisions() if self._leading_term else None,
        )

    @property
    def _first_index(self) -> int:
        """What is evaluated here from now on will be written after it."""
        return self.group.last_index if self._leading_term else 0

    def set_monitored(self, monitored: bool) -> None:
        """Whether somebody MONITORs this node."""
        self.views.monitored = self.evaluator.view.monitored = monitored

    def set_notify(self, classes: int) -> None:
        """Commands make keyspace events of these classes from now on."""
        self.evaluator.set_notify(classes)

    def refuse_writes(self, refused: bool) -> None:
        """The disk is nearly full, or is not any more: commands that need more of it are refused."""
        self.evaluator.refuse_writes = refused

    def _lose_leadership(self) -> None:
        self.worker.end(INTERRUPTED)
        gated = [(index, call) for index, calls in self._gates.items() for call in calls]
        self.orphans.add(self._leading_term, gated + self._proofs.take_all(), self._events)
        self._gates = {}
        self._events = deque()
        self._leading_term = 0
        self._start_leadership()
        self.ready = False
        if self.orphans.writes:
            log.info(
                "Group %d: leadership lost while %d writes were on their way",
                self.number,
                self.orphans.writes,
            )
        self.do_again(self.orphans.settle(self.group, final=False) + self.waiters.move())

    def give_up_orphans(self) -> None:
        """The time of those that wait for the log to tell is over."""
        self.orphans.give_up()
        self._on_change(self)

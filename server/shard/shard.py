"""The leader of a shard group: evaluate, propose, gate the replies.

Within a turn of the loop commands are evaluated one after the other on the overlay; their effects become one
log entry (`flush`), closed early when it grows large. A reply waits for the index of its own effects, or for
the highest index whose effects it saw (`gate`). The commit of its own entry proves a write; a reply that
wrote nothing also needs the proof that we were the leader when it was evaluated: the lease, looked at *after*
the evaluation, so that a process that was stopped in between finds it expired, or else one read-index round
for all such replies of the turn.

When the leadership is lost the overlay is dropped, and replies that still waited are orphans (orphans.py). Until no
orphan is left the group takes no other call on this node, so that nothing overtakes.

The group is `ready` when it leads, its own term's no-op is applied (so everything that earlier leaders
committed is in the data), no transfer is going on, and the log and the store keep up.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING

from raft.core.errors import EntryTooLarge, NotLeader, ProposalDropped
from raft.core.messages import ConfChange, Entry
from raft.core.node import Role
from raft.core.quorum import UNBOUNDED as NEVER_ENDS_US
from resp import encode
from server.commands.misses import told
from server.commands.table import Args, Command
from server.errors import DISK_FULL, CommandError, WouldBlock
from server.keyspace.breath import Elsewhere, Ended, TooLong, begin_attempt, end_attempt
from server.keyspace.cache import HotReplies
from server.keyspace.events import FLUSHED, KEY_MISS, Event
from server.keyspace.home import EVERYWHERE, Home
from server.keyspace.layout import META_KEY
from server.keyspace.limits import HasLimits
from server.keyspace.meta import Meta
from server.keyspace.view import DEFAULTS, ScriptReads, View
from server.shard.call import Call, Transaction
from server.shard.clock import TurnClock, boot_time_us
from server.shard.draft import Draft
from server.shard.expirer import Expirer
from server.shard.failure import failure, refuse_the_last
from server.shard.orphans import Orphans
from server.shard.overlay import Overlay
from server.shard.proofs import Proofs
from server.shard.replica import Replica
from server.shard.stale import StaleReads
from server.shard.views import Views
from server.shard.waiters import NULL_ARRAY, Waiter, Waiters
from server.shard.work import INTERRUPTED, Job, Unfinished, Worker
from server.telemetry.stats import Stats

if TYPE_CHECKING:
    from raft.runtime.group import Group

log = logging.getLogger("redraft.shard")

entry_bytes_max = 1 << 20
"""An entry is closed when it has grown past this; one command's effects are never divided."""
entry_commands_max = 0xF000
"""The number of a command within its entry is the low half of its revision."""
overlay_keys_max = 500_000
"""Effects that are committed but not applied; the leader takes no more commands above it until the store
catches up."""


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
        self.gate = 0
        """After `evaluate`: the index that the reply waits for, 0 for none."""
        self.wrote = False
        """After `evaluate`: whether there were effects."""
        self.paused = False
        """CLIENT PAUSE: nothing is deleted because its time has come."""
        self.refuse_writes = False
        """The disk is nearly full: commands that need more of it are refused."""
        self.orphans = Orphans()
        """Calls of a leadership that was lost."""
        self.retry: list[Call] = []
        """Calls to be done again, for the route to take."""
        self._make_overlay = make_overlay
        self._clock = clock
        self._stats = stats
        self._use_lease = use_lease
        self.views = Views(hot, home, limits, cache_limit)
        self._on_change = on_change
        self._on_dirty = on_dirty
        self._on_events = on_events
        self._on_applied = on_applied
        self._on_work = on_work
        self._applied_meanwhile = 0
        """The index up to which was applied while there was work."""
        self._notify = 0
        """As in `views`; at hand, since each command with events looks at it."""
        self._events: deque[tuple[int, list[Event]]] = deque()
        """(index, events) of commands whose effects are not committed yet, in index order."""
        self._leading_term = 0
        """Term of the leadership that overlay and gates belong to; 0: none."""
        self._turn = 0
        self._refused_turn = 0
        """The last turn in which Raft did not take something. It would not take it then if it were tried again."""
        self._now_ms = 0
        self._lease_until_us = 0
        self._commit = 0
        self._draft = Draft()
        """The entry that is being made."""
        self._gates: dict[int, list[Call]] = {}
        """Index to the calls that wait for its commit, in index order."""
        self._proofs = Proofs()
        """Calls that wait for a proof of leadership."""
        self.settled_term = 0
        """What was forwarded for an earlier term and has no receipt by now was not applied; the forwarder's."""
        self.work: Job | None = None
        """The command that is being evaluated and takes long; the worker's."""
        self.worker = Worker(self, on_work_done)
        self.expirer = Expirer(self, stats)
        self.stale_reads = StaleReads(replica, clock, stats, self.views, max_ms=stale_max_ms)
        self.snapshot_read, self.snapshot_begin = replica.snapshot_read, replica.snapshot_begin
        self.snapshot_write, self.snapshot_install = replica.snapshot_write, replica.snapshot_install
        self.waiters = Waiters()
        """Calls that wait for a key of this group, which leads here."""
        self._visited = False
        """The command came from another node, which counts its calls."""
        self._would_block: WouldBlock | None = None
        """What the command that has just been run raised, if it was this."""
        self._base: Overlay
        self._meta: Meta
        """As of the commands evaluated so far."""
        self._meta_proposed: bytes
        """As of the last proposed entry."""
        self._view: View
        self._start_leadership()

    # -- evaluating ------------------------------------------------------------------------------------------

    def evaluate(self, command: Command, args: Args, db: int, protocol: int) -> bytes:
        """Run one command on the newest state and return its encoded reply. Only when `ready`. Sets `gate`
        and `wrote`. Raises Unfinished."""
        if self._turn != self._clock.turn:
            self._begin_turn()
        elif self._now_ms < self._clock.now_ms:
            self._now_ms = self._view.now_ms = self._clock.now_ms
        base = self._base
        view = self._view
        base.observed = 0
        view.begin(db, protocol)
        try:
            if self.refuse_writes and command.needs_space:
                raise CommandError(DISK_FULL)
            reply = encode(command.attempt(view, args), protocol)  # type: ignore[misc]
        except (Exception, Elsewhere) as error:
            reply = self._failed(command, error, protocol)
        except TooLong:
            self.worker.start(partial(self.evaluate, command, args, db, protocol), command)
        if view.effects:
            self.wrote = True
            self._collect()
            self.gate = self._draft.index
        else:
            self.wrote = False
            self.gate = base.observed
            view.revision -= 1  # an entry has numbers for its writes, and a turn may have more reads
        if view.events:
            if self._notify & KEY_MISS:
                view.events = told(command, args, view.events)
            self._keep_events()
        if self.wrote and self.waiters.woken and self.work is None:
            self._serve()  # not behind a read, which may be settled in the view as it left it
        if view.expired:
            self._on_dirty(self)
        return reply

    def evaluate_for_all(self, command: Command, args: Args, db: int, protocol: int) -> bytes:
        """`evaluate`, for somebody who may do everything, also in scripts."""
        self._view.caller = None
        return self.evaluate(command, args, db, protocol)

    def evaluate_transaction(self, transaction: Transaction, protocol: int) -> bytes:
        """Run an EXEC: all effects in one entry, or a null when a watched key has changed. Sets `gate` and
        `wrote`. Raises Unfinished."""
        attempt = self.work is None and any(
            len(args) >= command.long_from for command, args, _ in transaction.commands
        )
        if self._turn != self._clock.turn:
            self._begin_turn()
        elif self._now_ms < self._clock.now_ms:
            self._now_ms = self._view.now_ms = self._clock.now_ms
        base = self._base
        view = self._view
        base.observed = 0
        self.wrote = False
        transaction.elapsed_ns.clear()
        before = view.revision
        for db, key, revision in transaction.watched:
            view.begin(db, protocol)
            if not view.is_unchanged(key, revision):
                self.gate = base.observed
                view.revision = before
                return NULL_ARRAY[protocol]
        replies = [b"*%d\r\n" % len(transaction.commands)]
        revision = view.revision + 1  # one for all: nobody sees a state in between
        try:
            if attempt:
                begin_attempt()
            for command, args, db in transaction.commands:
                view.begin(db, protocol)
                view.revision = revision
                began_ns = perf_counter_ns()
                replies.append(self._run(command, args, protocol))
                transaction.elapsed_ns.append(perf_counter_ns() - began_ns)
                if view.events and self._notify & KEY_MISS:
                    view.choose_events(partial(told, command, args))
                if attempt or self.work is not None:
                    view.keep()  # it is taken when all is done
                    continue
                if view.effects:
                    self.wrote = True
                    self._collect()
                if view.events:
                    self._keep_events()
        except TooLong:
            self.worker.start(partial(self.evaluate_transaction, transaction, protocol), None)
        else:
            transaction.count(replies[1:], self._stats)
        finally:
            end_attempt()
        if view.effects:
            self.wrote = True
            self._collect()
        if view.events:
            self._keep_events()
        if self.wrote:
            self.gate = self._draft.index
        else:
            self.gate = base.observed
            view.revision = before
        self._would_block = None
        if self.waiters.woken and self.work is None:
            self._serve()
        if view.expired:
            self._on_dirty(self)
        return b"".join(replies)

    def _run(self, command: Command, args: Args, protocol: int) -> bytes:
        """One command, as `evaluate` does it; there it stands once more, for the sake of a call less."""
        try:
            if self.refuse_writes and command.needs_space:
                raise CommandError(DISK_FULL)
            return encode(command.handler(self._view, args), protocol)  # type: ignore[misc]
        except Exception as error:
            return self._failed(command, error, protocol)

    def _failed(self, command: Command, error: BaseException, protocol: int) -> bytes:
        """The reply to a command whose handler raised; nothing of what it wrote stays."""
        if isinstance(error, WouldBlock):
            self._would_block = error
            if not error.keep_effects:
                self._view.rollback()
            return encode(error.empty, protocol)  # type: ignore[arg-type]
        if isinstance(error, Elsewhere):
            self._view.abandon()  # what it published too: there it begins anew
        else:
            self._view.rollback()
        return failure(command, error, protocol, self._stats, counted=not self._visited)

    def _begin_turn(self) -> None:
        assert not self._draft.effects, "the turn before was not flushed"
        self._turn = self._clock.turn
        self._now_ms = max(self._clock.now_ms, self.replica.clock_ms)
        self._draft.index = self.group.last_index + 1
        self._view.begin_entry(self._now_ms, self._draft.index)
        self._view.committed = self._commit << 16 | 0xFFFF
        self._lease_until_us = self.read_lease_until_us()

    def read_lease_until_us(self) -> int:
        """Until when reads need no proof of leadership, on boot_time_us."""
        return self.group.lease_until_us if self._use_lease else 0

    def _collect(self) -> None:
        """Take the view's effects into the entry that is being made."""
        if self.work is not None:
            self._collect_in_slices()
            return
        effects = self._view.take_effects()
        draft = self._draft
        if not draft.effects:
            self._on_dirty(self)
        draft.take(effects, self._base.pending)
        if self.waiters.keys:
            self.waiters.note(effects, self._meta.databases)

    def _catch_up(self) -> None:
        """Within work: it may have gone on for turns, what it wrote goes into the entry that comes next."""
        view = self._view
        while self._turn != self._clock.turn:
            revision = view.revision
            self._begin_turn()
            index = view.revision + 1
            view.revision = revision
            if index != revision:
                view.restamp(index)

    def _collect_in_slices(self) -> None:
        """As `_collect`, within work. Nothing is proposed meanwhile."""
        self._catch_up()
        effects = self._view.take_effects()
        self._draft.take_in_slices(effects, self._base.pending)
        if self._turn != self._clock.turn:
            if self.group.last_index + 1 != self._draft.index:
                log.info("Group %d: another entry came before that of a long command", self.number)
                raise Ended
            self._turn = self._clock.turn
        self._on_dirty(self)
        if self.waiters.keys:
            self.waiters.note(effects, self._meta.databases)

    def _keep_events(self) -> None:
        """Hold the view's events until what made them is committed; those that nothing was written for go out."""
        events = self._view.take_events()
        if self.wrote:
            self._events.append((self._draft.index, events))
        else:
            self._on_events(events)

    def is_free(self) -> bool:
        """After `evaluate`: whether its reply may go out at once."""
        lease_us = self._lease_until_us
        return self.gate <= self._commit and (lease_us == NEVER_ENDS_US or boot_time_us() < lease_us)

    def settle(self, key: bytes, reply: bytes) -> None:
        """After `evaluate` of a GET whose reply is free: it may be given again until a command touches the key."""
        self._view.settle(key, reply)

    def settle_part(self, args: Args, reply: bytes) -> None:
        """Likewise, of a command that is `kept`."""
        self._view.settle_part(args[1], args, reply)

    def hold(self, call: Call, reply: bytes) -> None:
        """After `evaluate`: `reply` to `call` waits for what it has to wait for."""
        call.reply = reply
        call.gate = self.gate
        call.wrote = self.wrote
        if call.wrote or boot_time_us() < self._lease_until_us:
            self._wait_for_commit(call)
            if self._draft.size_bytes > entry_bytes_max or self._view.revision & 0xFFFF >= entry_commands_max:
                self._propose()
        else:
            call.proof = self._draft.index
            self._proofs.add(call)
            self._on_dirty(self)

    def _wait_for_commit(self, call: Call) -> None:
        if call.receipt is not None and call.wrote:
            assert call.gate == self._draft.index, "a receipt belongs into the entry of its effects"
            self._draft.add_receipt(*call.receipt, call.reply)
        if call.gate <= self._commit:
            call.slot.fill(call.reply)
            return
        gate = self._gates.get(call.gate)
        if gate is None:
            self._gates[call.gate] = [call]
        else:
            gate.append(call)

    def submit(self, call: Call) -> None:
        """Evaluate `call` and answer it as soon as it may be. Only when `ready`."""
        if call.forwarded is not None and call.sent is not None and call.sent.term != self._leading_term:
            call.forwarded.refuse(self.leader)  # who asked for this term will take it for not done in another
            return
        self._view.caller, self._view.wanders = call.caller, call.wanders
        self._view.origin = call.origin
        began_ns = perf_counter_ns()
        try:
            if call.transaction is not None:
                reply = self.evaluate_transaction(call.transaction, call.protocol)
            else:
                self._visited = call.forwarded is not None
                reply = self.evaluate(call.command, call.args, call.db, call.protocol)
        except Unfinished:
            self.worker.adopt(call)
            return
        finally:
            self._view.origin = b""
            self._visited = False
        if call.forwarded is not None:
            call.took(perf_counter_ns() - began_ns)
        self._answer(call, reply)

    def _answer(self, call: Call, reply: bytes) -> None:
        """`call` has just been evaluated."""
        if self._would_block is not None:
            call.since_s = call.since_s or self._clock.now_s
            self.waiters.add(call, self._would_block)
            self._would_block = None
        elif self.is_free():
            call.slot.fill(reply)
        else:
            self.hold(call, reply)

    # -- for the expirer and the worker ------------------------------------------------------------------------

    def step_in(self) -> tuple[View, Overlay]:
        """What is done in the view from now on belongs to this turn; the view, and what it is over."""
        if self._turn != self._clock.turn:
            self._begin_turn()
        return self._view, self._base

    def take_in(self) -> None:
        """What was done in the view since it began goes into the entry that is being made."""
        if self._view.effects:
            self.wrote = True
            self._collect()
            if self._view.events:
                self._keep_events()

    def begin_work(self, job: Job) -> bool:
        """The command that was attempted begins anew as `job`, unless Raft takes nothing more; whether it does."""
        self._view.abandon()
        self._would_block = None
        if self._draft.effects:  # what came before it need not wait for it
            self._propose()
            if not self.ready:
                return False
        self.work = job
        job.view, job.reads = self._view, self._view.script_reads
        self.ready = False
        self._on_change(self)
        self._on_work(self)
        return True

    def leave_work(self) -> None:
        """It is done, or over."""
        self.work = None
        if self._applied_meanwhile:
            self._base.applied(self._applied_meanwhile)
            self._applied_meanwhile = 0

    def drop_work(self) -> None:
        """As `leave_work`, and nothing of it stays."""
        self.leave_work()
        self._would_block = None
        self._draft.begin()
        self._base.forget()
        self._meta = Meta.decode(self._meta_proposed)
        self._view = self._make_view()
        self._turn = 0

    def finish(self, call: Call, reply: bytes) -> None:
        """Its work is done."""
        self.step_in()
        if self.waiters.woken:
            self._serve()
        self._answer(call, reply)

    def do_again(self, calls: list[Call]) -> None:
        """They are for the route to take."""
        self.retry += calls
        self._on_change(self)

    # -- calls that wait for a key -----------------------------------------------------------------------------

    def _serve(self) -> None:
        """Run those again that wait for keys which have been written, and for those that they write in turn. What
        the last command left behind for its executor stays as it was."""
        gate, wrote, would_block = self.gate, self.wrote, self._would_block
        self.waiters.serve(self._try_again)
        if self.waiters.woken:
            self._on_dirty(self)
        self.gate, self.wrote, self._would_block = gate, wrote, would_block

    def _try_again(self, waiter: Waiter, key: bytes) -> bool | None:
        """Run a waiting call again as `key` has changed: whether it was served; None when there is no such key."""
        call, view, base = waiter.call, self._view, self._base
        revision = view.revision
        base.observed = 0
        view.begin(call.db, call.protocol)
        record = view.record(key)
        if waiter.type is not None and (record is None or record[0] != waiter.type):
            view.revision = revision
            return None if record is None else False
        before, view.origin = view.origin, call.origin
        reply = self._run(call.command, waiter.args, call.protocol)
        view.origin = before
        if self._would_block is not None:
            self._would_block = None
            if view.effects:
                self._collect()
            else:
                view.revision = revision
            return False
        self.waiters.remove(call)
        call.args = waiter.args  # should it have to be done again: `$` of XREAD stays what it was
        call.reply = reply
        call.wrote = bool(view.effects)
        if call.wrote:
            call.gate = self._draft.index
            self._collect()
        else:
            call.gate = base.observed
        self.wrote = call.wrote
        if view.events:
            if self._notify & KEY_MISS:
                view.events = told(call.command, waiter.args, view.events)
            self._keep_events()
        if call.wrote or boot_time_us() < self._lease_until_us:
            self._wait_for_commit(call)
        else:
            self._proofs.add(call)
            self._on_dirty(self)
        return True

    def check_waiters(self) -> None:
        """Answer those whose time is over."""
        self.waiters.end_overdue(self._clock.now_s)

    # -- proposing -------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """The turn ends: propose what it wrote, ask for the proof that its reads need."""
        if self.work is None:
            self._flush_writes()
        if refused := self._proofs.ask(self.group):
            self.do_again(refused)
        if self.ready and (not self.group.can_propose or len(self._base) > overlay_keys_max):
            self.refresh()

    def _flush_writes(self) -> None:
        if self.waiters.woken and self.ready:
            if self._turn != self._clock.turn:
                self._begin_turn()
            self._serve()
        if self._view.expired:
            seen = set(self._view.expired)
            self._view.expired.clear()
            if self.ready and not self.paused:
                self.expirer.expire_seen(seen)
        if self._draft.effects:
            self._propose()

    def change_members(self, change: ConfChange) -> None:
        """Propose a membership change. Raises RaftError when it can not be now."""
        self.flush()  # what was evaluated gets the index that it was evaluated for
        self.group.propose_conf_change(change)
        self._turn = 0  # what comes next is for an index behind the change

    def _propose(self) -> None:
        """Make what was evaluated since the last entry the next one."""
        draft = self._draft
        effects = draft.effects
        view = self._view
        changes = len(effects)
        if view.ledger.changed:
            meta = self._meta.encode()
            draft.add(META_KEY, meta)
        try:
            index = self.group.propose(draft.encode(self._now_ms))
        except EntryTooLarge:
            refuse_the_last(self._gates.get(self._draft.index))
            self._forget_draft()
            return
        except (NotLeader, ProposalDropped):
            self._forget_draft()
            return
        assert index == self._draft.index, "effects were evaluated for another index"
        if view.ledger.changed:
            view.ledger.changed = False
            self._meta_proposed = meta
        self._base.proposed(index, effects)
        self._stats.evaluated_batches += 1
        self._stats.unsaved_changes += changes
        self._draft.begin()
        self._draft.index = index + 1
        view.begin_entry(self._now_ms, self._draft.index)

    def _forget_draft(self) -> None:
        """What was evaluated since the last entry did not happen: Raft does not take it now."""
        self._draft.begin()
        self._base.forget()
        while self._events and self._events[-1][0] == self._draft.index:
            self._events.pop()
        self._meta = Meta.decode(self._meta_proposed)
        self._view = self._make_view()
        self._turn = 0  # the new view knows neither the time nor the entry yet
        self._refused_turn = self._clock.turn
        saw_it = self._proofs.take_those_that_saw(self._draft.index)
        self.do_again(self._gates.pop(self._draft.index, []) + saw_it)
        self.refresh()

    def newest(self, where: bytes) -> bytes | None:
        """The record at `where`, as newest known here."""
        return self._base.get(where)

    def newest_in(self, start: bytes, stop: bytes) -> Iterator[bytes]:
        """Where there are records in [start, stop), as newest known here."""
        return (where for where, _ in self._base.scan(start, stop))

    # -- what Raft tells -------------------------------------------------------------------------------------

    def committed(self, index: int) -> None:
        """Everything up to `index` is committed: release the replies that waited for it."""
        self._commit = index
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

    def apply(self, entries: list[Entry]) -> None:
        """Worker thread: see Replica."""
        self.replica.apply(entries)

    def applied(self, index: int) -> None:
        """The data store holds everything up to `index`."""
        if self.work is not None:
            self._applied_meanwhile = index
            return
        self._base.applied(index)
        self._on_applied()
        if self.role == Role.LEADER and not self.ready:
            self.refresh()

    def tidy(self) -> None:
        """Now and then: drop what is left here of large entries that are applied."""
        if self.work is None:
            self._base.tidy()

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
        return self._meta if self._leading_term else self.replica.meta()

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
            self._commit = group.commit
            self._start_leadership()
            self.do_again(self.orphans.settle(group, final=True))
            if self._notify & FLUSHED:  # whether what we inherit was told, nobody knows
                self._on_events([(FLUSHED, b"", 0, b"")])
        self.is_full = len(self._base) > overlay_keys_max
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
        self._base = self._make_overlay(self.replica.prefix)
        self._meta = self.replica.meta()
        self._meta_proposed = self._meta.encode()
        self._view = self._make_view()
        if self._leading_term:
            self._view.recall(self.replica.deletions.as_revisions())
        self._turn = 0

    def _make_view(self) -> View:
        first_index = self.group.last_index if self._leading_term else 0
        return self.views.make(self._base, self._meta, first_index)

    def note_script_reads(self, reads: ScriptReads | None) -> None:
        """Have scripts that are evaluated from now on note what they read; None: no more."""
        self._view.script_reads = reads

    def set_monitored(self, monitored: bool) -> None:
        """Whether somebody MONITORs this node."""
        self.views.monitored = self._view.monitored = monitored

    def set_notify(self, classes: int) -> None:
        """Commands make keyspace events of these classes from now on."""
        self.views.set_notify(classes)
        self._notify = self._view.notify = classes

    def _lose_leadership(self) -> None:
        self.worker.end(INTERRUPTED)
        gated = [(index, call) for index, calls in self._gates.items() for call in calls]
        self.orphans.add(self._leading_term, gated + self._proofs.take_all(), self._events)
        self._gates = {}
        self._events = deque()
        self._draft.begin()
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

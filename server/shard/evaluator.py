"""Commands run on the newest state of a group, and what they write gathered into the entry in the making.

Only at the leader: the state is the overlay over the data store, the view is how commands see it, and the draft is the
entry that the log gets next. Within a turn of the loop commands are evaluated one after the other, each on what those
before it have made; the shard then proposes what they have written as one entry. The first command of a turn settles
what the turn's time and index are (`begin_turn`).

What a command has left behind for whoever answers it stands in `gate`, `wrote` and `would_block`, until the next one.

A command that is not done within its slice goes on as `work` (work.py). It may then last for turns, in which nothing
else is evaluated; what it writes goes into the entry of the turn in which it ends.
"""

import logging
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol

from resp import encode
from server.commands.misses import told
from server.commands.table import Args, Command
from server.errors import DISK_FULL, CommandError, WouldBlock
from server.keyspace.breath import Elsewhere, Ended, TooLong, begin_attempt, breathe, end_attempt
from server.keyspace.deletions import Deletions
from server.keyspace.events import KEY_MISS, Event
from server.keyspace.layout import META_KEY
from server.keyspace.meta import Meta
from server.keyspace.view import View
from server.shard.call import Call, Transaction
from server.shard.clock import TurnClock
from server.shard.draft import Draft
from server.shard.failure import failure
from server.shard.overlay import Overlay
from server.shard.views import Views
from server.shard.waiters import NULL_ARRAY, Waiter, Waiters
from server.shard.work import Job, Worker
from server.telemetry.stats import Stats

if TYPE_CHECKING:
    from raft.runtime.group import Group

log = logging.getLogger("redraft.shard")


class Leader(Protocol):
    """What an evaluator needs of the shard that leads."""

    commit: int
    """The index up to which everything is committed."""
    worker: Worker

    def begin_turn(self) -> tuple[int, int]:
        """Something is evaluated in this turn for the first time: the index that its entry will have, and the group's
        time (Unix, ms)."""

    def on_written(self) -> None:
        """There is something to propose, or to ask for, at the end of the turn."""

    def happened(self, events: list[Event]) -> None:
        """The command that was just evaluated made these keyspace events."""

    def keep(self, call: Call, reply: bytes) -> None:
        """`call`, which was just evaluated, gets `reply` as soon as it may."""


class Evaluator:
    """Of one group."""

    def __init__(self, number: int, leader: Leader, views: Views, clock: TurnClock, stats: Stats) -> None:
        """`number`: the group's. Nothing can be evaluated before `start`."""
        self.gate = 0
        """After `evaluate`: the index that the reply waits for, 0 for none."""
        self.wrote = False
        """After `evaluate`: whether there were effects."""
        self.would_block: WouldBlock | None = None
        """After `evaluate`: what the command raised, if it was this. Whoever has seen to it clears it."""
        self.refuse_writes = False
        """The disk is nearly full: commands that need more of it are refused."""
        self.waiters = Waiters()
        """Calls that wait for a key of this group, which leads here."""
        self.work: Job | None = None
        """The command that is being evaluated and takes long."""
        self.draft = Draft()
        """The entry that is being made."""
        self.base: Overlay
        self.view: View
        """Of `base`."""
        self._meta: Meta
        """As of the commands evaluated so far."""
        self._meta_proposed: bytes
        """As of the last proposed entry."""
        self._number = number
        self._leader = leader
        self._views = views
        self._clock = clock
        self._stats = stats
        self._turn = 0
        """Of the loop; the view and the draft know its time and index. 0: they know of none."""
        self._now_ms = 0
        self._notify = 0
        """As in `views`; at hand, since each command with events looks at it."""
        self._visited = False
        """The command came from another node, which counts its calls."""
        self._applied_meanwhile = 0
        """The index up to which was applied while there was work."""

    # -- the state -------------------------------------------------------------------------------------------

    def start(self, base: Overlay, meta: Meta, first_index: int, deletions: Deletions | None) -> None:
        """What is applied is all there is: `base`, whose overlay is empty, and its databases. What will be written
        comes after `first_index`; `deletions`: what is known of those before it."""
        self.base = base
        self._meta = meta
        self._meta_proposed = meta.encode()
        self.view = self._views.make(base, meta, first_index)
        if deletions is not None:
            self.view.recall(deletions)
        self.draft.begin()
        self._turn = 0

    def forget(self, first_index: int) -> None:
        """What was evaluated since the last entry did not happen."""
        self.would_block = None
        self.draft.begin()
        self.base.forget()
        self._meta = Meta.decode(self._meta_proposed)
        self.view = self._views.make(self.base, self._meta, first_index)
        self._turn = 0  # the new view knows neither the time nor the entry yet

    def applied(self, index: int) -> None:
        """The data store holds everything up to `index`. For what is at work the state stands still."""
        if self.work is not None:
            self._applied_meanwhile = index
        else:
            self.base.applied(index)

    def tidy(self) -> None:
        """Now and then: drop what is left here of large entries that are applied."""
        if self.work is None:
            self.base.tidy()

    def abandon(self) -> None:
        """The command that was attempted is not done, or not now: nothing of it stays."""
        self.view.abandon()
        self.would_block = None

    def begin_work(self, job: Job) -> None:
        """From now on `job` is at work on the view."""
        self.work = job
        job.view, job.notes = self.view, self.view.script_notes

    def leave_work(self) -> None:
        """It is done, or over."""
        self.work = None
        if self._applied_meanwhile:
            self.base.applied(self._applied_meanwhile)
            self._applied_meanwhile = 0

    def meta(self) -> Meta:
        """The group's databases, as of the commands evaluated so far."""
        return self._meta

    def set_notify(self, classes: int) -> None:
        """Commands make keyspace events of these classes from now on."""
        self._views.set_notify(classes)
        self._notify = self.view.notify = classes

    # -- one command -----------------------------------------------------------------------------------------

    def evaluate(self, command: Command, args: Args, db: int, protocol: int) -> bytes:
        """Run one command and return its encoded reply. Sets `gate`, `wrote`, `would_block`. Raises Unfinished."""
        if self._turn != self._clock.turn:
            self.begin_turn()
        elif self._now_ms < self._clock.now_ms:
            self._now_ms = self.view.now_ms = self._clock.now_ms
        base = self.base
        view = self.view
        base.observed = 0
        view.begin(db, protocol)
        try:
            if self.refuse_writes and command.needs_space:
                raise CommandError(DISK_FULL)
            reply = encode(command.attempt(view, args), protocol)
        except (Exception, Elsewhere) as error:
            reply = self._failed(command, error, protocol)
        except TooLong:
            self._leader.worker.start(partial(self.evaluate, command, args, db, protocol), command)
        if view.effects:
            self._collect()
        else:
            self.wrote = False
            self.gate = base.observed
            view.revision -= 1  # an entry has numbers for its writes, and a turn may have more reads
        if view.events:
            if self._notify & KEY_MISS:
                view.events = told(command, args, view.events)
            self._leader.happened(view.take_events())
        if self.wrote and self.waiters.woken and self.work is None:
            self.serve()  # not behind a read, which may be settled in the view as it left it
        if view.expired:
            self._leader.on_written()
        return reply

    def evaluate_for_all(self, command: Command, args: Args, db: int, protocol: int) -> bytes:
        """`evaluate`, for somebody who may do everything, also in scripts."""
        self.view.caller = None
        return self.evaluate(command, args, db, protocol)

    def run(self, call: Call) -> bytes:
        """`evaluate`, or `evaluate_transaction`, in the name of whoever has sent `call`."""
        view = self.view
        view.caller, view.wanders, view.origin = call.caller, call.wanders, call.origin
        view.script_notes = call.notes
        try:
            if call.transaction is not None:
                return self.evaluate_transaction(call.transaction, call.protocol)
            self._visited = call.forwarded is not None
            return self.evaluate(call.command, call.args, call.db, call.protocol)
        finally:
            self.view.origin, self.view.script_notes = b"", None
            self._visited = False

    def evaluate_transaction(self, transaction: Transaction, protocol: int) -> bytes:
        """Run an EXEC: all effects in one entry, or a null when a watched key has changed. Sets and raises what
        `evaluate` does."""
        attempt = self.work is None and transaction.may_take_long
        view, base = self.step_in()
        base.observed = 0
        self.wrote = False
        transaction.elapsed_ns.clear()
        before = view.revision
        replies = [b"*%d\r\n" % len(transaction.commands)]
        try:
            if attempt:
                begin_attempt()
            for db, key, seen in transaction.watched:
                breathe()
                view.begin(db, protocol)
                if not view.is_unchanged(key, seen):
                    self.gate = base.observed
                    view.revision = before
                    return NULL_ARRAY[protocol]
            revision = before + 1  # one for all: nobody sees a state in between
            for command, args, db in transaction.commands:
                breathe()
                view.begin(db, protocol)
                view.revision = revision
                began_ns = perf_counter_ns()
                replies.append(self._run(command, args, protocol))
                transaction.elapsed_ns.append(perf_counter_ns() - began_ns)
                if view.events and self._notify & KEY_MISS:
                    view.choose_events(partial(told, command, args))
                if attempt or self.work is not None:
                    view.keep()  # it is taken when all is done
                else:
                    self.take_in()
        except TooLong:
            self._leader.worker.start(partial(self.evaluate_transaction, transaction, protocol), None)
        else:
            transaction.count(replies[1:], self._stats)
        finally:
            end_attempt()
        self.take_in()
        if not self.wrote:
            self.gate = base.observed
            view.revision = before
        self.would_block = None
        if self.waiters.woken and self.work is None:
            self.serve()
        if view.expired:
            self._leader.on_written()
        return b"".join(replies)

    def _run(self, command: Command, args: Args, protocol: int) -> bytes:
        """One command, as `evaluate` does it; there it stands once more, for the sake of a call less."""
        try:
            if self.refuse_writes and command.needs_space:
                raise CommandError(DISK_FULL)
            return encode(command.handler(self.view, args), protocol)
        except Exception as error:
            return self._failed(command, error, protocol)

    def _failed(self, command: Command, error: BaseException, protocol: int) -> bytes:
        """The reply to a command whose handler raised; nothing of what it wrote stays."""
        if isinstance(error, WouldBlock):
            self.would_block = error
            if not error.keep_effects:
                self.view.rollback()
            return encode(error.empty, protocol)  # type: ignore[arg-type]
        if isinstance(error, Elsewhere):
            self.view.abandon()  # what it published too: there it begins anew
        else:
            self.view.rollback()
        return failure(command, error, protocol, self._stats, counted=not self._visited)

    # -- the entry in the making -----------------------------------------------------------------------------

    def begin_turn(self) -> None:
        """What is evaluated from now on belongs to this turn of the loop."""
        assert not self.draft.effects, "the turn before was not flushed"
        self._turn = self._clock.turn
        self.draft.index, self._now_ms = self._leader.begin_turn()
        self.view.begin_entry(self._now_ms, self.draft.index)
        self.view.committed = self._leader.commit << 16 | 0xFFFF

    def end_turn(self) -> None:
        """What comes next is for an entry whose index is not known yet."""
        self._turn = 0

    def step_in(self) -> tuple[View, Overlay]:
        """What is done in the view from now on belongs to this turn; the view, and what it is over."""
        if self._turn != self._clock.turn:
            self.begin_turn()
        elif self._now_ms < self._clock.now_ms:
            self._now_ms = self.view.now_ms = self._clock.now_ms
        return self.view, self.base

    def take_in(self) -> None:
        """What was done in the view goes into the entry."""
        if self.view.effects:
            self._collect()
        if self.view.events:
            self._leader.happened(self.view.take_events())

    def _collect(self) -> None:
        """Take the view's effects into the entry: what was evaluated wrote, and waits for its index."""
        draft = self.draft
        if self.work is not None:
            self._collect_in_slices()
        else:
            effects = self.view.take_effects()
            if not draft.effects:
                self._leader.on_written()
                self.base.begin(draft.index, draft.effects)
            draft.take(effects)
            self.base.put(effects)
            if self.waiters.keys:
                self.waiters.note(effects, self._meta.databases)
        self.wrote = True
        self.gate = draft.index

    def _collect_in_slices(self) -> None:
        """Within work: it may have gone on for turns, so what it wrote goes into the entry that comes next. Nothing is
        proposed meanwhile."""
        self._catch_up()
        effects = self.view.take_effects()
        self.base.begin(self.draft.index, self.draft.effects)
        self.draft.take_in_slices(effects, self.base.put)
        if self._turn != self._clock.turn:
            index, _ = self._leader.begin_turn()
            if index != self.draft.index:
                log.info("Group %d: another entry came before that of a long command", self._number)
                raise Ended
            self._turn = self._clock.turn
        self._leader.on_written()
        if self.waiters.keys:
            self.waiters.note(effects, self._meta.databases)

    def _catch_up(self) -> None:
        view = self.view
        while self._turn != self._clock.turn:
            revision = view.revision
            self.begin_turn()
            index = view.revision + 1
            view.revision = revision
            if index != revision:
                view.restamp(index)

    def propose(self, group: "Group") -> None:
        """Make what was evaluated since the last entry the next one. Raises EntryTooLarge, NotLeader, ProposalDropped;
        then it did not happen, and is to be forgotten."""
        draft, view = self.draft, self.view
        changes = len(draft.effects)
        meta = self._meta_proposed
        if view.ledger.changed:
            meta = self._meta.encode()
            draft.add(META_KEY, meta)
        index = group.propose(draft.encode(self._now_ms))
        assert index == draft.index, "effects were evaluated for another index"
        view.ledger.changed = False
        self._meta_proposed = meta
        self.base.proposed()
        self._stats.evaluated_batches += 1
        self._stats.unsaved_changes += changes
        draft.begin()
        draft.index = index + 1
        view.begin_entry(self._now_ms, draft.index)

    # -- calls that wait for a key ---------------------------------------------------------------------------

    def serve(self) -> None:
        """Run those again that wait for keys which have been written, and for those that they write in turn. What
        the last command left behind stays as it was."""
        gate, wrote, would_block = self.gate, self.wrote, self.would_block
        self.waiters.serve(self._try_again)
        if self.waiters.woken:
            self._leader.on_written()
        self.gate, self.wrote, self.would_block = gate, wrote, would_block

    def _try_again(self, waiter: Waiter, key: bytes) -> bool | None:
        """Run a waiting call again as `key` has changed: whether it was served; None when there is no such key."""
        call, view, base = waiter.call, self.view, self.base
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
        if view.effects:
            self._collect()
        else:
            self.wrote = False
            self.gate = base.observed
            view.revision = revision
        if self.would_block is not None:
            self.would_block = None
            return False
        self.waiters.remove(call)
        call.args = waiter.args  # should it have to be done again: `$` of XREAD stays what it was
        if view.events:
            if self._notify & KEY_MISS:
                view.events = told(call.command, waiter.args, view.events)
            self._leader.happened(view.take_events())
        self._leader.keep(call, reply)
        return True

"""One group on a host: the core's node, its log, its state machine, and what is on the way between them.

The host calls `collect` for a group that something happened to; what is due goes to the host's outboxes (messages,
writes) or straight to the state machine's callbacks. What comes back is `saved` (from the disk thread) and
`applied_upto` (from the apply thread). A snapshot to install takes a way of its own: applying is held, the install is
noted in the log, the machine installs, and only then the log begins anew; a crash anywhere on that way is repaired by
`Host.add_group`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from raft.core import EntryTooLarge, NotLeader, RaftNode, Ready, Role, Status
from raft.core.messages import CONF_CHANGE, ConfChange, ConfState, Entry, SnapshotMeta, decode_conf_change
from raft.core.storage import Compacted, SnapshotUnavailable
from raft.core.tracker import ProgressState
from raft.runtime.applying import NO_LAG
from raft.runtime.machine import Lag, StateMachine
from raft.storage import GroupLog, GroupWrite

if TYPE_CHECKING:
    from raft.runtime.host import Host

IN_TOUCH_US = 3_000_000
"""Who has not answered for so long may be gone: nothing is kept for it."""


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How a group is on this node, for people and metrics."""

    id: int
    raft: Status
    consistent: bool
    durable_applied: int
    log_bytes: int


class Group:
    """Made by Host.add_group. Everything here is for the loop's thread, and nothing waits."""

    def __init__(self, host: "Host", node: RaftNode, log: GroupLog, machine: StateMachine) -> None:
        self.id = log.group_id
        self.node = node
        self.log = log
        self.machine = machine
        self.applied = node.applied
        """Highest index that this host has applied since its start (or found synced)."""
        self.applying: list[Entry] = []
        """In the present piece of work for the apply thread."""
        self.to_apply: list[Entry] = []
        """Committed, waiting to be applied."""
        self.installing: Ready | None = None
        """The Ready whose snapshot is being installed."""
        self.staged: tuple[SnapshotMeta, int] | None = None
        """A snapshot that arrived whole, and its consistent index."""
        self.eager = False
        """Somebody waits for what is applied here: it is never put off."""
        self._when_applied: list[tuple[int, Callable[[], None]]] = []
        """(index, whom to call when it is applied)."""
        self._host = host
        self._committed = self.applied
        self._shown: tuple[int, int, int] = (Role.FOLLOWER, 0, 0)
        log.snapshot_source = self._sendable
        log.applied_index = self.applied

    # What the group is

    @property
    def role(self) -> Role:
        """Our role in the group."""
        return self.node.role

    @property
    def term(self) -> int:
        """The current term."""
        return self.node.term

    @property
    def leader(self) -> int:
        """Id of the leader, 0 when unknown."""
        return self.node.leader

    @property
    def commit(self) -> int:
        """Highest index known to be committed."""
        return self.node.commit

    @property
    def conf(self) -> ConfState:
        """The members as of the applied index."""
        return self.node.conf

    @property
    def first_index(self) -> int:
        """Oldest retained index."""
        return self.log.first_index

    @property
    def last_index(self) -> int:
        """Index of the newest entry, on disk or not."""
        return self.node.last_index

    @property
    def consistent(self) -> bool:
        """The data is one that existed at some index. False while a snapshot is being installed, and for a while after
        that or an unclean restart."""
        return self.installing is None and self.applied >= self.log.consistent_index

    @property
    def age_s(self) -> float:
        """How old what is applied can be."""
        return (self._host.now_us() - self.node.fresh_as_of_us) / 1_000_000

    @property
    def reached_by_all(self) -> int | None:
        """Of a leader: every member that keeps up, and was heard of lately, has the log up to there."""
        since_us = max(self._host.now_us() - IN_TOUCH_US, 1)
        return min(
            (
                peer.match
                for peer in self.node.progress.values()
                if peer.acked_us >= since_us and peer.state is ProgressState.REPLICATE
            ),
            default=None,
        )

    @property
    def can_propose(self) -> bool:
        """`propose` would take something now."""
        return self.node.can_propose and not self._host.failed

    def term_at(self, index: int) -> int | None:
        """Term of the entry at `index`; None when it was compacted. Raises Unavailable past the end."""
        try:
            return self.node.term_at(index)
        except Compacted:
            return None

    def status(self) -> GroupStatus:
        """How the group is, in full."""
        return GroupStatus(
            id=self.id,
            raft=self.node.status(),
            consistent=self.consistent,
            durable_applied=self.log.durable_applied,
            log_bytes=self.log.size_bytes,
        )

    # What can be asked of it. Host.pump carries it out.

    def propose(self, data: bytes) -> int:
        """Append `data` to the log as one entry and return its index.

        Raises NotLeader, ProposalDropped; EntryTooLarge for more than entry_bytes_max.
        """
        self._require_host()
        if len(data) > self._host.options.entry_bytes_max:
            raise EntryTooLarge(
                f"an entry has at most {self._host.options.entry_bytes_max} bytes, not {len(data)}"
            )
        index = self.node.propose(data, self._host.now_us())
        self._host.mark(self)
        return index

    def propose_conf_change(self, change: ConfChange) -> int:
        """Append a membership change and return its index.

        Raises NotLeader, ProposalDropped, ConfChangePending, ConfChangeInvalid.
        """
        self._require_host()
        index = self.node.propose_conf_change(change, self._host.now_us())
        self._host.mark(self)
        return index

    def read_index(self) -> int:
        """Ask for proof of leadership; the machine's reads_confirmed or reads_lost answers. Raises NotLeader."""
        self._require_host()
        context = self.node.read_index(self._host.now_us())
        self._host.mark(self)
        return context

    def lease_valid(self) -> bool:
        """We may answer reads right now without asking anybody."""
        return (
            self.node.role is Role.LEADER
            and self.node.lease_valid(self._host.now_us())
            and not self._host.failed
        )

    @property
    def lease_until_us(self) -> int:
        """Until when the lease lasts on `Host.now_us`, unless a transfer begins; 0: there is none."""
        return 0 if self._host.failed else self.node.lease_until_us

    def transfer(self, target: int) -> None:
        """Hand leadership to the voter `target`. Raises NotLeader, ConfChangeInvalid."""
        self.node.transfer_leadership(target, self._host.now_us())
        self._host.mark(self)

    def apply_now(self, then: Callable[[], None]) -> None:
        """Have what is committed applied without delay, and `then` called."""
        self._when_applied.append((self.commit, then))
        self._host.applying.hurry(self)
        self._tell_applied()

    def _require_host(self) -> None:
        if self._host.failed:
            raise NotLeader(0)

    # What the host does with it

    def collect(self) -> None:
        """Take everything that is due and send it on its way."""
        node, host, machine = self.node, self._host, self.machine
        while node.has_ready():
            ready = node.ready()
            if ready.messages:
                host.route(self, ready.messages)
            if ready.persist:
                if ready.snapshot is None:
                    host.save(self, ready, GroupWrite(self.id, ready.hard_state, ready.entries))
                else:
                    self._begin_install(ready)
            shown = (ready.role, ready.term, ready.leader)
            if shown != self._shown:
                self._shown = shown
                machine.role_changed(*shown)
            if ready.committed:
                self.to_apply += ready.committed
                host.applying.put_off(self, *self._size_and_lag(ready.committed))
            commit = min(node.commit, self.log.last_index)
            if commit > self._committed:
                self._committed = commit
                machine.committed(commit)
            for context, _index in ready.reads:
                machine.reads_confirmed(context)
            for context in ready.reads_lost:
                machine.reads_lost(context)

    def _size_and_lag(self, committed: list[Entry]) -> tuple[int, Lag]:
        """Of entries that were just committed. The no-op that begins a term has no data: a leader takes calls once that
        is applied. Nor does it have a lease before a change of members is."""
        size_bytes, lag = 0, NO_LAG if self.eager else self.machine.lag
        for entry in committed:
            size_bytes += len(entry.data)
            if not entry.data or entry.kind == CONF_CHANGE:
                lag = NO_LAG
        return size_bytes, lag

    def saved(self, ready: Ready) -> None:
        """The Ready is on disk and the log shows it."""
        if ready.snapshot is not None:
            self.installing = self.staged = None
            self.applied = self.log.applied_index = ready.snapshot.index
        self.node.advance(ready)
        if ready.messages_after:
            self._host.route(self, ready.messages_after)
        if ready.snapshot is not None:
            self.machine.applied(self.applied)
            self._tell_applied()
        self._host.mark(self)

    def take_to_apply(self) -> list[Entry]:
        """What may be applied now. Followed by applied_upto unless empty."""
        if self.installing is not None:
            return []
        self.applying, self.to_apply = self.to_apply, []
        return self.applying

    def _tell_applied(self) -> None:
        told = [then for index, then in self._when_applied if index <= self.applied]
        self._when_applied = [wait for wait in self._when_applied if wait[0] > self.applied]
        for then in told:
            then()

    def applied_upto(self) -> None:
        """The machine has applied what take_to_apply gave."""
        entries, self.applying = self.applying, []
        self.applied = self.log.applied_index = entries[-1].index
        for entry in entries:
            if entry.kind == CONF_CHANGE:
                self.node.apply_conf_change(decode_conf_change(entry.data))
        self.node.applied_to(self.applied)
        self.machine.applied(self.applied)
        if self._when_applied:
            self._tell_applied()
        self._host.mark(self)
        if self.installing is not None:
            self._note_install(self.installing)

    # Snapshots

    def _sendable(self) -> SnapshotMeta:
        """The state as applied now. Raises SnapshotUnavailable."""
        if not self.consistent or not self._host.snapshots.has_room():
            raise SnapshotUnavailable
        return SnapshotMeta(self.applied, self.log.term(self.applied), self.node.conf)

    @property
    def seen_index(self) -> int:
        """The highest index whose effects a read of the data store may have met."""
        return self.applying[-1].index if self.applying else self.applied

    def _begin_install(self, ready: Ready) -> None:
        self.installing = ready
        self.to_apply.clear()
        if not self.applying:
            self._note_install(ready)

    def _note_install(self, ready: Ready) -> None:
        meta, consistent_index = self._staged_for(ready)
        job = partial(self._host.store.note_install, self.id, meta, consistent_index)
        self._host.disk.submit(job, lambda _: self._install(ready))

    def _install(self, ready: Ready) -> None:
        meta, consistent_index = self._staged_for(ready)
        job = partial(self.machine.snapshot_install, meta, consistent_index)
        self._host.bulk.submit(job, lambda _: self._save_install(ready))

    def _save_install(self, ready: Ready) -> None:
        meta, consistent_index = self._staged_for(ready)
        write = GroupWrite(self.id, ready.hard_state, ready.entries, meta, consistent_index)
        self._host.save(self, ready, write)

    def _staged_for(self, ready: Ready) -> tuple[SnapshotMeta, int]:
        assert self.staged is not None
        assert self.staged[0] == ready.snapshot, (self.staged, ready.snapshot)
        return self.staged

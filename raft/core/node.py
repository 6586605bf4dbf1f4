"""RaftNode: one replica of one group, as a state machine without clock, socket, disk or randomness.

The caller's loop
-----------------
::

    node = RaftNode(config, log, hard_state, conf, applied, random)
    # whenever something happens: node.tick / step / propose / read_index / ...
    while node.has_ready():
        ready = node.ready()
        send(ready.messages)
        if ready.persist:
            save(ready.snapshot, ready.entries, ready.hard_state)  # one synced write, in this order
            node.advance(ready)
            send(ready.messages_after)
        for entry in ready.committed:
            if entry.kind == CONF_CHANGE:
                node.apply_conf_change(decode_conf_change(entry.data))
            else:
                apply(entry)
        if ready.committed:
            node.applied_to(ready.committed[-1].index)
        release(ready.reads), fail(ready.reads_lost)

The save may run elsewhere while the node goes on being used: until `advance`, `ready()` gives only what does
not depend on a newer write (messages, committed, reads), and one Ready with `persist` is out at a time.
`committed` may be applied elsewhere too; it is bounded by `apply_bytes_max` until `applied_to` catches up.
When the save fails, never call `advance`: the replica is finished.

After a restart give the constructor the last saved HardState, the applied index of the state machine and the
membership as of that index (all three from disk).

Rules that are not in the Raft paper, and where they live
----------------------------------------------------------
- Nothing leaves under a term or vote that is not on disk: `ready` below.
- A committed entry is handed out only when it is stable here, and a membership change only when its commit
  index is too (so that after a crash the node knows that it must apply it before it campaigns): log.py.
- A follower promises the leader that it hears not to elect another one for `election_ticks`; the promise
  survives a restart as silence, and only a transfer asked for by the leader itself overrides it: election.py.
- Leases and read index: reads.py. Flow control and commit: replication.py. Members: membership.py.

The state is in state.py; each of those modules is functions over it. To add a message kind: messages.py, one
handler in the module it belongs to, one line in the table at the end of this file, one story in tests.
"""

from collections.abc import Callable

from raft.core import election, membership, reads, replication
from raft.core.errors import ConfChangeInvalid, NotLeader, ProposalDropped
from raft.core.messages import (
    NORMAL,
    ConfChange,
    ConfState,
    HardState,
    Message,
    MessageKind,
)
from raft.core.ready import PeerStatus, RaftConfig, Ready, Role, Status
from raft.core.state import State
from raft.core.storage import LogReader
from raft.core.tracker import Progress

__all__ = ["PeerStatus", "RaftConfig", "RaftNode", "Ready", "Role", "Status"]


class RaftNode:
    """One replica of one group. See the module's head for the loop that drives it.

    Every `now_us` is the caller's monotonic clock in µs (one that counts suspend, if leases are used). It
    never goes backwards. The core only compares it with itself.
    """

    __slots__ = ("_state",)

    def __init__(
        self,
        config: RaftConfig,
        log: LogReader,
        hard_state: HardState,
        conf: ConfState,
        applied: int,
        random: Callable[[int], int],
    ) -> None:
        """Start from what is on disk.

        `conf` is the membership as of `applied`, the index up to which the state machine is durable. For
        a new group it is who begins it, the same everywhere; for a node that is added to a group that
        runs it is ConfState(()): a snapshot will tell. `random(n)` gives an integer in [0, n). Raises
        Corrupted if log, hard state and applied index contradict each other.
        """
        self._state = State(config, log, hard_state, conf, applied, random)

    # What the node is

    @property
    def id(self) -> int:
        """Our own id."""
        return self._state.id

    @property
    def role(self) -> Role:
        """Our role."""
        return self._state.role

    @property
    def term(self) -> int:
        """The current term."""
        return self._state.term

    @property
    def vote(self) -> int:
        """Whom we voted for in this term; 0 for nobody."""
        return self._state.vote

    @property
    def leader(self) -> int:
        """The leader that we know of, possibly ourselves; 0 for none."""
        return self._state.leader

    @property
    def commit(self) -> int:
        """Highest index known to be committed."""
        return self._state.log.commit

    @property
    def applied(self) -> int:
        """Highest index that the state machine has (`applied_to`)."""
        return self._state.log.applied

    @property
    def last_index(self) -> int:
        """Index of the last entry, on disk or not."""
        return self._state.log.last_index

    @property
    def first_index(self) -> int:
        """Last compacted index + 1."""
        return self._state.log.first_index

    @property
    def conf(self) -> ConfState:
        """The members in force: as of the applied index. A snapshot's come into force when it is installed."""
        return self._state.conf

    @property
    def transfer_target(self) -> int:
        """Whom leadership is being handed to; 0 for nobody."""
        return self._state.transfer_target

    @property
    def uncommitted_bytes(self) -> int:
        """Payload that this leader proposed and that is not committed yet; 0 if not leader."""
        return self._state.uncommitted_bytes

    @property
    def progress(self) -> dict[int, Progress]:
        """What a leader knows of each member, by id; empty if not leader. To be read, not changed."""
        return self._state.progress

    @property
    def awaits_install(self) -> bool:
        """A snapshot replaces our log: from its message on until that is on disk."""
        return self._state.log.snapshot is not None

    def term_at(self, index: int) -> int:
        """Return the term of the entry at `index`. Raises Compacted or Unavailable."""
        return self._state.log.term(index)

    def status(self) -> Status:
        """Return how the node is, for people."""
        state = self._state
        learners = state.conf.learners
        peers = tuple(
            PeerStatus(
                id=peer.id,
                match=peer.match,
                next=peer.next,
                state=peer.state.name.lower(),
                recent_active=peer.recent_active or peer.id == state.id,
                inflight_messages=peer.inflight.count,
                inflight_bytes=peer.inflight.size_bytes,
                learner=peer.id in learners,
            )
            for peer in state.progress.values()
        )
        return Status(
            id=state.id,
            role=state.role,
            term=state.term,
            vote=state.vote,
            leader=state.leader,
            commit=state.log.commit,
            applied=state.log.applied,
            first_index=state.log.first_index,
            last_index=state.log.last_index,
            conf=state.conf,
            transfer_target=state.transfer_target,
            uncommitted_bytes=state.uncommitted_bytes,
            peers=peers,
        )

    # What happens to it

    def tick(self, now_us: int) -> None:
        """One tick interval has passed: elections, heartbeats, check-quorum."""
        state = self._state
        state.now_us = now_us
        if state.role is Role.LEADER:
            election.tick_leader(state)
        else:
            election.tick_follower(state)

    def step(self, message: Message, now_us: int) -> None:
        """Take in a message of a peer. One that is not for us, or out of date, changes nothing.

        Raises Corrupted if the message proves that acknowledged entries or votes were lost somewhere.
        """
        state = self._state
        state.now_us = now_us
        if message.to != state.id:
            return
        if message.term != state.term and not election.admit(state, message):
            return
        _HANDLERS[message.kind](state, message)

    @property
    def can_propose(self) -> bool:
        """Whether `propose` would take something now, if it is not too much."""
        state = self._state
        return (
            state.role is Role.LEADER
            and not state.transfer_target
            and state.uncommitted_bytes < state.config.uncommitted_bytes_max
        )

    def propose(self, data: bytes, now_us: int) -> int:
        """Append `data` to our log as one entry and return its index.

        It is replicated by the following `ready`. Whether it commits shows in Ready.committed: an entry
        of this index with another term means that it never will. Raises NotLeader, and ProposalDropped
        while leadership is handed over or `uncommitted_bytes_max` is reached. Proposals are never
        forwarded.
        """
        return replication.append(self._proposing(now_us), NORMAL, data)

    def propose_conf_change(self, change: ConfChange, now_us: int) -> int:
        """Append a membership change and return its index. It takes effect when it is applied.

        Raises NotLeader, ProposalDropped, ConfChangePending while another change is (or may be) not
        applied or the joint state is not left yet, ConfChangeInvalid if it makes no sense for the present
        members.
        """
        return membership.propose(self._proposing(now_us), change)

    def _proposing(self, now_us: int) -> State:
        """The state, if something may be proposed now. Raises NotLeader, ProposalDropped."""
        state = self._leading(now_us)
        if state.transfer_target:
            raise ProposalDropped(f"leadership is being handed to {state.transfer_target}")
        return state

    def _leading(self, now_us: int) -> State:
        """The state, if we lead. Raises NotLeader."""
        state = self._state
        state.now_us = now_us
        if state.role is not Role.LEADER:
            raise NotLeader(state.leader)
        return state

    def read_index(self, now_us: int) -> int:
        """Ask for proof that we still lead, and return the question's number (increasing, our own).

        Ready.reads will hold (number, index): a read of the state at `index` or later is linearizable. Or
        Ready.reads_lost will hold the number. One question covers every read that was asked for before it.
        Raises NotLeader.
        """
        return reads.ask(self._leading(now_us))

    def lease_valid(self, now_us: int) -> bool:
        """Return whether we may serve a linearizable read of the applied state (up to `commit`) right now.

        True only for a leader that has committed an entry of its own term, is not handing leadership over
        (nor has told anybody in this term to take it), has applied every committed membership change, and
        was acknowledged by a quorum for something it sent less than `lease_us` ago. A sole voter needs no
        acknowledgement; without `lease_us` everybody else is always False.
        """
        return reads.lease_valid(self._state, now_us)

    @property
    def fresh_as_of_us(self) -> int:
        """What is applied lacks nothing that was committed then, as leaders have told; 0: nothing is known."""
        return self._state.fresh.as_of_us

    @property
    def lease_until_us(self) -> int:
        """Until when `lease_valid` says yes, in µs of the caller's clock; 0 if it says no.

        Good only until the next call of anything that changes the node: a transfer or a commit may end it.
        """
        return reads.lease_until(self._state)

    def transfer_leadership(self, target: int, now_us: int) -> None:
        """Hand leadership to the voter `target`: let it catch up, then tell it to campaign at once.

        Proposals are dropped meanwhile. Aborted when the target has not caught up within two heartbeats, or does not
        lead within an election timeout. To ourselves: ends a running transfer. Raises NotLeader, and ConfChangeInvalid
        if `target` is not a voter.
        """
        state = self._leading(now_us)
        if target not in state.conf.voters and target not in state.conf.voters_outgoing:
            raise ConfChangeInvalid(f"{target} is not a voter")
        replication.transfer(state, target)

    def campaign(self, now_us: int) -> None:
        """Ask for votes now instead of at the next timeout (a pre-vote first, if configured).

        Nothing happens if we lead, may not be elected (a learner, a snapshot or a committed membership change
        not yet applied), or have promised a leader not to elect another one (see election.py).
        """
        state = self._state
        state.now_us = now_us
        election.campaign(state)

    def report_unreachable(self, peer: int) -> None:
        """Tell a leader that messages to `peer` were probably lost: it sends one at a time until it hears."""
        replication.report_unreachable(self._state, peer)

    def report_snapshot(self, peer: int, ok: bool) -> None:
        """Tell a leader that the snapshot for `peer` was delivered, or failed and must be sent again."""
        replication.report_snapshot(self._state, peer, ok)

    # What is due

    def has_ready(self) -> bool:
        """Return whether `ready` has anything to give."""
        return self._state.has_ready()

    def ready(self) -> Ready:
        """Return everything that is due now, each thing once. See Ready for what to do with it, and when."""
        state = self._state
        if state.role is Role.LEADER:
            replication.flush(state)
            reads.flush(state)
        return state.take_ready()

    def advance(self, ready: Ready) -> None:
        """Say that the snapshot, entries and hard state of `ready` are on disk, and visible through the log.

        `ready` must be the one with `persist` that is out; ValueError otherwise. Entries that were
        replaced in memory meanwhile do not count as stable: what is acknowledged are (index, term) pairs.
        """
        state = self._state
        state.persisted(ready)
        if state.role is Role.LEADER:
            replication.acknowledge_own(state)

    def applied_to(self, index: int) -> None:
        """Say that the state machine has everything up to `index` (at most what was handed out)."""
        state = self._state
        state.log.applied_to(index)
        state.fresh.applied(index)
        if state.role is Role.LEADER:
            membership.leave_joint_if_due(state)

    def apply_conf_change(self, change: ConfChange) -> ConfState:
        """Put a committed membership change into force and return the members from now on.

        To be called when the CONF_CHANGE entry is applied, before `applied_to` of its index. The same on
        every node: raises ConfChangeInvalid for a change that no leader of this code would have proposed.
        """
        return membership.apply(self._state, change)


_HANDLERS: tuple[Callable[[State, Message], None], ...] = tuple(
    handler
    for _, handler in sorted(
        {
            MessageKind.PRE_VOTE: election.on_vote_request,
            MessageKind.PRE_VOTE_RESPONSE: election.on_vote_response,
            MessageKind.VOTE: election.on_vote_request,
            MessageKind.VOTE_RESPONSE: election.on_vote_response,
            MessageKind.APPEND: replication.on_append,
            MessageKind.APPEND_RESPONSE: replication.on_append_response,
            MessageKind.HEARTBEAT: replication.on_heartbeat,
            MessageKind.HEARTBEAT_RESPONSE: replication.on_heartbeat_response,
            MessageKind.SNAPSHOT: replication.on_snapshot,
            MessageKind.TIMEOUT_NOW: election.on_timeout_now,
        }.items()
    )
)

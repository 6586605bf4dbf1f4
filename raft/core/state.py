"""What a node holds in memory, and how a Ready is put together from it.

The modules election, replication, reads and membership are functions over `State`. This one knows no
rules but two: what `reset` forgets when term or role changes, and in `take_ready` what may leave before
what is on disk.
"""

from collections import deque
from collections.abc import Callable

from raft.core.freshness import Freshness
from raft.core.log import RaftLog
from raft.core.messages import NONE, ConfState, HardState, Message
from raft.core.quorum import joint_majority
from raft.core.ready import RaftConfig, Ready, Role
from raft.core.storage import LogReader
from raft.core.tracker import Progress

_ORIGIN_MAX = 1 << 60


class State:
    """Everything that a node remembers between two calls. One per RaftNode; only the core touches it."""

    __slots__ = (
        "broadcast_due",
        "commit_untold",
        "commit_urgent",
        "conf",
        "config",
        "contact_elapsed",
        "durable",
        "election_elapsed",
        "fresh",
        "heartbeat_elapsed",
        "id",
        "leader",
        "lease_start_us",
        "lease_void",
        "log",
        "messages",
        "messages_after",
        "now_us",
        "others",
        "outgoing",
        "outstanding",
        "pending_conf_index",
        "progress",
        "proposed_bytes",
        "random",
        "read_due",
        "read_number",
        "reads_done",
        "reads_lost",
        "reads_pending",
        "reads_waiting",
        "role",
        "sole_voter",
        "term",
        "term_start",
        "timeout_ticks",
        "told",
        "transfer_elapsed",
        "transfer_target",
        "uncommitted_bytes",
        "vote",
        "voters",
        "votes",
    )

    def __init__(
        self,
        config: RaftConfig,
        reader: LogReader,
        hard_state: HardState,
        conf: ConfState,
        applied: int,
        random: Callable[[int], int],
    ) -> None:
        self.config = config
        self.id = config.id
        self.random = random
        self.log = RaftLog(reader, hard_state.commit, applied, config.apply_bytes_max)
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.durable = hard_state
        """The HardState on disk."""
        self.now_us = 0
        """The caller's clock as it was told last."""
        self.role = Role.FOLLOWER
        self.leader = NONE
        self.votes: dict[int, bool] = {}
        self.election_elapsed = 0
        """Ticks since a leader was heard, a vote given, a campaign begun; of a leader: since the quorum check."""
        self.timeout_ticks = 0
        """We campaign when election_elapsed reaches this: see election.py."""
        self.heartbeat_elapsed = 0
        self.contact_elapsed = 0
        """Ticks since a leader was heard. Below election_ticks: we have promised it not to elect another."""
        self.fresh = Freshness(random(_ORIGIN_MAX))
        self.set_conf(conf)

        # Leader only
        self.progress: dict[int, Progress] = {}
        self.others: list[Progress] = []
        """The values of progress but for our own."""
        self.term_start = 0
        """Index of our no-op. All entries from here on are of our term, none before it is."""
        self.pending_conf_index = 0
        """Membership changes are refused until this index is applied: one may be at or below it."""
        self.uncommitted_bytes = 0
        self.proposed_bytes: deque[tuple[int, int]] = deque()
        """(index, payload bytes) of own uncommitted proposals; their sum is uncommitted_bytes."""
        self.transfer_target = NONE
        self.transfer_elapsed = 0
        self.lease_void = False
        """Somebody was told in this term to take over, and may do so at any time: no lease any more."""
        self.lease_start_us = -1
        """Newest clock reading that a quorum has acknowledged; 0 for none, -1 for: to be worked out anew."""
        self.broadcast_due = False
        self.commit_untold = False
        self.commit_urgent = False
        """A membership change committed: others must learn of it even if this leader goes away now."""
        self.read_number = 0
        """The last question's number. Grows as long as the node lives: an answer fits one question only."""
        self.read_due = False
        self.reads_waiting: list[int] = []
        """Questions before the first commit of the term."""
        self.reads_pending: deque[tuple[int, int]] = deque()
        """(number, commit index when asked), ascending; waiting for a quorum to echo the number."""

        # For the next Ready
        self.reads_done: list[tuple[int, int]] = []
        self.reads_lost: list[int] = []
        self.messages: list[Message] = []
        self.messages_after: list[Message] = []
        self.outstanding: Ready | None = None
        """The Ready with `persist` that is being written."""
        self.told = (self.role, self.leader, self.term)

        self.reset(self.term)
        log = self.log
        fresh = hard_state.term == 0 and log.last_index == 0
        if fresh or not config.check_quorum or (self.sole_voter and not log.conf_changes):
            # Nothing was ever promised. Everybody else may have acknowledged a lease and forgotten it.
            self.contact_elapsed = config.election_ticks

    # Who we are

    def set_conf(self, conf: ConfState) -> None:
        """Put the members into force."""
        self.conf = conf
        self.voters = conf.voters
        self.outgoing = conf.voters_outgoing
        self.sole_voter = conf.voters == (self.id,) and conf.voters_outgoing in ((), (self.id,))

    @property
    def is_voter(self) -> bool:
        """Whether we are a voter now, even if only an outgoing one."""
        return self.id in self.voters or self.id in self.outgoing

    def reset(self, term: int) -> None:
        """Forget what belongs to a role, and if `term` is a new one, the vote."""
        if term != self.term:
            self.term = term
            self.vote = NONE
        self.leader = NONE
        self.votes.clear()
        self.election_elapsed = self.heartbeat_elapsed = 0
        ticks = self.config.election_ticks
        self.timeout_ticks = ticks + self.random(ticks // 2)
        if self.progress:
            self._reset_leader()

    def _reset_leader(self) -> None:
        self.contact_elapsed = self.config.election_ticks  # who led has promised nobody anything
        self.progress = {}
        self.others = []
        self.term_start = self.pending_conf_index = 0
        self.uncommitted_bytes = 0
        self.proposed_bytes.clear()
        self.transfer_target = NONE
        self.lease_void = False
        self.lease_start_us = -1
        self.broadcast_due = self.commit_untold = self.commit_urgent = self.read_due = False
        self.reads_lost.extend(self.reads_waiting)
        self.reads_lost.extend([number for number, _ in self.reads_pending])
        self.reads_waiting.clear()
        self.reads_pending.clear()

    def become_follower(self, term: int, leader: int) -> None:
        """Follow `leader` (0: nobody yet) in `term`."""
        self.reset(term)
        self.role = Role.FOLLOWER
        self.leader = leader

    def quorum_of(self, values: dict[int, int]) -> int:
        """Return the highest number that a quorum of voters has reached (see quorum.py)."""
        return joint_majority(self.voters, self.outgoing, values)

    # Ready

    def has_ready(self) -> bool:
        """See RaftNode."""
        if self.read_due or self.commit_urgent or self.reads_done or self.reads_lost:
            return True
        if self.told != (self.role, self.leader, self.term):
            return True
        log = self.log
        if self.outstanding is None:
            if self.broadcast_due or self.messages or self.messages_after or log.unstable:
                return True
            if (
                log.snapshot is not None
                or not self._term_durable()
                or log.commit_to_save(self.durable.commit)
            ):
                return True
        elif self.messages and self._term_durable():
            return True
        return log.has_committed(self.durable.commit)

    def _term_durable(self) -> bool:
        durable = self.durable
        return durable.term == self.term and durable.vote == self.vote

    def take_ready(self) -> Ready:
        """See RaftNode.

        Two rules. Nothing leaves under a term or vote that is not on disk: after a crash we would not
        know that we spoke, and might speak again differently. And when entries are written, so is the
        commit index known by then: an entry that was sent after a membership change took effect never
        reaches a disk that does not know that the change was committed.
        """
        log = self.log
        durable = self._term_durable()
        hard_state = None
        messages: list[Message] = []
        messages_after: list[Message] = []
        entries = []
        snapshot = None
        persist = False
        if self.outstanding is None:
            entries = log.unstable.copy()
            snapshot = log.snapshot
            persist = (
                bool(entries)
                or snapshot is not None
                or not durable
                or log.commit_to_save(self.durable.commit)
            )
            if self.messages_after:
                (messages_after if persist else messages).extend(self.messages_after)
                self.messages_after = []
            if persist:
                hard_state = HardState(self.term, self.vote, log.commit)
                if hard_state == self.durable:
                    hard_state = None
        if self.messages:
            if durable:
                messages = self.messages + messages
                self.messages = []
            elif persist:
                messages_after = self.messages + messages_after
                self.messages = []
        reads_done, self.reads_done = self.reads_done, []
        reads_lost, self.reads_lost = self.reads_lost, []
        self.told = (self.role, self.leader, self.term)
        ready = Ready(
            hard_state,
            entries,
            snapshot,
            messages,
            messages_after,
            log.take_committed(self.durable.commit),
            reads_done,
            reads_lost,
            persist,
            self.role,
            self.leader,
            self.term,
        )
        if persist:
            self.outstanding = ready
        return ready

    def persisted(self, ready: Ready) -> None:
        """See RaftNode.advance."""
        if ready is not self.outstanding:
            raise ValueError("advance takes the Ready with persist that is out, once")
        self.outstanding = None
        if ready.hard_state is not None:
            self.durable = ready.hard_state
        self.log.stable(ready.snapshot, ready.entries)
        if ready.snapshot is not None:
            # Not when it arrived: a change that was handed out before may have been applied until now.
            self.set_conf(ready.snapshot.conf)

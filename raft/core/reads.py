"""Linearizable reads: proof that we still lead, by a round of messages (read index) or by time (lease).

Read index. A question gets the next number and the commit index of now; heartbeats carry the newest
number and followers echo it. When a quorum has echoed a number, nobody else had been elected when that
question was asked, so the commit index noted then covers every write acknowledged before. One round
answers all questions before it. A leader that has committed nothing in its term does not know the commit
index yet: its questions wait.

Lease. A follower that hears a leader promises not to help elect another for election_ticks. Responses
echo the leader's own clock reading, so a quorum of echoes proves that nobody else leads until `lease_us`
after the oldest reading among them, on our own clock. The one who may break the promise is the leader
itself, by a transfer: from its start there is no lease, and once the target was told (the message may
linger in the network) there is none for the rest of the term. Nor while a committed membership change is
not applied here: a new quorum may be at work.

What a leader with a lease tells its followers in heartbeats, they know to be all that there was: freshness.py.
"""

from raft.core.messages import Message, MessageKind
from raft.core.quorum import UNBOUNDED
from raft.core.ready import Role
from raft.core.state import State
from raft.core.tracker import Progress

_HEARTBEAT = int(MessageKind.HEARTBEAT)


def ask(state: State) -> int:
    """See RaftNode.read_index."""
    state.read_number += 1
    if state.log.commit < state.term_start:
        state.reads_waiting.append(state.read_number)
    else:
        _begin(state, state.read_number)
    return state.read_number


def _begin(state: State, number: int) -> None:
    if state.sole_voter:
        state.reads_done.append((number, state.log.commit))
    else:
        state.reads_pending.append((number, state.log.commit))
        state.read_due = True


def first_commit(state: State) -> None:
    """The term has its first commit: the questions that waited for it can be asked."""
    waiting, state.reads_waiting = state.reads_waiting, []
    for number in waiting:
        _begin(state, number)


def heartbeat(state: State, peer: Progress) -> None:
    """Send `peer` a heartbeat: with what is committed, what of it the peer may take for that, the newest read-index
    number, and the time of the peer's last answer."""
    index = state.log.commit
    commit = min(peer.match, index)
    peer.commit_told = max(peer.commit_told, commit)
    number = state.read_number if state.reads_pending else 0
    stamp = peer.stamp if lease_valid(state, state.now_us) else 0
    state.messages.append(
        Message(
            _HEARTBEAT,
            state.id,
            peer.id,
            state.term,
            index,
            0,
            commit,
            False,
            stamp,
            0,
            number,
            state.now_us,
        )
    )


def flush(state: State) -> None:
    """Send the voters a heartbeat if there is a new question."""
    if state.read_due:
        state.read_due = False
        if state.reads_pending:
            for peer in state.others:
                if peer.id in state.voters or peer.id in state.outgoing:
                    heartbeat(state, peer)


def on_echo(state: State, peer: Progress, number: int) -> None:
    """`peer` has echoed `number`: every question up to it may be settled."""
    if number > peer.read_acked:
        peer.read_acked = number
        settle(state)


def settle(state: State) -> None:
    """Release the questions that a quorum of the present voters has echoed."""
    pending = state.reads_pending
    if not pending:
        return
    echoed = {peer.id: peer.read_acked for peer in state.others}
    echoed[state.id] = UNBOUNDED
    number = state.quorum_of(echoed)
    while pending and pending[0][0] <= number:
        state.reads_done.append(pending.popleft())


def lease_valid(state: State, now_us: int) -> bool:
    """See RaftNode.lease_valid."""
    return now_us < lease_until(state)


def lease_until(state: State) -> int:
    """See RaftNode.lease_until_us."""
    log = state.log
    if (
        state.role is not Role.LEADER
        or log.commit < state.term_start
        or state.transfer_target
        or state.lease_void
        or log.conf_change_due()
    ):
        return 0
    if state.sole_voter:
        return UNBOUNDED
    lease_us = state.config.lease_us
    if not lease_us:
        return 0
    start_us = state.lease_start_us
    if start_us < 0:
        acked = {peer.id: peer.acked_us for peer in state.others}
        acked[state.id] = UNBOUNDED
        start_us = state.lease_start_us = state.quorum_of(acked)
    return start_us + lease_us if start_us > 0 else 0

"""Members change while the group works. What a change means is in confchange.py; here is when it may happen.

One at a time: a change is refused until the one before it (and anything an earlier leader may have left
in the log) is applied. The automatic leaving of a joint state counts as one. It takes effect when it is
applied, on each node for itself. A leader that is no voter any more then tells the others what is
committed (see replication.flush: it has, by the time the change is handed out) and steps down.
"""

from raft.core import election, reads, replication
from raft.core.confchange import changed
from raft.core.errors import ConfChangePending
from raft.core.messages import CONF_CHANGE, ConfChange, ConfState, encode_conf_change
from raft.core.ready import Role
from raft.core.state import State


def propose(state: State, change: ConfChange) -> int:
    """See RaftNode.propose_conf_change."""
    if state.pending_conf_index > state.log.applied:
        raise ConfChangePending(f"a change at or below {state.pending_conf_index} is not applied yet")
    if state.outgoing and change.changes:
        raise ConfChangePending("the joint state must be left first")
    changed(state.conf, change)
    return _append(state, change, limited=True)


def leave_joint_if_due(state: State) -> None:
    """The automatic end of a joint state, once everything that may be a change is applied."""
    if state.conf.auto_leave and state.log.applied >= state.pending_conf_index:
        # Few bytes, and nobody would try again: not subject to the limit on uncommitted bytes.
        _append(state, ConfChange(), limited=False)


def _append(state: State, change: ConfChange, *, limited: bool) -> int:
    index = replication.append(state, CONF_CHANGE, encode_conf_change(change), limited=limited)
    state.pending_conf_index = index
    return index


def apply(state: State, change: ConfChange) -> ConfState:
    """See RaftNode.apply_conf_change."""
    state.set_conf(changed(state.conf, change))
    if state.role is not Role.LEADER:
        return state.conf
    if not state.is_voter:
        state.become_follower(state.term, 0)
        return state.conf
    election.track(state)
    replication.maybe_commit(state)
    reads.settle(state)
    target = state.transfer_target
    if target and target not in state.voters and target not in state.outgoing:
        state.transfer_target = 0
    return state.conf

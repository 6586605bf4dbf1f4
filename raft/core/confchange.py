"""How members change: pure functions from ConfState to ConfState.

One voter at a time needs one step, because any majority before and any after share a node. More than that
goes through the joint state, where both the old (`voters_outgoing`) and the new (`voters`) majority must
agree. A voter that is demoted in a joint change stays an outgoing voter and waits in `learners_next`
until the joint state is left: nobody is voter and learner at once.
"""

from collections.abc import Iterable

from raft.core.errors import ConfChangeInvalid
from raft.core.messages import Change, ChangeKind, ConfChange, ConfState, JointMode


def changed(conf: ConfState, change: ConfChange) -> ConfState:
    """Return the members after `change`.

    Raises ConfChangeInvalid: leaving when not joint, changing when joint, no voter left, an id below 1.
    """
    if not change.changes:
        return leave_joint(conf)
    if conf.voters_outgoing:
        raise ConfChangeInvalid("the joint state must be left first")
    if change.mode == JointMode.AUTO and len(change.changes) == 1:
        return simple(conf, change.changes[0])
    return enter_joint(conf, change.changes, auto_leave=change.mode != JointMode.EXPLICIT)


def simple(conf: ConfState, change: Change) -> ConfState:
    """Return the members after one change in one step."""
    return _edit(conf, (change,), frozenset(), auto_leave=False)


def enter_joint(conf: ConfState, changes: Iterable[Change], auto_leave: bool) -> ConfState:
    """Return the joint state in which the present voters and those after `changes` must both agree."""
    return _edit(conf, changes, frozenset(conf.voters), auto_leave=auto_leave)


def leave_joint(conf: ConfState) -> ConfState:
    """Return the members once the outgoing voters have no say. Raises ConfChangeInvalid if not joint."""
    if not conf.voters_outgoing:
        raise ConfChangeInvalid("there is no joint state to leave")
    return ConfState(voters=conf.voters, learners=tuple(sorted({*conf.learners, *conf.learners_next})))


def members(conf: ConfState) -> set[int]:
    """Return everybody that a leader replicates to."""
    return {*conf.voters, *conf.voters_outgoing, *conf.learners, *conf.learners_next}


def _edit(
    conf: ConfState, changes: Iterable[Change], outgoing: frozenset[int], *, auto_leave: bool
) -> ConfState:
    voters, learners, learners_next = set(conf.voters), set(conf.learners), set[int]()
    for kind, node in changes:
        if node < 1:
            raise ConfChangeInvalid(f"{node} is not a node id")
        voters.discard(node)
        learners.discard(node)
        learners_next.discard(node)
        if kind == ChangeKind.ADD_VOTER:
            voters.add(node)
        elif kind == ChangeKind.ADD_LEARNER:
            (learners_next if node in outgoing else learners).add(node)
        elif kind != ChangeKind.REMOVE:
            raise ConfChangeInvalid(f"{kind} is not a kind of change")
    if not voters:
        raise ConfChangeInvalid("a group needs a voter")
    return ConfState(
        tuple(sorted(voters)),
        tuple(sorted(outgoing)),
        tuple(sorted(learners)),
        tuple(sorted(learners_next)),
        auto_leave,
    )

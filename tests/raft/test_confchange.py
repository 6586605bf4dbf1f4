"""Membership as pure functions: invariants over any sequence of changes, and the overlap that makes them safe."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raft.core import Change, ChangeKind, ConfChange, ConfChangeInvalid, ConfState, JointMode
from raft.core.confchange import changed, members

change = st.builds(Change, st.sampled_from(ChangeKind), st.integers(1, 6))
conf_change = st.builds(
    ConfChange, st.lists(change, max_size=4).map(tuple), st.sampled_from(JointMode), st.just(b"")
)


def majorities(voters: tuple[int, ...]) -> list[set[int]]:
    return [set(ids) for ids in combinations(voters, len(voters) // 2 + 1)]


def quorums(conf: ConfState) -> list[set[int]]:
    new = majorities(conf.voters)
    return [a | b for a in new for b in majorities(conf.voters_outgoing)] if conf.voters_outgoing else new


def test_one_change_takes_one_step() -> None:
    conf = ConfState((1, 2, 3))
    conf = changed(conf, ConfChange((Change(ChangeKind.ADD_LEARNER, 4),)))
    assert conf == ConfState((1, 2, 3), learners=(4,))
    conf = changed(conf, ConfChange((Change(ChangeKind.ADD_VOTER, 4),)))
    assert conf == ConfState((1, 2, 3, 4))
    conf = changed(conf, ConfChange((Change(ChangeKind.REMOVE, 1),)))
    assert conf == ConfState((2, 3, 4))


def test_several_changes_go_through_the_joint_state() -> None:
    swap = (Change(ChangeKind.ADD_VOTER, 4), Change(ChangeKind.ADD_LEARNER, 3), Change(ChangeKind.REMOVE, 2))
    joint = changed(ConfState((1, 2, 3)), ConfChange(swap))
    assert joint == ConfState((1, 4), (1, 2, 3), (), (3,), True)
    assert members(joint) == {1, 2, 3, 4}
    assert changed(joint, ConfChange()) == ConfState((1, 4), learners=(3,))


def test_who_ends_the_joint_state_is_said_when_it_begins() -> None:
    add = (Change(ChangeKind.ADD_VOTER, 2),)
    assert changed(ConfState((1,)), ConfChange(add, JointMode.IMPLICIT)).auto_leave
    assert not changed(ConfState((1,)), ConfChange(add, JointMode.EXPLICIT)).auto_leave


@pytest.mark.parametrize(
    ("conf", "bad"),
    [
        (ConfState((1,)), ConfChange()),
        (ConfState((1,)), ConfChange((Change(ChangeKind.REMOVE, 1),))),
        (ConfState((1,)), ConfChange((Change(ChangeKind.ADD_LEARNER, 1),))),
        (ConfState((1,)), ConfChange((Change(ChangeKind.ADD_VOTER, 0),))),
        (ConfState((1,)), ConfChange((Change(7, 2),))),
        (ConfState((1, 2), (1,)), ConfChange((Change(ChangeKind.ADD_VOTER, 3),))),
    ],
)
def test_nonsense_is_refused(conf: ConfState, bad: ConfChange) -> None:
    with pytest.raises(ConfChangeInvalid):
        changed(conf, bad)


@given(st.lists(conf_change, max_size=12))
def test_every_configuration_is_sound_and_overlaps_the_one_before(story: list[ConfChange]) -> None:
    conf = ConfState((1, 2, 3))
    for step in story:
        try:
            after = changed(conf, step)
        except ConfChangeInvalid:
            continue
        assert after.voters
        for ids in after[:4]:
            assert list(ids) == sorted(set(ids))
        assert not set(after.learners) & {*after.voters, *after.voters_outgoing}
        assert set(after.learners_next) <= set(after.voters_outgoing) - set(after.voters)
        assert after.voters_outgoing or not (after.learners_next or after.auto_leave)
        assert all(a & b for a in quorums(conf) for b in quorums(after))
        conf = after

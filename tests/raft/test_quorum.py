"""Majorities, alone and joint, against definitions that are too slow to use."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from raft.core.quorum import (
    UNBOUNDED,
    VoteResult,
    joint_majority,
    joint_vote_result,
    majority,
    vote_result,
)

voters = st.sets(st.integers(1, 9), max_size=7).map(lambda ids: tuple(sorted(ids)))
acknowledged = st.dictionaries(st.integers(1, 9), st.integers(0, 5))
votes = st.dictionaries(st.integers(1, 9), st.booleans())


def quorums(ids: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(combinations(ids, len(ids) // 2 + 1)) if ids else [()]


def test_a_majority_is_more_than_half() -> None:
    assert majority([5]) == 5
    assert majority([1, 9]) == 1
    assert majority([9, 1, 5]) == 5
    assert majority([4, 3, 2, 1]) == 2
    assert majority([]) == UNBOUNDED


@given(voters, voters, acknowledged)
def test_a_joint_majority_is_at_what_some_quorum_of_each_set_has_reached(
    new: tuple[int, ...], old: tuple[int, ...], acks: dict[int, int]
) -> None:
    best = min(
        max(min((acks.get(id, 0) for id in quorum), default=UNBOUNDED) for quorum in quorums(ids))
        for ids in (new, old)
    )
    assert joint_majority(new, old, acks) == best


@given(voters, voters, votes)
def test_a_vote_is_won_by_a_quorum_of_each_set_and_lost_when_none_can_come(
    new: tuple[int, ...], old: tuple[int, ...], cast: dict[int, bool]
) -> None:
    won = all(any(all(cast.get(id) for id in quorum) for quorum in quorums(ids)) for ids in (new, old))
    possible = all(
        any(all(cast.get(id, True) for id in quorum) for quorum in quorums(ids)) for ids in (new, old)
    )
    expected = VoteResult.WON if won else VoteResult.PENDING if possible else VoteResult.LOST
    assert joint_vote_result(new, old, cast) is expected


@given(voters, votes)
def test_votes_of_others_do_not_count(ids: tuple[int, ...], cast: dict[int, bool]) -> None:
    own = {id: vote for id, vote in cast.items() if id in ids}
    assert vote_result(ids, cast) is vote_result(ids, own)

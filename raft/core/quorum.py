"""What a majority agrees to. Pure functions over voters; an empty set of voters agrees to everything.

In the joint state the answer is the weaker of two majorities: take the minimum of two `majority`, the
worse of two `vote_result`. An empty outgoing set therefore changes nothing.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum

UNBOUNDED = 1 << 63
"""What nobody's majority has acknowledged: more than any index, clock or counter."""


class VoteResult(IntEnum):
    """The state of a vote. Ordered: the result of two votes that must both be won is the smaller one."""

    LOST = 0
    PENDING = 1
    WON = 2


def majority(values: list[int]) -> int:
    """Return the highest number that more than half of `values` have reached. Sorts `values` in place."""
    count = len(values)
    if count == 1:
        return values[0]
    if count == 0:
        return UNBOUNDED
    values.sort()
    return values[(count - 1) >> 1]


def joint_majority(voters: Sequence[int], outgoing: Sequence[int], reached: Mapping[int, int]) -> int:
    """Return the highest number that a majority of `voters` and one of `outgoing` have reached.

    Who is not in `reached` is at 0. UNBOUNDED if there are no voters at all.
    """
    result = majority([reached.get(voter, 0) for voter in voters])
    if outgoing:
        result = min(result, majority([reached.get(voter, 0) for voter in outgoing]))
    return result


def vote_result(voters: Sequence[int], votes: Mapping[int, bool]) -> VoteResult:
    """Return whether more than half of `voters` said yes, can not any more, or may yet."""
    if not voters:
        return VoteResult.WON
    needed = len(voters) // 2 + 1
    yes = missing = 0
    for voter in voters:
        vote = votes.get(voter)
        if vote is None:
            missing += 1
        elif vote:
            yes += 1
    if yes >= needed:
        return VoteResult.WON
    return VoteResult.PENDING if yes + missing >= needed else VoteResult.LOST


def joint_vote_result(
    voters: Sequence[int], outgoing: Sequence[int], votes: Mapping[int, bool]
) -> VoteResult:
    """Return the result of a vote that must be won among `voters` and among `outgoing`."""
    result = vote_result(voters, votes)
    return min(result, vote_result(outgoing, votes)) if outgoing else result

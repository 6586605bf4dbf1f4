"""Who is given which group, and when."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from server.shard.leadership import Leadership


class Group:
    """Stands for a shard that this node, 1, leads, and that node 2 should lead."""

    def __init__(self) -> None:
        self.number = 0
        self.ready = True
        self.term = 5
        self.match = 100
        self.given: list[int] = []
        self.group = self

    def status(self) -> Any:
        peers = [
            SimpleNamespace(id=number, recent_active=True, learner=False, state="replicate", match=self.match)
            for number in (1, 2, 3)
        ]
        raft = SimpleNamespace(term=self.term, commit=100, transfer_target=0, peers=peers)
        return SimpleNamespace(raft=raft)

    def transfer(self, target: int) -> None:
        self.given.append(target)

    def refresh(self) -> None: ...


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def leadership(group: Group) -> Leadership:
    topology = SimpleNamespace(me=1, groups={0: SimpleNamespace(replicas=(2, 1, 3))})
    return Leadership(cast(Any, topology), cast(Any, {0: group}), 0.1, end_turn=lambda: None)


def test_a_group_goes_to_the_one_that_should_lead_it(leadership: Leadership, group: Group) -> None:
    leadership.balance()
    leadership.balance()
    assert group.given == [2]


def test_who_has_just_given_a_group_away_is_not_given_it_back(leadership: Leadership, group: Group) -> None:
    """It may be about to end, and then nobody leads the group until that is noticed."""
    group.ready = False
    leadership.balance()
    group.ready = True
    leadership.balance()
    assert group.given == []
    leadership.balance()
    assert group.given == [2], "it has not ended"
    group.term = 7  # it had it, and gave it away again
    leadership.balance()
    assert group.given == [2]
    leadership.balance()
    assert group.given == [2, 2]


def test_who_lacks_much_is_not_given_a_group(leadership: Leadership, group: Group) -> None:
    group.match = -1000
    leadership.balance()
    leadership.balance()
    assert group.given == []

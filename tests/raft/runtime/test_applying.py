"""When committed entries go to the data stores, and how many at once."""

from collections.abc import Callable
from typing import Any

import pytest

from raft.core.messages import NORMAL, Entry
from raft.runtime import applying as module
from raft.runtime.applying import BEHIND_BYTES, NO_LAG, RECORDS_OF_TURN, RECORDS_OF_TURN_MAX, Applying
from raft.runtime.machine import Lag

SHORT = Lag(1.0, 1000)
LONG = Lag(10.0, 5000)


class Gathering:
    def __init__(self, group: "Group", entries: list[Entry]) -> None:
        self._group = group
        self._left = sum(int(entry.data) for entry in entries)
        self.written = False

    def step(self, records_max: int) -> int:
        assert records_max >= 1
        assert not self.written
        count = min(records_max, self._left)
        self._left -= count
        self._group.world.gathered += count
        return count

    def write(self) -> None:
        assert not self._left
        self.written = True


class Group:
    """Its entries say in their data how many records they have."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.machine = self
        self.committed: list[Entry] = []
        self.applying: list[Entry] = []
        self.applied = 0
        self.gathering: Gathering

    def commit(self, size_bytes: int, lag: Lag, records: int = 1) -> None:
        index = self.applied + len(self.applying) + len(self.committed) + 1
        self.committed.append(Entry(index, 1, NORMAL, b"%d" % records))
        self.world.applying.put_off(self, size_bytes, lag)  # type: ignore[arg-type]

    def take_to_apply(self) -> list[Entry]:
        self.applying, self.committed = self.committed, []
        return self.applying

    def begin_apply(self, entries: list[Entry]) -> Gathering:
        self.gathering = Gathering(self, entries)
        return self.gathering

    def applied_upto(self) -> None:
        assert self.gathering.written
        self.applied = self.applying[-1].index
        self.applying = []


class World:
    """The clock, the apply thread and the loop, moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.jobs: list[tuple[Callable[[], None], Callable[[None], None]]] = []
        self.woken = 0
        self.gathered = 0
        self.applying = Applying(self, self)  # type: ignore[arg-type]

    def submit(self, job: Callable[[], None], done: Callable[[None], None]) -> None:
        self.jobs.append((job, done))

    def wake(self) -> None:
        self.woken += 1

    def write(self) -> None:
        """The thread does what it was given."""
        ((job, done),) = self.jobs
        self.jobs.clear()
        job()
        done(None)

    def turn(self) -> None:
        self.applying.go_on()
        if self.jobs:
            self.write()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    class Clock:
        monotonic = staticmethod(lambda: world.now_s)

    clock: Any = Clock
    monkeypatch.setattr(module, "time", clock)
    return world


def test_what_is_committed_waits_for_as_long_as_it_may(world: World) -> None:
    group = Group(world)
    group.commit(10, SHORT)
    world.now_s += 0.5
    group.commit(10, SHORT)
    world.turn()
    assert group.applied == 0
    world.now_s += 0.5
    world.turn()
    assert group.applied == 2
    group.commit(10, SHORT)
    world.now_s += 0.9
    world.turn()
    assert group.applied == 2


def test_it_waits_no_longer_when_it_is_much(world: World) -> None:
    group, other = Group(world), Group(world)
    other.commit(4000, LONG)
    group.commit(500, SHORT)
    world.turn()
    assert group.applied == 0
    group.commit(500, SHORT)
    world.turn()
    assert (group.applied, other.applied) == (2, 0)
    world.now_s += 10
    world.turn()
    assert other.applied == 1


def test_what_somebody_waits_for_is_applied_at_once(world: World) -> None:
    group = Group(world)
    group.commit(10, LONG)
    group.commit(0, NO_LAG)
    world.turn()
    assert group.applied == 2


def test_what_is_hurried_waits_no_longer_and_others_do(world: World) -> None:
    group, other = Group(world), Group(world)
    group.commit(10, LONG)
    other.commit(10, LONG)
    world.applying.hurry(group)  # type: ignore[arg-type]
    assert world.woken
    world.turn()
    assert (group.applied, other.applied) == (1, 0)
    world.applying.hurry(group)  # type: ignore[arg-type]
    world.turn()
    assert other.applied == 0


def test_a_shorter_lag_holds_for_what_waited_with_a_longer_one(world: World) -> None:
    group = Group(world)
    group.commit(900, LONG)
    world.now_s += 2
    group.commit(10, SHORT)
    world.turn()
    assert group.applied == 2


def test_a_longer_lag_does_not_put_off_what_was_due(world: World) -> None:
    group = Group(world)
    group.commit(900, SHORT)
    group.commit(10, LONG)
    world.now_s += 1
    world.turn()
    assert group.applied == 2


def test_those_that_are_due_go_together(world: World) -> None:
    groups = [Group(world) for _ in range(3)]
    for group in groups:
        group.commit(10, SHORT)
    world.now_s += 1
    world.applying.go_on()
    assert len(world.jobs) == 1
    world.write()
    assert [group.applied for group in groups] == [1, 1, 1]


@pytest.mark.parametrize("records", [1, 499, 500, 501, 1000, 2500])
def test_a_turn_gathers_no_more_than_so_many_records(world: World, records: int) -> None:
    groups = [Group(world) for _ in range(5)]
    for group in groups:
        group.commit(10, NO_LAG, records)
    turns, woken = 0, 0
    while not world.jobs:
        before = world.gathered
        world.applying.go_on()
        turns += 1
        assert world.gathered - before <= RECORDS_OF_TURN
        assert world.jobs or world.woken > woken, "nothing would make the next turn come"
        woken = world.woken
    assert turns - 1 == 5 * records // RECORDS_OF_TURN
    world.write()
    assert all(group.applied == 1 for group in groups)


@pytest.mark.parametrize(
    ("records", "size_bytes"), [(500, 64), (3000, 64), (9000, 64), (9000, 20), (3000, 1000)]
)
def test_what_waits_does_not_grow_for_ever_when_turns_make_many_records(
    world: World, records: int, size_bytes: int
) -> None:
    group = Group(world)
    waiting = []
    made = 0
    for _ in range(2000):
        group.commit(records * size_bytes, LONG, records)
        made += records
        before = world.gathered
        world.turn()
        assert world.gathered - before <= RECORDS_OF_TURN_MAX
        waiting.append(made - world.gathered)
    assert max(waiting[1000:]) <= max(waiting[:1000])
    assert max(waiting) * size_bytes < 4 * BEHIND_BYTES + 20 * records * size_bytes


def test_what_is_committed_while_a_piece_is_gathered_or_written_is_for_the_next(world: World) -> None:
    group = Group(world)
    group.commit(10, NO_LAG, RECORDS_OF_TURN)
    world.applying.go_on()
    group.commit(10, NO_LAG)
    world.applying.go_on()
    group.commit(10, NO_LAG)
    world.applying.go_on()
    world.write()
    assert group.applied == 1
    world.turn()
    assert group.applied == 3


def test_a_group_that_has_nothing_to_give_now_is_no_piece(world: World) -> None:
    """While a snapshot is installed."""
    group = Group(world)
    group.commit(10, NO_LAG)
    group.committed.clear()
    world.applying.go_on()
    assert not world.jobs

"""The time of a group never goes back, nor does it stand still, whatever is done to clocks."""

import pytest

from server.shard.clock import GroupClock, TurnClock, pace

HOUR_MS = 3_600_000


@pytest.fixture
def clock() -> TurnClock:
    return TurnClock()


def later(clock: TurnClock, seconds: float, *, set_by_ms: int = 0) -> None:
    """A turn begins so much later; meanwhile somebody may have set the clock."""
    clock.turn += 1
    clock.steady_s += seconds
    clock.now_ms += int(seconds * 1000) + set_by_ms


def test_it_is_the_clocks_unless_an_entry_has_told_of_a_later_one(clock: TurnClock) -> None:
    group = GroupClock(clock)
    assert group.now_ms(0) == clock.now_ms
    assert group.now_ms(clock.now_ms + 5) == clock.now_ms + 5


def test_it_goes_on_where_the_former_leaders_clock_was_an_hour_fast(clock: TurnClock) -> None:
    group = GroupClock(clock)
    told_ms = clock.now_ms + HOUR_MS
    assert group.now_ms(told_ms) == told_ms
    later(clock, 10)
    now_ms = group.now_ms(told_ms)
    assert now_ms == told_ms + int(10_000 * pace)
    assert group.now_ms(now_ms) == now_ms, "what its own entries tell changes nothing"


def test_it_goes_on_when_the_clock_is_set_back(clock: TurnClock) -> None:
    group = GroupClock(clock)
    told_ms = group.now_ms(0)
    later(clock, 10, set_by_ms=-HOUR_MS)
    group.now_ms(told_ms)
    later(clock, 10)
    assert group.now_ms(told_ms) == told_ms + int(10_000 * pace)


def test_the_clock_comes_up_with_it_in_the_end(clock: TurnClock) -> None:
    group = GroupClock(clock)
    told_ms = clock.now_ms + 1000
    before_ms = group.now_ms(told_ms)
    for _ in range(20):
        later(clock, 1)
        assert group.now_ms(told_ms) > before_ms
        before_ms = group.now_ms(told_ms)
    assert before_ms == clock.now_ms


def test_another_leaders_entry_puts_it_forward(clock: TurnClock) -> None:
    group = GroupClock(clock)
    group.now_ms(clock.now_ms + HOUR_MS)
    assert group.now_ms(clock.now_ms + 2 * HOUR_MS) == clock.now_ms + 2 * HOUR_MS

"""The time of a reactor turn, shared by all that happens in it.

It is read again whenever bytes were received: a command that came late in a long turn was sent after the turn began,
and what it says of time ("in 50 ms") counts from when it came.

A group has a time of its own, which its leaders hand on in the entries, and which never goes back: what was past its
time stays so. Where it is ahead of the clock here, as that was set back or a former leader's was fast, it goes on from
there, a little slower than the clock, until that has come up with it. It must not stand still: nothing would expire
for as long as the clock was wrong by.
"""

import time

pace = 0.9
"""Of a group's time that is ahead of the clock."""
CLOCK_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class TurnClock:
    """What time it is, for one turn of the loop. Whoever starts a turn calls `advance`."""

    __slots__ = ("now_ms", "now_s", "steady_s", "turn")

    def __init__(self) -> None:
        self.turn = 0
        """Number of the turn."""
        self.now_ms = 0
        """Unix time in milliseconds."""
        self.now_s = 0.0
        """Unix time in seconds."""
        self.steady_s = 0.0
        """For how long something takes: seconds on a clock that nobody sets, when the turn began."""
        self.advance()

    def advance(self) -> None:
        """A new turn starts now."""
        self.turn += 1
        self.steady_s = time.monotonic()
        self.refresh()

    def refresh(self) -> None:
        """Bytes were received just now."""
        self.now_s = now_s = time.time()
        self.now_ms = int(now_s * 1000)


class GroupClock:
    """The time of one group on this node."""

    __slots__ = ("_clock", "_from_ms", "_from_s")

    def __init__(self, clock: TurnClock) -> None:
        self._clock = clock
        self._from_ms = 0
        """What the group's time was at `_from_s` when it was ahead of the clock; 0: it is not."""
        self._from_s = 0.0

    def now_ms(self, told_ms: int) -> int:
        """The group's time in this turn, in Unix milliseconds. `told_ms`: the newest that an entry has told."""
        clock = self._clock
        clock_ms = clock.now_ms
        if told_ms <= clock_ms and not self._from_ms:
            return clock_ms
        ahead_ms = self._from_ms and self._from_ms + int((clock.steady_s - self._from_s) * 1000 * pace)
        if ahead_ms < told_ms:
            self._from_ms, self._from_s = told_ms, clock.steady_s
            ahead_ms = told_ms
        if ahead_ms > clock_ms:
            return ahead_ms
        self._from_ms = 0
        return clock_ms


def boot_time_us() -> int:
    """Microseconds on the monotonic clock that counts suspend: what leases are measured by."""
    return time.clock_gettime_ns(CLOCK_BOOTTIME) // 1000

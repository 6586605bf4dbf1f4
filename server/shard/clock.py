"""The time of a reactor turn, shared by all that happens in it.

It is read again whenever bytes were received: a command that came late in a long turn was sent after the turn began,
and what it says of time ("in 50 ms") counts from when it came.
"""

import time

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


def boot_time_us() -> int:
    """Microseconds on the monotonic clock that counts suspend: what leases are measured by."""
    return time.clock_gettime_ns(CLOCK_BOOTTIME) // 1000

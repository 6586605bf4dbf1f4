"""The time of a reactor turn, read once, shared by all that happens in it."""

import time

CLOCK_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class TurnClock:
    """What time it is, for one turn of the loop. Whoever starts a turn calls `advance`."""

    __slots__ = ("now_ms", "now_s", "turn")

    def __init__(self) -> None:
        self.turn = 0
        """Number of the turn: equal numbers, same instant."""
        self.now_ms = 0
        """Unix time in milliseconds."""
        self.now_s = 0.0
        """Unix time in seconds."""
        self.advance()

    def advance(self) -> None:
        """A new turn starts now."""
        self.turn += 1
        self.now_s = time.time()
        self.now_ms = int(self.now_s * 1000)


def boot_time_us() -> int:
    """Microseconds on the monotonic clock that counts suspend: what leases are measured by."""
    return time.clock_gettime_ns(CLOCK_BOOTTIME) // 1000

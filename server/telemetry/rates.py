"""How fast things go right now, for INFO's instantaneous_ fields: the mean of the last 16 samples, as in Redis."""

from collections import deque

from server.telemetry.stats import Stats

_SAMPLES = 16


class Rates:
    """Sampled by a timer of the node, ten times a second or so; asked by INFO."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int, int]] = deque(maxlen=_SAMPLES + 1)

    def sample(self, now_s: float, stats: Stats) -> None:
        """Take note of the counters at `now_s` (any clock that does not jump)."""
        if self._samples and stats.commands_processed < self._samples[-1][1]:
            self._samples.clear()  # CONFIG RESETSTAT
        self._samples.append((now_s, stats.commands_processed, stats.net_input_bytes, stats.net_output_bytes))

    def _per_second(self, counter: int) -> float:
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        return (last[counter] - first[counter]) / max(last[0] - first[0], 1e-9)

    @property
    def commands_per_s(self) -> int:
        """Commands a second."""
        return round(self._per_second(1))

    @property
    def input_kib_per_s(self) -> float:
        """KiB a second from clients."""
        return self._per_second(2) / 1024

    @property
    def output_kib_per_s(self) -> float:
        """KiB a second to clients."""
        return self._per_second(3) / 1024
